"""Compares two results of the scoreboard, on machines that may differ: exit status 1 if slower.

    python -m bench compare OLD.json NEW.json [--tolerance 0.05]

Each peer's rate is divided by that of a reference peer in the same rounds, which cancels the speed
of the machine. Only pyloader is judged: another peer that changed had another version.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import format_table, paired_ratio

REFERENCE = "simplejpeg"
SAME = ("height", "width", "batch_size", "threads", "dtype", "interpolation", "seed", "directory")
HEADER = ("", "old", "new", "new to old", "CPU, new to old", "")


class NotComparable(Exception):
    """Two results that are not of the same job."""


@dataclass(frozen=True, slots=True)
class Change:
    """One peer in one experiment. Rates and CPU time are to the reference's."""

    experiment: str
    peer: str
    old: float
    new: float | None
    """None: it has no correct figure in the new result."""
    cpu: float | None

    @property
    def ratio(self) -> float:
        """The new relative rate to the old one; 0 if there is no new one."""
        return (self.new or 0.0) / self.old

    def is_regression(self, tolerance: float) -> bool:
        """True if pyloader lost more than the tolerance, or failed."""
        return self.peer.startswith("pyloader") and self.ratio < 1 - tolerance


def main(arguments: list[str] | None = None) -> int:
    """Compares two files; returns 0, 1 for a regression, 2 where they cannot be compared."""
    parser = argparse.ArgumentParser(
        prog="python -m bench compare", description="Compares two results of the scoreboard."
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.05, help="share that may be lost")
    parser.add_argument("--reference", default=REFERENCE, help=f"another peer than {REFERENCE}")
    options = parser.parse_args(arguments)
    if not 0 <= options.tolerance < 1:
        parser.error(f"--tolerance is a share from 0 to below 1. Received: {options.tolerance}")
    try:
        old, new = (json.loads(path.read_text()) for path in (options.old, options.new))
        changes = compare(old, new, options.reference)
    except (OSError, json.JSONDecodeError, NotComparable) as error:
        print(error, file=sys.stderr)
        return 2
    print(_format(changes, options.tolerance))
    print(f"rates are to {options.reference}'s of the same rounds")
    return 1 if any(change.is_regression(options.tolerance) for change in changes) else 0


def compare(old: dict[str, Any], new: dict[str, Any], reference: str = REFERENCE) -> list[Change]:
    """Compares the old result's peers with the new result's.

    Raises:
        NotComparable: The results are of different jobs, or no experiment has the reference in
            both of them.
    """
    for result in (old, new):
        if result.get("benchmark") != "scoreboard":
            raise NotComparable("a result of python -m bench is wanted; another file was given")
    different = [name for name in SAME if old["settings"][name] != new["settings"][name]]
    if old["files"] != new["files"]:
        different.append("files")
    if different:
        raise NotComparable(f"the results are of different jobs: {', '.join(different)} differ")
    changes = []
    for experiment, before in old["experiments"].items():
        after = new["experiments"].get(experiment)
        if after and _has(before, reference) and _has(after, reference):
            peers = [peer for peer in before["peers"] if peer != reference and _has(before, peer)]
            changes += [_change(experiment, peer, before, after, reference) for peer in peers]
    if not changes:
        raise NotComparable(f"no experiment has {reference} and another peer in both results")
    return changes


def _change(
    experiment: str, peer: str, before: dict[str, Any], after: dict[str, Any], reference: str
) -> Change:
    old_rate, old_cpu = _relative(before, peer, reference)
    if not _has(after, peer):
        return Change(experiment, peer, old_rate, None, None)
    new_rate, new_cpu = _relative(after, peer, reference)
    return Change(experiment, peer, old_rate, new_rate, new_cpu / old_cpu)


def _has(result: dict[str, Any], peer: str) -> bool:
    return peer in result["peers"] and not result["peers"][peer]["problems"]


def _relative(result: dict[str, Any], peer: str, reference: str) -> tuple[float, float]:
    """Returns rate and CPU time per image to the reference's, medians over the rounds."""
    epochs, others = (result["peers"][name]["epochs"] for name in (peer, reference))
    rate = paired_ratio([_rate(epoch) for epoch in epochs], [_rate(epoch) for epoch in others])
    cpu = paired_ratio([_cpu(epoch) for epoch in epochs], [_cpu(epoch) for epoch in others])
    return rate, cpu


def _rate(epoch: dict[str, Any]) -> float:
    return float(epoch["images"] / epoch["seconds"])


def _cpu(epoch: dict[str, Any]) -> float:
    return float(epoch["cpu_seconds"] / epoch["images"])


def _format(changes: list[Change], tolerance: float) -> str:
    rows = [
        (
            f"{change.experiment}, {change.peer}",
            f"{change.old:.3f}",
            "-" if change.new is None else f"{change.new:.3f}",
            "-" if change.new is None else f"{change.ratio:.3f}",
            "-" if change.cpu is None else f"{change.cpu:.3f}",
            "SLOWER" if change.is_regression(tolerance) else "",
        )
        for change in changes
    ]
    return format_table(HEADER, rows)
