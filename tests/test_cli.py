"""The command line says what it should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyloader._tools.cli import main


def test_without_words_it_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "usage: python -m pyloader" in capsys.readouterr().out


def test_info_names_versions_and_threads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    for word in ("pyloader", "libjpeg-turbo", "SIMD", "threads", np.__version__):
        assert word in printed


def test_bench_prints_each_epoch_and_the_stats(
    class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", str(class_folders), "--target-size", "8", "9", "--epochs", "2"]
    assert main([*words, "--threads", "2", "--batch-size", "5", "--dtype", "uint8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Found 23 images belonging to 3 classes."
    assert lines[1].startswith("epoch 1: ")
    assert "images/s" in lines[1]
    assert "ms CPU per image" in lines[1]
    assert "(first:" in lines[1]
    assert lines[2].startswith("epoch 2: ")
    assert "(first:" not in lines[2]
    assert any(line.startswith("samples") and "46 in 10 batches" in line for line in lines)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        ("nothing", "no such folder"),
        ("images", "has no subfolders: bench needs a folder with one subfolder per class"),
        ("empty classes", "no images in the subfolders"),
    ],
)
def test_bench_refuses_a_folder_that_it_cannot_measure(
    tmp_path: Path, make: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    if make != "nothing":
        folder.mkdir()
        (folder / "1.jpg").touch()
    if make == "empty classes":
        (folder / "a").mkdir()
    assert main(["bench", str(folder)]) == 1
    assert text in capsys.readouterr().err


def test_bench_names_a_bad_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(os.urandom(100))
    assert main(["bench", str(tmp_path)]) == 1
    assert "cannot load image" in capsys.readouterr().err


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyloader", "info"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "libjpeg-turbo" in done.stdout
