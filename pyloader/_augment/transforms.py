"""Transform parameters as rows of numbers for the native core, and their effect on an image.

A transform row is float64, (11,):

    0       1 where the image is warped, else 0
    1 .. 4  m00 m01 m10 m11 and
    5 .. 6  o0 o1: the output pixel (r, c) is sampled at row o0 + r * m00 + c * m01 and column
            o1 + r * m10 + c * m11 of the input, in pixels
    7       what is added to every value, NaN for nothing
    8, 9    1 where the image is flipped horizontally, vertically
    10      the factor of the brightness, NaN for none
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader import _pyloader

COLUMNS = (
    "theta",
    "tx",
    "ty",
    "shear",
    "zx",
    "zy",
    "flip_horizontal",
    "flip_vertical",
    "channel_shift_intensity",
    "brightness",
)
"""Keras' names of the parameters, in the order of a parameter table's columns."""

DEFAULTS = np.array([0, 0, 0, 0, 1, 1, 0, 0, np.nan, np.nan])
"""The parameters that change nothing, (len(COLUMNS),)."""

NATIVE_FILL_MODES = frozenset({"nearest", "constant", "reflect", "wrap"})
"""Fill modes that the native core knows."""

ROW_LENGTH = 11
"""Numbers of a transform row."""


def table_of(parameters: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Returns Keras' dictionaries as (images, len(COLUMNS)); a missing entry changes nothing."""
    table = np.empty((len(parameters), len(COLUMNS)))
    table[:] = DEFAULTS
    for row, given in zip(table, parameters, strict=True):
        for column, name in enumerate(COLUMNS):
            value = given.get(name)
            if value is not None:
                row[column] = bool(value) if name.startswith("flip") else value
    return table


def transform_rows(table: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Turns transform parameters into transform rows.

    The matrices are products of the same factors in the same order as Keras', by the same routine
    of NumPy's BLAS, so that they have the same bits. A factor that Keras leaves out for an image
    is the identity here, and multiplying with that changes no bit.
    """
    rows = np.zeros((len(table), ROW_LENGTH))
    rows[:, 7] = table[:, 8]
    rows[:, 8:10] = table[:, 6:8]
    rows[:, 10] = table[:, 9]
    differs = table[:, :6] != DEFAULTS[:6]
    if not differs.any():
        return rows
    rows[:, 0] = differs.any(axis=1)
    matrices = _centered(_matrices(table, differs.any(axis=0)), height, width)
    # Keras' matrices act on (column, row); here rows come first.
    rows[:, 1] = matrices[:, 1, 1]
    rows[:, 2] = matrices[:, 1, 0]
    rows[:, 3] = matrices[:, 0, 1]
    rows[:, 4] = matrices[:, 0, 0]
    rows[:, 5] = matrices[:, 1, 2]
    rows[:, 6] = matrices[:, 0, 2]
    return rows


def _matrices(table: NDArray[np.float64], active: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rotation times shift times shear times zoom, (k, 3, 3), without those that no image has."""
    product: NDArray[np.float64] | None = None
    if active[0]:
        angle = np.deg2rad(table[:, 0])
        factor = _identities(len(table))
        factor[:, 0, 0] = factor[:, 1, 1] = np.cos(angle)
        factor[:, 1, 0] = np.sin(angle)
        factor[:, 0, 1] = -factor[:, 1, 0]
        product = factor
    if active[1] or active[2]:
        factor = _identities(len(table))
        factor[:, 0, 2] = table[:, 1]
        factor[:, 1, 2] = table[:, 2]
        product = factor if product is None else product @ factor
    if active[3]:
        angle = np.deg2rad(table[:, 3])
        factor = _identities(len(table))
        factor[:, 0, 1] = -np.sin(angle)
        factor[:, 1, 1] = np.cos(angle)
        product = factor if product is None else product @ factor
    if active[4] or active[5]:
        factor = _identities(len(table))
        factor[:, 0, 0] = table[:, 4]
        factor[:, 1, 1] = table[:, 5]
        product = factor if product is None else product @ factor
    return _identities(len(table)) if product is None else product


def _identities(count: int) -> NDArray[np.float64]:
    matrices = np.zeros((count, 3, 3))
    matrices[:, [0, 1, 2], [0, 1, 2]] = 1
    return matrices


def _centered(matrices: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """The same maps around the center of the image instead of its first pixel."""
    x, y = float(height) / 2 - 0.5, float(width) / 2 - 0.5
    offset = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    reset = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    centered: NDArray[np.float64] = offset @ matrices @ reset
    return centered


def is_native(fill_mode: str, order: int) -> bool:
    """Whether the native core can warp in this way."""
    return fill_mode in NATIVE_FILL_MODES and order in (0, 1)


def apply_row(
    image: NDArray[Any],
    row: NDArray[np.float64],
    *,
    channels_first: bool,
    fill_mode: str,
    cval: float,
    order: int,
    intensity: Any = None,
) -> NDArray[Any]:
    """Transforms one image by its row; returns the image itself where nothing changes.

    Other dtypes than float32, orders above 1 and fill modes that the core does not know take SciPy.
    `intensity` is what the row adds, as it was given: NumPy adds an int to integers in their own
    dtype. None: the row's float.
    """
    if not (row[0] or row[8] or row[9] or row[7] == row[7] or row[10] == row[10]):
        return image
    if row[10] == row[10]:
        check_brightness_channels(image.shape[0 if channels_first else 2])
    if image.dtype == np.float32 and (not row[0] or is_native(fill_mode, order)):
        return _pyloader.transform_image(
            np.ascontiguousarray(image),
            row,
            channels_first=channels_first,
            fill_mode=fill_mode if row[0] else "nearest",
            cval=float(cval),
            order=int(order) if row[0] else 1,
        )
    if intensity is None or image.dtype == np.float32:
        intensity = float(row[7])
    from pyloader._augment import scipy_warp  # few need it

    return scipy_warp.apply_row(
        image,
        row,
        channels_first=channels_first,
        fill_mode=fill_mode,
        cval=cval,
        order=order,
        intensity=intensity,
    )


def check_brightness_channels(channels: int) -> None:
    """Raises Keras' ValueError for images whose brightness it cannot change."""
    if channels not in {1, 3, 4}:
        raise ValueError(f"Unsupported channel number: {channels}")
