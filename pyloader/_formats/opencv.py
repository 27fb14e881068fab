"""OpenCV's image reader, imported late and kept quiet."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader.late_imports import late_import


def _cv2() -> Any:
    """OpenCV, with its list of decoders made: it makes it for the first image, whatever that is."""
    return late_import("cv2", lambda cv2: cv2.imdecode(np.zeros(1, np.uint8), cv2.IMREAD_UNCHANGED))


class _Quiet:
    """Turns OpenCV's log off while anyone is inside, and back to what it was after the last one.

    The log level belongs to the process, not to a thread, so the visitors are counted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visitors = 0
        self._level = 0
        self._level_is_known = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave_to_parent)

    def _leave_to_parent(self) -> None:
        """In a child of a fork: the visitors and who holds the lock are not there."""
        self._lock = threading.Lock()
        self._level_is_known = self._visitors > 0  # and OpenCV is silent already
        self._visitors = 0

    def __enter__(self) -> None:
        logging = _cv2().utils.logging
        with self._lock:
            if self._visitors == 0:
                level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
                if not self._level_is_known:
                    self._level = level
                self._level_is_known = False
            self._visitors += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._visitors -= 1
            if self._visitors == 0:
                _cv2().utils.logging.setLogLevel(self._level)


_quiet = _Quiet()


def read(content: bytes) -> NDArray[Any] | None:
    """Decodes an image file with the file's own depth and channels, without the GIL.

    Args:
        content: The file.

    Returns:
        (H, W) or (H, W, C), colour in the order blue, green, red, alpha; None when OpenCV cannot
        read it. Nothing is printed, except by libpng about damaged data.
    """
    cv2 = _cv2()
    with _quiet:
        try:
            image: NDArray[Any] | None = cv2.imdecode(
                np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED
            )
        except cv2.error:
            return None
    return image


_CHANNELS: dict[str, tuple[int | None, ...]] = {
    "BGR2RGB": (2, 1, 0),
    "BGRA2RGBA": (2, 1, 0, 3),
    "RGBA2RGB": (0, 1, 2),
    "RGB2RGBA": (0, 1, 2, None),
    "GRAY2RGB": (0, 0, 0),
    "GRAY2RGBA": (0, 0, 0, None),
}
"""Where each channel of a result comes from; None: it is 255."""


def recolor(image: NDArray[np.uint8], conversion: str) -> NDArray[np.uint8]:
    """Adds, drops or reorders channels, without the GIL.

    By `mixChannels`: `cvtColor` is faster, and keeps a kilobyte for each thread that calls it.

    Args:
        image: (H, W) or (H, W, C), any strides.
        conversion: The end of one of OpenCV's COLOR_ names, as "GRAY2RGB".

    Returns:
        (H, W, C), C-contiguous.
    """
    sources = _CHANNELS[conversion]
    result = np.empty((*image.shape[:2], len(sources)), np.uint8)
    pairs = []
    for place, source in enumerate(sources):
        if source is None:
            result[:, :, place] = 255
        else:
            pairs += [source, place]
    _cv2().mixChannels([np.ascontiguousarray(image)], [result], pairs)
    return result


def swap_red_and_blue(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3 or 4) with the first and third channel exchanged, C-contiguous."""
    return recolor(image, "BGR2RGB" if image.shape[2] == 3 else "BGRA2RGBA")
