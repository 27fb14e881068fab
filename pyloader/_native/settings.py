"""What a native loader is told: the images' form, the transforms, and the user's options."""

from __future__ import annotations

import os
import warnings
from typing import Any, NamedTuple

import numpy as np

from pyloader import _pyloader
from pyloader._augment.custom import CustomTransforms
from pyloader._augment.standardize import Standardization
from pyloader._native.pillow import Switches
from pyloader.errors import MemoryLimitError, user_stacklevel
from pyloader.options import LoaderOptions

_MiB = 1 << 20
_WORKER_BYTES = 20 * _MiB  # a thread's stack, window of a file, rows of images that are not large
_WINDOW_BYTES = _MiB  # of reading one file ahead
_MAX_FILES_AHEAD = 64
_MIN_IMAGE_BYTES = 16 * _MiB  # a progressive JPEG of 5 megapixels, or a PNG of one


class MemoryPlan(NamedTuple):
    """How `memory_limit` is split; the parts add up to it."""

    limit: int  #: Bytes in all
    num_threads: int  #: Threads of the pool
    slots: int  #: Bytes of all batches, prepared and delivered
    images: int  #: Bytes that decoding large images takes, of all threads together
    files_ahead: int  #: Files that are read ahead, a MiB each


class LoaderSettings(NamedTuple):
    """All that a loader freezes, apart from its source.

    A tuple, so that comparing two of them is cheap and stops at identical values.
    """

    height: int
    width: int
    channels: int  #: Of the batch's images
    color_mode: str
    interpolation: str
    keep_aspect_ratio: bool
    channels_first: bool
    dtype: np.dtype[Any]
    standardization: Standardization = Standardization()
    transforms: bool = False  #: Whether batches come with transform rows
    fill_mode: str = "nearest"
    cval: float = 0.0
    order: int = 1  #: Of the spline that warps interpolate with
    own_transform: CustomTransforms | None = None
    """Calls a generator's own `apply_transform`; None for the usual transforms."""
    pad_to_aspect_ratio: bool = False
    num_threads: int = 1
    depth: int = 1
    fidelity: str = "exact"
    pinning: str = "off"
    """"off", "for_cuda" (where its runtime is loaded) or "always"."""
    cache: _pyloader.Cache | None = None  #: Where resized images are kept
    on_error: str = "raise"
    memory: MemoryPlan | None = None  #: None: no limit
    max_pixels: int = 2**63 - 1
    load_truncated: bool = False
    """Whether Pillow, which ignores what is missing in a file, gets damaged JPEGs too."""


class Cache:
    """Where an iterator keeps its images, and the one warning when that does not work."""

    memory: int  #: Bytes of memory that it may take at most, where that is known
    is_half: bool  #: Whether that is half of whatever the `memory_limit` is
    native: _pyloader.Cache
    """What loaders take. A loader that is made anew finds the images of the last one in it."""

    def __init__(self, options: LoaderOptions) -> None:
        in_memory = options.cache == "memory"
        limit, memory_limit = options.cache_limit, options.memory_limit
        self.is_half = in_memory and limit is None and memory_limit is not None
        if self.is_half:
            limit = int(memory_limit or 0) // 2
        self._folder = None if in_memory else options.cache
        self._warned = False
        self.memory = int(limit or 0) if in_memory else 0
        folder = None if self._folder is None else os.fsencode(self._folder)
        self.native = _pyloader.Cache(folder, int(limit or 0))

    def warn_on_problem(self) -> None:
        """Warns once if the folder cannot be used or takes no more images; they still load."""
        if self._warned or not self.native.has_problem:
            return
        self._warned = True
        warnings.warn(
            f"cache={self._folder!r}: {self.native.state()['problem']}. "
            "What is not in the cache is decoded in every epoch.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )

    def describe(self) -> tuple[int, str]:
        """Returns the bytes taken, and the cache in a few words."""
        state = self.native.state()
        words = "memory" if self._folder is None else str(self._folder)
        if state["problem"]:
            words += f": {state['problem']}"
        elif state["full"]:
            words += ", full"
        return state["bytes"], words


def apply_options(
    settings: LoaderSettings,
    options: LoaderOptions,
    *,
    rows: int,
    num_threads: int,
    switches: Switches,
    cache: Cache | None,
) -> LoaderSettings:
    """Adds the options to what is known about the images."""
    threads = options.num_threads or num_threads
    plan = None
    depth = options.prefetch or automatic_depth(threads, rows)
    if options.memory_limit is not None:
        values = settings.height * settings.width * settings.channels
        plan = plan_memory(
            int(options.memory_limit),
            rows * values * settings.dtype.itemsize,
            values,
            threads,
            cache.memory if cache else 0,
            cache_is_half=cache is not None and cache.is_half,
        )
        threads = plan.num_threads
    pin_memory = options.pin_memory
    return settings._replace(
        num_threads=threads,
        depth=depth,
        fidelity=options.fidelity,
        pinning="for_cuda" if pin_memory is None else "always" if pin_memory else "off",
        cache=cache.native if cache else None,
        on_error=options.on_error,
        memory=plan,
        max_pixels=options.max_pixels or switches.max_pixels,
        load_truncated=switches.load_truncated,
    )


def automatic_depth(num_threads: int, batch_size: int) -> int:
    """Returns the ring depth, at least 3: two images per thread beyond the batch in use."""
    return max(3, 1 + -(-2 * num_threads // max(1, batch_size)))


def plan_memory(
    limit: int,
    batch_bytes: int,
    sample_values: int,
    threads: int,
    cache: int,
    cache_is_half: bool = False,
) -> MemoryPlan:
    """Divides a limit between threads, batches and large images.

    What large images may take does not depend on the number of threads, so that the same ones are
    loaded by any number.
    """
    worker = _WORKER_BYTES + 13 * sample_values  # copies of the sample as float32 and as bytes
    # One batch in the user's hands while the next one is made.
    batches = 2 * batch_bytes
    left = limit - cache - worker - batches
    if left < _MIN_IMAGE_BYTES:
        parts = [
            f"two batches {_in_mb(batches)}",
            f"a thread {_in_mb(worker)}",
            f"large images {_in_mb(_MIN_IMAGE_BYTES)}",
            *([f"the cache {_in_mb(cache)}"] if cache else []),
        ]
        least = batches + worker + _MIN_IMAGE_BYTES
        least += least + 1 if cache_is_half else cache
        raise MemoryLimitError(
            f"memory_limit={limit} ({_in_mb(limit)}) is not enough: {', '.join(parts)}. "
            f"Use {_in_mb(least)} at least, or a smaller batch."
        )
    images = max(left // 2, _MIN_IMAGE_BYTES)
    left -= images
    more = min(threads - 1, left // worker)
    left -= more * worker
    files_ahead = min(_MAX_FILES_AHEAD, left // 8 // _WINDOW_BYTES)
    slots = batches + left - files_ahead * _WINDOW_BYTES
    return MemoryPlan(limit, 1 + more, slots, images, files_ahead)


def _in_mb(amount: int) -> str:
    """Formats an amount of memory, rounded up."""
    return f"{-(-amount // 100_000) / 10:,.1f} MB"
