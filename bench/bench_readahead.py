"""Measures the rate on slow files, with and without reading ahead.

    python bench/bench_readahead.py --data FOLDER

Files are made slow by slow_files.c, which is compiled and preloaded (Linux, a C compiler): every
open waits, as it does on a network file system. One process for each delay, with reading ahead and
without (PYLOADER_READAHEAD=0); rounds alternate. Every round's images are compared with Pillow's.
"""

import argparse
import sys
import tempfile
from pathlib import Path

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import machine, report
from bench.contest import Entrant, Entry, Rules, hold
from bench.files import list_class_folder
from bench.job import INTERPOLATIONS, PACKAGES, default_json_path, job_settings
from bench.session import WorkerFailed
from bench.slow_files import compile_library, slow_environment

HEADER = (
    "",
    "images/s",
    "[min .. max]",
    "to no delay",
    "ahead to not",
    "CPU ms/image",
    "peak MB",
    "",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = parse_arguments(arguments)
    data = options.data.resolve()
    try:
        files, _ = list_class_folder(data)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    settings = job_settings(options)
    about_machine = machine.describe_machine()
    rules = Rules(options.rounds, report.progress, cold=options.cold)
    with tempfile.TemporaryDirectory() as scratch:
        library = compile_library(Path(scratch))
        entrants = [
            Entrant(
                label_of(delay, ahead),
                "pyloader",
                settings,
                files,
                slow_environment(library, data, open_ms=delay)
                | {"PYLOADER_READAHEAD": "1" if ahead else "0"},
            )
            for delay in options.delays
            for ahead in (False, True)
        ]
        entries, skipped = hold(rules, entrants)
    for label, reason in skipped.items():
        print(f"{label} skipped: {reason}")
    if skipped:
        return 2
    print(
        f"{about_machine['processor']}, {about_machine['usable_cores']} usable cores, "
        f"{len(files)} files, {settings['threads']} threads, batches of {settings['batch_size']}\n"
        + format_results(entries, options.delays)
    )
    path = options.json or default_json_path("readahead", settings, options.cold)
    report.write_json(
        path,
        {
            "benchmark": "readahead",
            "machine": about_machine,
            "versions": machine.package_versions(PACKAGES),
            "settings": settings | {"directory": data.name},
            "files": len(files),
            "page_cache": "cold" if options.cold else "warm",
            "delays_ms": options.delays,
            "rounds": options.rounds,
            "warm_up_epochs": 1,
            "entries": {label: entry.as_json() for label, entry in entries.items()},
        },
    )
    print(f"raw figures: {path}")
    return 1 if any(entry.problems for entry in entries.values()) else 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="bench_readahead", description="Measures what slow files cost."
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per class inside")
    parser.add_argument("--size", type=int, nargs="+", default=[224], help="height [width]")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("uint8", "float32"), default="uint8")
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="bilinear")
    parser.add_argument(
        "--delays", type=float, nargs="+", default=[0, 2, 5, 10, 20], help="ms of every open"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--cold", action="store_true", help="forget the files' content before every epoch"
    )
    parser.add_argument("--json", type=Path, help="default: bench/results/NAME.json")
    options = parser.parse_args(arguments)
    if min(*options.size, options.batch_size, options.threads, options.rounds) < 1:
        parser.error("all numbers but delays are 1 or more")
    if min(options.delays) < 0:
        parser.error(f"--delays are 0 or more. Received: {options.delays}")
    if not options.data.is_dir():
        parser.error(f"--data must be a folder. Received: {options.data}")
    return options


def label_of(delay: float, ahead: bool) -> str:
    """Returns the name of a row."""
    return f"{delay:g} ms, {'read ahead' if ahead else 'not ahead'}"


def format_results(entries: dict[str, Entry], delays: list[float]) -> str:
    """The table: rates to those of the first delay without reading ahead, paired by round."""
    reference = entries[label_of(delays[0], False)].images_per_second()
    rows = []
    for delay in delays:
        for ahead in (False, True):
            label = label_of(delay, ahead)
            entry, without = entries[label], entries[label_of(delay, False)]
            rates = entry.images_per_second()
            rate = report.median_and_spread(rates)
            gain = report.paired_ratio(rates, without.images_per_second())
            rows.append(
                (
                    label,
                    f"{rate['median']:.0f}",
                    f"[{rate['min']:.0f} .. {rate['max']:.0f}]",
                    f"{report.paired_ratio(rates, reference):.2f}",
                    f"{gain:.2f}" if ahead else "",
                    f"{report.median_and_spread(entry.cpu_ms_per_image())['median']:.2f}",
                    f"{max(entry.peak_megabytes()):.0f}",
                    "WRONG" if entry.problems else "",
                )
            )
    problems = [f"WRONG {label}, {p}" for label, entry in entries.items() for p in entry.problems]
    return "\n".join([report.format_table(HEADER, rows), *problems])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WorkerFailed as failure:
        sys.exit(f"stopped: {failure}")
