"""A peer's job and its batches: the interface of all peers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.files import list_class_folder


class PeerUnavailable(Exception):
    """This peer cannot do the job here; the message has the reason."""


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
        """Builds the job from plain settings; lists the folder."""
        files, labels = list_class_folder(Path(settings["directory"]))
        return cls(files=tuple(files), labels=np.asarray(labels, np.int64), **settings)

    @property
    def batches(self) -> int:
        """Number of batches in an epoch; the last may be smaller."""
        return -(-len(self.files) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Returns the shuffled order of an epoch (from 0), Keras' for this seed."""
        rng = np.random.RandomState(self.seed + epoch * self.batches)
        return rng.permutation(len(self.files)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as the training loop gets it, valid until the next request."""

    images: NDArray[Any]
    """(B, height, width, 3), RGB in 0..255, in the job's dtype."""
    labels: NDArray[Any]
    indices: NDArray[np.int64]
    """Positions in `Job.files`, one per image."""


class Peer(Protocol):
    """A loader under test.

    It may keep threads and buffers between epochs, but must not work between two epochs. A peer
    that converts the files first has `prepare_seconds`, the time of this in its constructor.
    """

    exact: bool
    """True if it promises Pillow's pixels, byte for byte."""

    def __init__(self, job: Job) -> None:
        """Prepares. Raises PeerUnavailable (or ImportError) if it cannot do the job."""

    def settings(self) -> str:
        """Describes its settings in one sentence."""

    def epoch(self) -> Iterator[Batch]:
        """Yields one shuffled epoch over all files."""

    def close(self) -> None:
        """Stops all threads and processes."""
