"""The keyword-only options that every iterator takes, checked once."""

from __future__ import annotations

from typing import NamedTuple

from pyloader._distributed import shards
from pyloader._distributed.shards import ShardSpec
from pyloader._native.loading import LoaderSettings, check_pin_memory
from pyloader._native.memory import plan_memory
from pyloader.arguments import (
    MAX_PIXELS,
    MAX_SCANS,
    check_bytes,
    check_count,
    check_fidelity,
    check_last_batch,
    check_limit,
    check_on_error,
)
from pyloader.caching import CacheSpec, Caching, check_cache, native_of

__all__ = ["Options", "check_options"]


class Options(NamedTuple):
    """How an iterator loads, as checked by `check_options`."""

    num_threads: int | None
    prefetch: int | None
    shard: ShardSpec
    last_batch: str
    fidelity: str
    pinning: str
    cache: Caching | None
    on_error: str
    memory_limit: int | None
    max_pixels: int
    max_scans: int

    def apply(self, settings: LoaderSettings, rows: int) -> LoaderSettings:
        """Tells a loader of the options that concern it.

        Args:
            settings: What is known about the images.
            rows: Rows of a batch.

        Returns:
            The settings with the options.

        Raises:
            MemoryLimitError: The `memory_limit` is too little for such batches.
        """
        plan = None
        if self.memory_limit is not None:
            values = settings.height * settings.width * settings.channels
            plan = plan_memory(
                self.memory_limit,
                rows * values * settings.dtype.itemsize,
                values,
                settings.num_threads,
                self.cache.memory if self.cache else 0,
                cache_is_half=self.cache is not None and self.cache.is_half,
            )
            settings = settings._replace(num_threads=plan.num_threads)
        return settings._replace(
            fidelity=self.fidelity,
            pinning=self.pinning,
            cache=native_of(self.cache),
            on_error=self.on_error,
            memory=plan,
            max_pixels=self.max_pixels,
            max_scans=self.max_scans,
        )


def check_options(
    n: int,
    batch_size: int,
    *,
    num_threads: int | None = None,
    prefetch: int | None = None,
    shard: ShardSpec = None,
    last_batch: str = "keep",
    fidelity: str = "exact",
    pin_memory: bool | None = None,
    cache: CacheSpec = None,
    cache_limit: int | str | None = None,
    on_error: str = "raise",
    memory_limit: int | str | None = None,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
) -> Options:
    """Checks the options of an iterator; see `Iterator` for what they mean.

    Args:
        n: Number of samples.
        batch_size: Samples of a batch.

    Returns:
        The options.

    Raises:
        TypeError: A value of the wrong type.
        ValueError: A value that is not among the possible ones.
    """
    memory = check_bytes("memory_limit", memory_limit)
    return Options(
        num_threads=check_count("num_threads", num_threads),
        prefetch=check_count("prefetch", prefetch),
        shard=shards.check_shard(shard),
        last_batch=check_last_batch(last_batch, n, batch_size),
        fidelity=check_fidelity(fidelity),
        pinning=check_pin_memory(pin_memory),
        cache=check_cache(cache, cache_limit, memory),
        on_error=check_on_error(on_error),
        memory_limit=memory,
        max_pixels=check_limit("max_pixels", max_pixels),
        max_scans=check_limit("max_scans", max_scans),
    )
