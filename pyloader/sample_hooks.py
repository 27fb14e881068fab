"""What the native pool asks of Python, image by image: other formats and the user's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PreprocessingFunction", "SampleHooks"]

PreprocessingFunction = Callable[[NDArray[np.float32]], Any]
"""The user's function: one image of rank 3, float32, in; an array of the same shape out."""


class SampleHooks:
    """The Python side of one native loader (`_pyloader.SampleHooks`).

    The pool's threads call it with the GIL held, several at a time; it keeps no state of its own.

    Args:
        color_mode: "grayscale", "rgb" or "rgba".
        height: Height of a finished image in pixels.
        width: Width of a finished image in pixels.
        interpolation: Name of Pillow's filter.
        keep_aspect_ratio: Whether to crop to the target's shape before resizing.
        channels_first: Whether finished images are (C, H, W); else (H, W, C).
        rescale: Factor for every value after the user's function; None or 0 for none.
        preprocessing_function: The user's function, None for none.
    """

    has_finish: bool
    """True when every sample must pass through `finish`."""

    def __init__(
        self,
        *,
        color_mode: str,
        height: int = 0,
        width: int = 0,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        channels_first: bool = False,
        rescale: float | None = None,
        preprocessing_function: PreprocessingFunction | None = None,
    ) -> None:
        self.has_finish = bool(preprocessing_function)
        self._color_mode = color_mode
        self._height = height
        self._width = width
        self._interpolation = interpolation
        self._keep_aspect_ratio = keep_aspect_ratio
        self._channels_first = channels_first
        self._rescale = rescale
        self._function = preprocessing_function

    native_transform = True
    """The core transforms images before `finish`."""

    def decode_other(
        self,
        content: bytes,
        out: NDArray[Any] | None,
        transform: NDArray[np.float64] | None = None,
    ) -> NDArray[np.uint8] | None:
        """Decodes an encoded image that is not a JPEG.

        Args:
            content: The whole file.
            out: The sample's place in the batch, (H, W, C) or (C, H, W); None where there is none.

        Returns:
            (H, W, C) uint8 at the image's natural size; or None for an image deeper than 8 bits,
            which is then finished and written to `out` (where given).

        Raises:
            OSError: The content cannot be decoded; the message is the reason.
        """
        from pyloader import other_formats  # brings in OpenCV, which only such files need

        try:
            image = other_formats.decode(content, self._color_mode)
            if isinstance(image, np.ndarray):
                return image
            if out is None:
                return None
            resized = image.resize(
                self._height, self._width, self._interpolation, self._keep_aspect_ratio
            )
        except ValueError as error:
            raise OSError(str(error)) from error
        if self._channels_first:
            resized = np.ascontiguousarray(resized.transpose(2, 0, 1))
        self.finish(resized, out)
        return None

    def finish(
        self,
        image: NDArray[np.float32],
        out: NDArray[Any],
        transform: NDArray[np.float64] | None = None,
    ) -> None:
        """Applies the user's function, then the rescaling, and writes the result.

        Args:
            image: One resized image in the batch's layout; the user's function may change it.
            out: Its place in the batch.
        """
        result: Any = image
        if self._function:
            result = self._function(result)
        if self._rescale:
            result *= self._rescale
        out[...] = result
