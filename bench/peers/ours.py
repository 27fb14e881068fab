"""pyloader itself, through its public API."""

import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pyloader
from bench.peers.base import Batch, Job, PeerUnavailable


class PyloaderPeer:
    """`for x, y in iterator.epoch()`, automatic read-ahead."""

    exact = True
    fidelity = "exact"

    def __init__(self, job: Job, **extras: Any) -> None:
        self._iterator = pyloader.ImageDataGenerator(dtype=job.dtype).flow_from_directory(
            job.directory,
            target_size=(job.height, job.width),
            batch_size=job.batch_size,
            interpolation=job.interpolation,
            class_mode="sparse",
            seed=job.seed,
            num_threads=job.threads,
            fidelity=self.fidelity,
            verbose=False,
            **extras,
        )
        if tuple(self._iterator.filepaths) != job.files:
            raise PeerUnavailable("it finds other files in this folder than the benchmark")

    def settings(self) -> str:
        return f"flow_from_directory, fidelity {self.fidelity}, no cache, automatic read-ahead"

    def epoch(self) -> Iterator[Batch]:
        try:
            for x, y in self._iterator.epoch():
                indices = self._iterator.batch_indices
                assert indices is not None
                yield Batch(x, y, indices)
        finally:
            # Assigning a position drops the next epoch's prefetched batches: the others' turn.
            self._iterator.batch_index = 0

    def close(self) -> None:
        self._iterator.close()


class FastPeer(PyloaderPeer):
    """The same with `fidelity="fast"`."""

    exact = False
    fidelity = "fast"


class MemoryCachePeer(PyloaderPeer):
    """The same with a cache in memory, which the warm-up epoch fills."""

    def __init__(self, job: Job) -> None:
        super().__init__(job, cache="memory")

    def settings(self) -> str:
        return 'flow_from_directory, cache="memory"'


class FolderCachePeer(PyloaderPeer):
    """The same with a cache in a folder, which the warm-up epoch fills."""

    def __init__(self, job: Job) -> None:
        self._folder = tempfile.mkdtemp(prefix="pyloader-bench-")
        super().__init__(job, cache=self._folder)

    def settings(self) -> str:
        return "flow_from_directory, cache in a folder"

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)
