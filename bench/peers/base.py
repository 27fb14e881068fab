"""What a peer is given and what it must deliver: the same job for everybody."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.files import list_class_folder


class PeerUnavailable(Exception):
    """This peer cannot do the job here; the message says why."""


@dataclass(frozen=True, slots=True)
class Job:
    """One loading job. `files` and `labels` are in Keras' order."""

    directory: str
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    height: int
    width: int
    batch_size: int
    threads: int
    dtype: str
    interpolation: str
    seed: int

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "Job":
        """Builds the job from plain settings, listing the folder."""
        files, labels = list_class_folder(Path(settings["directory"]))
        return cls(files=tuple(files), labels=np.asarray(labels, np.int64), **settings)

    @property
    def batches(self) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-len(self.files) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The shuffled order of an epoch (from 0), the same as Keras' for this seed."""
        rng = np.random.RandomState(self.seed + epoch * self.batches)
        return rng.permutation(len(self.files)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as the training loop gets it, valid until the next one is asked for."""

    images: NDArray[Any]
    """(B, height, width, 3), RGB in 0..255, in the job's dtype."""
    labels: NDArray[Any]
    indices: NDArray[np.int64]
    """Positions in `Job.files`, one per image."""


class Peer(Protocol):
    """A loader under test.

    It may keep threads and buffers between epochs, but between two epochs it must not work. One
    that converts the files first has `prepare_seconds`, the time that this took in its constructor.
    """

    exact: bool
    """Whether it promises Pillow's pixels, byte for byte."""

    def __init__(self, job: Job) -> None:
        """Gets ready. Raises PeerUnavailable (or ImportError) when it cannot do the job."""

    def settings(self) -> str:
        """How it is set up, in one sentence."""

    def epoch(self) -> Iterator[Batch]:
        """One shuffled epoch over all files."""

    def close(self) -> None:
        """Stops everything."""
