"""From settings to a native loader."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pyloader import _pyloader
from pyloader._augment.custom import CustomTransforms
from pyloader._augment.standardize import Standardization
from pyloader._augment.transforms import is_native
from pyloader._native.array_loader import ArrayLoader
from pyloader._native.hooks import SampleHooks
from pyloader._native.memory import MemoryPlan
from pyloader.arguments import CHANNELS, MAX_PIXELS, MAX_SCANS

__all__ = [
    "Loader",
    "LoaderSettings",
    "Source",
    "automatic_depth",
    "check_pin_memory",
    "make_loader",
]

Source: TypeAlias = "Sequence[str] | NDArray[Any]"
"""Where images come from: paths of files, or an array of rank 4 in the batches' layout."""

_NATIVE_DTYPES = frozenset(np.dtype(name) for name in ("float32", "float64", "float16", "uint8"))


class Loader(Protocol):
    """What a lookahead asks of a loader; see the native one's stub."""

    def submit(
        self,
        indices: NDArray[np.int64],
        transforms: NDArray[np.float64] | None = None,
        substitutes: NDArray[np.int64] | None = None,
    ) -> int:
        """Queues one batch and returns its ticket."""

    def wait(self, ticket: int) -> tuple[NDArray[Any], list[tuple[int, int, str]]]:
        """The batch of a ticket, and its images that could not be loaded."""

    def cancel(self) -> None:
        """Drops every ticket that was not waited for."""

    def close(self) -> None:
        """Stops for good."""

    @property
    def files_wanted(self) -> int:
        """How many samples beyond the ring it would use to have submitted."""

    def stats(self) -> dict[str, int]:
        """Counters since construction."""


class LoaderSettings(NamedTuple):
    """All that a loader freezes, apart from its source.

    A tuple, so that comparing two of them is cheap and stops at identical values.
    """

    height: int
    width: int
    channels: int
    """Of the batch's images."""
    color_mode: str
    interpolation: str
    keep_aspect_ratio: bool
    channels_first: bool
    dtype: np.dtype[Any]
    standardization: Standardization
    transforms: bool
    """Whether batches come with transform rows."""
    fill_mode: str
    cval: float
    order: int
    own_transform: CustomTransforms | None
    """What a generator's own `apply_transform` does; None for the usual transforms."""
    num_threads: int
    depth: int
    pad_to_aspect_ratio: bool = False
    fidelity: str = "exact"
    pinning: str = "off"
    """"off", "for_cuda" or "always"; see `check_pin_memory`."""
    cache: _pyloader.Cache | None = None
    """Where resized images are kept."""
    on_error: str = "raise"
    memory: MemoryPlan | None = None
    """Who may hold how much memory; None: no limit."""
    max_pixels: int = MAX_PIXELS
    max_scans: int = MAX_SCANS


