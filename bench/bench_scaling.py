"""Measures scaling over threads, number of files and image size, and the cost of a batch.

    python bench/bench_scaling.py --data FOLDER

Folders of any size are made of hard links to the images of FOLDER, so the figures over the size
of the folder show the loader's own bookkeeping, not the disk. Pictures of twelve megapixels are
made of those of FOLDER (see large_pictures.py). All are removed afterwards.
"""

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import machine, report
from bench.contest import Entrant, Entry, Rules, hold
from bench.files import list_class_folder
from bench.job import INTERPOLATIONS, PACKAGES, default_json_path, job_settings
from bench.large_pictures import HEIGHT, WIDTH, write_large_pictures
from bench.session import WorkerFailed

HEADER = (
    "",
    "images/s",
    "[min .. max]",
    "CPU ms/image",
    "to first row",
    "peak MB",
    "start s",
    "us per next()",
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
    rules = Rules(options.rounds, report.progress, overhead_calls=options.overhead_calls)
    sections: dict[str, dict[str, Entry]] = {}
    skipped: dict[str, str] = {}
    for peer in options.peers.split(","):
        entrants = [
            Entrant(f"{peer}, {count} threads", peer, settings | {"threads": count}, files)
            for count in options.thread_counts
        ]
        sections[f"{peer} over threads"], absent = hold(rules, entrants)
        skipped |= absent
        entrants = []
        with tempfile.TemporaryDirectory(dir=scratch_folder(data)) as scratch:
            for count in options.file_counts:
                folder = Path(scratch) / str(count)
                link_files(files, data, folder, count)
                linked, _ = list_class_folder(folder)
                job = settings | {"directory": str(folder)}
                entrants.append(Entrant(f"{peer}, {count} files", peer, job, linked))
            sections[f"{peer} over files"], absent = hold(rules, entrants)
            skipped |= absent
        if options.large_files:
            sections[f"{peer} over pixels"], absent = hold_large(
                rules, peer, settings, files, options
            )
            skipped |= absent
    print(f"{about_machine['processor']}, {about_machine['usable_cores']} usable cores")
    for title, entries in sections.items():
        print(f"\n{title}\n{format_section(entries)}")
    path = options.json or default_json_path("scaling", settings, False)
    report.write_json(
        path,
        {
            "benchmark": "scaling",
            "machine": about_machine,
            "versions": machine.package_versions(PACKAGES),
            "settings": settings | {"directory": data.name},
            "rounds": options.rounds,
            "warm_up_epochs": 1,
            "sections": {
                title: {label: entry.as_json() for label, entry in entries.items()}
                for title, entries in sections.items()
            },
            "skipped": skipped,
        },
    )
    for label, reason in skipped.items():
        print(f"{label} skipped: {reason}")
    print(f"\nraw figures: {path}")
    problems = [p for part in sections.values() for entry in part.values() for p in entry.problems]
    return 1 if problems or skipped else 0


def hold_large(
    rules: Rules,
    peer: str,
    settings: dict[str, Any],
    files: Sequence[str],
    options: argparse.Namespace,
) -> tuple[dict[str, Entry], dict[str, str]]:
    """Measures the given pictures and as many of twelve megapixels, without the cost per batch:
    each of its calls would wait for a whole batch of large ones."""
    with tempfile.TemporaryDirectory() as scratch:
        sets = {"small": Path(scratch) / "small", "large": Path(scratch) / "large"}
        link_files(files, Path(settings["directory"]), sets["small"], options.large_files)
        report.progress(f"making {options.large_files} pictures of {WIDTH}x{HEIGHT}")
        write_large_pictures(files, sets["large"], options.large_files, options.seed)
        entrants = []
        for name, folder in sets.items():
            listed, _ = list_class_folder(folder)
            kilobytes = sum(Path(path).stat().st_size for path in listed) / len(listed) / 1000
            label = f"{peer}, {name}, {kilobytes:.0f} kB each"
            entrants.append(Entrant(label, peer, settings | {"directory": str(folder)}, listed))
        return hold(replace(rules, overhead_calls=0), entrants)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    cores = machine.usable_cores()
    parser = argparse.ArgumentParser(
        prog="bench_scaling", description="Measures a loader over threads and folder sizes."
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per class inside")
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="height [width]")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=cores, help="for the folder sizes")
    parser.add_argument(
        "--thread-counts", type=int, nargs="*", default=sorted({1, 2, 4, cores}), metavar="N"
    )
    parser.add_argument(
        "--file-counts", type=int, nargs="*", default=[500, 5_000, 50_000], metavar="N"
    )
    parser.add_argument(
        "--large-files", type=int, default=60, help="pictures of 12 megapixels to make; 0: none"
    )
    parser.add_argument("--dtype", choices=("uint8", "float32"), default="uint8")
    parser.add_argument("--interpolation", choices=INTERPOLATIONS, default="bilinear")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overhead-calls", type=int, default=50, help="calls of next() to time")
    parser.add_argument("--peers", default="pyloader", help="a comma list, as in python -m bench")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="default: bench/results/NAME.json")
    options = parser.parse_args(arguments)
    numbers = [options.threads, options.rounds, options.batch_size, options.overhead_calls]
    if min(numbers + options.size + options.thread_counts + options.file_counts) < 1:
        parser.error("all numbers are 1 or more")
    if options.large_files < 0:
        parser.error(f"--large-files is 0 or more. Received: {options.large_files}")
    if not options.data.is_dir():
        parser.error(f"--data must be a folder. Received: {options.data}")
    return options


def scratch_folder(data: Path) -> Path | None:
    """Returns the folder beside `data` for hard links to it, or None if it is not writable."""
    return data.parent if os.access(data.parent, os.W_OK) else None


def link_files(files: Sequence[str], data: Path, folder: Path, count: int) -> None:
    """Fills `folder` with `count` images in class folders, the given files over and over.

    The files' paths are absolute, `data` is the folder that holds them.

    Hard links where the file system allows, else symbolic links, else copies.
    """
    for number, file in enumerate(itertools.islice(itertools.cycle(files), count)):
        label = Path(file).relative_to(data).parts[0]
        target = folder / label / f"{number:07d}-{Path(file).name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        for place in (os.link, os.symlink, shutil.copyfile):
            try:
                place(file, target)
                break
            except OSError:
                continue
        else:
            raise OSError(f"neither link nor copy of {file} can be made in {folder}")


def format_section(entries: dict[str, Entry]) -> str:
    """One table, problems in words below it."""
    rows = []
    first = next(iter(entries.values())).cpu_ms_per_image() if entries else []
    for label, entry in entries.items():
        rate = report.median_and_spread(entry.images_per_second())
        cpu = report.median_and_spread(entry.cpu_ms_per_image())
        rows.append(
            (
                label,
                f"{rate['median']:.0f}",
                f"[{rate['min']:.0f} .. {rate['max']:.0f}]",
                f"{cpu['median']:.2f}",
                f"{report.paired_ratio(entry.cpu_ms_per_image(), first):.2f}",
                f"{max(entry.peak_megabytes()):.0f}",
                f"{entry.about['construct_seconds']:.2f}",
                f"{entry.overhead['overhead_us_median']:.0f}" if entry.overhead else "",
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
