"""NVIDIA DALI with its operators for the CPU, without a GPU."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from nvidia.dali import fn, pipeline_def, types  # type: ignore[import-not-found]

from bench.peers.base import Batch, Job, PeerUnavailable

FILTERS = {
    "nearest": types.INTERP_NN,
    "bilinear": types.INTERP_LINEAR,
    "bicubic": types.INTERP_CUBIC,
    "lanczos": types.INTERP_LANCZOS3,
}

DEPTH = 2
"""Batches prefetched, DALI's default."""


class DaliPeer:
    """A pipeline of file names, whose reading, decoding and resizing run on DALI's threads.

    It schedules batches itself, as DALI's iterators do, so that no work crosses the epoch's end.
    """

    exact = False
    antialias = False

    def __init__(self, job: Job) -> None:
        if job.interpolation not in FILTERS:
            raise PeerUnavailable(f"DALI has no {job.interpolation} filter")
        self._job = job
        self._epoch = 0
        self._names = [np.frombuffer(file.encode(), np.uint8) for file in job.files]
        self._to_read: Iterator[NDArray[np.int64]] = iter(())
        self._pipeline = self._build()

    def settings(self) -> str:
        return (
            f"io.file.read, decoders.image and resize (antialias={self.antialias}), "
            f"{self._job.threads} threads, {DEPTH} batches ahead"
        )

    def epoch(self) -> Iterator[Batch]:
        order = self._job.order(self._epoch)
        self._epoch += 1
        starts = range(0, len(order), self._job.batch_size)
        batches = [order[start : start + self._job.batch_size] for start in starts]
        self._to_read = iter(batches)
        self._pipeline.schedule_run()  # the first one fills the pipeline
        for indices in batches:
            (images,) = self._pipeline.share_outputs()
            yield Batch(images.as_array(), self._job.labels[indices], indices)
            self._pipeline.release_outputs()
            self._pipeline.schedule_run()
        self._pipeline.reset()  # it has reached the end of the names

    def close(self) -> None:
        del self._pipeline

    def _build(self) -> Any:
        @pipeline_def(  # type: ignore[untyped-decorator]
            batch_size=self._job.batch_size,
            num_threads=self._job.threads,
            device_id=None,
            prefetch_queue_depth=DEPTH,
        )
        def load() -> Any:
            names = fn.external_source(source=self._next_names, batch=True)
            images = fn.decoders.image(
                fn.io.file.read(names), output_type=types.RGB, adjust_orientation=False
            )
            dtype = types.UINT8 if self._job.dtype == "uint8" else types.FLOAT
            return fn.resize(
                images,
                size=[self._job.height, self._job.width],
                interp_type=FILTERS[self._job.interpolation],
                antialias=self.antialias,
                dtype=dtype,
            )

        pipeline = load()
        pipeline.build()
        return pipeline

    def _next_names(self) -> list[NDArray[np.uint8]]:
        return [self._names[index] for index in next(self._to_read).tolist()]


class DaliAntialiasPeer(DaliPeer):
    """The same with DALI's default filter, which averages as Pillow's does."""

    antialias = True
