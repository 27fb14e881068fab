"""Slow files are read ahead of the workers: same batches, same errors, many reads at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import write_class_folders

ROOT = Path(__file__).resolve().parent.parent
THREADS = 2

SCRIPT = """
import hashlib, json, os, sys
import pyloader

how, folder, batch_size, out = sys.argv[1:]
it = pyloader.ImageDataGenerator().flow_from_directory(
    folder, target_size=(24, 24), batch_size=int(batch_size), seed=3, num_threads=2, verbose=False
)

def deliver(epochs):
    done = []
    for _ in range(epochs * len(it)):
        try:
            images, labels = next(it)
        except pyloader.ImageError as error:
            done.append([os.path.basename(error.path), error.reason])
            continue
        content = images.tobytes() + labels.tobytes()
        done.append([hashlib.sha256(content).hexdigest(), it.batch_indices.tolist()])
    return done

batches = deliver(2)
if how == "fork":
    child = os.fork()
    batches += deliver(1)
    if child == 0:
        with open(out + ".child", "w") as file:
            json.dump(batches, file)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
elif how == "by position":
    for epoch in range(2):
        len(it)
        for i in range(len(it)):
            batches.append(hashlib.sha256(it[i][0].tobytes()).hexdigest())
        it.on_epoch_end()
stats = it.stats()
it.close()
with open(out, "w") as file:
    json.dump([batches, stats.as_dict(), str(stats)], file)
"""


class Run(NamedTuple):
    """What one process delivered, and how it read."""

    batches: list[Any]
    stats: dict[str, Any]
    text: str
    opened: int
    most_at_once: int


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes files slow."""
    if sys.platform != "linux":
        pytest.skip("files are made slow by preloading a library, as Linux does it")
    sys.path.append(str(ROOT))
    from bench.slow_files import compile_library

    return compile_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, 240 small pictures."""
    root = tmp_path_factory.mktemp("pictures")
    return write_class_folders(root, {"cats": 120, "dogs": 120})


def run(
    library: Path,
    folder: Path,
    out: Path,
    *,
    ahead: bool,
    open_ms: float = 5,
    read_ms: float = 0,
    batch_size: int = 16,
    how: str = "next",
) -> Run:
    """Runs the script in a process for which the folder's files are slow."""
    from bench.slow_files import slow_environment

    report = out.with_suffix(".report")
    slow = slow_environment(library, folder, open_ms=open_ms, read_ms=read_ms, report=report)
    environment = os.environ | slow | {"PYLOADER_READAHEAD": "1" if ahead else "0"}
    command = [sys.executable, "-c", SCRIPT, how, str(folder), str(batch_size), str(out)]
    subprocess.run(command, env=environment, cwd=ROOT, check=True)
    opened, most_at_once = map(int, report.read_text().split())
    return Run(*json.loads(out.read_text()), opened, most_at_once)


@pytest.mark.parametrize("batch_size", [1, 16])
def test_batches_are_the_same_and_reads_overlap(
    library: Path, folder: Path, tmp_path: Path, batch_size: int
) -> None:
    plain = run(library, folder, tmp_path / "plain", ahead=False, batch_size=batch_size)
    ahead = run(library, folder, tmp_path / "ahead", ahead=True, batch_size=batch_size)
    assert ahead.batches == plain.batches
    assert plain.most_at_once <= THREADS
    assert ahead.most_at_once > 16  # also with batches of one, whose queue then grows
    assert plain.stats["files_ahead"] == plain.stats["reading_threads"] == 0
    assert ahead.stats["files_ahead"] >= 240
    assert "read ahead" in ahead.text
    assert "read ahead" not in plain.text


def test_reads_that_wait_are_overlapped_like_opens(
    library: Path, folder: Path, tmp_path: Path
) -> None:
    plain = run(library, folder, tmp_path / "plain", ahead=False, open_ms=0, read_ms=5)
    ahead = run(library, folder, tmp_path / "ahead", ahead=True, open_ms=0, read_ms=5)
    assert ahead.batches == plain.batches
    assert ahead.most_at_once > plain.most_at_once


def test_bad_files_fail_in_the_same_batch(library: Path, tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "pictures", {"cats": 60, "dogs": 60})
    pictures = sorted(folder.glob("cats/*"))
    pictures[10].write_bytes(b"")
    pictures[20].write_bytes(pictures[20].read_bytes()[:100])
    pictures[30].write_bytes(b"no picture")
    pictures[40].unlink()
    pictures[40].symlink_to(folder / "nothing.jpg")
    plain = run(library, folder, tmp_path / "plain", ahead=False, batch_size=8)
    ahead = run(library, folder, tmp_path / "ahead", ahead=True, batch_size=8)
    assert ahead.stats["files_ahead"] > 0
    assert ahead.batches == plain.batches
    failed = {batch[0] for batch in plain.batches if isinstance(batch[1], str)}
    assert failed <= {pictures[i].name for i in (10, 20, 30, 40)}
    assert len(failed) > 1


def test_batches_by_position_are_the_same(library: Path, folder: Path, tmp_path: Path) -> None:
    plain = run(library, folder, tmp_path / "plain", ahead=False, how="by position", batch_size=4)
    ahead = run(library, folder, tmp_path / "ahead", ahead=True, how="by position", batch_size=4)
    assert ahead.batches == plain.batches


def test_a_child_reads_ahead_for_itself(library: Path, folder: Path, tmp_path: Path) -> None:
    ahead = run(library, folder, tmp_path / "ahead", ahead=True, how="fork")
    assert json.loads((tmp_path / "ahead.child").read_text()) == ahead.batches
