"""A cache folder that cannot be written to, or not any more, is one warning and no error."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cached import assert_delivers, assert_serves, filled, flow, passes, write_folder


def _problems(caught: Iterable[warnings.WarningMessage]) -> list[warnings.WarningMessage]:
    """The warnings about a cache, without Pillow's about an image."""
    return [warning for warning in caught if str(warning.message).startswith("cache=")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images"), jpegs=60)


@pytest.fixture(scope="module")
def expected(folder: Path) -> Any:
    """The images in order, decoded."""
    return np.concatenate(passes(flow(folder, shuffle=False), 1)[0])


def _limited_to(size: int) -> Any:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_is_one_warning_and_no_error(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    cache = tmp_path / "cache"
    np.save(tmp_path / "expected.npy", expected)
    script = f"""
import sys, warnings
sys.path[:0] = [{str(Path(__file__).parent)!r}]
import numpy as np
from cached import flow, passes
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with flow({str(folder)!r}, cache={str(cache)!r}, shuffle=False) as it:
        images = [np.concatenate(batches) for batches in passes(it, 3)]
print([str(warning.message) for warning in caught])
print(it.stats().cache)
assert it.stats().cache_misses >= it.n
assert it.stats().cache_hits >= 2 * 30
expected = np.load({str(tmp_path / "expected.npy")!r})
for delivered in images:
    np.testing.assert_array_equal(delivered, expected)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=_limited_to(200_000),
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no more images are kept") == 2  # the warning and the word in stats
    assert done.stdout.count("File too large") == 2
    assert assert_serves(folder, cache, expected).cache_hits > len(expected)


def test_a_full_file_system_is_one_warning_and_no_error(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        it = flow(folder, cache=disk / "c", cache_limit="1GB", shuffle=False)
        with pytest.warns(UserWarning, match="No space left on device") as caught:
            assert_delivers(it, expected)
        (problem,) = _problems(caught)
        assert Path(problem.filename).name == "cached.py"
        assert it.stats().cache_hits > 0
        del it
        # Without a limit of the user's, a twentieth of the disk is left.
        shutil.rmtree(disk / "c")
        stats = assert_serves(folder, disk / "c", expected)
        assert "full" in stats.cache
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("place", ["file", "below a file", "/proc/pyloader"])
def test_a_folder_that_cannot_be_is_one_warning(
    folder: Path, tmp_path: Path, expected: Any, place: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    path = {"file": tmp_path / "file", "below a file": tmp_path / "file" / "x"}.get(place, place)
    it = flow(folder, cache=path, shuffle=False)
    with pytest.warns(UserWarning, match="the folder cannot be used") as caught:
        assert_delivers(it, expected)
    assert len(_problems(caught)) == 1
    assert "the folder cannot be used" in it.stats().cache


def test_a_read_only_folder_serves_and_warns_when_something_is_missing(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    cache = filled(folder, tmp_path / "cache")
    mounted = subprocess.run(["mount", "--bind", cache, cache], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", cache], check=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with flow(folder, cache=cache, shuffle=False) as it:
                np.testing.assert_array_equal(np.concatenate(passes(it, 1)[0]), expected)
        assert it.stats().cache_misses == 0
        it = flow(folder, cache=cache, interpolation="box")
        with pytest.warns(UserWarning, match="Read-only file system") as caught:
            passes(it, 2)
        it.close()
        assert len(_problems(caught)) == 1
    finally:
        subprocess.run(["umount", "-l", cache], check=True)
