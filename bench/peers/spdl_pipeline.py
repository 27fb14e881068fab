"""SPDL: FFmpeg decodes and scales on the threads of a pipeline."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import spdl.io  # type: ignore[import-not-found]
    from spdl.pipeline import PipelineBuilder  # type: ignore[import-not-found]

    spdl.io.demux_image  # noqa: B018  # loads FFmpeg's libraries
except RuntimeError as error:
    raise ImportError("no FFmpeg libraries (4 to 9) that SPDL could load") from error

from bench.peers.base import Batch, Job, PeerUnavailable
from bench.peers.read_ahead import DEPTH

FILTERS = {
    "nearest": "neighbor",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "box": "area",
    "lanczos": "lanczos",
}


class SpdlPeer:
    """A stage that loads a batch per call, with one call per thread at a time."""

    exact = False

    def __init__(self, job: Job) -> None:
        if job.interpolation not in FILTERS:
            raise PeerUnavailable(f"FFmpeg has no {job.interpolation} filter")
        self._job = job
        self._epoch = 0
        flags = FILTERS[job.interpolation]
        self._filters = f"scale=w={job.width}:h={job.height}:flags={flags},format=pix_fmts=rgb24"

    def settings(self) -> str:
        return (
            f"pipe(load_image_batch, concurrency={self._job.threads}), output in order, "
            f"{DEPTH} batches in the sink"
        )

    def epoch(self) -> Iterator[Batch]:
        order = self._job.order(self._epoch)
        self._epoch += 1
        size = self._job.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        pipeline = (
            PipelineBuilder()
            .add_source(batches)
            .pipe(self._load, concurrency=self._job.threads, output_order="input")
            .add_sink(DEPTH)
            .build(num_threads=self._job.threads)
        )
        with pipeline.auto_stop():
            for images, indices in pipeline:
                yield Batch(images, self._job.labels[indices], indices)

    def close(self) -> None:
        pass

    def _load(self, indices: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        files = [self._job.files[index] for index in indices.tolist()]
        buffer = spdl.io.load_image_batch(
            files, width=self._job.width, height=self._job.height, filter_desc=self._filters
        )
        images = spdl.io.to_numpy(buffer)
        return images.astype(self._job.dtype, copy=False), indices
