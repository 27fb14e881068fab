"""From settings to a loader: the native one, or NumPy's for arrays that are not float32."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyloader import _pyloader
from pyloader._augment.transforms import is_native
from pyloader._native.hooks import SampleHooks
from pyloader._native.settings import LoaderSettings, MemoryPlan
from pyloader.options import CHANNELS

Source: TypeAlias = "Sequence[str] | NDArray[Any]"
"""Where images come from: paths of files, or an array of rank 4 in the batches' layout."""

_NATIVE_DTYPES = frozenset(np.dtype(name) for name in ("float32", "float64", "float16", "uint8"))


class Loader(Protocol):
    """What a prefetch queue uses of a loader; see the native one's stub."""

    def submit(
        self,
        indices: NDArray[np.int64],
        transforms: NDArray[np.float64] | None = None,
        substitutes: NDArray[np.int64] | None = None,
    ) -> int:
        """Queues one batch and returns its ticket."""

    def wait(self, ticket: int) -> tuple[NDArray[Any], list[tuple[int, int, str]]]:
        """Returns the batch of a ticket, and its images that could not be loaded."""

    def cancel(self) -> None:
        """Drops every ticket that was not waited for."""

    def close(self) -> None:
        """Stops for good."""

    @property
    def files_wanted(self) -> int:
        """How many samples beyond the ring it would use to have submitted."""

    def stats(self) -> dict[str, int]:
        """Returns the counters since construction."""


def make_loader(settings: LoaderSettings, source: Source, owner: object) -> Loader:
    """Makes a loader; its threads start with the first batch."""
    is_array = isinstance(source, np.ndarray)
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
    if settings.transforms and settings.own_transform is None and not native_transform:
        with contextlib.suppress(ImportError):  # the first image will say so
            import scipy.ndimage  # type: ignore[import-untyped]  # noqa: F401  # not on pool threads
    hooks = SampleHooks(
        settings, has_finish=has_finish, native_transform=native_transform, owner=owner
    )
    if isinstance(source, np.ndarray) and source.dtype != np.float32:
        return ArrayLoader(source, hooks)
    return _pyloader.Loader(
        [] if is_array else map(os.fsencode, source),
        hooks,
        height=settings.height,
        width=settings.width,
        color_mode=settings.color_mode,
        interpolation=settings.interpolation,
        keep_aspect_ratio=settings.keep_aspect_ratio,
        pad_to_aspect_ratio=settings.pad_to_aspect_ratio,
        channels_first=settings.channels_first,
        store_table=_store_table(settings.dtype, factor),
        num_threads=settings.num_threads,
        depth=settings.depth,
        array=np.ascontiguousarray(source) if is_array else None,
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
        load_truncated=settings.load_truncated,
        **_memory_arguments(settings.memory),
    )


class ArrayLoader:
    """Makes batches on the caller's thread, with Keras' steps in the array's own dtype.

    Has the methods of the native loader. A batch is made when it is waited for: nothing would be
    gained before.
    """

    files_wanted = 0

    def __init__(self, array: NDArray[Any], hooks: SampleHooks) -> None:
        self._array = array
        self._hooks = hooks
        self._tickets: dict[int, tuple[NDArray[np.int64], NDArray[np.float64] | None]] = {}
        self._submitted = 0
        self._closed = False
        self._counters = {"samples": 0, "batches": 0}

    def submit(
        self,
        indices: NDArray[np.int64],
        transforms: NDArray[np.float64] | None = None,
        substitutes: NDArray[np.int64] | None = None,
    ) -> int:
        """Queues one batch; `substitutes` have no effect, as an array holds no bad images."""
        self._submitted += 1
        self._tickets[self._submitted] = (indices, transforms)
        return self._submitted

    def wait(self, ticket: int) -> tuple[NDArray[Any], list[tuple[int, int, str]]]:
        """Makes the batch of a ticket, which is used up."""
        if self._closed:
            raise RuntimeError("the loader is closed")
        indices, transforms = self._tickets.pop(ticket)
        batch = np.zeros((len(indices), *self._array.shape[1:]), dtype=self._array.dtype)
        for position, index in enumerate(indices):
            transform = None if transforms is None else transforms[position]
            self._hooks.finish(self._array[index].copy(), batch[position], transform)
        self._counters["samples"] += len(indices)
        self._counters["batches"] += 1
        return batch, []

    def cancel(self) -> None:
        """Drops every ticket that was not waited for."""
        self._tickets.clear()

    def close(self) -> None:
        """Makes every later `wait` fail."""
        self._closed = True

    def stats(self) -> dict[str, int]:
        """Returns the batches made and their samples."""
        return dict(self._counters)


def _memory_arguments(plan: MemoryPlan | None) -> dict[str, int]:
    if plan is None:
        return {}
    return {"slot_room": plan.slots, "image_room": plan.images, "files_ahead": plan.files_ahead}


def _statistics(
    values: Any, settings: LoaderSettings, source: Source
) -> NDArray[np.float64] | None:
    """Returns fitted values as the core takes them: one for each channel, or (H, W, C)."""
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
    """Returns the batch value of every byte: Keras' own steps, done once by NumPy."""
    table = np.empty(256, dtype=dtype)
    with np.errstate(all="ignore"):  # a byte that no image has must not warn
        values = np.arange(256, dtype=np.float32)
        if rescale:
            values *= rescale
        table[...] = values
    return table
