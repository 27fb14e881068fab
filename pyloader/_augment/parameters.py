"""Checks of the parameters of an ImageDataGenerator, whenever they are set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyloader.options import check_choice


def zoom_limits(zoom_range: Any) -> list[float]:
    """Returns the minimum and the maximum zoom factor."""
    if isinstance(zoom_range, (float, int)):
        return [1 - zoom_range, 1 + zoom_range]
    is_sequence = isinstance(zoom_range, (tuple, list, str, np.ndarray))
    if (
        is_sequence
        and len(zoom_range) == 2
        and all(isinstance(value, (float, int)) for value in zoom_range)
    ):
        return [zoom_range[0], zoom_range[1]]
    raise (ValueError if is_sequence else TypeError)(
        f"`zoom_range` should be a float or a tuple or list of two floats. Received: {zoom_range}"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (
        isinstance(value, (np.generic, np.ndarray))
        and value.ndim == 0
        and value.dtype.kind in "biuf"
    )


def check_number(name: str, value: Any) -> None:
    if not _is_number(value):
        raise TypeError(f"`{name}` should be a number. Received: {value!r}")


def _check_shift(name: str, value: Any) -> None:
    numbers = value if isinstance(value, (tuple, list, np.ndarray)) and np.ndim(value) else [value]
    if value is not None and not all(map(_is_number, numbers)):
        raise TypeError(f"`{name}` should be a number or a list of numbers. Received: {value!r}")


def _check_brightness(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(map(_is_number, value)):
        raise ValueError(
            f"`brightness_range should be tuple or list of two floats. Received: {value}"
        )


def _check_rescale(name: str, value: Any) -> None:
    try:
        fits = value is None or np.asarray(value).dtype.kind in "biuf"
    except ValueError:
        fits = False
    if not fits:
        raise TypeError(
            f"`{name}` should be a number, a list of numbers or None. Received: {value!r}"
        )


def _check_function(name: str, value: Any) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"`{name}` should be a function or None. Received: {value!r}")


def _check_order(name: str, value: Any) -> None:
    if not _is_number(value) or value not in range(6):
        raise ValueError(f"`{name}` should be an integer from 0 to 5. Received: {value!r}")


_FILL_MODES = ("nearest", "constant", "reflect", "wrap")
_SCIPY_FILL_MODES = ("mirror", "grid-constant", "grid-mirror", "grid-wrap")

CHECKS: dict[str, Callable[[str, Any], object]] = {
    **dict.fromkeys(("rotation_range", "shear_range", "channel_shift_range", "cval"), check_number),
    **dict.fromkeys(("width_shift_range", "height_shift_range"), _check_shift),
    "brightness_range": _check_brightness,
    "rescale": _check_rescale,
    "preprocessing_function": _check_function,
    "interpolation_order": _check_order,
    "fill_mode": lambda name, value: check_choice(name, value, _FILL_MODES + _SCIPY_FILL_MODES),
    "shift_axes": lambda name, value: check_choice(name, value, ("keras", "corrected")),
}
"""Checks of the attributes, whenever they are set."""
