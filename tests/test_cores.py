"""The number of threads fits what the machine grants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyloader._native import cores


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"own": "0::/\n", "cpu.max": "150000 100000\n"}, 1.5),
        ({"own": "0::/\n", "cpu.max": "max 100000\n"}, None),
        ({"own": "0::/a/b\n", "a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3.0),
        ({"own": "0::/a/b\n", "a/b/cpu.max": "50000 100000", "a/cpu.max": "300000 100000"}, 0.5),
        ({"own": "0::/not/mounted/here\n", "cpu.max": "200000 100000"}, 2.0),
        ({"own": "0::/../../a\n", "cpu.max": "200000 100000"}, 2.0),
        ({"own": "0::/\n", "cpu.max": "nonsense"}, None),
        ({"own": "0::/\n", "cpu.max": "100000 0"}, None),
        (
            {
                "own": "4:memory:/m\n3:cpu,cpuacct:/a\n1:name=systemd:/s\n",
                "cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            {
                "own": "1:cpu:/\n0::/\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({"own": ""}, None),
        ({}, None),
    ],
)
def test_limits_of_control_groups_are_read(
    tmp_path: Path, files: dict[str, str], expected: float | None
) -> None:
    root = _write(tmp_path, files)
    assert cores.cgroup_cores(root, root / "own") == expected


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, 8), (0.2, 1), (1.0, 1), (1.5, 2), (7.9, 8), (64.0, 8)]
)
def test_the_tighter_of_affinity_and_limit_counts(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "cgroup_cores", lambda: limit)
    assert cores.usable_cores() == expected


def test_here_it_is_some_number() -> None:
    assert 1 <= cores.usable_cores() <= (os.cpu_count() or 1)
