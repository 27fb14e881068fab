"""Delivered images as files, for looking at them: what `save_to_dir` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._native.forks import no_fork
from pyloader._native.late_imports import late_import

__all__ = ["encode_image", "save_images", "stretch"]

_JPEG_QUALITY = 75  # Pillow's default
_JPEG_ENDINGS = frozenset({"jpg", "jpeg", "jpe"})


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
    """Saves the images of one batch as `{prefix}_{id}_{number}.{file_format}`.

    Args:
        images: (k, H, W, C), or (k, C, H, W) for `channels_first`; C is 1, 3 or 4. Any dtype and
            any range: each image is stretched so that its least value is black.
        ids: The dataset index of each, (k,).
        numbers: The number in the name of each, (k,).
        directory: An existing folder.
        prefix: How the names begin.
        file_format: How the names end, and what is written.
        channels_first: Where the channels are.

    Raises:
        OSError: A file cannot be written, for example because there is no such folder.
        ValueError: The format is unknown or cannot hold these images, or C is something else.
    """
    for image, index, number in zip(images, ids, numbers, strict=True):
        levels = stretch(image.transpose(1, 2, 0) if channels_first else image)
        content = encode_image(levels, file_format)
        name = f"{prefix}_{index}_{number}.{file_format}"
        Path(directory, name).write_bytes(content)


def stretch(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Maps an image linearly to bytes, its least value to 0 and its greatest to 255.

    Args:
        image: (H, W, C), C = 1, 3 or 4.

    Returns:
        The same shape in uint8, C-contiguous, rounded down; zeros where all values are equal.

    Raises:
        ValueError: C is something else.
    """
    if image.shape[2] not in {1, 3, 4}:
        raise ValueError(f"Unsupported channel number: {image.shape[2]}")
    values = image.astype(np.float32)
    values -= values.min()
    greatest = values.max()
    if greatest != 0:
        values /= greatest
    values *= 255
    return np.ascontiguousarray(values.astype(np.uint8))


def encode_image(levels: NDArray[np.uint8], file_format: str) -> bytes:
    """Encodes an image by OpenCV. JPEG files are those of Pillow, byte for byte.

    Args:
        levels: (H, W, C) uint8, C = 1, 3 or 4.
        file_format: The ending of a file name, without the dot.

    Returns:
        The file's content.

    Raises:
        ValueError: The format is unknown.
        OSError: The format cannot hold the image.
    """
    cv2 = late_import("cv2")
    channels = levels.shape[2]
    if channels == 4 and file_format.lower() in _JPEG_ENDINGS:
        raise OSError(f"cannot write an RGBA image as {file_format}. Save it as png.")
    ending = f".{file_format}"
    with no_fork:
        if not cv2.haveImageWriter(ending):
            raise ValueError(f"unknown file extension: {ending}")
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    try:
        with no_fork:
            done, content = cv2.imencode(
                ending, levels[:, :, order], quality if file_format.lower() in _JPEG_ENDINGS else []
            )
    except cv2.error as error:
        raise OSError(f"cannot write this image as {file_format}: {error}") from error
    if not done:
        raise OSError(f"cannot write this image as {file_format}")
    encoded: bytes = content.tobytes()
    return encoded
