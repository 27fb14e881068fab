"""What this version does not do yet: refused by name instead of silently ignored."""

from __future__ import annotations

from typing import Any

__all__ = ["SWITCHES", "refuse_unsupported"]

SWITCHES = (
    "zca_whitening",
    "featurewise_center",
    "featurewise_std_normalization",
    "samplewise_center",
    "samplewise_std_normalization",
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "shear_range",
    "channel_shift_range",
    "horizontal_flip",
    "vertical_flip",
)


def refuse_unsupported(generator: Any) -> None:
    """Raises for a generator with an active parameter that is not implemented yet.

    Args:
        generator: An ImageDataGenerator, or None.

    Raises:
        NotImplementedError: Names the parameter and its value.
    """
    if generator is None:
        return
    for name in SWITCHES:
        if getattr(generator, name):
            _refuse(name, getattr(generator, name))
    if generator.brightness_range is not None:
        _refuse("brightness_range", generator.brightness_range)
    low, high = generator.zoom_range
    if not low == high == 1:
        _refuse("zoom_range", generator.zoom_range)


def _refuse(name: str, value: object) -> None:
    raise NotImplementedError(
        f"`{name}` is not implemented yet in this version of pyloader: leave it at its default. "
        f"Received: {value!r}"
    )
