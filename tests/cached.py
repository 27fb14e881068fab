"""What the tests of the cache share: a folder with images of every kind, and flows over it."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pictures
from numpy.typing import NDArray
from PIL import Image

from pyloader import ImageDataGenerator, Iterator

TICK = 0.025
"""Seconds after which a change of a file shows in its times, wherever tests run."""

OPTIONS: dict[str, Any] = {
    "target_size": (40, 36),
    "class_mode": "sparse",
    "batch_size": 5,
    "seed": 3,
    "num_threads": 2,
    "verbose": False,
}


def write_folder(root: Path, jpegs: int = 20) -> Path:
    """Writes JPEGs of every kind, and PNGs, BMPs and TIFFs, into two class folders."""
    random = np.random.default_rng(5)
    for name in ("first", "second"):
        (root / name).mkdir(parents=True)
    for index in range(jpegs):
        height, width = (int(side) for side in random.integers(20, 90, 2))
        pixels = pictures.picture(random, height, width)
        subsampling = pictures.SUBSAMPLINGS[index % 6]
        content = pictures.subsampled_jpeg(pixels, subsampling, 88)
        (root / ("first", "second")[index % 2] / f"{index:03d}.jpg").write_bytes(content)
    colors = pictures.picture(random, 40, 36, 4)
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        # Pillow warns about palettes with an alpha for each entry, and warnings are errors here.
        image = Image.fromarray(colors[:, :, :3] if mode == "P" else colors).convert(mode)
        image.save(root / "second" / f"{mode}.png")
        image.resize((50, 61)).save(root / "first" / f"{mode}.png")
    Image.fromarray(colors[:, :, :3]).convert("CMYK").save(root / "first" / "cmyk.jpg")
    deep = (colors[:, :, 0].astype(np.uint16) * 257).astype(np.uint16)
    Image.fromarray(deep).save(root / "first" / "deep.png")
    wait_for_tick(root)
    return root


def wait_for_tick(root: Path) -> None:
    """Waits until a change of any file below `root` from now on shows in its times."""
    newest = max(path.stat().st_ctime for path in root.rglob("*"))
    while time.time() < newest + TICK:
        time.sleep(TICK / 5)


def flow(folder: Path, generator: dict[str, Any] | None = None, **options: Any) -> Iterator:
    """An iterator over the folder."""
    made = ImageDataGenerator(**(generator or {}))
    return made.flow_from_directory(folder, **{**OPTIONS, **options})


def passes(iterator: Iterator, count: int) -> list[list[NDArray[Any]]]:
    """The images of whole passes, batch by batch."""
    return [[images.copy() for images, _ in iterator.epoch()] for _ in range(count)]


def assert_same_passes(ours: list[list[Any]], theirs: list[list[Any]]) -> None:
    """Asserts that passes agree in every bit."""
    assert [len(batches) for batches in ours] == [len(batches) for batches in theirs]
    for our, their in zip(ours, theirs, strict=True):
        for a, b in zip(our, their, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def assert_serves(folder: Path, cache: Path, expected: Any) -> Any:
    """Two passes over a cache deliver what is expected; returns what was counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with flow(folder, cache=cache, shuffle=False) as it:
            for batches in passes(it, 2):
                np.testing.assert_array_equal(np.concatenate(batches), expected)
    return it.stats()


def assert_delivers(it: Any, expected: Any) -> None:
    """Three passes deliver what is expected."""
    with it:
        for batches in passes(it, 3):
            np.testing.assert_array_equal(np.concatenate(batches), expected)


def files_of(cache: Path) -> list[Path]:
    return sorted(path for path in cache.iterdir() if path.is_file())


def bytes_of(cache: Path) -> int:
    return sum(path.stat().st_size for path in files_of(cache))


def filled(folder: Path, cache: Path) -> Path:
    with flow(folder, cache=cache) as it:
        passes(it, 1)
    del it  # ends writing
    return cache
