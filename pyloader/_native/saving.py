"""Delivered images as files, for looking at them: what `save_to_dir` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._native.pillow import load_pillow

__all__ = ["save_images"]


def save_images(
    images: NDArray[Any],
    ids: NDArray[np.int64],
    numbers: NDArray[np.int64],
    *,
    directory: str | os.PathLike[str],
    prefix: str,
    file_format: str,
    channels_first: bool,
) -> None:
    """Saves the images of one batch as `{prefix}_{id}_{number}.{file_format}`, by Pillow as Keras.

    Args:
        images: (k, H, W, C), or (k, C, H, W) for `channels_first`; C is 1, 3 or 4. Any dtype and
            any range: each image is stretched so that its minimum is black.
        ids: The dataset index of each, (k,).
        numbers: The number in the name of each, (k,).
        directory: An existing folder.
        prefix: How the names begin.
        file_format: How the names end, and what is written.
        channels_first: Whether channels come first.

    Raises:
        OSError: A file cannot be written, for example because there is no such folder.
        ValueError: The format is unknown, or C is something else.
    """
    pillow = load_pillow()
    for image, index, number in zip(images, ids, numbers, strict=True):
        levels = _stretch(image.transpose(1, 2, 0) if channels_first else image)
        file = Path(directory, f"{prefix}_{index}_{number}.{file_format}")
        pillow.fromarray(levels if levels.shape[2] > 1 else levels[:, :, 0]).save(file)


def _stretch(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Maps an image linearly to bytes, its minimum to 0 and its maximum to 255, rounded down."""
    if image.shape[2] not in {1, 3, 4}:
        raise ValueError(f"Unsupported channel number: {image.shape[2]}")
    values = image.astype(np.float32)
    values -= values.min()
    maximum = values.max()
    if maximum != 0:
        values /= maximum
    values *= 255
    return np.ascontiguousarray(values.astype(np.uint8))
