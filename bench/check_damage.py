"""Compares load_img with Pillow on damaged pictures: equal verdicts, equal pixels, no crash.

    python bench/check_damage.py --data FOLDER --count 20000 --seed 1

Damages real JPEG files, each from a seed of its own, in worker processes, so that a file that
crashes or hangs one is counted and named. Failures are exceptions of load_img other than
ImageError, crashes, hangs, and less agreement with Pillow than --agreement. `--keep FOLDER` keeps
the files on which the two differ; `--only NUMBER` does one file again.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import machine, report
from bench.damage import KINDS, damage
from bench.files import JPEG_SUFFIXES
from pyloader import ImageError, load_img

PATIENCE = 120  # seconds that one file may take
SAME, REFUSED = "same pixels", "both refuse"
OTHER_PIXELS, ONLY_OURS, ONLY_PILLOW = "other pixels", "only pyloader", "only Pillow"
FAILURES = ("another exception", "crash", "hang")
OUTCOMES = (SAME, REFUSED, OTHER_PIXELS, ONLY_OURS, ONLY_PILLOW, *FAILURES)


class Verdict(NamedTuple):
    """The outcome of one damaged file."""

    number: int
    kind: str
    outcome: str
    words: str = ""
    """One decoder's reason for refusing it."""


def damaged_file(paths: Sequence[Path], seed: int, number: int) -> tuple[str, bytes]:
    """Returns the kind of damage and the content of one file; deterministic."""
    random = Random(f"{seed} {number}")
    content = random.choice(paths).read_bytes()
    other = random.choice(paths).read_bytes()
    kind = KINDS[number % len(KINDS)]
    return kind, damage(random, kind, content, other)


def with_pillow(content: bytes) -> np.ndarray | Exception:
    """Returns the pixels of Keras' load_img, or its reason for refusing."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except Exception as error:
        return error


def compare(content: bytes) -> tuple[str, str]:
    """Returns the outcome of one file, and a description."""
    theirs = with_pillow(content)
    try:
        ours = load_img(content)
    except ImageError as error:
        if isinstance(theirs, Exception):
            return REFUSED, ""
        return ONLY_PILLOW, error.reason
    except Exception as error:
        return FAILURES[0], repr(error)
    if isinstance(theirs, Exception):
        return ONLY_OURS, repr(theirs)
    if ours.shape == theirs.shape and np.array_equal(ours, theirs):
        return SAME, ""
    return OTHER_PIXELS, f"{ours.shape} and {theirs.shape}"


def work(paths: Sequence[Path], seed: int, numbers: Sequence[int], pipe: Connection) -> None:
    """Worker: sends the number of each file before it starts, then its outcome."""
    warnings.simplefilter("ignore")
    for number in numbers:
        pipe.send(number)
        kind, content = damaged_file(paths, seed, number)
        pipe.send(Verdict(number, kind, *compare(content)))
    pipe.close()


class Worker:
    """A process for some of the files, restarted after a file that ends it."""

    def __init__(self, paths: Sequence[Path], seed: int, numbers: Sequence[int]) -> None:
        self._paths, self._seed, self._numbers = paths, seed, list(numbers)
        self._begin()

    def _begin(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        arguments = (self._paths, self._seed, self._numbers, theirs)
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._present: int | None = None

    def receive(self) -> Verdict | None:
        """Receives one message; None at the start of a file and at the end (see `done`)."""
        try:
            message = self.pipe.recv()
        except EOFError:
            self._process.join()
            return self.lost("crash") if self._present is not None else None
        if isinstance(message, Verdict):
            self._present = None
            self._numbers.remove(message.number)
            return message
        self._present = message
        return None

    def lost(self, outcome: str) -> Verdict:
        """Returns the outcome of the file that ended the process or hangs; continues behind it."""
        self._process.kill()
        self._process.join()
        number = self._numbers[0] if self._present is None else self._present
        words = f"exit status {self._process.exitcode}"
        self._numbers.remove(number)
        self._begin()
        return Verdict(number, KINDS[number % len(KINDS)], outcome, words)

    @property
    def done(self) -> bool:
        """True if no file is left."""
        return not self._numbers


def run(paths: Sequence[Path], seed: int, count: int, processes: int) -> Iterator[Verdict]:
    """Damages and compares `count` files."""
    crew = [Worker(paths, seed, range(first, count, processes)) for first in range(processes)]
    while crew := [worker for worker in crew if not worker.done]:
        ready = wait([worker.pipe for worker in crew], PATIENCE)
        for worker in crew:
            if worker.pipe in ready:
                verdict = worker.receive()
            else:
                verdict = None if ready else worker.lost("hang")
            if verdict is not None:
                yield verdict


def summarize(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Returns the counts of all, of each kind, and the share of files on which both agree."""
    kinds: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for verdict in verdicts:
        kinds[verdict.kind][verdict.outcome] += 1
    total = sum(kinds.values(), Counter())
    agreed = total[SAME] + total[REFUSED] + total[OTHER_PIXELS]
    return {
        "files": len(verdicts),
        "agreement": agreed / max(len(verdicts), 1),
        "total": dict(total),
        "kinds": {kind: dict(counts) for kind, counts in kinds.items()},
    }


def table(summary: dict[str, Any]) -> str:
    """The summary in rows of kinds."""
    rows = [*summary["kinds"].items(), ("all", summary["total"])]
    return report.format_table(
        ("damage", *OUTCOMES),
        [(kind, *(str(counts.get(outcome, 0)) for outcome in OUTCOMES)) for kind, counts in rows],
    )


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of JPEG files")
    parser.add_argument("--count", type=int, default=20000, help="files (default 20000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--agreement", type=float, default=0.97, help="least share (default 0.97)")
    parser.add_argument("--keep", type=Path, help="where files go on which the two differ")
    parser.add_argument("--only", type=int, help="the number of one file")
    parser.add_argument("--json", type=Path, help="where the figures go")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs the comparison; returns the exit status."""
    options = parse_arguments(arguments)
    paths = sorted(
        path
        for folder in options.data
        for path in folder.resolve().rglob("*")
        if path.suffix.lower() in JPEG_SUFFIXES and path.stat().st_size > 0
    )
    if not paths:
        print("no JPEG files there", file=sys.stderr)
        return 2
    if options.only is not None:
        kind, content = damaged_file(paths, options.seed, options.only)
        outcomes = [Verdict(options.only, kind, *compare(content))]
    else:
        outcomes = []
        for verdict in run(paths, options.seed, options.count, options.processes):
            outcomes.append(verdict)
            if verdict.outcome not in (SAME, REFUSED):
                print(f"{verdict.number}: {verdict.kind}: {verdict.outcome}: {verdict.words}")
    for verdict in outcomes:
        if options.keep and verdict.outcome not in (SAME, REFUSED):
            options.keep.mkdir(parents=True, exist_ok=True)
            _, content = damaged_file(paths, options.seed, verdict.number)
            (options.keep / f"{verdict.number}.jpg").write_bytes(content)
    summary = summarize(outcomes)
    print(table(summary))
    print(f"the same verdict on {100 * summary['agreement']:.2f} % of {summary['files']} files")
    if options.json:
        record = {"machine": machine.describe_machine(), "seed": options.seed, **summary}
        options.json.write_text(json.dumps(record, indent=1))
    failures = sum(summary["total"].get(outcome, 0) for outcome in FAILURES)
    return 0 if failures == 0 and summary["agreement"] >= options.agreement else 1


if __name__ == "__main__":
    raise SystemExit(main())
