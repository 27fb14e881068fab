"""The record of images that could not be loaded, and one warning about them for each epoch."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pyloader.errors import BadImage, user_stacklevel

_MAX_KEPT = 100_000
"""Bad images that are remembered; older ones are forgotten."""

_ACTIONS = {"drop": "left their batches", "replace": "were replaced by others"}


class ErrorLog:
    """Which images of an iterator were bad in which epoch."""

    def __init__(self, on_error: str) -> None:
        self._on_error = on_error
        self._kept: deque[BadImage] = deque(maxlen=_MAX_KEPT)
        # Of the present epoch:
        self._epoch = 0
        self._bad: dict[int, BadImage] = {}  # by index
        self._samples = 0
        self._delivered = _Positions()
        self._in_order = self._warned = False

    def __iter__(self) -> Iterator[BadImage]:
        return iter(self._kept)

    def resume_at(self, epoch: int) -> None:
        """Goes on in another epoch, as after a state was loaded."""
        self.end_epoch()
        self._epoch = epoch

    def record(
        self,
        bad: Iterable[BadImage],
        *,
        position: int,
        in_order: bool,
        batches: int,
        samples: int,
    ) -> None:
        """Records a batch and what is bad in it.

        A new epoch begins with position 0 where batches come in order. Where they are asked for by
        position, it begins when all were delivered, or with `end_epoch`: Keras looks at the first
        ones before an epoch.
        """
        over = len(self._delivered) >= batches
        if over or (self._in_order and in_order and position == 0):
            self.end_epoch()
        self._in_order = in_order
        if self._delivered.add(position):
            self._samples += samples
        for image in bad:
            if image.index not in self._bad:
                self._bad[image.index] = replace(image, epoch=self._epoch)
                self._kept.append(self._bad[image.index])
        if len(self._delivered) >= batches:
            self._warn_once_per_epoch()

    def end_epoch(self) -> None:
        """Begins another epoch, unless nothing of this one was delivered; warns as `record`."""
        if not len(self._delivered):
            return
        self._warn_once_per_epoch()
        self._bad = {}
        self._samples = 0
        self._delivered = _Positions()
        self._in_order = self._warned = False
        self._epoch += 1

    def _warn_once_per_epoch(self) -> None:
        if self._warned or self._on_error == "raise":
            return
        dropped = self._on_error == "drop"
        bad = [image for image in self._bad.values() if dropped or image.replaced_by is not None]
        if not bad:
            return
        self._warned, first = True, bad[0]
        warnings.warn(
            f"epoch {self._epoch}: {len(bad)} of {self._samples} images could not be loaded "
            f"and {_ACTIONS[self._on_error]}. The first one is {first.path!r}: {first.reason}. "
            "`errors` lists them all.",
            UserWarning,
            stacklevel=user_stacklevel(),
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
