"""What a peer is given and what it must deliver: the same job for everybody."""

import importlib
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

    It may keep threads and buffers between epochs, but between two epochs it must not work.
    """

    exact: bool
    """Whether it promises Pillow's pixels, byte for byte."""

    def __init__(self, job: Job) -> None:
        """Gets ready. Raises PeerUnavailable (or ImportError) when it cannot do the job."""

    def settings(self) -> str:
        """How it is set up, in one sentence."""

    def epoch(self) -> Iterator[Batch]:
        """One shuffled pass over all files."""

    def close(self) -> None:
        """Stops everything."""


PEERS = {
    "pyloader": "bench.peers.ours:PyloaderPeer",
    "pyloader-fast": "bench.peers.ours:FastPeer",
    "simplejpeg": "bench.peers.simplejpeg_opencv:SimplejpegPeer",
    "opencv": "bench.peers.opencv_pool:OpencvPeer",
    "pillow": "bench.peers.pillow_pool:PillowPeer",
    "keras": "bench.peers.keras_idg:KerasThreadsPeer",
    "keras-1": "bench.peers.keras_idg:KerasPeer",
}
"""Name on the command line -> module:class. Any other module:class works there too."""


def load_peer(name: str) -> type[Peer]:
    """The class of a peer, given by its name in PEERS or as module:class.

    Raises:
        ValueError: for a name that is neither.
        ImportError: when the library that the peer measures is not installed.
    """
    module, separator, attribute = PEERS.get(name, name).partition(":")
    if not separator:
        known = ", ".join(PEERS)
        raise ValueError(f"a peer is one of {known}, or module:class. Received: {name}")
    peer: type[Peer] = getattr(importlib.import_module(module), attribute)
    return peer
