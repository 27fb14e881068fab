"""The `memory_limit` argument: how a loader divides what it may hold."""

from __future__ import annotations

from typing import NamedTuple

from pyloader.errors import MemoryLimitError

__all__ = ["MemoryPlan", "plan_memory"]

_MiB = 1 << 20

_WORKER = 20 * _MiB
"""What a thread keeps: its stack, a window of the file, rows of images that are not large."""

_WINDOW = _MiB
"""What reading one file ahead takes."""

_MOST_FILES_AHEAD = 64

_LEAST_FOR_IMAGES = 16 * _MiB
"""A progressive JPEG of 5 megapixels, or a PNG of one."""


class MemoryPlan(NamedTuple):
    """Who may hold how much. All together it is the limit."""

    limit: int
    """Bytes in all."""
    num_threads: int
    """Threads of the pool."""
    slots: int
    """Bytes of all batches, prepared and delivered."""
    images: int
    """Bytes that decoding large images takes, of all threads together."""
    files_ahead: int
    """Files that are read ahead, a MiB each."""


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

    Args:
        limit: Bytes that the loader may hold.
        batch_bytes: Bytes of one batch.
        sample_values: Values of one image of a batch.
        threads: Threads of the pool; fewer, if there is no room for as many.
        cache: Bytes that a cache in memory may take.
        cache_is_half: Whether these are half of any limit. Default False.

    Returns:
        The plan.

    Raises:
        MemoryLimitError: The limit is too little for anything; the message says what would do.
    """
    worker = _WORKER + 13 * sample_values  # copies of the sample as float32 and as bytes
    # One batch in the user's hands while the next one is made.
    batches = 2 * batch_bytes
    left = limit - cache - worker - batches
    if left < _LEAST_FOR_IMAGES:
        parts = [
            f"two batches {_in_mb(batches)}",
            f"a thread {_in_mb(worker)}",
            f"large images {_in_mb(_LEAST_FOR_IMAGES)}",
            *([f"the cache {_in_mb(cache)}"] if cache else []),
        ]
        least = batches + worker + _LEAST_FOR_IMAGES
        least += least + 1 if cache_is_half else cache
        raise MemoryLimitError(
            f"memory_limit={limit} ({_in_mb(limit)}) is not enough: {', '.join(parts)}. "
            f"Use {_in_mb(least)} at least, or a smaller batch."
        )
    images = max(left // 2, _LEAST_FOR_IMAGES)
    left -= images
    more = min(threads - 1, left // worker)
    left -= more * worker
    files_ahead = min(_MOST_FILES_AHEAD, left // 8 // _WINDOW)
    slots = batches + left - files_ahead * _WINDOW
    return MemoryPlan(limit, 1 + more, slots, images, files_ahead)


def _in_mb(amount: int) -> str:
    """An amount of memory in words, rounded up."""
    return f"{-(-amount // 100_000) / 10:,.1f} MB"
