"""The command line: `python -m pyloader info`, `bench DIR`, `check DIR` and `run SCRIPT`."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pyloader import ImageDataGenerator
from pyloader._data.folders import find_class_names
from pyloader._native.cores import usable_cores
from pyloader._pyloader import build_info
from pyloader._tools import check_command
from pyloader.arguments import INTERPOLATIONS
from pyloader.errors import ImageError
from pyloader.iterators.directory import DirectoryIterator

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; without one, prints the help.

    Args:
        arguments: The words after the program's name; None (default): those of this process.

    Returns:
        The exit status: 0 for success, 1 for a folder or an image that cannot be loaded, or for
        findings of `check`, 2 for a script or a folder to check that is not there, 130 for a check
        that was interrupted. A script that runs ends as it likes.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "info":
            _info()
        elif options.command == "bench":
            _bench(options)
        elif options.command == "check":
            return check_command.run(options)
        elif options.command == "run":
            return _run(options)
        else:
            parser.print_help()
    except (ImageError, _UnusableFolderError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


class _UnusableFolderError(Exception):
    """A folder that bench cannot measure."""


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pyloader", description="Feeds image folders to training loops."
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("info", help="versions, SIMD level, threads")
    bench = commands.add_parser("bench", help="measures a folder with one subfolder per class")
    bench.add_argument("directory", type=Path, metavar="DIR", help="the folder")
    bench.add_argument(
        "--target-size", type=int, nargs=2, default=(256, 256), metavar=("H", "W"),
        help="size of the images in pixels (default: 256 256)",
    )  # fmt: skip
    bench.add_argument("--batch-size", type=int, default=32, help="default: 32")
    bench.add_argument(
        "--interpolation", choices=INTERPOLATIONS, default="bilinear", help="default: bilinear"
    )
    bench.add_argument("--dtype", default="float32", help="dtype of the batches (default: float32)")
    bench.add_argument("--threads", type=int, help="default: one for each usable core")
    bench.add_argument("--epochs", type=int, default=3, help="default: 3")
    check_command.add_arguments(
        commands.add_parser(
            "check", help="lists unreadable, damaged, mislabelled and duplicate images of a folder"
        )
    )
    run = commands.add_parser(
        "run", help="runs a Keras script, old ones too, with pyloader in Keras' place"
    )
    run.add_argument("script", metavar="SCRIPT", help="the script, as it is")
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="its arguments")
    return parser


def _run(options: argparse.Namespace) -> int:
    """Runs a script with pyloader behind Keras."""
    from pyloader.integrations.keras2.run import run_script

    if not Path(options.script).exists():
        print(f"error: there is no script {options.script}", file=sys.stderr)
        return 2
    run_script(options.script, options.arguments)
    return 0


def _info() -> None:
    """Prints what this installation consists of."""
    build = build_info()
    rows = {
        "pyloader": build["version"],
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "libjpeg-turbo": f"{build['libjpeg_turbo']}, in {build['libjpeg_file'] or 'this program'}",
        "entropy": build["entropy"],
        "compiler": build["compiler"],
        "SIMD": f"{build['simd']} (available: {build['simd_available']})",
        "threads": usable_cores(),
        "asserts": "on" if build["asserts"] else "off",
    }
    for name, value in rows.items():
        print(f"{name:<14} {value}")


def _bench(options: argparse.Namespace) -> None:
    """Streams a folder for some epochs and prints the speed of each."""
    _check_folder(options.directory)
    generator = ImageDataGenerator(dtype=options.dtype)
    batches = generator.flow_from_directory(
        options.directory,
        target_size=options.target_size,
        batch_size=options.batch_size,
        interpolation=options.interpolation,
        class_mode="sparse",
        num_threads=options.threads,
    )
    with batches:
        if not batches.samples:
            raise _UnusableFolderError(f"no images in the subfolders of {options.directory}")
        for epoch in range(options.epochs):
            _bench_epoch(batches, epoch)
        print(batches.stats())


def _bench_epoch(batches: DirectoryIterator, epoch: int) -> None:
    """Streams one epoch and prints its line."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    wall, cpu = time.perf_counter(), time.process_time()
    with tqdm(total=batches.samples, unit="img", leave=False) as progress:
        for _ in batches.epoch():
            indices = batches.batch_indices
            progress.update(0 if indices is None else len(indices))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    note = "  (first: starts threads, reads cold files)" if epoch == 0 else ""
    print(
        f"epoch {epoch + 1}: {batches.samples / wall:.0f} images/s, "
        f"{1e3 * cpu / batches.samples:.2f} ms CPU per image{note}"
    )


def _check_folder(directory: Path) -> None:
    if not directory.is_dir():
        raise _UnusableFolderError(f"no such folder: {directory}")
    if not find_class_names(directory):
        raise _UnusableFolderError(
            f"{directory} has no subfolders: bench needs a folder with one subfolder per class"
        )
