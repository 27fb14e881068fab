"""Endless datasets for Keras 3's fit, from all that Keras 2's `fit_generator` took.

Keras 2 cycled freely: an epoch had as many steps as it was told, whatever the number of batches.
Keras 3 cuts epochs short where a finite dataset ends; a dataset without a length it lets run.
Each feed is such a dataset: Keras asks for batch 0, 1, 2, ... and begins again at 0 for each
evaluation, and after a look at the first batches from which it builds the model.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import Any

from pyloader.iterators.keras_dataset import KerasDatasetMixin


class Feed(KerasDatasetMixin, ABC):
    """A PyDataset without a length.

    When Keras begins again after no more than a look at the first batches, these are handed out
    once more, so that a look costs nothing and a generator loses nothing.
    """

    num_batches = None

    def __init__(self, source: Any, steps: int, inputs_only: bool) -> None:
        self._source = source
        self._steps = steps
        self._inputs_only = inputs_only
        self._served: list[Any] = []

    def __getitem__(self, index: int) -> Any:
        """Batch `index`, counted from where Keras began."""
        if index == 0 and len(self._served) >= min(self._steps, 3):  # Keras looks at two at most
            self._served = []
        if index < len(self._served):
            return self._served[index]
        batch = self._fetch(index)
        if self._inputs_only and isinstance(batch, list):
            batch = (batch,)
        if len(self._served) < 2:
            self._served.append(batch)
        else:  # more than a look: none of them will be asked for again
            self._served = [None] * 3
        return batch

    @abstractmethod
    def _fetch(self, index: int) -> Any:
        """The next batch of the source; with index 0 the first one of a new pass."""

    def on_epoch_begin(self) -> None:
        """Does nothing: epochs follow each other, whatever Keras calls an epoch."""

    def on_epoch_end(self) -> None:
        """Does nothing, see `on_epoch_begin`."""


class _OrderedFeed(Feed):
    """Passes of one of our iterators, in its own order and prepared ahead."""

    def _fetch(self, index: int) -> Any:
        if index == 0:
            self._source.reset()
        return self._source.next()


class _SequenceFeed(Feed):
    """Passes of anything with a length and numbered batches, as Keras 2's OrderedEnqueuer went."""

    def __init__(self, source: Any, steps: int, inputs_only: bool, shuffle: bool) -> None:
        super().__init__(source, steps, inputs_only)
        self._shuffle = shuffle
        self._order: list[int] = []

    def _fetch(self, index: int) -> Any:
        place = index % len(self._source)
        if place == 0:
            if index and hasattr(self._source, "on_epoch_end"):
                self._source.on_epoch_end()
            self._order = list(range(len(self._source)))
            if self._shuffle:
                random.shuffle(self._order)
        return self._source[self._order[place]]


class _GeneratorFeed(Feed):
    """The batches of a plain generator, one after the other; it cannot begin again and goes on."""

    def _fetch(self, index: int) -> Any:
        try:
            return next(self._source)
        except StopIteration:
            raise RuntimeError(
                f"The generator ran out of data at batch {index + 1}. It should yield "
                "`steps_per_epoch * epochs` batches, or never end."
            ) from None


def make_feed(
    source: Any, *, ordered: bool, steps: int, shuffle: bool = False, inputs_only: bool = False
) -> Feed:
    """Makes an endless dataset of what was given to a `*_generator` method."""
    if ordered and not (shuffle and not source.shuffle):
        return _OrderedFeed(source, steps, inputs_only)
    if is_sequence(source):
        return _SequenceFeed(source, steps, inputs_only, shuffle)
    if hasattr(source, "__next__"):
        return _GeneratorFeed(source, steps, inputs_only)
    raise TypeError(
        "`generator` should be a generator or an instance of `keras.utils.Sequence`. "
        f"Received: {source!r} of type {type(source)}"
    )


def is_sequence(source: Any) -> bool:
    """Whether something has a length and numbered batches; arrays and the like have samples."""
    if hasattr(source, "__array__") or isinstance(source, (list, tuple, dict, str)):
        return False
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")
