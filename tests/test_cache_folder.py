"""A cache folder survives its processes, whatever becomes of them, of the disk and of the files."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cached import (
    assert_delivers,
    assert_same_passes,
    assert_serves,
    bytes_of,
    files_of,
    filled,
    flow,
    passes,
    wait_for_tick,
    write_folder,
)

IMAGE = 40 * 36 * 3

WORKER = """
import sys
import numpy as np
sys.path[:0] = {paths!r}
from cached import (
    assert_delivers,
    assert_same_passes,
    assert_serves,
    bytes_of,
    files_of,
    filled,
    flow,
    passes,
    wait_for_tick,
    write_folder,
)
folder, cache, limit, out = sys.argv[1:]
with flow(folder, cache=cache, cache_limit=limit or None, seed=len(out)) as it:
    images = passes(it, 2)
stats = it.stats()
with flow(folder, cache=cache, cache_limit=limit or None, shuffle=False) as it:
    np.save(out, np.concatenate(passes(it, 1)[0]))
print(stats.cache_hits, stats.cache_misses, stats.cache_bytes)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images"), jpegs=60)


@pytest.fixture(scope="module")
def expected(folder: Path) -> Any:
    """The images in order, decoded."""
    return np.concatenate(passes(flow(folder, shuffle=False), 1)[0])


