"""Whether two iterators can go in step as images and masks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pyloader.callers import level_of_caller
from pyloader.iterators.base import Iterator

__all__ = ["check_draws", "check_on_error", "warn_of_changes"]

# What makes Keras draw numbers for an image. The draws stay in step if both draw as many.
_WARPS = (
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "shear_range",
    "zoom_range",
)
_DRAWS = (*_WARPS, "horizontal_flip", "vertical_flip", "channel_shift_range", "brightness_range")


def check_on_error(images: Iterator) -> None:
    """Refuses what would set the rows of images and masks apart, by the images' options."""
    options = images._options
    if options.on_error == "replace":
        raise ValueError(
            'A pair cannot `on_error="replace"`: what takes the place of an image would not take '
            'that of its mask. Use "drop", which drops both.'
        )
    if options.on_error == "drop" and options.last_batch == "pad":
        raise ValueError('A pair cannot `on_error="drop"` with `last_batch="pad"`.')


def check_draws(images: Iterator, masks: Iterator) -> None:
    """Refuses generators that would draw different numbers, or different amounts of them."""
    first = getattr(images, "image_data_generator", None)
    second = getattr(masks, "image_data_generator", None)
    for name in _DRAWS:
        values = [
            _plain(getattr(generator, name, None)) for generator in (first, second) if generator
        ]
        if len(values) == 2 and values[0] != values[1]:
            raise ValueError(
                f"The generators of `images` and `masks` should have the same `{name}`: the random "
                "draws would not be the same. What is meant for the images alone can be done in "
                f"their `preprocessing_function`. Received: {values[0]!r} and {values[1]!r}"
            )


def _plain(value: Any) -> Any:
    """A parameter's value, comparable: a range as a list; nothing at all as False."""
    if isinstance(value, (tuple, list, np.ndarray)):
        return list(value)
    return value or False


def warn_of_changes(masks: Iterator) -> None:
    """Warns of settings that mix the classes of a mask or make others of them."""
    interpolation = getattr(masks, "interpolation", "nearest")
    if interpolation != "nearest":
        _warn(f"resized with interpolation={interpolation!r}", 'interpolation="nearest"')
    generator = getattr(masks, "image_data_generator", None)
    order = getattr(generator, "interpolation_order", 0)
    if order and any(_plain(getattr(generator, name, 0)) not in (False, [1, 1]) for name in _WARPS):
        _warn(f"warped with interpolation_order={order}", "interpolation_order=0")
    for name in ("channel_shift_range", "brightness_range"):
        if _plain(getattr(generator, name, None)):
            _warn(f"changed by {name}", "a `preprocessing_function` for the images instead")


def _warn(what: str, instead: str) -> None:
    warnings.warn(
        f"The masks are {what}: their values would no longer be classes. Use {instead}.",
        UserWarning,
        stacklevel=level_of_caller(),
    )
