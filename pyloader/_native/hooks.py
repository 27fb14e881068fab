"""What the native pool asks of Python, image by image: other formats and steps that need NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.custom import user_code
from pyloader._augment.transforms import apply_row
from pyloader._native import pillow
from pyloader._native.settings import LoaderSettings


class SampleHooks:
    """The Python side of one native loader (`_pyloader.SampleHooks`).

    The pool's threads call it with the GIL held, several at a time; it keeps no state of its own.
    """

    has_finish: bool  #: True when every sample must pass through `finish`
    native_transform: bool  #: True when the image that `finish` gets is transformed already

    def __init__(
        self,
        settings: LoaderSettings,
        *,
        has_finish: bool = False,
        native_transform: bool = True,
        owner: object = None,
    ) -> None:
        self.has_finish = has_finish
        self.native_transform = native_transform
        self._owner = owner
        self._color_mode = settings.color_mode
        self._size = (settings.height, settings.width) if settings.height else None
        self._pad_to_aspect_ratio = settings.pad_to_aspect_ratio
        self._interpolation = settings.interpolation
        self._keep_aspect_ratio = settings.keep_aspect_ratio
        self._channels_first = settings.channels_first
        self._standardization = settings.standardization
        self._fill_mode = settings.fill_mode
        self._cval = settings.cval
        self._order = settings.order
        self._max_pixels = settings.max_pixels
        self._load_truncated = settings.load_truncated
        self._transform = settings.own_transform or self._apply_row

    def decode_other(
        self,
        content: memoryview,
        out: NDArray[Any] | None,
        transform: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.uint8], bool] | None:
        """Decodes an encoded image by Pillow; see `_pyloader.SampleHooks`."""
        image = pillow.decode(content, self._color_mode, self._max_pixels)
        is_deep = image.mode in pillow.DEEP_MODES
        if is_deep and out is None:
            return None
        if (is_deep or self._interpolation == "nearest") and self._size is not None:
            if is_deep and self._pad_to_aspect_ratio:
                image = pillow.resize_and_pad(image, *self._size, self._interpolation)
            elif not self._pad_to_aspect_ratio:
                crop = self._keep_aspect_ratio
                image = pillow.resize(image, *self._size, self._interpolation, crop)
        pixels = pillow.pixels_of(image)
        if not is_deep:
            # Another thread may have changed the switch since this batch was begun.
            return pixels, self._load_truncated == pillow.Switches.read().load_truncated
        assert out is not None
        values = pixels.astype(np.float32)
        self.finish(values.transpose(2, 0, 1) if self._channels_first else values, out, transform)
        return None

    def check_beginning(self, beginning: memoryview) -> None:
        """Raises an OSError where a file's first bytes tell that `decode_other` will refuse it."""
        pillow.check_beginning(beginning, self._max_pixels)

    def memory_needed(self, beginning: memoryview, size: int) -> int:
        """Returns what `decode_other` takes, at most; 0 where the beginning does not tell."""
        return pillow.memory_needed(beginning, size, self._max_pixels)

    def finish(
        self,
        image: NDArray[np.float32],
        out: NDArray[Any],
        transform: NDArray[np.float64] | None = None,
    ) -> None:
        """Transforms and standardizes one resized image and writes the result."""
        steps = self._standardization
        with user_code(self._owner):
            if transform is not None:
                image = self._transform(image, transform)
            if steps.function is not None:
                image = steps.function(image)
                if np.shape(image) != out.shape:
                    _check_shape(image, out.shape)
            out[...] = steps.normalize(image)

    def _apply_row(self, image: NDArray[Any], row: NDArray[np.float64]) -> NDArray[Any]:
        return apply_row(
            image,
            row,
            channels_first=self._channels_first,
            fill_mode=self._fill_mode,
            cval=self._cval,
            order=self._order,
        )


def _check_shape(image: Any, shape: tuple[int, ...]) -> None:
    """Refuses what NumPy cannot broadcast into the image's place, as Keras would assign it."""
    try:
        fits = image is not None and np.broadcast_shapes(np.shape(image), shape) == shape
    except ValueError:
        fits = False
    if not fits:
        found = "None" if image is None else f"an array of shape {np.shape(image)}"
        raise ValueError(
            f"the preprocessing_function (or `standardize`) returned {found} for an image of shape "
            f"{shape}. It should return an array of the image's shape."
        )
