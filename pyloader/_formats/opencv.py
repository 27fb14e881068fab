"""OpenCV's image reader, imported late, kept quiet and kept out of forks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._native.forks import no_fork
from pyloader._native.late_imports import late_import


class _Silence:
    """Turns OpenCV's log off while anyone is inside, and back to what it was after the last one.

    The log level belongs to the process, not to a thread, so the visitors are counted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visitors = 0
        self._level = 0

    def __enter__(self) -> None:
        logging = late_import("cv2").utils.logging
        with self._lock:
            if self._visitors == 0:
                self._level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
            self._visitors += 1

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._visitors -= 1
            if self._visitors == 0:
                late_import("cv2").utils.logging.setLogLevel(self._level)


_silence = _Silence()


@contextmanager
def _opencv() -> Iterator[Any]:
    """OpenCV, silent and not interrupted by a fork.

    It makes much on first use: where a thread was at that during a fork, the child waits for ever.
    """
    cv2 = late_import("cv2")
    with no_fork, _silence:
        yield cv2


def read(content: bytes) -> NDArray[Any] | None:
    """Decodes an image file with the file's own depth and channels, without the GIL.

    Args:
        content: The file.

    Returns:
        (H, W) or (H, W, C), colour in the order blue, green, red, alpha; None when OpenCV cannot
        read it. Nothing is printed, except by libpng about damaged data.
    """
    with _opencv() as cv2:
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
    given = np.ascontiguousarray(image)
    with _opencv() as cv2:
        cv2.mixChannels([given], [result], pairs)
    return result


def swap_red_and_blue(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3 or 4) with the first and third channel exchanged, C-contiguous."""
    return recolor(image, "BGR2RGB" if image.shape[2] == 3 else "BGRA2RGBA")
