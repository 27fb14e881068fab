"""The `cache` argument: resized images are kept, so that later passes decode nothing."""

from __future__ import annotations

import os
import warnings

from pyloader import _pyloader
from pyloader.arguments import check_bytes
from pyloader.callers import level_of_caller

__all__ = ["CacheSpec", "Caching", "check_cache", "native_of"]

CacheSpec = str | os.PathLike[str] | None
"""What `cache` may be: "memory", a folder, or None."""


class Caching:
    """Where an iterator keeps its images, and the one warning when that does not work.

    Args:
        folder: The folder; None for memory.
        limit: Bytes at most; None for what is sane.
        is_half: Whether the limit is half of the `memory_limit`.
    """

    memory: int
    """Bytes of memory that it may take at most, where that is known."""

    is_half: bool
    """Whether that is half of whatever the `memory_limit` is."""

    native: _pyloader.Cache
    """What loaders take. A loader that is made anew finds the images of the last one in it."""

    def __init__(self, folder: str | None, limit: int | None, is_half: bool = False) -> None:
        self._folder = folder
        self.is_half = is_half
        self._warned = False
        self.memory = 0 if folder is not None else limit or 0
        self.native = _pyloader.Cache(None if folder is None else os.fsencode(folder), limit or 0)

    def look(self) -> None:
        """Warns if the cache has a problem, once; images are loaded all the same.

        Warns:
            UserWarning: The folder cannot be used, or takes no more images.
        """
        if self._warned or not self.native.has_problem:
            return
        self._warned = True
        warnings.warn(
            f"cache={self._folder!r}: {self.native.state()['problem']}. "
            "What is not in the cache is decoded in every pass.",
            UserWarning,
            stacklevel=level_of_caller(),
        )

    def describe(self) -> tuple[int, str]:
        """Bytes taken, and the cache in a few words."""
        state = self.native.state()
        words = "memory" if self._folder is None else self._folder
        if state["problem"]:
            words += f": {state['problem']}"
        elif state["full"]:
            words += ", full"
        return state["bytes"], words


def check_cache(
    cache: CacheSpec, cache_limit: int | str | None, memory_limit: int | None = None
) -> Caching | None:
    """Checks the arguments of those names.

    Args:
        cache: "memory", a folder, or None.
        cache_limit: Bytes, as a number or as text such as "2GB"; None: a sane bound.
        memory_limit: Bytes that the loader may hold with its cache, which then takes half of them
            in memory, if it has no limit of its own.

    Returns:
        What keeps the images; None for nothing.

    Raises:
        TypeError: One of them is of the wrong type.
        ValueError: The limit is no number of bytes, or there is one without a cache; the folder has
            no name.
    """
    limit = check_bytes("cache_limit", cache_limit)
    if cache is None:
        if limit is not None:
            raise ValueError(f"`cache_limit` needs a `cache`. Received: {cache_limit!r}")
        return None
    if not isinstance(cache, (str, os.PathLike)):
        raise TypeError(f'`cache` should be "memory", a folder or None. Received: {cache!r}')
    folder = os.fspath(cache)
    if not isinstance(folder, str) or not folder:
        raise ValueError(f'`cache` should be "memory", a folder or None. Received: {cache!r}')
    if cache == "memory":
        is_half = limit is None and memory_limit is not None
        return Caching(None, memory_limit // 2 if memory_limit and is_half else limit, is_half)
    return Caching(os.path.abspath(folder), limit)  # noqa: PTH100


def native_of(cache: Caching | None) -> _pyloader.Cache | None:
    """What a loader takes for it."""
    return None if cache is None else cache.native
