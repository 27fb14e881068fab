"""Measures the time a training loop waits for its input: the share of time that is not steps.

    python bench/bench_overlap.py --data FOLDER

A step takes `--factor` times as long as pyloader needs to load a batch of this folder without any
step, and sleeps, as the CPU idles while an accelerator computes: a loader that works during the
step has the next batch ready. Loops are a plain one and Keras' fit on each backend, each loader
and loop in a process of its own. The loop with a batch that is always ready measures the loop's own
time beside its steps. Exit status 1 if a loop got wrong pictures.
"""

import argparse
import importlib.util
import statistics
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import machine, report
from bench.contest import IDLE_SECONDS, IDLE_SHARE
from bench.fidelity import pillow_result
from bench.files import list_class_folder
from bench.job import INTERPOLATIONS, default_json_path, job_settings
from bench.overlap_worker import GENERATORS, GRID, READY
from bench.peers.base import PeerUnavailable
from bench.session import WorkerFailed, WorkerProcess

WORKER = Path(__file__).resolve().parent / "overlap_worker.py"
BACKENDS = ("jax", "tensorflow", "torch")
PACKAGES = ("pyloader", "numpy", "keras", "jax", "tensorflow", "tensorflow-cpu", "torch", "pillow")
WARM_UP_ROUNDS = 1
HEADER = (
    *("", "for input %", "[min .. max]", "not steps %", "in calls %"),
    *("wait ms", "CPU s", "seconds", ""),
)


@dataclass(slots=True)
class Entry:
    """One loader in one loop: its process and the results of the rounds."""

    session: WorkerProcess
    peer: str
    loop: str
    rounds: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def percent(self, name: str) -> list[float]:
        """Returns a share in each round; empty if there is none."""
        return [100 * round_[name] for round_ in self.rounds if round_[name] is not None]


def for_input(entries: dict[str, Entry], entry: Entry) -> list[float]:
    """Returns the percentage of each round spent waiting: not steps, and not the loop's own."""
    ready = entries[label_of(READY, entry.loop)].percent("waiting_share")
    mine = entry.percent("waiting_share")
    return [percent - floor for percent, floor in zip(mine, ready, strict=True)]


def label_of(peer: str, loop: str) -> str:
    """Returns the name of a loader in a loop."""
    return f"{peer}, {loop if loop == 'plain' else f'fit on {loop}'}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        files, labels = list_class_folder(options.data)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    settings = job_settings(options)
    about_machine = machine.describe_machine()
    versions = machine.package_versions(PACKAGES)
    expected = {
        "steps": -(-len(files) // options.batch_size) * options.epochs,
        "images": len(files) * options.epochs,
        "pixel_sum": sum_of_pixels(files, settings) * options.epochs,
        "label_sum": sum(labels) * options.epochs,
    }
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        entries = start(options, settings, skipped, stack)
        batch_seconds = measure_load(entries["pyloader, plain"].session, options.rounds)
        step_seconds = options.factor * batch_seconds
        print(describe(settings, len(files), options, about_machine, versions, batch_seconds))
        for number in range(WARM_UP_ROUNDS + options.rounds):
            for entry in entries.values():
                play(entry, number - WARM_UP_ROUNDS, options.epochs, step_seconds, expected)
            report.progress(f"round {number} of {options.rounds} done")
    print(format_results(entries))
    for label, reason in skipped.items():
        print(f"{label} skipped: {reason}")
    path = options.json or default_json_path("overlap", settings, False)
    report.write_json(
        path,
        {
            "benchmark": "overlap",
            "machine": about_machine,
            "versions": versions,
            "settings": settings | {"directory": options.data.resolve().name},
            "files": len(files),
            "epochs_of_a_round": options.epochs,
            "rounds": options.rounds,
            "warm_up_rounds": WARM_UP_ROUNDS,
            "batch_seconds": batch_seconds,
            "step_seconds": step_seconds,
            "summary": {label: summarize(entry, entries) for label, entry in entries.items()},
            "raw": {label: entry.rounds for label, entry in entries.items()},
            "skipped": skipped,
        },
    )
    print(f"raw figures: {path}")
    return 1 if any(entry.problems for entry in entries.values()) else 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="bench_overlap", description="Measures how long training waits for its input."
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per class inside")
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="height [width]")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2, help="of pyloader")
    parser.add_argument("--dtype", choices=("uint8", "float32"), default="float32")
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="bilinear")
    parser.add_argument("--factor", type=float, default=1.5, help="step to load of a batch")
    parser.add_argument("--epochs", type=int, default=2, help="of a round, one after the other")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", nargs="*", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument(
        "--peers", default="all", help=f"all, or a comma list of {', '.join(GENERATORS)}"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="default: bench/results/NAME.json")
    options = parser.parse_args(arguments)
    options.peers = list(GENERATORS) if options.peers == "all" else options.peers.split(",")
    if options.peers[0] != "pyloader" or not set(options.peers) <= set(GENERATORS):
        parser.error(
            f"--peers begins with pyloader, whose load decides about the step. "
            f"Received: {','.join(options.peers)}"
        )
    if len(options.size) > 2 or min(options.size) < 1:
        parser.error(f"--size is one or two positive numbers. Received: {options.size}")
    if min(options.batch_size, options.threads, options.rounds, options.epochs) < 1:
        parser.error("--batch-size, --threads, --rounds and --epochs are 1 or more")
    if not options.factor > 0:
        parser.error(f"--factor is positive. Received: {options.factor}")
    if not options.data.is_dir():
        parser.error(f"--data must be a folder. Received: {options.data}")
    return options


