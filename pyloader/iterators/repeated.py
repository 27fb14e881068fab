"""An endless dataset for Keras 3 whose epochs follow each other unbroken."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

from pyloader.iterators.feeds import Feed
from pyloader.iterators.keras_dataset import to_torch_if_keras

__all__ = ["Repeated"]

_REMEMBERED = 1024
"""Batches that may be requested ahead of the training, as TensorFlow does, at most."""


class Repeated(Feed):
    """The batches of an iterator's `next()` as a PyDataset without a length.

    Keras then needs `steps_per_epoch` (`validation_steps`, `steps`), and takes that many batches
    for each of its epochs. Each `fit`, `evaluate` and `predict` begins a new pass; the first one
    after `load_state_dict` goes on from there. Iterating over it is iterating over its source.

    Args:
        source: An iterator of pyloader, or a pair of them.
    """

    def __init__(self, source: Any) -> None:
        super().__init__(source, steps=3, inputs_only=True)
        self._fetched = 0
        self._positions: deque[Any] = deque(maxlen=_REMEMBERED)  # after the last batches fetched

    @property
    def num_batches(self) -> float | None:  # type: ignore[override]
        """None: there is no end.

        Where Keras only wants to know whether to warn that it ignores `shuffle=True`, which is its
        default, infinity: the batches are as shuffled as the source was asked to.
        """
        asking = sys._getframe(1).f_globals.get("__name__")
        return math.inf if asking == "keras.src.trainers.data_adapters" else None

    def __getitem__(self, index: int) -> Any:
        """Batch `index`, counted from where Keras began."""
        if self._source._is_where_loaded():  # what was looked at before is no longer next
            self._served = []
        return to_torch_if_keras(super().__getitem__(index), sys._getframe(1))

    def __iter__(self) -> Repeated:
        return self

    def __next__(self) -> Any:
        return self._source.next()

    def state_dict(self) -> dict[str, Any]:
        """The source's own position; see `Iterator.state_dict`."""
        state: dict[str, Any] = self._source.state_dict()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Moves the source; see `Iterator.load_state_dict`."""
        self._source.load_state_dict(state_dict)

    def state_after(self, batches: int) -> dict[str, Any]:
        """Returns the state after some batches of a `fit`; Keras may have requested more.

        Raises:
            ValueError: There were not as many, or they are too long ago.
        """
        back = self._fetched - batches
        if not 0 <= back < len(self._positions):
            raise ValueError(
                f"there is no position after {batches} batches: {self._fetched} were asked for, "
                f"and the last {len(self._positions)} positions are known"
            )
        state: dict[str, Any] = self._source._state_at(self._positions[-1 - back])
        return state

    def _fetch(self, index: int) -> Any:
        if index == 0:
            self._fetched = 0
            self._positions.clear()
            if not self._source._is_where_loaded():
                self._source.reset()
        batch = self._source.next()
        self._fetched += 1
        self._positions.append(self._source._position())
        return batch
