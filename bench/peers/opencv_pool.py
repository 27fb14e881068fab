"""OpenCV decodes and resizes, Python threads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers.base import Batch, Job
from bench.peers.opencv_image import DIRECT_RGB, decode_rgb, resizer
from bench.peers.read_ahead import DEPTH, ReadAheadPool


class OpencvPeer:
    """Thread pool with read-ahead; decode and resize release the GIL."""

    exact = False

    def __init__(self, job: Job) -> None:
        resize = resizer(job)

        def fill(path: str, row: NDArray[Any]) -> None:
            resize(decode_rgb(np.fromfile(path, np.uint8)), row)

        self._pool = ReadAheadPool(job, fill)

    def settings(self) -> str:
        color = "straight to RGB" if DIRECT_RGB else "to BGR, then cvtColor"
        return (
            f"thread pool; np.fromfile, cv2.imdecode {color}; cv2.resize into reused "
            f"batches; {DEPTH} batches ahead"
        )

    def epoch(self) -> Iterator[Batch]:
        return self._pool.epoch()

    def close(self) -> None:
        self._pool.close()
