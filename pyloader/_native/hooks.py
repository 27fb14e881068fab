"""What the native pool asks of Python, image by image: other formats and steps that need NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.standardize import Standardization
from pyloader._augment.transforms import apply_row
from pyloader._native.forks import watch_forks
from pyloader._native.late_imports import late_import
from pyloader.arguments import MAX_PIXELS

__all__ = ["SampleHooks"]

_NOTHING = Standardization()


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
        standardization: What happens to the values after the transform.
        fill_mode: What lies beyond the edge of a warped image.
        cval: The value there for "constant".
        order: Order of the spline that warps interpolate with.
        has_finish: Whether every sample must pass through `finish`.
        native_transform: Whether the core transforms the images that it passes to `finish`.
        transform: Transforms an image by its row; None: as `transforms.apply_row` does.
        max_pixels: Pixels of an image at most.
    """

    has_finish: bool
    """True when every sample must pass through `finish`."""
    native_transform: bool
    """True when the image that `finish` gets is transformed already."""

    def __init__(
        self,
        *,
        color_mode: str = "rgb",
        height: int = 0,
        width: int = 0,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        channels_first: bool = False,
        standardization: Standardization = _NOTHING,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        order: int = 1,
        has_finish: bool = False,
        native_transform: bool = True,
        transform: Callable[[NDArray[Any], NDArray[np.float64]], Any] | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        watch_forks()
        self.has_finish = has_finish
        self.native_transform = native_transform
        self._color_mode = color_mode
        self._height = height
        self._width = width
        self._interpolation = interpolation
        self._keep_aspect_ratio = keep_aspect_ratio
        self._channels_first = channels_first
        self._standardization = standardization
        self._fill_mode = fill_mode
        self._cval = cval
        self._order = order
        self._max_pixels = max_pixels
        self._transform = transform or self._apply_row

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
            transform: The sample's transform row, (11,); None for none.

        Returns:
            (H, W, C) uint8 at the image's natural size; or None for an image deeper than 8 bits,
            which is then finished and written to `out` (where given).

        Raises:
            OSError: The content cannot be decoded; the message is the reason.
        """
        other_formats = late_import("pyloader._native.other_formats")
        try:
            image = other_formats.decode(content, self._color_mode, self._max_pixels)
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
        self.finish(resized, out, transform)
        return None

    def check_beginning(self, beginning: bytes) -> None:
        """Refuses what `decode_other` will refuse, where the content's first bytes tell.

        Args:
            beginning: The content's first bytes, as many as there are at hand.

        Raises:
            OSError: It cannot be decoded; the message is the reason.
        """
        try:
            late_import("pyloader._native.other_formats").check_beginning(
                beginning, self._max_pixels
            )
        except ValueError as error:
            raise OSError(str(error)) from error

    def memory_needed(self, beginning: bytes, size: int) -> int:
        """What `decode_other` takes for some content.

        Args:
            beginning: The content's first bytes, as many as there are at hand.
            size: All of its bytes.

        Returns:
            Bytes, at most; 0 where the beginning does not tell.
        """
        needed: int = late_import("pyloader._native.other_formats").memory_needed(
            beginning, size, self._max_pixels
        )
        return needed

    def finish(
        self,
        image: NDArray[np.float32],
        out: NDArray[Any],
        transform: NDArray[np.float64] | None = None,
    ) -> None:
        """Transforms and standardises one resized image and writes the result.

        Args:
            image: One image of its own in the batch's layout; may be changed.
            out: Its place in the batch.
            transform: Its transform row, (11,); None where the core has done that, or for none.
        """
        if transform is not None:
            image = self._transform(image, transform)
        out[...] = self._standardization.apply(image)

    def _apply_row(self, image: NDArray[Any], row: NDArray[np.float64]) -> NDArray[Any]:
        return apply_row(
            image,
            row,
            channels_first=self._channels_first,
            fill_mode=self._fill_mode,
            cval=self._cval,
            order=self._order,
        )
