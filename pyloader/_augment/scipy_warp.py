"""What the native core leaves to NumPy and SciPy: other dtypes, spline orders and fill modes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def apply_row(
    image: NDArray[Any],
    row: NDArray[np.float64],
    *,
    channels_first: bool,
    fill_mode: str,
    cval: float,
    order: int,
    intensity: Any,
) -> NDArray[Any]:
    """Transforms one image with Keras' arithmetic in the image's dtype.

    Arguments, result and errors are those of `transforms.apply_row`; the dtype of the result is
    what Keras' steps make of the image's.
    """
    if row[0]:
        image = _warp(image, row, channels_first, fill_mode, cval, order)
    if not np.isnan(row[7]):
        image = np.clip(image + intensity, image.min(), image.max())
    rows, columns = (1, 2) if channels_first else (0, 1)
    if row[8]:
        image = np.flip(image, columns)
    if row[9]:
        image = np.flip(image, rows)
    if not np.isnan(row[10]):
        image = _brighten(image, float(row[10]), 0 if channels_first else 2)
    return image


def _warp(
    image: NDArray[Any],
    row: NDArray[np.float64],
    channels_first: bool,
    fill_mode: str,
    cval: float,
    order: int,
) -> NDArray[Any]:
    """Resamples every channel by SciPy."""
    try:
        from scipy import ndimage  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(
            "interpolation orders above 1, fill modes other than nearest, constant, reflect and "
            "wrap, and images that are not float32 are warped by SciPy, which is not installed. "
            "Install it: pip install scipy"
        ) from error
    axis = 0 if channels_first else 2
    channels = [
        ndimage.affine_transform(
            channel, row[1:5].reshape(2, 2), row[5:7], order=order, mode=fill_mode, cval=cval
        )
        for channel in np.moveaxis(image, axis, 0)
    ]
    return np.stack(channels, axis=axis)


def _brighten(image: NDArray[Any], factor: float, channel_axis: int) -> NDArray[Any]:
    """Multiplies bytes; what is not within their range is stretched to it and back."""
    low, high = image.min(), image.max()
    stretched = low < 0 or high > 255
    values = image.astype(np.float32)
    if stretched:
        values -= values.min()
        top = values.max()
        if top != 0:
            values /= top
        values *= 255
    levels = values.astype(np.uint8)
    scaled = np.clip(levels.astype(np.float32) * np.float32(factor), 0, 255).astype(np.uint8)
    if image.shape[channel_axis] == 4:  # alpha stays
        alpha: list[Any] = [slice(None)] * 3
        alpha[channel_axis] = 3
        scaled[tuple(alpha)] = levels[tuple(alpha)]
    result: NDArray[Any] = scaled.astype(np.float32)
    if stretched:
        result = result / 255 * (high - low) + low
    return result
