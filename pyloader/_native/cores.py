"""How many processor cores this process may keep busy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The cores that a scheduler's affinity and a container's CPU limit leave to this process."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    limit = cgroup_cores()
    return cores if limit is None else max(1, min(cores, math.ceil(limit)))


def cgroup_cores(root: Path = _ROOT, own_groups: Path = _OWN_GROUPS) -> float | None:
    """The CPU time per time that Linux control groups grant, as containers set it."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:  # version 2
            limits += [_limit_2(folder / "cpu.max") for folder in _upwards(root, group)]
        elif "cpu" in controllers.split(","):
            for name in {controllers, "cpu"}:
                limits += [_limit_1(folder) for folder in _upwards(root / name, group)]
    return min((limit for limit in limits if limit is not None), default=None)


def _upwards(root: Path, group: str) -> Iterator[Path]:
    """The folders of a group and of all above it. Inside a container, some are not there."""
    folder = root / group.lstrip("/")
    while folder != root and root in folder.parents:
        yield folder
        folder = folder.parent
    yield root


def _limit_2(file: Path) -> float | None:
    """The limit in a file of "quota period" in microseconds, where "max" is none."""
    try:
        quota, period = file.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _limit_1(folder: Path) -> float | None:
    """The limit in two files, where -1 is none."""
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
