"""Keras' own ImageDataGenerator: its iterator alone, and with threads that prefetch from it."""

import importlib.util
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from bench.peers.base import Batch, Job, PeerUnavailable

if "KERAS_BACKEND" not in os.environ:  # Keras needs one to import; loading uses NumPy alone
    installed = [name for name in ("jax", "torch") if importlib.util.find_spec(name)]
    os.environ["KERAS_BACKEND"] = (installed or ["tensorflow"])[0]

from keras.src.legacy.preprocessing.image import (  # type: ignore[import-untyped]
    ImageDataGenerator,
)


class KerasPeer:
    """`next(iterator)` on the consumer's thread, which is what a plain loop gets."""

    exact = True

    def __init__(self, job: Job) -> None:
        self._job = job
        self._iterator: Any = ImageDataGenerator(dtype=job.dtype).flow_from_directory(
            job.directory,
            target_size=(job.height, job.width),
            batch_size=job.batch_size,
            interpolation=job.interpolation,
            class_mode="sparse",
            seed=job.seed,
        )
        if tuple(self._iterator.filepaths) != job.files:
            raise PeerUnavailable("it finds other files in this folder than the benchmark")

    def settings(self) -> str:
        return "next(iterator) in the consumer's thread, no read-ahead: as Keras runs by default"

    def epoch(self) -> Iterator[Batch]:
        for number in range(self._job.batches):
            x, y = next(self._iterator)
            yield self._batch(x, y, number)

    def close(self) -> None:
        pass

    def _batch(self, x: Any, y: Any, number: int) -> Batch:
        size = self._job.batch_size
        return Batch(x, y, self._iterator.index_array[number * size : (number + 1) * size])


class KerasThreadsPeer(KerasPeer):
    """A thread pool that calls `iterator[i]` in order, ahead of the consumer: its best setting."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._epoch = 0
        self._threads = ThreadPoolExecutor(job.threads)

    def settings(self) -> str:
        return f"iterator[i] on a thread pool, in order, {2 * self._job.threads} batches ahead"

    def epoch(self) -> Iterator[Batch]:
        self._iterator.index_array = self._job.order(self._epoch)
        self._epoch += 1
        numbers = iter(range(self._job.batches))
        waiting: deque[tuple[int, Future[Any]]] = deque()

        def submit_next() -> None:
            number = next(numbers, None)
            if number is not None:
                future = self._threads.submit(self._iterator.__getitem__, number)
                waiting.append((number, future))

        try:
            for _ in range(2 * self._job.threads):
                submit_next()
            while waiting:
                number, future = waiting.popleft()
                x, y = future.result()
                submit_next()
                yield self._batch(x, y, number)
        finally:
            for _, future in waiting:
                future.cancel() or future.exception()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