def make_loader(settings: LoaderSettings, source: Source) -> Loader:
    """Makes a loader; its threads start with the first batch.

    Args:
        settings: What the loader freezes.
        source: The images; a batch's indices are positions in it.

    Returns:
        The loader: native, except for arrays that are not float32.

    Raises:
        TypeError: The dtype or the rescaling factor is nothing that NumPy can compute with.
        ValueError: Fitted statistics do not fit the images.
    """
    if settings.pad_to_aspect_ratio:
        from pyloader._native.padding import (
            PaddingLoader,  # does in Python what the core cannot yet
        )

        return PaddingLoader(settings, cast(Sequence[str], source))
    steps = settings.standardization
    native_transform = settings.own_transform is None and (
        not settings.transforms or is_native(settings.fill_mode, settings.order)
    )
    # A list has a factor for each channel, which the core does not know.
    factor: Any = steps.rescale if np.ndim(steps.rescale or 0) == 0 else None
    has_finish = bool(
        steps.function
        or factor is not steps.rescale
        or steps.whitening is not None
        or not native_transform
        or (
            settings.dtype not in _NATIVE_DTYPES
            and (settings.transforms or not steps.only_rescales)
        )
    )
    hooks = SampleHooks(
        color_mode=settings.color_mode,
        height=settings.height,
        width=settings.width,
        interpolation=settings.interpolation,
        keep_aspect_ratio=settings.keep_aspect_ratio,
        channels_first=settings.channels_first,
        standardization=steps,
        fill_mode=settings.fill_mode,
        cval=settings.cval,
        order=settings.order,
        has_finish=has_finish,
        native_transform=native_transform,
        transform=settings.own_transform,
        max_pixels=settings.max_pixels,
    )
    if isinstance(source, np.ndarray) and source.dtype != np.float32:
        return ArrayLoader(source, hooks)
    return _pyloader.Loader(
        [] if isinstance(source, np.ndarray) else map(os.fsencode, source),
        hooks,
        height=settings.height,
        width=settings.width,
        color_mode=settings.color_mode,
        interpolation=settings.interpolation,
        keep_aspect_ratio=settings.keep_aspect_ratio,
        channels_first=settings.channels_first,
        store_table=_store_table(settings.dtype, factor),
        num_threads=settings.num_threads,
        depth=settings.depth,
        array=np.ascontiguousarray(source) if isinstance(source, np.ndarray) else None,
        fill_mode=settings.fill_mode if native_transform else "nearest",
        cval=float(settings.cval),
        order=int(settings.order) if native_transform else 1,
        rescale=float(factor or 0.0),
        samplewise_center=steps.samplewise_center,
        samplewise_std=steps.samplewise_std,
        mean=_statistics(steps.mean, settings, source),
        std=_statistics(steps.divisor, settings, source),
        fidelity=settings.fidelity,
        pinning=settings.pinning,
        cache=settings.cache,
        cache_base=os.fsencode(Path.cwd()),
        on_error=settings.on_error,
        max_pixels=settings.max_pixels,
        max_scans=settings.max_scans,
        **_rooms(settings.memory),
    )


def _rooms(plan: MemoryPlan | None) -> dict[str, int]:
    """The plan as the native loader takes it."""
    if plan is None:
        return {}
    return {"slot_room": plan.slots, "image_room": plan.images, "files_ahead": plan.files_ahead}


def _statistics(
    values: Any, settings: LoaderSettings, source: Source
) -> NDArray[np.float64] | None:
    """Fitted values as the core takes them: one for each channel, or (H, W, C)."""
    if values is None:
        return None
    first = settings.channels_first
    channels = CHANNELS[settings.color_mode]
    if isinstance(source, np.ndarray):
        channels = source.shape[1 if first else 3]
    values = np.asarray(values, dtype=np.float64)
    if values.shape == ((channels, 1, 1) if first else (1, 1, channels)):
        return np.ascontiguousarray(values.reshape(channels))
    size = (settings.height, settings.width)
    whole = np.broadcast_to(values, (channels, *size) if first else (*size, channels))
    return np.ascontiguousarray(whole.transpose(1, 2, 0) if first else whole)


def _store_table(dtype: np.dtype[Any], rescale: float | None) -> NDArray[Any]:
    """The batch value of every byte: Keras' own steps, done once by NumPy for all 256 of them."""
    table = np.empty(256, dtype=dtype)
    with np.errstate(all="ignore"):  # a byte that no image has must not warn
        values = np.arange(256, dtype=np.float32)
        if rescale:
            values *= rescale
        table[...] = values
    return table


def automatic_depth(num_threads: int, batch_size: int) -> int:
    """The ring depth that keeps all threads busy: two images for each beyond the batch in use.

    Args:
        num_threads: Threads of the pool.
        batch_size: Samples of a batch.

    Returns:
        Depth in batches, at least 3.
    """
    return max(3, 1 + -(-2 * num_threads // max(1, batch_size)))


def check_pin_memory(pin_memory: bool | None) -> str:
    """Checks the argument of that name.

    Args:
        pin_memory: None, True or False.

    Returns:
        "for_cuda": pinned where it is of use, with a CUDA runtime that is loaded; "always": locked
        by the system otherwise; or "off".

    Raises:
        TypeError: It is something else.
    """
    if pin_memory is None:
        return "for_cuda"
    if not isinstance(pin_memory, (bool, np.bool_)):
        raise TypeError(f"`pin_memory` should be None, True or False. Received: {pin_memory!r}")
    return "always" if pin_memory else "off"
