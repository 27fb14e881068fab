"""The command line: `python -m pyloader info`, `bench`, `check`, `preview` and `run`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from pyloader._data.folders import find_class_names
from pyloader._native.cores import usable_cores
from pyloader._pyloader import build_info
from pyloader._tools.preview import write_preview
from pyloader._tools.report import FORMATS, quote, render, summarize
from pyloader.check import EXTENSIONS, KINDS, FolderCheck
from pyloader.errors import ImageError
from pyloader.generator import ImageDataGenerator
from pyloader.iterators.directory import DirectoryIterator
from pyloader.options import INTERPOLATIONS

_CHECK_EPILOG = """\
kinds of findings:
  unreadable   cannot be opened or read, is empty or no image; or a folder that cannot be listed
  damaged      truncated, damaged, or of a variant that pyloader does not support
  oversized    more pixels than --max-pixels, or more than 2 GiB
  mislabelled  of another format than its name says, as a PNG named .jpg; it loads
  tiny         a side of a single pixel; it loads
  duplicate    other files have the same content; it loads

exit status:
  0 nothing found; 1 something found; 2 wrong arguments, no such folder, or a report that cannot be
  written; 130 interrupted by Ctrl-C, after a report on the files checked by then
"""


class _UnusableError(Exception):
    """A folder or file that a command cannot use; the message is for the user."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand; without one, prints the help.

    Args:
        arguments: The words after the program's name; None (default): those of this process.

    Returns:
        The exit status: 0 for success; 1 for a folder or an image that cannot be loaded, or for
        findings of `check`; 2 for a script or a folder to check that does not exist, or a file that
        cannot be written; 130 for a check that was interrupted. `run` exits as the script does.
    """
    parser = _make_parser()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["run"] and words[1:] and (words[1] == "-" or not words[1].startswith("-")):
        from pyloader.integrations.keras2.run import run_script

        run_script(words[1], words[2:])  # its words and its errors are its own
        return 0
    options = parser.parse_args(words)
    commands = {"info": _info, "bench": _bench, "check": _check, "preview": _preview}
    if options.command is None:
        parser.print_help()
        return 0
    try:
        return commands[options.command](options)
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except _UnusableError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pyloader", description="Feeds image folders to training loops."
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("info", help="versions, SIMD level, threads")
    _add_bench(commands.add_parser("bench", help="measures the speed of loading a folder"))
    _add_check(
        commands.add_parser(
            "check", help="lists unreadable, damaged, mislabelled and duplicate images of a folder"
        )
    )
    _add_preview(
        commands.add_parser("preview", help="writes a contact sheet of augmented images (PNG)")
    )
    run = commands.add_parser(
        "run", help="runs a Keras script, old ones too, with pyloader in Keras' place"
    )
    run.add_argument("script", metavar="SCRIPT", help="the script, as it is; - is standard input")
    run.add_argument("arguments", nargs="*", metavar="ARGS", help="its arguments")
    return parser


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="a folder with one subfolder per class"
    )
    parser.add_argument(
        "--target-size", type=_positive, nargs=2, default=(256, 256), metavar=("H", "W"),
        help="size of the images in pixels (default: 256 256)",
    )  # fmt: skip
    parser.add_argument(
        "--interpolation", choices=INTERPOLATIONS, default="bilinear", help="default: bilinear"
    )


def _add_bench(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    parser.add_argument("--batch-size", type=_positive, default=32, metavar="N", help="default: 32")
    parser.add_argument(
        "--dtype", default="float32", help="dtype of the batches (default: float32)"
    )
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="default: one for each usable core"
    )
    parser.add_argument("--epochs", type=_positive, default=3, metavar="N", help="default: 3")


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _CHECK_EPILOG
    parser.add_argument("directory", metavar="DIR", help="the folder, searched to its full depth")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--output", metavar="FILE", help="write the report to this file")
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="default: one for each usable core"
    )
    parser.add_argument(
        "--max-pixels", type=_positive, metavar="N",
        help="images of more are oversized, and not decoded (default: Pillow's limit, 178,956,970)",
    )  # fmt: skip
    parser.add_argument(
        "--no-duplicates", action="store_true", help="do not look for files of equal content"
    )
    parser.add_argument(
        "--ignore", type=_kinds, default=(), metavar="KINDS",
        help="findings that are not listed and do not count, as tiny,mislabelled",
    )  # fmt: skip
    parser.add_argument(
        "--extensions", type=_words, default=EXTENSIONS, metavar="LIST",
        help="endings of the names that are checked, in any case; all other files are only counted "
        f"(default: {','.join(EXTENSIONS)})",
    )  # fmt: skip
    parser.add_argument(
        "--follow-links", action="store_true",
        help="enter links to folders at any depth, not only those in DIR itself",
    )  # fmt: skip


def _add_preview(parser: argparse.ArgumentParser) -> None:
    _add_folder(parser)
    parser.add_argument("--count", type=_positive, default=16, metavar="N", help="default: 16")
    parser.add_argument("--seed", type=int, metavar="N", help="default: other images each time")
    parser.add_argument(
        "--output", type=Path, default=Path("preview.png"), metavar="FILE",
        help="the PNG file (default: preview.png)",
    )  # fmt: skip
    generator = parser.add_argument_group("parameters of ImageDataGenerator")
    generator.add_argument(
        "--rotation-range", type=float, default=0, metavar="DEGREES", help="default: 0"
    )
    for name, text in (
        ("--width-shift-range", "fraction of the width, or pixels if 1 or more"),
        ("--height-shift-range", "fraction of the height, or pixels if 1 or more"),
        ("--shift", "both shift ranges"),
        ("--zoom-range", "0.2: zoom factors from 0.8 to 1.2"),
    ):
        generator.add_argument(name, type=float, default=0, metavar="X", help=text)
    generator.add_argument("--brightness-range", type=float, nargs=2, metavar=("LOW", "HIGH"))
    generator.add_argument("--horizontal-flip", action="store_true")
    generator.add_argument("--vertical-flip", action="store_true")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"should be at least 1, not {value}")
    return value


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise argparse.ArgumentTypeError("should be words with commas between them")
    return words


def _kinds(text: str) -> tuple[str, ...]:
    kinds = _words(text)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(KINDS)}")
    return kinds


def _info(options: argparse.Namespace) -> int:
    """Prints the versions and the capabilities of this installation."""
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
    return 0


def _bench(options: argparse.Namespace) -> int:
    """Streams a folder for some epochs and prints the speed of each."""
    batches = _flow(
        options,
        ImageDataGenerator(dtype=options.dtype),
        batch_size=options.batch_size,
        num_threads=options.threads,
    )
    with batches:
        for epoch in range(options.epochs):
            _bench_epoch(batches, epoch)
        print(batches.stats())
    return 0


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


def _preview(options: argparse.Namespace) -> int:
    """Writes a contact sheet of one augmented batch."""
    try:
        generator = ImageDataGenerator(
            rotation_range=options.rotation_range,
            width_shift_range=options.width_shift_range or options.shift,
            height_shift_range=options.height_shift_range or options.shift,
            zoom_range=options.zoom_range,
            brightness_range=options.brightness_range,
            horizontal_flip=options.horizontal_flip,
            vertical_flip=options.vertical_flip,
        )
    except ValueError as error:
        raise _UnusableError(str(error), 2) from error
    with _flow(options, generator, batch_size=options.count, seed=options.seed) as batches:
        try:
            shown = write_preview(batches, options.output)
        except ImageError:
            raise
        except OSError as error:
            raise _UnusableError(f"cannot write {options.output}: {error.strerror}", 2) from error
    print(f"wrote {options.output}: {shown} images")
    return 0


def _flow(
    options: argparse.Namespace,
    generator: ImageDataGenerator,
    *,
    batch_size: int,
    seed: int | None = None,
    num_threads: int | None = None,
) -> DirectoryIterator:
    """Makes the iterator of a command over a folder with images."""
    directory = options.directory
    if not directory.is_dir():
        raise _UnusableError(f"no such folder: {directory}")
    if not find_class_names(directory):
        raise _UnusableError(
            f"{directory} has no subfolders: {options.command} needs a folder with one subfolder "
            "per class"
        )
    batches = generator.flow_from_directory(
        directory,
        target_size=options.target_size,
        batch_size=batch_size,
        interpolation=options.interpolation,
        class_mode="sparse",
        seed=seed,
        num_threads=num_threads,
    )
    if not batches.samples:
        raise _UnusableError(f"no images in the subfolders of {directory}")
    return batches


def _check(options: argparse.Namespace) -> int:
    """Checks a folder and writes the report."""
    ignored = {*options.ignore, *(["duplicate"] if options.no_duplicates else [])}
    check = FolderCheck(
        options.directory,
        "duplicate" not in ignored,
        options.max_pixels,
        options.extensions,
        options.follow_links,
        options.threads,
    )
    if sys.stdout is None:  # closed by the parent process
        raise _UnusableError("cannot write the report: standard output is closed", 2)
    try:
        os.listdir(options.directory)  # noqa: PTH208
    except OSError as error:
        message = f"cannot check {quote(options.directory)}: {error.strerror}"
        raise _UnusableError(message, 2) from error
    try:
        # Open the output first: fail before the check, not after it.
        path = options.output
        with nullcontext() if path is None else open(path, "wb") as file:  # noqa: PTH123
            was_interrupted = _watch(check)
            report = check.report()
            findings = tuple(one for one in report.findings if one.kind not in ignored)
            report = replace(report, findings=findings)
            encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
            if file is None:
                _print_bytes(render(report, options.format, encoding))
            else:
                file.write(render(report, options.format))
                line = summarize(report, encoding) + "\n"
                _print_bytes(line.encode(encoding, "backslashreplace"))
    except OSError as error:
        raise _UnusableError(f"cannot write the report: {error.strerror}", 2) from error
    if was_interrupted:
        return 130
    return 1 if findings else 0


def _watch(check: FolderCheck) -> bool:
    """Runs a check with a progress bar on a terminal; returns True if Ctrl-C ended it."""
    from tqdm import tqdm

    try:
        # The report has it all; Pillow's warnings would only interrupt the progress bar.
        with warnings.catch_warnings(), tqdm(unit="img", leave=False, disable=None) as progress:
            warnings.simplefilter("ignore")

            def show(checked: int, total: int) -> None:
                progress.total = total
                progress.update(checked - progress.n)

            check.run(show)
    except KeyboardInterrupt:
        return True
    return False


def _print_bytes(output: bytes) -> None:
    """Writes to standard output; a reader that leaves early is no error."""
    rest = memoryview(output)
    try:
        sys.stdout.flush()
        while rest:  # an unbuffered one may write a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # nor an error of the interpreter when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
