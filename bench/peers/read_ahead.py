"""The pool of the Python-threaded peers, which decodes ahead into reused batches."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers.base import Batch, Job

DEPTH = 4
"""Batches prefetched, so that the pool never idles within an epoch."""

CHUNK = 8
"""Images per task: small enough to share a batch between threads, large enough to cost little."""

Fill = Callable[[str, NDArray[Any]], None]
"""Decodes and resizes the file at a path into its row (height, width, 3) of the batch."""


class ReadAheadPool:
    """A thread pool that runs `fill` for every image of an epoch and delivers batches in order."""

    def __init__(self, job: Job, fill: Fill) -> None:
        self._job = job
        self._fill = fill
        self._epoch = 0
        self._threads = ThreadPoolExecutor(job.threads)
        shape = (min(job.batch_size, len(job.files)), job.height, job.width, 3)
        self._buffers = [np.empty(shape, job.dtype) for _ in range(DEPTH + 1)]

    def epoch(self) -> Iterator[Batch]:
        """Yields one epoch; a batch's buffer is reused at the request for the next batch."""
        order = self._job.order(self._epoch)
        self._epoch += 1
        size = self._job.batch_size
        starts = iter(range(0, len(order), size))
        free = deque(self._buffers)
        waiting: deque[tuple[NDArray[Any], NDArray[np.int64], list[Future[None]]]] = deque()

        def submit_next() -> None:
            start = next(starts, None)
            if start is not None:
                indices = order[start : start + size]
                buffer = free.popleft()
                waiting.append((buffer, indices, self._submit(indices, buffer)))

        try:
            for _ in range(DEPTH):
                submit_next()
            while waiting:
                buffer, indices, futures = waiting.popleft()
                for future in futures:
                    future.result()
                submit_next()
                yield Batch(buffer[: len(indices)], self._job.labels[indices], indices)
                free.append(buffer)
        finally:
            for _, _, futures in waiting:
                for future in futures:
                    future.cancel() or future.exception()

    def close(self) -> None:
        """Stops the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _submit(self, indices: NDArray[np.int64], buffer: NDArray[Any]) -> list[Future[None]]:
        chunks = range(0, len(indices), CHUNK)
        return [
            self._threads.submit(self._fill_chunk, indices[at : at + CHUNK], buffer[at:])
            for at in chunks
        ]

    def _fill_chunk(self, indices: NDArray[np.int64], rows: NDArray[Any]) -> None:
        for index, row in zip(indices.tolist(), rows, strict=False):
            self._fill(self._job.files[index], row)
