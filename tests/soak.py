"""A soak: random iterators, users and accidents, for as long as one likes.

    python tests/soak.py --minutes 30 --seed 1

Every batch is compared with what Pillow makes of the files. At the end comes a table of what
happened; the exit status is 1 if a batch was wrong, something hung, or memory, threads or open
files grew.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from statistics import median
from typing import NamedTuple

from faults import resources
from soak_rounds import PATIENCE, Round, counted_warnings
from soak_world import World

MIB = 1024
"""KiB of a MiB."""

MOST_GROWTH = 24 * MIB
"""KiB that the resident memory may grow between the second quarter of a soak and the last: what
allocators keep back is not a constant."""

ROUNDS_OF_A_SAMPLE = 5


class Sample(NamedTuple):
    """What the process held between two rounds, when there was no iterator."""

    threads: int
    files: int
    resident: int
    """KiB."""


class Report(NamedTuple):
    """What happened in a soak."""

    seed: int
    seconds: float
    rounds: int
    counts: Counter[str]
    samples: list[Sample]
    problem: str | None
    """The traceback of what went wrong."""

    def growth(self) -> list[str]:
        """What grew, in words; nothing for a soak of too few samples."""
        if len(self.samples) < 8:
            return []
        before, after = self._quarter(1), self._quarter(3)
        grown = []
        for name in ("threads", "files"):
            first, last = (median(getattr(s, name) for s in part) for part in (before, after))
            if last > first:
                grown.append(f"{name} grew from {first:g} to {last:g}")
        first, last = (median(s.resident for s in part) for part in (before, after))
        if last > first + MOST_GROWTH:
            grown.append(f"memory grew from {first / MIB:.1f} to {last / MIB:.1f} MiB")
        return grown

    def __str__(self) -> str:
        rows = [
            ("seed", str(self.seed)),
            ("minutes", f"{self.seconds / 60:.1f}"),
            ("rounds", f"{self.rounds:,}"),
            ("batches", f"{self.counts['batches']:,}"),
            ("images", f"{self.counts['images']:,}"),
            *((name, f"{count:,}") for name, count in sorted(self.counts.items()) if ": " in name),
        ]
        if len(self.samples) >= 8:
            tenth = max(1, len(self.samples) // 10)
            ends = self.samples[:tenth], self._quarter(1), self.samples[-tenth:]
            for name, unit in (("resident", MIB), ("threads", 1), ("files", 1)):
                values = [median(getattr(s, name) for s in part) / unit for part in ends]
                rows.append(
                    (
                        {"resident": "memory, MiB", "files": "open files"}.get(name, name),
                        "first tenth {:.6g}, second quarter {:.6g}, last tenth {:.6g}".format(
                            *(round(value, 1) for value in values)
                        ),
                    )
                )
        verdict = self.problem.splitlines()[-1] if self.problem else "; ".join(self.growth())
        rows.append(("verdict", verdict or "nothing wrong, nothing grew"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def _quarter(self, number: int) -> list[Sample]:
        """A quarter of the samples, from 0."""
        count = len(self.samples)
        return self.samples[number * count // 4 : (number + 1) * count // 4]


def soak(seed: int, seconds: float, rounds: int | None = None) -> Report:
    """Soaks pyloader in this process.

    Args:
        seed: Decides about everything but the moments at which threads run.
        seconds: For how long.
        rounds: At most; None: as many as fit.

    Returns:
        What happened; a soak ends at the first thing that is wrong.
    """
    counts: Counter[str] = Counter()
    samples: list[Sample] = []
    problem, done, start = None, 0, time.monotonic()
    told = start
    gc.collect()
    gc.freeze()  # what was imported: each collection would look at it again
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, counted_warnings(counts):
        scratch = Path(name)
        world = World(scratch / "images", dice)
        while time.monotonic() < start + seconds and done != rounds:
            faulthandler.dump_traceback_later(3 * PATIENCE, exit=True)
            world.settle()
            # A seed of its own: what a round draws depends on no other.
            work = Round(random.Random(f"{seed} {done}"), world, scratch, counts)
            try:
                work.run()
                work.end()
            except Exception:
                problem = f"round {done} of {work.subject}\n{traceback.format_exc()}"
                break
            del work
            done += 1
            if done % ROUNDS_OF_A_SAMPLE == 0:
                samples.append(_sample(samples[-1] if samples else None))
            if sys.stderr.isatty() and time.monotonic() > told + 1:
                told = time.monotonic()
                print(f"\r{told - start:.0f} s, {done} rounds", end="", file=sys.stderr)
        faulthandler.cancel_dump_traceback_later()
    gc.unfreeze()
    return Report(seed, time.monotonic() - start, done, counts, samples, problem)


def _sample(last: Sample | None) -> Sample:
    """What the process holds; threads that have ended stay in the list for a moment."""
    gc.collect()
    deadline = time.monotonic() + 2
    while True:
        sample = Sample(**resources())
        if last is None or sample.threads <= last.threads or time.monotonic() > deadline:
            return sample
        time.sleep(0.01)


def main() -> int:
    """Runs a soak by the command line; 1 if something was wrong or grew."""
    parser = argparse.ArgumentParser(description="A soak test of pyloader.")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=None, help="default: another each time")
    parser.add_argument("--rounds", type=int, default=None, help="default: as many as fit")
    arguments = parser.parse_args()
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"soak --seed {seed}", flush=True)
    report = soak(seed, 60 * arguments.minutes, arguments.rounds)
    if report.problem:
        print(report.problem)
    print(report)
    return 1 if report.problem or report.growth() else 0


if __name__ == "__main__":
    sys.exit(main())