def _start(folder: Path, cache: Path, out: Path, limit: str = "") -> Any:
    script = WORKER.format(paths=[str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", script, folder, cache, limit, out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _figures(process: Any) -> tuple[int, int, int]:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    hits, misses, size = (int(word) for word in output.split())
    return hits, misses, size


def test_processes_fill_one_folder_together(folder: Path, tmp_path: Path, expected: Any) -> None:
    cache = tmp_path / "cache"
    workers = [_start(folder, cache, tmp_path / f"{'x' * k}.npy") for k in range(1, 5)]
    for k, worker in enumerate(workers, 1):
        _figures(worker)
        np.testing.assert_array_equal(np.load(tmp_path / f"{'x' * k}.npy"), expected)
    hits, misses, _ = _figures(_start(folder, cache, tmp_path / "last.npy"))
    assert misses == 0
    assert hits >= 2 * len(expected)


def test_what_another_process_adds_is_found_while_both_run(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with flow(folder, cache=cache, prefetch=1, num_threads=1) as mine:
        next(mine)
        _figures(_start(folder, cache, tmp_path / "out.npy"))
        passes(mine, 1)
        assert mine.stats().cache_misses <= 5 * 4
    assert mine.stats().cache_hits >= mine.n - 5 * 4


def test_ranks_share_a_folder(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    ranks = [flow(folder, cache=cache, shard=(rank, 2), batch_size=8) for rank in range(2)]
    plain = [flow(folder, shard=(rank, 2), batch_size=8) for rank in range(2)]
    for _ in range(3):
        for rank in range(2):
            assert_same_passes(passes(ranks[rank], 1), passes(plain[rank], 1))
    assert sum(it.stats().cache_misses for it in ranks) <= ranks[0].n + 2 * 8 * 4


def test_a_killed_process_leaves_a_sound_folder(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    cache = tmp_path / "cache"
    chance = random.Random(4)
    started = time.monotonic()
    _figures(_start(folder, tmp_path / "other", tmp_path / "out.npy"))
    whole = time.monotonic() - started
    for round_number in range(12):
        workers = [_start(folder, cache, tmp_path / f"{k}.npy") for k in range(2)]
        time.sleep(whole * chance.uniform(0.3, 1.1))
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
        if round_number % 3 == 2:
            stats = assert_serves(folder, cache, expected)
            assert stats.cache_misses <= len(expected) + 8
            if round_number < 11:  # fill it anew
                shutil.rmtree(cache)
    assert assert_serves(folder, cache, expected).cache_misses == 0


def test_files_of_ended_processes_are_taken_over(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    cache = tmp_path / "cache"
    for part in range(4):
        with flow(folder, cache=cache, shard=(part, 4)) as it:
            passes(it, 1)
        del it
    assert len(files_of(cache)) == 2
    assert assert_serves(folder, cache, expected).cache_misses <= 8


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_give_right_pixels_and_mend(
    folder: Path, tmp_path: Path, expected: Any, seed: int
) -> None:
    cache = filled(folder, tmp_path / "cache")
    chance = random.Random(seed)
    for path in files_of(cache):
        content = bytearray(path.read_bytes())
        kind = chance.choice(["flip", "flips", "cut", "zeros", "noise", "empty", "grown", "head"])
        at = chance.randrange(len(content))
        if kind == "flip":
            content[at] ^= 1 << chance.randrange(8)
        elif kind == "flips":
            for _ in range(40):
                content[chance.randrange(len(content))] ^= 255
        elif kind == "cut":
            del content[at:]
        elif kind == "zeros":
            content[at : at + 5000] = bytes(len(content[at : at + 5000]))
        elif kind == "noise":
            content[at : at + 5000] = chance.randbytes(len(content[at : at + 5000]))
        elif kind == "empty":
            content.clear()
        elif kind == "head":
            content[chance.randrange(256)] ^= 1 << chance.randrange(8)
        else:
            content += chance.randbytes(10_000)
        path.write_bytes(content)
    assert_serves(folder, cache, expected)
    assert assert_serves(folder, cache, expected).cache_misses <= 8


@pytest.mark.parametrize("ending", ["index", "images"])
@pytest.mark.parametrize("size", [0, 100, 300, 20_000])
def test_files_may_shrink_while_they_are_in_use(
    folder: Path, tmp_path: Path, expected: Any, ending: str, size: int
) -> None:
    cache = tmp_path / "cache"
    with flow(folder, cache=cache, shuffle=False) as it:
        passes(it, 2)
        for path in files_of(cache):
            if path.name.endswith(ending):
                os.truncate(path, size)
        for batches in passes(it, 3):
            np.testing.assert_array_equal(np.concatenate(batches), expected)


def test_the_folder_may_be_deleted_while_it_is_in_use(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    cache = tmp_path / "cache"
    with flow(folder, cache=cache, shuffle=False) as it:
        next(it)
        shutil.rmtree(cache)
        it.batch_index = 0
        for batches in passes(it, 3):
            np.testing.assert_array_equal(np.concatenate(batches), expected)
    assert assert_serves(folder, cache, expected).cache_hits > 0


def test_what_lies_in_the_folder_besides_is_left_alone(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    cache = filled(folder, tmp_path / "cache")
    images, index = files_of(cache)
    stem = index.name.split(".")[0]
    contents = {
        f"{stem}.fake.pyloader-index": b"no header",
        f"{stem}.fake.pyloader-images": b"nothing",
        f"{stem}.alone.pyloader-index": index.read_bytes(),
        f"{stem}.zeros.pyloader-index": bytes(500_000),
        f"{stem}.zeros.pyloader-images": bytes(500_000),
        f"{stem}.pyloader-index": index.read_bytes(),
        "notes.txt": b"mine",
        f"9{stem}.other.pyloader-index": index.read_bytes(),
        f"9{stem}.other.pyloader-images": images.read_bytes(),
    }
    for name, content in contents.items():
        (cache / name).write_bytes(content)
    (cache / f"{stem}.folder.pyloader-index").mkdir()
    os.mkfifo(cache / f"{stem}.pipe.pyloader-index")
    os.mkfifo(cache / f"{stem}.pipe.pyloader-images")
    (cache / f"{stem}.loop.pyloader-index").symlink_to(cache / f"{stem}.loop.pyloader-index")
    assert assert_serves(folder, cache, expected).cache_misses == 0
    for name, content in contents.items():
        assert (cache / name).read_bytes() == content


def test_records_of_another_pair_are_not_believed(
    folder: Path, tmp_path: Path, expected: Any
) -> None:
    one = filled(folder, tmp_path / "one")
    two = tmp_path / "two"
    with flow(folder, cache=two, seed=99, num_threads=1) as it:
        passes(it, 1)
    del it
    images, index = files_of(two)
    header = index.read_bytes()[:256]
    images.write_bytes(files_of(one)[0].read_bytes())
    index.write_bytes(header + files_of(one)[1].read_bytes()[256:])  # sealed for another header
    assert assert_serves(folder, two, expected).cache_misses >= len(expected)


def test_several_settings_live_in_one_folder_within_one_limit(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    limit = 100 * IMAGE
    flows = [
        flow(folder, cache=cache, cache_limit=limit, **options)
        for options in (
            {},
            {"interpolation": "box"},
            {"target_size": (20, 20)},
            {"color_mode": "rgba"},
            {},
        )
    ]
    assert flows[0].n < 100
    for it in flows:
        passes(it, 2)
        assert sum(path.stat().st_blocks * 512 for path in files_of(cache)) <= limit + 4096 * 20
    assert flows[1].stats().cache_bytes < flows[0].stats().cache_bytes
    assert "full" in flows[3].stats().cache
    flows.clear()
    del it
    assert bytes_of(cache) <= limit


def test_a_closed_iterator_leaves_no_unused_room(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with flow(folder, cache=cache) as it:
        passes(it, 1)
        assert bytes_of(cache) > 2 * it.n * IMAGE
    assert bytes_of(cache) < 1.1 * it.n * IMAGE
    options = {"interpolation": "box", "shuffle": False}
    expected = np.concatenate(passes(flow(folder, **options), 1)[0])
    assert_delivers(flow(folder, cache=cache, **options), expected)


def test_processes_together_keep_the_limit(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    limit = 30 * IMAGE
    workers = [_start(folder, cache, tmp_path / f"{'x' * k}.npy", str(limit)) for k in range(1, 4)]
    for worker in workers:
        assert _figures(worker)[2] <= limit
    assert 0.8 * limit <= bytes_of(cache) <= limit


def test_a_copied_data_set_is_decoded_anew(folder: Path, tmp_path: Path, expected: Any) -> None:
    cache = filled(folder, tmp_path / "cache")
    copy = shutil.copytree(folder, tmp_path / "copy")
    wait_for_tick(copy)
    stats = assert_serves(copy, cache, expected)
    assert len(expected) <= stats.cache_misses <= len(expected) + 8
