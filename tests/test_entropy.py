"""The entropy decoder of our own gives libjpeg's pixels and verdicts, or leaves a file to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import all_kinds
from PIL import Image

from pyloader import ImageDataGenerator

_DECODE = """
import hashlib, sys
from pathlib import Path
from pyloader import ImageError, load_img
from pyloader._pyloader import build_info

print(build_info()["entropy"])
for path in sorted(Path(sys.argv[1]).iterdir()):
    for options in ({}, {"color_mode": "grayscale"}, {"target_size": (20, 31)},
                    {"target_size": (9, 50), "interpolation": "bicubic"}):
        try:
            said = hashlib.sha256(load_img(path, **options).tobytes()).hexdigest()
        except ImageError as error:
            said = f"refused: {error.reason}"
        print(path.name, options, said)
"""


def _decode(folder: Path, entropy: str) -> tuple[str, list[str]]:
    """The decoder in use, and a line for every file and form."""
    done = subprocess.run(
        [sys.executable, "-c", _DECODE, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYLOADER_ENTROPY": entropy},
    )
    used, *lines = done.stdout.splitlines()
    return used, lines


def _assert_same(folder: Path) -> list[str]:
    """Compares the two decoders; what they say."""
    used, own = _decode(folder, "own")
    assert used == "own"
    used, libjpeg = _decode(folder, "libjpeg")
    assert used == "libjpeg"
    assert own == libjpeg
    return own


@pytest.mark.parametrize("seed", range(4))
def test_every_kind_of_file_decodes_the_same(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    for number in range(12):
        height, width = (int(side) for side in random.integers(1, 90, 2))
        for index, (_, content) in enumerate(all_kinds(random, height, width)):
            (tmp_path / f"{number:02d}-{index:02d}.jpg").write_bytes(content)
    said = _assert_same(tmp_path)
    assert not any("refused" in line for line in said)


@pytest.mark.parametrize("seed", range(4))
def test_damage_gets_the_same_verdict_and_the_same_pixels(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(100 + seed)
    contents = [content for _, content in all_kinds(random, 45, 61)]
    for number in range(300):
        content = bytearray(contents[int(random.integers(len(contents)))])
        kind = int(random.integers(3))
        if kind == 0:
            del content[int(random.integers(2, len(content))) :]
        for _ in range(int(random.integers(1, 4)) if kind else 0):
            place = int(random.integers(2, len(content)))
            content[place] = 0xFF if kind == 2 else int(random.integers(256))
        (tmp_path / f"{number:03d}.jpg").write_bytes(content)
    said = _assert_same(tmp_path)
    refused = sum("refused" in line for line in said)
    assert 0 < refused < len(said)


def test_every_simd_level_decodes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index, (_, content) in enumerate(all_kinds(np.random.default_rng(61), 67, 93)):
        (tmp_path / f"{index}.jpg").write_bytes(content)
    fastest = _decode(tmp_path, "own")
    monkeypatch.setenv("PYLOADER_SIMD", "scalar")
    assert _decode(tmp_path, "own") == fastest


def test_our_own_is_in_use_unless_libjpeg_is_asked_for(tmp_path: Path) -> None:
    assert _decode(tmp_path, "")[0] == "own"


@pytest.mark.skipif("PYLOADER_ENTROPY" in os.environ, reason="the decoder was chosen")
def test_stats_count_who_decoded(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    random = np.random.default_rng(62)
    for index, options in enumerate([{}, {"subsampling": 0}, {"progressive": True}]):
        pixels = random.integers(0, 256, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.jpg", **options)
    batches = ImageDataGenerator().flow_from_directory(tmp_path, target_size=(8, 8), verbose=False)
    with batches:
        next(batches)
        stats = batches.stats()
    # Later epochs may have been begun.
    assert stats.jpegs_own >= 2
    assert stats.jpegs_libjpeg >= 1
    assert "by pyloader's decoder" in str(stats)
