"""From settings to a native loader."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from pyloader._pyloader import Loader
from pyloader.sample_hooks import PreprocessingFunction, SampleHooks

__all__ = ["LoaderSettings", "automatic_depth", "make_loader", "usable_cores"]


class LoaderSettings(NamedTuple):
    """All that a native loader freezes, apart from its list of files.

    A tuple, so that comparing two of them is cheap and stops at identical values.
    """

    height: int
    width: int
    color_mode: str
    interpolation: str
    keep_aspect_ratio: bool
    channels_first: bool
    dtype: np.dtype[Any]
    rescale: float | None
    preprocessing_function: PreprocessingFunction | None
    num_threads: int
    depth: int
    pad_to_aspect_ratio: bool = False


def make_loader(settings: LoaderSettings, paths: Sequence[str]) -> Loader:
    """Makes a loader; its threads start with the first batch.

    Args:
        settings: What the loader freezes.
        paths: The image files; a batch's indices are positions in this list.

    Returns:
        The loader.

    Raises:
        TypeError: The dtype or the rescaling factor is nothing that NumPy can compute with.
    """
    if settings.pad_to_aspect_ratio:
        from pyloader.padding import PaddingLoader  # does in Python what the core cannot yet

        return cast(Loader, PaddingLoader(settings, paths))
    hooks = SampleHooks(
        color_mode=settings.color_mode,
        height=settings.height,
        width=settings.width,
        interpolation=settings.interpolation,
        keep_aspect_ratio=settings.keep_aspect_ratio,
        channels_first=settings.channels_first,
        rescale=settings.rescale,
        preprocessing_function=settings.preprocessing_function,
    )
    return Loader(
        map(os.fsencode, paths),
        hooks,
        height=settings.height,
        width=settings.width,
        color_mode=settings.color_mode,
        interpolation=settings.interpolation,
        keep_aspect_ratio=settings.keep_aspect_ratio,
        channels_first=settings.channels_first,
        store_table=_store_table(settings.dtype, settings.rescale),
        num_threads=settings.num_threads,
        depth=settings.depth,
    )


def _store_table(dtype: np.dtype[Any], rescale: float | None) -> NDArray[Any]:
    """The batch value of every byte: Keras' own steps, done once by NumPy for all 256 of them."""
    table = np.empty(256, dtype=dtype)
    with np.errstate(all="ignore"):  # a byte that no image has must not warn
        values = np.arange(256, dtype=np.float32)
        if rescale:
            values *= rescale
        table[...] = values
    return table


def usable_cores() -> int:
    """Number of processor cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def automatic_depth(num_threads: int, batch_size: int) -> int:
    """The ring depth that keeps all threads busy: two images for each beyond the batch in use.

    Args:
        num_threads: Threads of the pool.
        batch_size: Samples of a batch.

    Returns:
        Depth in batches, at least 3.
    """
    return max(3, 1 + -(-2 * num_threads // max(1, batch_size)))
