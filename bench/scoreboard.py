"""Measures pyloader against its peers: same files, sizes, dtype, batches, threads and order.

    python -m bench --data FOLDER

Every peer runs in a process of its own, and in a virtual environment of its own. After a warm-up
epoch each, rounds alternate: one epoch of each peer in turn while the others are idle. A sample of
every round's images is compared with Pillow's exact result, outside the timed part. Exit status 1
if an answer was wrong.
"""

import argparse
import datetime
import re
import sys
from pathlib import Path
from typing import Any

from bench import machine, publish, report
from bench.contest import Entrant, Entry, Rules, hold
from bench.environments import DEFAULT_FOLDER, Environments, NotInstalled
from bench.files import list_class_folder
from bench.job import INTERPOLATIONS, PACKAGES, RESULTS, job_settings
from bench.peers.catalog import PEERS, entry_of
from bench.summary import format_results, summarize

REFERENCE = "pyloader"
BASELINES = ("pyloader", "simplejpeg")
"""Peers measured beside the caches, as the rate of an epoch that decodes."""

BESIDE = Path("beside the JSON")

CACHED_EPOCHS = 20
"""Epochs in a turn from a cache, the same for all peers, since one takes milliseconds."""

EXPERIMENTS = {
    "warm": "files in the page cache",
    "cold": "the system asked to forget the files before every epoch",
    "cached": "epochs after the one that filled a cache of resized images",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        files, _ = list_class_folder(options.data)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    settings = job_settings(options)
    about_machine = machine.describe_machine()
    versions = {REFERENCE: machine.package_versions(PACKAGES)}
    print(describe(settings, len(files), options.rounds, about_machine, versions[REFERENCE]))
    places = _Places(None if options.here else Environments(options.environments, report.progress))
    experiments: dict[str, Any] = {}
    sound = True
    for experiment in options.experiments:
        names = peers_of(experiment, options.peers)
        if not names:
            continue
        print(f"\n{experiment}: {EXPERIMENTS[experiment]}")
        entrants, skipped = places.entrants(names, experiment, settings, files)
        rules = Rules(
            options.rounds,
            report.progress,
            cold=experiment == "cold",
            memory=True,
            epochs=CACHED_EPOCHS if experiment == "cached" else 1,
            carry_on=True,
        )
        entries, failed = hold(rules, entrants)
        skipped |= failed
        experiments[experiment] = as_json(entries, skipped)
        if entries:
            print(format_results(entries, reference_of(entries)))
        for peer, reason in skipped.items():
            print(f"{peer} skipped: {reason}")
        sound &= REFERENCE not in failed
        sound &= not any(entry.problems for entry in entries.values())
    if not any(result["peers"] for result in experiments.values()):
        print("no peer could run", file=sys.stderr)
        return 2
    result = {
        "benchmark": "scoreboard",
        "title": options.title or options.data.resolve().name,
        "date": datetime.date.today().isoformat(),
        "machine": about_machine,
        "versions": versions | places.versions,
        "settings": settings | {"directory": options.data.resolve().name},
        "files": len(files),
        "warm_up_epochs": 1,
        "rounds": options.rounds,
        "experiments": experiments,
    }
    path = options.json or RESULTS / f"{default_name(result)}.json"
    report.write_json(path, result)
    print(f"\nraw figures: {path}")
    if options.chart or options.report:
        chart = path.with_suffix(".png") if options.chart in (None, BESIDE) else options.chart
        publish.publish([result], chart, options.report)
        print(f"chart: {chart}")
    return 0 if sound else 1


def peers_of(experiment: str, chosen: list[str]) -> list[str]:
    """Returns the chosen peers of an experiment: with caches or without."""
    if experiment != "cached":
        return [name for name in chosen if not entry_of(name).cached]
    caches = [name for name in chosen if entry_of(name).cached]
    return [*(name for name in BASELINES if name in chosen), *caches] if caches else []


class _Places:
    """Finds the interpreter of each peer; records the versions of its packages."""

    def __init__(self, environments: Environments | None) -> None:
        self.versions: dict[str, dict[str, str]] = {}
        self._environments = environments

    def entrants(
        self, names: list[str], experiment: str, settings: dict[str, Any], files: list[str]
    ) -> tuple[list[Entrant], dict[str, str]]:
        """Returns the peers that can run, and the reasons of those that cannot."""
        entrants, skipped = [], {}
        for name in names:
            entry = entry_of(name)
            if experiment == "cold" and entry.not_cold:
                skipped[name] = entry.not_cold
                continue
            python = None
            if entry.environment and self._environments:
                try:
                    interpreter = self._environments.interpreter(entry.environment)
                except NotInstalled as reason:
                    skipped[name] = f"cannot be installed: {reason}"
                    report.progress(f"{name}: skipped, {skipped[name]}")
                    continue
                python = interpreter.path
                self.versions[name] = interpreter.versions
            entrants.append(Entrant(name, name, settings, files, python=python))
        return entrants, skipped


def reference_of(entries: dict[str, Entry]) -> str:
    """Returns the peer whose rate is 1 in the column of ratios."""
    return REFERENCE if REFERENCE in entries else next(iter(entries))


def as_json(entries: dict[str, Entry], skipped: dict[str, str]) -> dict[str, Any]:
    """Returns all figures of an experiment."""
    reference = reference_of(entries) if entries else None
    return {
        "reference": reference,
        "summary": {name: summarize(entries, name, reference) for name in entries}
        if reference
        else {},
        "peers": {name: entry.as_json() for name, entry in entries.items()},
        "skipped": skipped,
    }


def default_name(result: dict[str, Any]) -> str:
    """Returns a file name of date, machine and set of pictures."""
    about = result["machine"]
    parts = [
        result["date"],
        f"{about['processor']}-{about['usable_cores']}-cores",
        result["settings"]["directory"],
    ]
    return "-".join(re.sub(r"[^a-z0-9-]+", "-", part.lower()).strip("-") for part in parts)


def describe(
    settings: dict[str, Any],
    files: int,
    rounds: int,
    about_machine: dict[str, Any],
    versions: dict[str, str],
) -> str:
    """Describes the machine, the versions and the job, in four lines."""
    place = (
        f"{about_machine['processor']}, {about_machine['usable_cores']} usable cores, "
        f"{about_machine['memory_bytes'] / 2**30:.0f} GiB, {about_machine['system']}, "
        f"{about_machine['python']}, load {about_machine['load_average_at_start']:.2f}"
    )
    job = (
        f"{files} files -> {settings['height']}x{settings['width']}x3 {settings['dtype']}, "
        f"{settings['interpolation']}, batches of {settings['batch_size']}, "
        f"{settings['threads']} threads, shuffled with seed {settings['seed']}"
    )
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{place}\n{packages}\n{job}\n1 warm-up epoch, {rounds} rounds"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures pyloader against its peers on one folder."
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per class inside")
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="height [width]")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--dtype", choices=("uint8", "float32"), default="uint8")
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="bilinear")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peers", default="all", help=f"all, or a comma list of {', '.join(PEERS)}, module:class"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--experiments", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS), help="all three"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--environments",
        type=Path,
        default=DEFAULT_FOLDER,
        help="where the peers' virtual environments are kept (.bench-envs)",
    )
    place.add_argument(
        "--here", action="store_true", help="no environments: peers that are installed beside this"
    )
    parser.add_argument("--title", help="of the pictures in table and chart; default: the folder's")
    parser.add_argument("--json", type=Path, help="default: bench/results/DATE-MACHINE-FOLDER.json")
    parser.add_argument(
        "--chart",
        type=Path,
        nargs="?",
        const=BESIDE,
        help="draws a PNG, by default beside the JSON (needs matplotlib)",
    )
    parser.add_argument("--report", type=Path, help="writes chart and tables between its markers")
    options = parser.parse_args(arguments)
    if len(options.size) > 2 or min(options.size) < 1:
        parser.error(f"--size is one or two positive numbers. Received: {options.size}")
    if min(options.batch_size, options.threads, options.rounds) < 1:
        parser.error("--batch-size, --threads and --rounds are 1 or more")
    if not options.data.is_dir():
        parser.error(f"--data must be a folder. Received: {options.data}")
    options.peers = list(PEERS) if options.peers == "all" else options.peers.split(",")
    try:
        for name in options.peers:
            entry_of(name)
    except ValueError as error:
        parser.error(str(error))
    return options
