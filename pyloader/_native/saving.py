"""Delivered images as files, for looking at them: what `save_to_dir` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._native.pillow import load_pillow


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
    """Saves a batch's images as `{prefix}_{id}_{number}.{file_format}`, by Pillow as Keras does."""
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
