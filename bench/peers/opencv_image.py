"""OpenCV's decode, and its resize into a row of a batch, for two of the peers."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.peers.base import Job, PeerUnavailable

FILTERS = {
    "nearest": cv2.INTER_NEAREST_EXACT,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "box": cv2.INTER_AREA,
}

DIRECT_RGB = hasattr(cv2, "IMREAD_COLOR_RGB")
"""True if this OpenCV decodes straight to RGB; older ones return BGR."""


def decode_rgb(content: NDArray[np.uint8]) -> NDArray[Any]:
    """Decodes a file's content to (H, W, 3) RGB, without EXIF rotation, as Keras does.

    Raises:
        OSError: OpenCV does not decode the content.
    """
    flags = cv2.IMREAD_IGNORE_ORIENTATION
    flags |= cv2.IMREAD_COLOR_RGB if DIRECT_RGB else cv2.IMREAD_COLOR
    image = cv2.imdecode(content, flags)
    if image is None:
        raise OSError("OpenCV cannot decode one of the files")
    return image if DIRECT_RGB else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def resizer(job: Job) -> Callable[[NDArray[Any], NDArray[Any]], None]:
    """Returns a function that resizes an image into its row of the batch, on the calling thread.

    Raises:
        PeerUnavailable: OpenCV has no filter of that name.
    """
    if job.interpolation not in FILTERS:
        raise PeerUnavailable(f"OpenCV has no {job.interpolation} filter")
    cv2.setNumThreads(0)  # one thread per image: the pool has the threads
    interpolation = FILTERS[job.interpolation]
    size = (job.width, job.height)

    def resize_in_place(image: NDArray[Any], row: NDArray[Any]) -> None:
        cv2.resize(image, size, dst=row, interpolation=interpolation)

    def resize_and_convert(image: NDArray[Any], row: NDArray[Any]) -> None:
        row[...] = cv2.resize(image, size, interpolation=interpolation)

    return resize_in_place if job.dtype == "uint8" else resize_and_convert