def start(
    options: argparse.Namespace,
    settings: dict[str, Any],
    skipped: dict[str, str],
    stack: ExitStack,
) -> dict[str, Entry]:
    """Starts a process for each loader and loop; adds those that cannot run to `skipped`."""
    entries: dict[str, Entry] = {}
    loops = ["plain", *options.backends]
    for loop in loops:
        for peer in (READY, *options.peers):
            label = label_of(peer, loop)
            command = [str(WORKER), peer, "plain" if loop == "plain" else "fit"]
            backend = any_backend() if loop == "plain" else loop
            environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            try:
                session = WorkerProcess(label, command, settings, environment)
            except PeerUnavailable as reason:
                skipped[label] = str(reason)
                report.progress(f"{label}: skipped, {reason}")
                continue
            entries[label] = Entry(stack.enter_context(closing(session)), peer, loop)
            report.progress(f"{label}: started")
    return entries


def any_backend() -> str:
    """Returns an installed Keras backend, for a process in which Keras only loads images."""
    return next((name for name in BACKENDS if importlib.util.find_spec(name)), BACKENDS[0])


def sum_of_pixels(files: list[str], settings: dict[str, Any]) -> int:
    """Returns the sum over one epoch's steps that Pillow's pixels give."""
    form = (settings["height"], settings["width"], settings["interpolation"])
    return sum(int(pillow_result(file, *form)[::GRID, ::GRID].sum()) for file in files)


def measure_load(session: WorkerProcess, rounds: int) -> float:
    """Returns the median seconds to load a batch without a step, after a warm-up."""
    session.ask({"command": "load", "epochs": 1})
    answers = [session.ask({"command": "load", "epochs": 1}) for _ in range(rounds)]
    return statistics.median(answer["batch_seconds"] for answer in answers)


def play(
    entry: Entry, number: int, epochs: int, step_seconds: float, expected: dict[str, int]
) -> None:
    """Runs one round of an entry and checks the sums of its steps; a negative round warms up."""
    question = {"command": "train", "epochs": epochs, "step_seconds": step_seconds}
    result = entry.session.ask(question)
    if number >= 0:
        entry.rounds.append(result)
    for name, value in expected.items():
        if result[name] != value and (entry.peer != READY or name == "steps"):
            problem = f"round {number + 1}: {name} is {result[name]}, should be {value}"
            entry.problems.append(problem)
    idle = result["idle_cpu_seconds"]  # libraries' threads spin for a while after the start
    if number >= 0 and idle > IDLE_SHARE * result["cpu_seconds"] + IDLE_SECONDS:
        entry.problems.append(f"round {number + 1}: worked {idle:.3f} s between its turns")


def describe(
    settings: dict[str, Any],
    files: int,
    options: argparse.Namespace,
    about_machine: dict[str, Any],
    versions: dict[str, str],
    batch_seconds: float,
) -> str:
    """Describes the job, the machine and the versions."""
    place = (
        f"{about_machine['processor']}, {about_machine['usable_cores']} usable cores, "
        f"{about_machine['system']}, {about_machine['python']}, "
        f"load {about_machine['load_average_at_start']:.2f}"
    )
    job = (
        f"{files} files -> {settings['height']}x{settings['width']}x3 {settings['dtype']}, "
        f"{settings['interpolation']}, batches of {settings['batch_size']}, "
        f"{settings['threads']} threads; {options.rounds} rounds of {options.epochs} epochs"
    )
    step = (
        f"pyloader loads a batch in {1000 * batch_seconds:.1f} ms; "
        f"a step takes {1000 * options.factor * batch_seconds:.1f} ms"
    )
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{place}\n{packages}\n{job}\n{step}"


def summarize(entry: Entry, entries: dict[str, Entry]) -> dict[str, Any]:
    """Returns one entry's figures over all rounds."""
    in_calls = entry.percent("in_calls_share")
    return {
        "for_input_percent": report.median_and_spread(for_input(entries, entry)),
        "waiting_percent": report.median_and_spread(entry.percent("waiting_share")),
        "in_calls_percent": report.median_and_spread(in_calls) if in_calls else None,
        "wait_ms": 1000 * statistics.median(w for round_ in entry.rounds for w in round_["waits"]),
        "cpu_seconds": statistics.median(round_["cpu_seconds"] for round_ in entry.rounds),
        "seconds": statistics.median(round_["seconds"] for round_ in entry.rounds),
        "problems": entry.problems,
    }


def format_results(entries: dict[str, Entry]) -> str:
    """Returns the table, and below it every problem in words."""
    rows = []
    for label, entry in entries.items():
        figures = summarize(entry, entries)
        waiting, in_calls = figures["waiting_percent"], figures["in_calls_percent"]
        input_ = figures["for_input_percent"]
        rows.append(
            (
                label,
                f"{input_['median']:.1f}",
                f"[{input_['min']:.1f} .. {input_['max']:.1f}]",
                f"{waiting['median']:.1f}",
                f"{in_calls['median']:.1f}" if in_calls else "-",
                f"{figures['wait_ms']:.1f}",
                f"{figures['cpu_seconds']:.2f}",
                f"{figures['seconds']:.2f}",
                "WRONG" if entry.problems else "",
            )
        )
    legend = (
        "not steps: share of the time; for input: the same, less what it is with a batch that is\n"
        "always ready; in calls: share that the training thread spends in the iterator's calls;\n"
        "wait: from one step's end to the next, median"
    )
    problems = [f"WRONG {label}, {p}" for label, entry in entries.items() for p in entry.problems]
    return "\n".join([report.format_table(HEADER, rows), legend, *problems])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerFailed as failure:
        sys.exit(f"stopped: {failure}")
