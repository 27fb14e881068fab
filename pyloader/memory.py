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
    limit: int, batch_bytes: int, sample_values: int, threads: int, least_threads: int, cache: int
) -> MemoryPlan:
    """Divides a limit: a part for the threads, and two halves for batches and for large images.

    Args:
        limit: Bytes that the loader may hold.
        batch_bytes: Bytes of one batch.
        sample_values: Values of one image of a batch.
        threads: Threads of the pool; fewer, if there is no room for as many.
        least_threads: How many threads there must be.
        cache: Bytes that a cache in memory may take.

    Returns:
        The plan.

    Raises:
        MemoryLimitError: The limit is too little for anything; the message says what would do.
    """
    worker = _WORKER + 13 * sample_values  # copies of the sample as float32 and as bytes

    def left(threads: int) -> int:
        """What is left for batches and images."""
        return limit - cache - threads * worker

    # One batch in the user's hands while the next one is made.
    needed = 2 * batch_bytes + _LEAST_FOR_IMAGES
    while threads > least_threads and left(threads) < needed:
        threads -= 1
    rest = left(threads)
    if rest < needed:
        parts = [
            f"two batches {_in_mb(2 * batch_bytes)}",
            f"{threads} thread{'s' if threads > 1 else ''} {_in_mb(threads * worker)}",
            f"large images {_in_mb(_LEAST_FOR_IMAGES)}",
            *([f"the cache {_in_mb(cache)}"] if cache else []),
        ]
        least = limit - rest + needed
        raise MemoryLimitError(
            f"memory_limit={limit} ({_in_mb(limit)}) is not enough: {', '.join(parts)}. "
            f"Use {_in_mb(least)} at least, a smaller batch or fewer threads."
        )
    files_ahead = min(_MOST_FILES_AHEAD, (rest - needed) // 8 // _WINDOW)
    rest -= files_ahead * _WINDOW
    images = min(max(rest // 2, _LEAST_FOR_IMAGES), rest - 2 * batch_bytes)
    return MemoryPlan(limit, threads, rest - images, images, files_ahead)


def _in_mb(amount: int) -> str:
    """An amount of memory in words, rounded up."""
    return f"{-(-amount // 100_000) / 10:,.1f} MB"
