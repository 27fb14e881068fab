"""Pillow decodes and resizes, Python threads: exact pixels without Keras' overhead."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.peers.base import Batch, Job
from bench.peers.read_ahead import DEPTH, ReadAheadPool


class PillowPeer:
    """Thread pool with read-ahead; Pillow's decoder and resize release the GIL."""

    exact = True

    def __init__(self, job: Job) -> None:
        interpolation = Image.Resampling[job.interpolation.upper()]
        size = (job.width, job.height)

        def fill(path: str, row: NDArray[Any]) -> None:
            with Image.open(path) as image:
                rgb = image if image.mode == "RGB" else image.convert("RGB")
                row[...] = np.asarray(rgb if rgb.size == size else rgb.resize(size, interpolation))

        self._pool = ReadAheadPool(job, fill)

    def settings(self) -> str:
        return f"thread pool; Image.open, convert, resize; {DEPTH} batches ahead"

    def epoch(self) -> Iterator[Batch]:
        return self._pool.epoch()

    def close(self) -> None:
        self._pool.close()
