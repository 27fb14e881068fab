"""simplejpeg decodes, OpenCV resizes, Python threads: the fastest peer that needs no conversion."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from numpy.typing import NDArray

from bench.files import JPEG_SUFFIXES
from bench.peers.base import Batch, Job, PeerUnavailable
from bench.peers.opencv_image import decode_rgb, resizer
from bench.peers.read_ahead import DEPTH, Fill, ReadAheadPool


def decode_and_resize(job: Job) -> Fill:
    """Returns a function that decodes a file and resizes it into its row of the batch.

    Raises:
        PeerUnavailable: A file is not a JPEG, or OpenCV lacks the filter.
    """
    others = sum(not file.lower().endswith(JPEG_SUFFIXES) for file in job.files)
    if others:
        raise PeerUnavailable(f"it reads JPEG only, and {others} files are something else")
    resize = resizer(job)
    decoder = _Decoder()

    def fill(path: str, row: NDArray[Any]) -> None:
        resize(decoder.decode(Path(path).read_bytes()), row)

    return fill


class SimplejpegPeer:
    """Thread pool with read-ahead; decode and resize release the GIL."""

    exact = False

    def __init__(self, job: Job) -> None:
        self._pool = ReadAheadPool(job, decode_and_resize(job))

    def settings(self) -> str:
        return (
            "thread pool; simplejpeg.decode_jpeg to RGB, exact DCT, reused buffers; cv2.resize "
            f"into reused batches; {DEPTH} batches ahead"
        )

    def epoch(self) -> Iterator[Batch]:
        return self._pool.epoch()

    def close(self) -> None:
        self._pool.close()


class _Decoder(threading.local):
    """Decodes into one buffer per thread: no allocation per image once warm."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.uint8)

    def decode(self, content: bytes) -> NDArray[Any]:
        """Returns the image in RGB, valid until this thread decodes the next."""
        height, width, _, _ = simplejpeg.decode_jpeg_header(content, strict=False)
        size = 3 * height * width
        if self._buffer.size < size:
            self._buffer = np.empty(size, np.uint8)
        try:
            image: NDArray[np.uint8] = simplejpeg.decode_jpeg(
                content, "RGB", buffer=self._buffer, strict=False
            )
        except ValueError:  # CMYK, which simplejpeg does not turn into RGB
            return decode_rgb(np.frombuffer(content, np.uint8))
        return image
