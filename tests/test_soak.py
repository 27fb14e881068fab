"""A short soak, and that a soak finds what it looks for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faults import NEEDS_PROC, PATIENCE
from soak import MOST_GROWTH, Report, Sample

pytest.importorskip("pandas")

SOAK = Path(__file__).with_name("soak.py")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a soak of a few rounds, whatever the time that they take."""
    return subprocess.run(
        [sys.executable, SOAK, "--minutes", "60", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        # Not installed, pyloader is found beside the tests.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


@NEEDS_PROC
@pytest.mark.parametrize("seed", [1, 2])
def test_a_short_soak_finds_nothing(seed: int) -> None:
    done = _run("--seed", str(seed), "--rounds", "25")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict" in done.stdout
    assert "nothing wrong, nothing grew" in done.stdout


@NEEDS_PROC
def test_a_soak_finds_a_wrong_pixel(tmp_path: Path) -> None:
    """The oracle is one level off: every soak with an exact image must end at once."""
    spoiled = (
        "import sys, runpy, numpy as np, soak_world\n"
        "right = soak_world.World._decode\n"
        "def wrong(self, content, look):\n"
        "    image = right(self, content, look)\n"
        "    return None if image is None else image ^ np.uint8(1)\n"
        "soak_world.World._decode = wrong\n"
        "sys.argv = ['soak.py', '--seed', '1', '--rounds', '25']\n"
        "import soak\n"
        "sys.exit(soak.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", spoiled],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(SOAK.parent), *(p for p in sys.path if p)]),
        },
    )
    assert done.returncode == 1, done.stderr
    assert "WrongBatchError: row 0 is not" in done.stdout


def _report(**growing: list[int]) -> Report:
    """A report over 40 samples, in which some numbers are as given."""
    steady: dict[str, Any] = {"threads": [3] * 40, "files": [7] * 40, "resident": [90_000] * 40}
    numbers = {**steady, **growing}
    samples = [
        Sample(*values)
        for values in zip(numbers["threads"], numbers["files"], numbers["resident"], strict=True)
    ]
    return Report(1, 60.0, 200, Counter(), samples, None)


def test_what_grows_is_told() -> None:
    assert _report().growth() == []
    assert _report(threads=[3] * 30 + [4] * 10).growth() == ["threads grew from 3 to 4"]
    assert _report(files=list(range(7, 47))).growth() == ["files grew from 21.5 to 41.5"]
    leak = [90_000 + number * MOST_GROWTH // 15 for number in range(40)]
    (told,) = _report(resident=leak).growth()
    assert told.startswith("memory grew from ")
    assert told in str(_report(resident=leak))


def test_a_warm_up_and_single_peaks_are_no_growth() -> None:
    warm_up = [60_000 + 3_000 * min(number, 10) for number in range(40)]
    assert _report(resident=warm_up).growth() == []
    peaks = [90_000 + (number % 7 == 0) * 10 * MOST_GROWTH for number in range(40)]
    assert _report(resident=peaks).growth() == []
