"""Measures the cache: epochs that decode, from memory, from a folder, and from it in a new process.

    python bench/bench_cache.py --data FOLDER [--size 224] [--files 4000] [--rounds 3]

A round is two processes. The first runs an epoch without a cache, three with one in memory (the
first fills it) and three with one in a new folder; the second, three from that folder. Prefetched
batches are dropped before each epoch, and every image of every cache is compared with the
decoded one, after the clock has stopped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import machine, report
from bench.bench_scaling import link_files, scratch_folder
from bench.files import list_class_folder

HEADER = ("", "images/s", "[min .. max]", "times decoding")
DECODED = "decoded"


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = parse_arguments(arguments)
    if options.process is not None:
        print(json.dumps(run_process(options)))
        return 0
    try:
        files, _ = list_class_folder(options.data.resolve())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    about = machine.describe_machine()
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(dir=scratch_folder(options.data.resolve())) as scratch:
        folder = Path(scratch) / "files"
        link_files(files, options.data.resolve(), folder, options.files or len(files))
        for number in range(options.rounds):
            report.progress(f"round {number + 1} of {options.rounds}")
            cache = Path(scratch) / f"cache{number}"
            figures: dict[str, float] = {}
            for process in ("first", "next"):
                figures |= in_process(options, process, folder, cache)
            rounds.append(figures)
    rows = []
    for name in rounds[0]:
        rates = [figures[name] for figures in rounds]
        spread = report.median_and_spread(rates)
        factor = report.paired_ratio(rates, [figures[DECODED] for figures in rounds])
        span = f"[{spread['min']:.0f} .. {spread['max']:.0f}]"
        rows.append((name, f"{spread['median']:.0f}", span, f"{factor:.1f}"))
    print(
        f"{about['processor']}, {options.files or len(files)} files, {options.size} pixels square"
    )
    print(report.format_table(HEADER, rows))
    if options.json:
        settings = {"size": options.size, "threads": options.threads, "files": options.files}
        versions = machine.package_versions(["pyloader", "numpy"])
        result = {"benchmark": "cache", "machine": about, "versions": versions}
        report.write_json(options.json, {**result, "settings": settings, "rounds": rounds})
    return 0


def in_process(
    options: argparse.Namespace, process: str, folder: Path, cache: Path
) -> dict[str, float]:
    """The figures of one process."""
    command = [sys.executable, __file__, "--data", folder, "--process", process, "--cache", cache]
    command += ["--size", *map(str, options.size), "--threads", str(options.threads)]
    command += ["--batch-size", str(options.batch_size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def run_process(options: argparse.Namespace) -> dict[str, float]:
    """The epochs of one process, in images per second; ends it when an answer is wrong."""
    figures = {}
    with flow(options) as it:  # files in the page cache, modules loaded
        rate_of_epoch(it)
        if options.process == "first":
            figures[DECODED] = rate_of_epoch(it)
    caches = {"memory": "memory", "folder": options.cache}
    if options.process == "next":
        caches = {"folder, next process": options.cache}
    for name, cache in caches.items():
        with flow(options, cache=cache) as it:
            for epoch in ("first epoch", "second epoch", "third epoch"):
                figures[f"{name}, {epoch}"] = rate_of_epoch(it)
            check(name, it, options)
    return figures


def check(name: str, cached: Any, options: argparse.Namespace) -> None:
    """Ends the process if a cached image is not the decoded one."""
    cached.shuffle = False
    cached.batch_index = 0
    with flow(options, shuffle=False) as plain:
        for (ours, _), (theirs, _) in zip(cached.epoch(), plain.epoch(), strict=True):
            if not np.array_equal(ours, theirs):
                sys.exit(f"WRONG: {name} delivers other pixels")


def flow(options: argparse.Namespace, **extras: Any) -> Any:
    """An iterator over the folder."""
    from pyloader import ImageDataGenerator

    return ImageDataGenerator(dtype="uint8").flow_from_directory(
        options.data,
        target_size=(options.size[0], options.size[-1]),
        interpolation="bilinear",
        class_mode="sparse",
        batch_size=options.batch_size,
        seed=1,
        num_threads=options.threads,
        verbose=False,
        **extras,
    )


def rate_of_epoch(iterator: Any) -> float:
    """Images per second of one epoch from its first request to its last batch."""
    iterator.batch_index = 0  # drops what is prepared
    start = time.perf_counter()
    images = sum(len(batch) for batch, _ in iterator.epoch())
    return images / (time.perf_counter() - start)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="one folder per class")
    parser.add_argument("--size", type=int, nargs="+", default=[224], help="height [width]")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--files", type=int, help="linked from those of the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where the raw figures go")
    parser.add_argument("--process", choices=("first", "next"), help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
