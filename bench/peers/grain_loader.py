"""Grain: its reading threads run simplejpeg and OpenCV."""

from collections.abc import Iterator, Sequence
from typing import Any

import grain  # type: ignore[import-not-found]
import numpy as np
from numpy.typing import NDArray

from bench.peers.base import Batch, Job
from bench.peers.read_ahead import DEPTH
from bench.peers.simplejpeg_opencv import decode_and_resize


class GrainPeer:
    """A MapDataset of batches that threads prepare: decoding releases the GIL."""

    exact = False

    def __init__(self, job: Job) -> None:
        self._job = job
        self._epoch = 0
        self._fill = decode_and_resize(job)
        self._options = grain.ReadOptions(num_threads=job.threads, prefetch_buffer_size=DEPTH)

    def settings(self) -> str:
        return (
            f"MapDataset.batch, to_iter_dataset with {self._job.threads} threads, {DEPTH} batches "
            "ahead; simplejpeg.decode_jpeg, cv2.resize"
        )

    def epoch(self) -> Iterator[Batch]:
        order = self._job.order(self._epoch).tolist()
        self._epoch += 1
        dataset = grain.MapDataset.source(order).batch(self._job.batch_size, batch_fn=self._load)
        for images, indices in dataset.to_iter_dataset(self._options):
            yield Batch(images, self._job.labels[indices], indices)

    def close(self) -> None:
        pass

    def _load(self, numbers: Sequence[int]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        shape = (len(numbers), self._job.height, self._job.width, 3)
        images = np.empty(shape, self._job.dtype)
        for number, row in zip(numbers, images, strict=True):
            self._fill(self._job.files[number], row)
        return images, np.asarray(numbers, np.int64)
