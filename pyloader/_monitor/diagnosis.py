"""From counters to a line in words: what limits a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyloader._native.cores import usable_cores

if TYPE_CHECKING:
    from pyloader._monitor.stats import Stats

__all__ = ["limit_of"]

_NOT_WAITING = 0.05  # share of its time that a consumer may wait and still be what limits
_OWN_WORK = 0.3  # share of the workers' time from which a stage is told apart
_MOST = 0.5  # reading also takes long where threads share their cores
_HELD_UP = 0.7  # share of its time that a working thread should have a core


def limit_of(stats: Stats) -> str:
    """What limits a run, and what would help, in one line.

    Args:
        stats: The snapshot.

    Returns:
        The line.
    """
    if stats.batches < 5 or stats.seconds <= 0:
        return "too few batches to tell"
    working = stats.num_threads * stats.seconds - stats.idle_seconds
    waiting = stats.wait_seconds / stats.seconds
    if waiting < _NOT_WAITING:
        room = stats.num_threads * stats.seconds / working if working > 0 else float("inf")
        return f"the consumer, which waits {waiting:.0%} of its time; up to {room:.1f}x is possible"
    found = f"the loader: the consumer waits {waiting:.0%} of its time; "
    cores, shares = usable_cores(), stats.shares()
    if shares["preprocessing"] > _OWN_WORK:
        return found + "Python code for each image runs one at a time: make it cheaper"
    if shares["other formats"] > _OWN_WORK:
        return found + "formats other than JPEG are decoded in Python: convert the files"
    if shares["read"] > _MOST:
        if stats.reading_threads:
            threads = f"{stats.reading_threads} threads that read ahead"
            return found + f"reading files takes long, for all of {threads}: a faster disk"
        return (
            found + f"reading files takes long: a faster disk, or more than {stats.num_threads} "
            "threads"
        )
    if stats.num_threads < cores:
        return found + f"num_threads={cores} would use all cores"
    if working > 0 and stats.cpu_seconds < _HELD_UP * working:
        return found + "its threads share their cores with other work"
    if shares["cache"] > _MOST:
        return found + "copying images from the cache, as fast as the memory is"
    if stats.cache:
        return found + "decoding: more cores, or smaller image files"
    return found + 'decoding: cache="memory" for later passes, more cores, or smaller image files'
