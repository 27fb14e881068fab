"""Shared fixtures: the oracle, and small seeded folders of photo-like images."""

from __future__ import annotations

import importlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

os.environ.setdefault("KERAS_BACKEND", "jax")
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore


@pytest.fixture(scope="session")
def keras_image() -> ModuleType:
    """Keras 3's own image module, the oracle."""
    pytest.importorskip("keras")
    return importlib.import_module("keras.src.legacy.preprocessing.image")


@pytest.fixture
def global_random_untouched() -> Iterator[None]:
    """Fails a test that moves NumPy's global generator."""
    before = np.random.get_state(legacy=False)
    yield
    after = np.random.get_state(legacy=False)
    np.testing.assert_equal(after, before)


def without_addresses(parameters: Any) -> str:
    """A test's name by its parameters, the same in every process, though there are functions."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(parameters))


def photo(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A picture with smooth areas, edges and some noise, (height, width, 3)."""
    random = np.random.default_rng(seed)
    rows = np.linspace(0, 3, height)[:, None, None]
    columns = np.linspace(0, 3, width)[None, :, None]
    phase = random.uniform(0, 6, 3)
    waves = 90 * np.sin(random.uniform(1, 4) * rows + phase) * np.cos(2 * columns + phase)
    edge = 60 * (columns + rows > 3)
    noise = random.normal(0, 4, (height, width, 3))
    picture: NDArray[np.float64] = np.clip(128 + waves + edge + noise, 0, 255)
    return picture.astype(np.uint8)


def write_jpeg(path: Path, height: int, width: int, seed: int) -> None:
    """Writes a JPEG, 4:2:0 or 4:4:4 or 4:2:2 in turns."""
    import simplejpeg  # type: ignore[import-untyped]

    subsampling = ("420", "444", "422")[seed % 3]
    content = simplejpeg.encode_jpeg(
        np.ascontiguousarray(photo(height, width, seed)), quality=88, colorsubsampling=subsampling
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_class_folders(root: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Writes `counts[name]` ragged JPEGs into each class folder."""
    random = np.random.default_rng(seed)
    for name, count in counts.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            height, width = (int(size) for size in random.integers(9, 60, 2))
            write_jpeg(root / name / f"{name}{index:02d}.jpg", height, width, seed + 31 * index)
    return root


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """23 JPEGs in three classes, one of them with a folder inside."""
    root = write_class_folders(
        tmp_path_factory.mktemp("images"), {"blue": 7, "green": 5, "red": 9}, seed=3
    )
    write_jpeg(root / "green" / "deeper" / "inside.jpg", 33, 17, 101)
    write_jpeg(root / "green" / "deeper" / "again.JPEG", 12, 50, 102)
    return root


def assert_same_batch(ours: Any, theirs: Any) -> None:
    """Asserts that two batches agree in structure, dtypes, shapes and every bit."""
    if isinstance(theirs, (tuple, list)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_same_batch(our, their)
        return
    assert isinstance(ours, np.ndarray)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def assert_close_batch(ours: Any, theirs: Any, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Asserts that two batches agree in structure, dtypes and shapes, and nearly in values."""
    if isinstance(theirs, (tuple, list)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for our, their in zip(ours, theirs, strict=True):
            assert_close_batch(our, their, rtol=rtol, atol=atol)
        return
    assert isinstance(ours, np.ndarray)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
