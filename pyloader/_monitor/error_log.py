"""Images that cannot be loaded: what is delivered instead, and the record that is kept of them."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import Drawn
from pyloader._native.loading import Source
from pyloader._native.prefetch import FetchedBatch, PlannedBatch
from pyloader.callers import level_of_caller
from pyloader.errors import ImageError

__all__ = ["BadImage", "BadImages", "Settled", "blame", "settle"]

_MOST_KEPT = 100_000
"""Bad images that are remembered; older ones are forgotten."""

_DONE = {"drop": "left their batches", "replace": "were replaced by others"}


class _Record(NamedTuple):
    path: str
    reason: str
    epoch: int


class BadImage(_Record):
    """An image that could not be loaded when its batch was delivered: (path, reason, epoch).

    Args:
        path: Its file.
        reason: What was found, in a few plain words.
        epoch: The pass, counted from 0.
        index: Its dataset index; an attribute only, not an element.
        replaced_by: The dataset index of the sample that was delivered in its place, or None; an
            attribute only.
    """

    index: int  # type: ignore[assignment]
    replaced_by: int | None

    def __new__(
        cls, path: str, reason: str, epoch: int, index: int, replaced_by: int | None
    ) -> BadImage:
        self = super().__new__(cls, path, reason, epoch)
        self.index = index
        self.replaced_by = replaced_by
        return self

    def __repr__(self) -> str:
        return (
            f"BadImage(path={self.path!r}, reason={self.reason!r}, epoch={self.epoch}, "
            f"index={self.index}, replaced_by={self.replaced_by})"
        )

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (*self, self.index, self.replaced_by)

    def in_epoch(self, epoch: int) -> BadImage:
        """The same in another pass."""
        return BadImage(self.path, self.reason, epoch, self.index, self.replaced_by)


class Settled(NamedTuple):
    """A batch in which no row is undefined."""

    images: NDArray[Any] | None
    """The images; None for a batch without samples."""

    rows: NDArray[np.int64]
    """The dataset index of each row: samples, and padding behind them."""

    drawn: Drawn
    """What was drawn for the rows."""

    samples: int
    """How many rows are samples."""

    bad: list[BadImage]
    """Its samples that could not be loaded, with epoch 0."""


def settle(planned: PlannedBatch, fetched: FetchedBatch, files: Source, pad: bool) -> Settled:
    """Makes of a batch as it was loaded what is delivered.

    Args:
        planned: The batch's plan.
        fetched: What the loader made of it. Its rows are moved in place.
        files: The file of each sample.
        pad: Whether it keeps its number of rows: rows behind the samples repeat the first one, or
            are 0.

    Returns:
        The batch without gaps, with the indices of the samples that are really there.
    """
    images, rows, drawn, samples = fetched.images, planned.rows, planned.drawn, len(planned.ids)
    if images is None or not fetched.bad:
        return Settled(images, rows, drawn, samples, [])
    rows, bad, gaps = rows.copy(), [], []
    for row, substitute, reason in fetched.bad:
        replaced = substitute >= 0
        if row < samples:
            index = int(rows[row]) % len(files)
            file, other = str(files[index]), substitute if replaced else None
            bad.append(BadImage(file, reason, 0, index, other))
        if replaced:
            rows[row] = substitute
        else:
            gaps.append(row)
    if not gaps:
        return Settled(images, rows, drawn, samples, bad)
    kept = np.setdiff1d(np.arange(samples), gaps)
    images = _close_gaps(images, kept, pad)
    filling = rows[kept[:1] if len(kept) else slice(1)]
    rows = np.concatenate([rows[kept], np.repeat(filling, len(images) - len(kept))])
    return Settled(images, rows, drawn.take(kept), len(kept), bad)


def blame(error: ImageError, planned: PlannedBatch, files: Source) -> list[BadImage]:
    """The image of a batch that an error is about.

    Args:
        error: What made the batch fail.
        planned: The batch's plan.
        files: The file of each sample.

    Returns:
        The image, with epoch 0; or nothing, where the error is about something else.
    """
    for index in planned.ids:
        if str(files[index]) == error.path:
            return [BadImage(error.path, error.reason, 0, int(index) % len(files), None)]
    return []


def _close_gaps(images: NDArray[Any], kept: NDArray[np.int64], fill: bool) -> NDArray[Any]:
    """Moves the rows that stay together, in place; the result is a view."""
    for place, row in enumerate(kept):
        if place != row:
            images[place] = images[row]
    if not fill:
        return images[: len(kept)]
    images[len(kept) :] = images[0] if len(kept) else 0
    return images


class BadImages:
    """The record of an iterator: which images were bad in which pass, and a word at its end.

    Args:
        on_error: "raise", "drop" or "replace".
    """

    def __init__(self, on_error: str) -> None:
        self._on_error = on_error
        self._kept: deque[BadImage] = deque(maxlen=_MOST_KEPT)
        # Of the present pass:
        self._epoch = 0
        self._bad: dict[int, BadImage] = {}  # by index
        self._samples = 0
        self._delivered = _Positions()
        self._in_order = self._told = False

    def __iter__(self) -> Iterator[BadImage]:
        return iter(self._kept)

    def stand(self, epoch: int) -> None:
        """Goes on in another pass, as after a state was loaded.

        Args:
            epoch: The pass, counted from 0.
        """
        self.end_pass()
        self._epoch = epoch

    def deliver(self, planned: PlannedBatch, found: Iterable[BadImage]) -> None:
        """Records a batch and what is bad in it.

        A new pass begins with position 0 where batches come in order. Where they are asked for by
        position, it begins when all were delivered, or with `end_pass`: Keras looks at the first
        ones before an epoch.

        Args:
            planned: The batch's plan.
            found: Its bad images, with any epoch.

        Warns:
            UserWarning: The pass is over, and images were dropped from it or replaced.
        """
        batches, in_order = planned.before.batches, planned.item is None
        over = len(self._delivered) >= batches
        if over or (self._in_order and in_order and planned.position == 0):
            self.end_pass()
        self._in_order = in_order
        if self._delivered.add(planned.position):
            self._samples += len(planned.ids)
        for image in found:
            if image.index not in self._bad:
                self._bad[image.index] = image.in_epoch(self._epoch)
                self._kept.append(self._bad[image.index])
        if len(self._delivered) >= batches:
            self._tell()

    def end_pass(self) -> None:
        """Begins another pass, unless nothing of this one was delivered.

        Warns:
            UserWarning: As for `deliver`.
        """
        if not len(self._delivered):
            return
        self._tell()
        self._bad = {}
        self._samples = 0
        self._delivered = _Positions()
        self._in_order = self._told = False
        self._epoch += 1

    def _tell(self) -> None:
        """Warns of this pass's bad images, once."""
        if self._told or self._on_error == "raise":
            return
        dropped = self._on_error == "drop"
        bad = [image for image in self._bad.values() if dropped or image.replaced_by is not None]
        if not bad:
            return
        self._told, first = True, bad[0]
        warnings.warn(
            f"epoch {self._epoch}: {len(bad)} of {self._samples} images could not be loaded "
            f"and {_DONE[self._on_error]}. The first one is {first.path!r}: {first.reason}. "
            "`errors` lists them all.",
            UserWarning,
            stacklevel=level_of_caller(),
        )


class _Positions:
    """A set of numbers that takes no room for those which come in order."""

    def __init__(self) -> None:
        self._first = 0  # all below are in the set
        self._others: set[int] = set()

    def __len__(self) -> int:
        return self._first + len(self._others)

    def add(self, position: int) -> bool:
        """Adds a number; False if it was there."""
        if position < self._first or position in self._others:
            return False
        self._others.add(position)
        while self._first in self._others:
            self._others.remove(self._first)
            self._first += 1
        return True
