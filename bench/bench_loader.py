"""Measures pyloader against its peers: same files, sizes, dtype, batches, threads and order.

    python bench/bench_loader.py --data FOLDER

Every peer lives in a process of its own. After a warm-up epoch each, rounds alternate: one epoch
of each peer in turn while the others are idle. A sample of every round's images is compared with
Pillow's exact result, outside the time. Exit status 1 when an answer was wrong.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import machine, report
from bench.contest import Entrant, Entry, Rules, hold
from bench.files import list_class_folder
from bench.peers.base import PEERS
from bench.session import WorkerFailed

REFERENCE = "pyloader"
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
PACKAGES = ("pyloader", "numpy", "simplejpeg", "opencv-python-headless", "pillow", "keras")
HEADER = (
    "peer",
    "images/s",
    "[min .. max]",
    "CPU ms/image",
    "peak MB",
    "ratio",
    "max diff",
    "mean diff",
    "",
)


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
    versions = machine.package_versions(PACKAGES)
    print(describe(settings, len(files), options, about_machine, versions))
    peers = list(PEERS) if options.peers == "all" else options.peers.split(",")
    rules = Rules(options.rounds, report.progress, cold=options.cold)
    entries, skipped = hold(rules, [Entrant(peer, peer, settings, files) for peer in peers])
    if not entries:
        print("no peer could run", file=sys.stderr)
        return 2
    reference = REFERENCE if REFERENCE in entries else next(iter(entries))
    print(format_results(entries, reference))
    for peer, reason in skipped.items():
        print(f"{peer} skipped: {reason}")
    path = options.json or default_json_path("loader", settings, options.cold)
    report.write_json(
        path,
        {
            "benchmark": "loader",
            "machine": about_machine,
            "versions": versions,
            "settings": settings | {"directory": options.data.resolve().name},
            "files": len(files),
            "page_cache": "cold" if options.cold else "warm",
            "warm_up_epochs": 1,
            "rounds": options.rounds,
            "reference": reference,
            "summary": {name: summarise(entries, name, reference) for name in entries},
            "peers": {name: entry.as_json() for name, entry in entries.items()},
            "skipped": skipped,
        },
    )
    print(f"raw figures: {path}")
    return 1 if any(entry.problems for entry in entries.values()) else 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="bench_loader", description="Measures pyloader against its peers on one folder."
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per class inside")
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="height [width]")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("uint8", "float32"), default="uint8")
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="bilinear")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peers", default="all", help=f"all, or a comma list of {', '.join(PEERS)}, module:class"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--cold", action="store_true", help="forget the files' content before every epoch"
    )
    parser.add_argument("--json", type=Path, help="default: bench/results/NAME.json")
    options = parser.parse_args(arguments)
    if len(options.size) > 2 or min(options.size) < 1:
        parser.error(f"--size is one or two positive numbers. Received: {options.size}")
    if min(options.batch_size, options.threads, options.rounds) < 1:
        parser.error("--batch-size, --threads and --rounds are 1 or more")
    if not options.data.is_dir():
        parser.error(f"--data must be a folder. Received: {options.data}")
    return options


def job_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The options that describe the job, as Job.from_settings takes them."""
    return {
        "directory": str(options.data.resolve()),
        "height": options.size[0],
        "width": options.size[-1],
        "batch_size": options.batch_size,
        "threads": options.threads,
        "dtype": options.dtype,
        "interpolation": options.interpolation,
        "seed": options.seed,
    }


def default_json_path(benchmark: str, settings: dict[str, Any], cold: bool) -> Path:
    """bench/results/NAME.json, the name made of what was measured."""
    parts = [
        benchmark,
        Path(settings["directory"]).name,
        f"{settings['height']}x{settings['width']}",
        settings["interpolation"],
        settings["dtype"],
        f"{settings['threads']}threads",
    ]
    name = "-".join(parts + ["cold"] * cold)
    return Path(__file__).resolve().parent / "results" / f"{name}.json"


def describe(
    settings: dict[str, Any],
    files: int,
    options: argparse.Namespace,
    about_machine: dict[str, Any],
    versions: dict[str, str],
) -> str:
    """What is measured, where and with what, in four lines."""
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
    cache = "cold" if options.cold else "warm"
    procedure = f"1 warm-up epoch, {options.rounds} rounds, page cache {cache}"
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{place}\n{packages}\n{job}\n{procedure}"


def summarise(entries: dict[str, Entry], name: str, reference: str) -> dict[str, Any]:
    """One peer's figures over all rounds."""
    entry = entries[name]
    rates = entry.images_per_second()
    return {
        "images_per_second": report.median_and_spread(rates),
        "cpu_ms_per_image": report.median_and_spread(entry.cpu_ms_per_image()),
        "peak_megabytes": report.median_and_spread(entry.peak_megabytes()),
        "ratio_to_reference": report.paired_ratio(rates, entries[reference].images_per_second()),
        "images_checked": sum(round_.images for round_ in entry.fidelity),
        "max_difference": max((round_.max_difference for round_ in entry.fidelity), default=None),
        "mean_difference": max((round_.mean_difference for round_ in entry.fidelity), default=None),
        "correct": not entry.problems,
    }


def format_results(entries: dict[str, Entry], reference: str) -> str:
    """The table, and below it every problem in words."""
    rows = []
    for name in entries:
        figures = summarise(entries, name, reference)
        rate = figures["images_per_second"]
        differences = (figures["max_difference"], figures["mean_difference"])
        rows.append(
            (
                name,
                f"{rate['median']:.0f}",
                f"[{rate['min']:.0f} .. {rate['max']:.0f}]",
                f"{figures['cpu_ms_per_image']['median']:.2f}",
                f"{figures['peak_megabytes']['max']:.0f}",
                f"{figures['ratio_to_reference']:.2f}",
                *("-" if value is None else f"{value:.3g}" for value in differences),
                "" if figures["correct"] else "WRONG",
            )
        )
    lines = [report.format_table(HEADER, rows)]
    lines.append(
        f"images/s: median of the rounds; ratio: images/s to {reference}'s, paired by round; "
        "diff: levels of 255 from Pillow's exact result"
    )
    for name, entry in entries.items():
        lines += [f"WRONG {name}, {problem}" for problem in entry.problems]
        if not all(entry.same_order):
            lines.append(f"note: {name} delivered the images in another order")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerFailed as failure:
        sys.exit(f"stopped: {failure}")
