"""What the tests of bad images share: folders with some, and flows over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from conftest import write_class_folders
from numpy.typing import NDArray

from pyloader import BadImage, ImageDataGenerator, Iterator

COUNTS = {"a": 13, "b": 9, "c": 15}
BAD = (3, 4, 17, 30)  # in dataset order: two neighbors, and one in each class
FLOW: dict[str, Any] = {
    "target_size": (20, 24),
    "batch_size": 5,
    "class_mode": "sparse",
    "seed": 5,
    "verbose": False,
}
AUGMENT = {"rotation_range": 25, "horizontal_flip": True, "zoom_range": 0.2}


def damage(path: Path, how: int) -> None:
    """Makes a file one that cannot be loaded."""
    content = path.read_bytes()
    if how % 4 == 0:
        path.write_bytes(content[: len(content) // 2])
    elif how % 4 == 1:
        path.write_bytes(b"")
    elif how % 4 == 2:
        path.write_bytes(b"no image at all" * 20)
    else:
        path.unlink()
        path.mkdir()


def write_damaged(root: Path) -> Path:
    """37 images of three classes, four of them bad."""
    write_class_folders(root, COUNTS, seed=8)
    files = sorted(root.rglob("*.jpg"))
    for how, index in enumerate(BAD):
        damage(files[index], how if how != 3 else 0)
    return root


def flow(folder: Path, generator: dict[str, Any] | None = None, **options: Any) -> Iterator:
    return ImageDataGenerator(**(generator or {})).flow_from_directory(
        folder, **{**FLOW, **options}
    )


def good_rows(folder: Path, tmp_path: Path, generator: dict[str, Any], **options: Any) -> Any:
    """Per position of a pass: index, image and label, as if no file were damaged."""
    whole = write_class_folders(tmp_path / "whole", COUNTS, seed=8)
    with flow(whole, generator, **options) as it:
        for images, labels in it.epoch():
            yield it.batch_indices.copy(), images, labels


def loops(it: Iterator, passes: int = 1) -> list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """All batches with their indices."""
    return [
        (np.array(it.batch_indices), images.copy(), labels.copy())
        for _ in range(passes)
        for images, labels in it.epoch()
    ]


def assert_same(ours: Any, theirs: Any) -> None:
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        for a, b in zip(our, their, strict=True):
            np.testing.assert_array_equal(a, b)


def records(errors: list[BadImage]) -> list[tuple[Any, ...]]:
    """All that is known of bad images, comparable."""
    return [(*bad, bad.index, bad.replaced_by or -1) for bad in errors]
