"""Batches of images that are fitted into their place and framed with zeros.

The native loader fills whole samples. Here each image is loaded natively at the size that fits,
on Python threads, and put into the middle of its place.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._native.image_size import read_image_size
from pyloader._native.load_img import load_img
from pyloader._native.loading import LoaderSettings
from pyloader.arguments import CHANNELS
from pyloader.errors import ImageError

__all__ = ["PaddingLoader", "fitted_place"]


class _Batch(NamedTuple):
    """A batch under way."""

    images: NDArray[Any]
    tasks: list[Future[tuple[int, str] | None]]


class PaddingLoader:
    """Does what a native `_pyloader.Loader` does, with pictures that keep their shape.

    All methods may be called from any thread.

    Args:
        settings: What the images become; `keep_aspect_ratio` and what happens to values are not
            looked at.
        paths: The image files; a batch's indices are positions in this list.
    """

    def __init__(self, settings: LoaderSettings, paths: Sequence[str]) -> None:
        self._settings = settings
        self._paths = paths
        self._pool = ThreadPoolExecutor(settings.num_threads, "pyloader-pad")
        self._tickets = itertools.count()
        self._lock = threading.Lock()  # guards what follows
        self._queued: dict[int, tuple[NDArray[np.int64], NDArray[np.int64] | None]] = {}
        self._begun: dict[int, _Batch] = {}
        self._counters = dict.fromkeys(("samples", "batches", "errors", "wait_ns"), 0)

    def submit(
        self,
        indices: NDArray[np.int64],
        transforms: NDArray[np.float64] | None = None,
        substitutes: NDArray[np.int64] | None = None,
    ) -> int:
        """Queues one batch and returns its ticket at once; at most `depth` batches are under way.

        Args:
            indices: Positions in the list of paths, (k,).
            transforms: None: nothing is changed at random here.
            substitutes: Positions to try in place of each, (k, any), for on_error="replace".

        Returns:
            The ticket for `wait`.

        Raises:
            IndexError: There is no such position.
            RuntimeError: The loader is closed.
        """
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self._paths):
            raise IndexError(
                f"a sample index is out of range: there are {len(self._paths)} samples"
            )
        with self._lock:
            ticket = next(self._tickets)
            self._queued[ticket] = indices, substitutes
            self._begin()
        return ticket

    def wait(self, ticket: int) -> tuple[NDArray[Any], list[tuple[int, int, str]]]:
        """Waits for a batch; an interrupt leaves the ticket valid.

        Args:
            ticket: What `submit` returned.

        Returns:
            (k, H, W, C) or (k, C, H, W); the array is the caller's. And the images that could
            not be loaded: place, which position took it (-1: none), and the reason.

        Raises:
            ImageError: The first bad image of the batch that `on_error` does not deal with.
            RuntimeError: The loader is closed or the ticket unknown.
        """
        with self._lock:
            if ticket not in self._begun:
                raise RuntimeError(f"no batch is under way for ticket {ticket}")
            batch = self._begun[ticket]
        begun = time.perf_counter_ns()
        try:
            results = [task.result() for task in batch.tasks]
        except Exception:
            self._finish(ticket, errors=1)
            raise
        waited = time.perf_counter_ns() - begun
        bad = [(place, *result) for place, result in enumerate(results) if result is not None]
        self._finish(ticket, samples=len(batch.tasks), batches=1, errors=len(bad), wait_ns=waited)
        if self._settings.channels_first:
            return np.ascontiguousarray(batch.images.transpose(0, 3, 1, 2)), bad
        return batch.images, bad

    def cancel(self) -> None:
        """Drops every ticket that was not waited for."""
        with self._lock:
            batches = list(self._begun.values())
            self._begun.clear()
            self._queued.clear()
        for batch in batches:
            for task in batch.tasks:
                task.cancel()

    @property
    def files_wanted(self) -> int:
        """0: files are read by whoever decodes them."""
        return 0

    def close(self) -> None:
        """Stops the threads and wakes who waits. Delivered arrays stay valid. Idempotent."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def stats(self) -> dict[str, int]:
        """Counters since construction, by the names of the native loader's."""
        return {
            **self._counters,
            "num_threads": self._settings.num_threads,
            "depth": self._settings.depth,
        }

    def _begin(self) -> None:
        """Begins queued batches, as many as there is depth for; called with the lock held."""
        settings = self._settings
        while self._queued and len(self._begun) < settings.depth:
            ticket, (indices, substitutes) = next(iter(self._queued.items()))
            shape = (len(indices), settings.height, settings.width, CHANNELS[settings.color_mode])
            images = np.zeros(shape, settings.dtype)
            others = np.empty((len(indices), 0), int) if substitutes is None else substitutes
            tasks = [
                self._pool.submit(self._make, *task)
                for task in zip(indices, others, images, strict=True)
            ]
            self._begun[ticket] = _Batch(images, tasks)
            del self._queued[ticket]

    def _finish(self, ticket: int, **counts: int) -> None:
        """Forgets a batch, counts it and begins the next one."""
        with self._lock:
            self._begun.pop(ticket, None)
            for name, count in counts.items():
                self._counters[name] += count
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self._begin()

    def _make(
        self, index: int, substitutes: NDArray[np.int64], place: NDArray[Any]
    ) -> tuple[int, str] | None:
        """Loads one image, or what may take its place; see `wait`."""
        on_error = self._settings.on_error
        try:
            self._load(self._paths[index], place)
            return None
        except ImageError as error:
            if on_error == "raise":
                raise
            if on_error == "drop":
                return -1, error.reason
            for other in substitutes:
                place[...] = 0
                with contextlib.suppress(ImageError):
                    self._load(self._paths[other], place)
                    return int(other), error.reason
            others = f"nor can any of {len(substitutes)} others that were tried in its place"
            raise ImageError(error.path, f"{error.reason} ({others})") from error

    def _load(self, path: str, place: NDArray[Any]) -> None:
        """Loads one image into the middle of its place."""
        settings = self._settings
        top, left, height, width = fitted_place(
            read_image_size(path), (settings.height, settings.width)
        )
        image = load_img(
            path,
            settings.color_mode,
            (height, width),
            settings.interpolation,
            max_pixels=settings.max_pixels,
            max_scans=settings.max_scans,
        )
        place[top : top + height, left : left + width] = image


def fitted_place(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where an image of unchanged shape lies in its target, by TensorFlow's float32 arithmetic.

    Args:
        size: (height, width) of the image in pixels.
        target: (height, width) of its place.

    Returns:
        Top, left, height and width in pixels; no side is less than one pixel.
    """
    height, width = np.float32(size[0]), np.float32(size[1])
    ratio = max(width / np.float32(target[1]), height / np.float32(target[0]))
    fitted = height / ratio, width / ratio
    top, left = (max(0, int((side - part) / 2)) for side, part in zip(target, fitted, strict=True))
    return top, left, max(1, int(fitted[0])), max(1, int(fitted[1]))
