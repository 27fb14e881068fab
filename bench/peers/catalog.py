"""The measured loaders: class, environment, and difference from the others."""

import importlib
from dataclasses import dataclass

from bench.peers.base import Peer

OPENCV_FILTER = "OpenCV's filter, no antialiasing"


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """One loader."""

    target: str
    """module:class"""
    title: str
    """Its name in tables and charts."""
    environment: str | None
    """Name in environments.ENVIRONMENTS; None: the interpreter that runs the benchmark."""
    difference: str
    """The difference of its pixels or its procedure from the others'."""
    cached: bool = False
    """True to measure it in epochs from a cache."""
    not_cold: str = ""
    """The reason that it cannot be measured with a cold page cache, or ""."""


PEERS = {
    "pyloader": PeerEntry("bench.peers.ours:PyloaderPeer", "pyloader", None, "Pillow's pixels"),
    "pyloader-fast": PeerEntry(
        "bench.peers.ours:FastPeer",
        'pyloader, fidelity="fast"',
        None,
        "resized before the color conversion",
    ),
    "simplejpeg": PeerEntry(
        "bench.peers.simplejpeg_opencv:SimplejpegPeer",
        "simplejpeg + OpenCV, thread pool",
        "pools",
        OPENCV_FILTER,
    ),
    "opencv": PeerEntry(
        "bench.peers.opencv_pool:OpencvPeer", "OpenCV, thread pool", "pools", OPENCV_FILTER
    ),
    "pillow": PeerEntry(
        "bench.peers.pillow_pool:PillowPeer", "Pillow, thread pool", "pools", "Pillow's pixels"
    ),
    "keras": PeerEntry(
        "bench.peers.keras_idg:KerasThreadsPeer",
        "Keras ImageDataGenerator, thread pool",
        "keras",
        "Pillow's pixels",
    ),
    "keras-1": PeerEntry(
        "bench.peers.keras_idg:KerasPeer",
        "Keras ImageDataGenerator, as it is",
        "keras",
        "Pillow's pixels; one thread",
    ),
    "tf-data": PeerEntry(
        "bench.peers.tf_data:TfDataPeer",
        "Keras image_dataset_from_directory (tf.data)",
        "tensorflow",
        "TensorFlow's filter, no antialiasing; shuffled within 8 batches",
    ),
    "torch": PeerEntry(
        "bench.peers.torch_loader:TorchPeer",
        "torch DataLoader, simplejpeg + OpenCV",
        "torch",
        f"{OPENCV_FILTER}; worker processes",
    ),
    "dali": PeerEntry(
        "bench.peers.dali:DaliPeer",
        "DALI on the CPU, antialias=False",
        "dali",
        "DALI's filter, no antialiasing",
    ),
    "dali-antialias": PeerEntry(
        "bench.peers.dali:DaliAntialiasPeer",
        "DALI on the CPU, as it is",
        "dali",
        "DALI's filter with antialiasing",
    ),
    "ffcv": PeerEntry(
        "bench.peers.ffcv_loader:FfcvPeer",
        "FFCV, JPEGs in its own file",
        "ffcv",
        "area averages, fast DCT; converted beforehand",
        not_cold="it maps a file of its own, which the system keeps in the page cache",
    ),
    "spdl": PeerEntry("bench.peers.spdl_pipeline:SpdlPeer", "SPDL", "spdl", "FFmpeg's filter"),
    "grain": PeerEntry(
        "bench.peers.grain_loader:GrainPeer",
        "Grain, simplejpeg + OpenCV",
        "grain",
        OPENCV_FILTER,
    ),
    "pyloader-memory": PeerEntry(
        "bench.peers.ours:MemoryCachePeer",
        'pyloader, cache="memory"',
        None,
        "Pillow's pixels",
        cached=True,
    ),
    "pyloader-folder": PeerEntry(
        "bench.peers.ours:FolderCachePeer",
        "pyloader, cache in a folder",
        None,
        "Pillow's pixels",
        cached=True,
    ),
    "tf-data-cache": PeerEntry(
        "bench.peers.tf_data:TfDataCachePeer",
        "tf.data, cache()",
        "tensorflow",
        "TensorFlow's filter, no antialiasing",
        cached=True,
    ),
    "ffcv-raw": PeerEntry(
        "bench.peers.ffcv_loader:FfcvRawPeer",
        "FFCV, resized pixels in its own file",
        "ffcv",
        "Pillow's pixels, converted beforehand",
        cached=True,
    ),
}
"""Name on the command line -> loader. Any module:class works there too."""


def entry_of(name: str) -> PeerEntry:
    """Returns the entry of a name in PEERS, or a new one for a module:class.

    Raises:
        ValueError: The name is neither.
    """
    if name in PEERS:
        return PEERS[name]
    if ":" not in name:
        raise ValueError(f"a peer is one of {', '.join(PEERS)}, or module:class. Received: {name}")
    return PeerEntry(name, name, None, "")


def load_peer(name: str) -> type[Peer]:
    """Returns the class of a peer, given by its name in PEERS or as module:class.

    Raises:
        ValueError: The name is neither.
        ImportError: The library of the peer is not installed.
    """
    module, _, attribute = entry_of(name).target.partition(":")
    peer: type[Peer] = getattr(importlib.import_module(module), attribute)
    return peer
