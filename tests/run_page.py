"""Runs the code of a Markdown page in the order in which it stands, and compares what it prints.

    python tests/run_page.py PAGE

All `python` blocks share one namespace, like the lines of one script. An `output` block behind a
block is what that prints, where `...` stands for anything. Of `console` blocks, the commands that
begin with `python -m pyloader` are run; they may exit with 0, or with 1 for something found.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_COMMAND = "$ python -m pyloader "


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str
    line: int
    """The page's line before its first one."""


def blocks_of(page: str) -> list[Block]:
    """All fenced blocks of a page that name a language."""
    return [
        Block(found[1], found[2], page.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(page)
    ]


def runnable(blocks: list[Block]) -> Iterator[tuple[Block, str | None]]:
    """The blocks to run, each with what it should print; None where the page does not say."""
    for number, block in enumerate(blocks):
        follower = blocks[number + 1] if number + 1 < len(blocks) else None
        expected = follower.text if follower is not None and follower.language == "output" else None
        if block.language == "python" or (block.language == "console" and _COMMAND in block.text):
            yield block, expected


def run(block: Block, path: str, names: dict[str, Any]) -> str:
    """Runs one block; returns what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if block.language == "python":
            # Empty lines before it, so that a traceback shows the page's own line numbers.
            exec(compile("\n" * block.line + block.text, path, "exec"), names)
        else:
            for line in block.text.splitlines():
                if line.startswith(_COMMAND):
                    print(_run_command(line.removeprefix(_COMMAND)), end="")
    return printed.getvalue()


def _run_command(arguments: str) -> str:
    command = [sys.executable, "-m", "pyloader", *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise AssertionError(f"{arguments} exits with {done.returncode}:\n{done.stderr}")
    return done.stdout


def main(path: str) -> int:
    """Runs a page; returns 1 where something is printed that the page does not show."""
    names: dict[str, Any] = {"__name__": "__main__"}
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
    wrong = 0
    for block, expected in runnable(blocks_of(Path(path).read_text(encoding="utf-8"))):
        printed = run(block, path, names)
        if expected is not None and not checker.check_output(expected, printed, flags):
            example = doctest.Example(block.text, expected)
            difference = checker.output_difference(example, printed, doctest.REPORT_UDIFF)
            print(f"{path}, line {block.line}: {difference}", file=sys.stderr)
            wrong += 1
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
