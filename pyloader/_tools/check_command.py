"""`python -m pyloader check DIR`: its arguments, its progress bar and its exit status."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import IO

from pyloader._tools.check_report import FORMATS, quote, render, summarize
from pyloader.arguments import MAX_PIXELS
from pyloader.check import EXTENSIONS, KINDS, FolderCheck, Report

__all__ = ["add_arguments", "run"]

_CLEAN, _FINDINGS, _UNUSABLE, _INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
kinds of findings:
  unreadable   cannot be opened or read, is empty or no image; or a folder that cannot be listed
  damaged      truncated, damaged, or of a variant that pyloader does not support
  oversized    more pixels than --max-pixels, or more than 2 GiB
  mislabelled  of another format than its name says, as a PNG named .jpg; it loads
  tiny         a side of a single pixel; it loads
  duplicate    other files have the very same content; it loads

exit status:
  0 nothing found; 1 something found; 2 wrong arguments, no such folder, or a report that cannot be
  written; 130 interrupted by Ctrl-C, after a report on what had been checked by then
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tells a parser of this command's arguments.

    Args:
        parser: The command's own parser.
    """
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("directory", metavar="DIR", help="the folder, searched to its full depth")
    parser.add_argument("--format", choices=list(FORMATS), default="text", help="default: text")
    parser.add_argument("--output", metavar="FILE", help="where the report goes, instead of here")
    parser.add_argument(
        "--threads", type=_count, metavar="N", help="default: one for each usable core"
    )
    parser.add_argument(
        "--max-pixels", type=_count, default=MAX_PIXELS, metavar="N",
        help=f"images of more are oversized, and not decoded (default: {MAX_PIXELS:,})",
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


def run(options: argparse.Namespace) -> int:
    """Checks a folder and writes the report.

    Args:
        options: What a parser with `add_arguments` made of the command line.

    Returns:
        The exit status: 0 for nothing found, 1 for something found, 2 for a folder that cannot be
        listed or a report that cannot be written, 130 after Ctrl-C.
    """
    ignored = {*options.ignore, *(["duplicate"] if options.no_duplicates else [])}
    check = FolderCheck(
        options.directory,
        duplicates="duplicate" not in ignored,
        max_pixels=options.max_pixels,
        extensions=options.extensions,
        follow_links=options.follow_links,
        num_threads=options.threads,
    )
    if sys.stdout is None:  # closed by who started this
        return _fail("cannot write the report: standard output is closed")
    try:
        os.listdir(options.directory)  # noqa: PTH208
    except OSError as error:
        return _fail(f"cannot check {quote(options.directory)}: {error.strerror}")
    try:
        # Opened first: a long check for a report that cannot be written would be a pity.
        output = options.output
        with nullcontext() if output is None else open(output, "wb") as file:  # noqa: PTH123
            was_interrupted = _watch(check)
            report = _without(check.report(), ignored)
            _write(report, options.format, file)
    except OSError as error:
        return _fail(f"cannot write the report: {error.strerror}")
    if was_interrupted:
        return _INTERRUPTED
    return _FINDINGS if report.findings else _CLEAN


def _watch(check: FolderCheck) -> bool:
    """Runs a check with a progress bar, on a terminal; True when Ctrl-C has ended it."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    try:
        with tqdm(unit="img", leave=False, disable=None) as progress:

            def show(checked: int, total: int) -> None:
                progress.total = total
                progress.update(checked - progress.n)

            check.run(show)
    except KeyboardInterrupt:
        return True
    return False


def _without(report: Report, kinds: set[str]) -> Report:
    """The report without findings of some kinds."""
    return replace(
        report, findings=tuple(found for found in report.findings if found.kind not in kinds)
    )


def _write(report: Report, file_format: str, file: IO[bytes] | None) -> None:
    """Writes the report to a file and a line about it to standard output, or the report there."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if file is not None:
        file.write(render(report, file_format))
        output = (summarize(report, encoding) + "\n").encode(encoding, "backslashreplace")
    else:
        output = render(report, file_format, encoding)
    rest = memoryview(output)
    try:
        sys.stdout.flush()
        while rest:  # one that is not buffered may take a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # whoever reads has seen enough; say nothing at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return _UNUSABLE


def _count(text: str) -> int:
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
