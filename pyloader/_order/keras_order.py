"""Which batches Keras asks for next: read from the loop that asks, where it is Keras' own.

Inside `fit`, Keras draws the order of an epoch's batches and asks for them one by one with
`it[i]`, in a loop over a local variable. Reading that variable is exact for every version that
keeps its name; anything else is taken for a loop in order. A wrong prediction costs time and never
a wrong batch: prefetched batches that are not asked for are discarded.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType
from typing import Any

_LOOPS = {
    "keras.src.trainers.data_adapters.py_dataset_adapter": "indices",  # Keras 3
    "keras.src.engine.data_adapter": "order",  # Keras 2.13 to 2.15
    "keras.engine.data_adapter": "order",
    "tf_keras.src.engine.data_adapter": "order",
}
"""Modules of the loops, and the variable that holds the positions."""


class KerasOrder:
    """Follows the requests of one iterator. Not thread-safe."""

    def __init__(self) -> None:
        self._order: Sequence[int] = ()  # of the epoch
        self._done = 0  # how many of its positions were asked for
        self._last = -1  # the last position
        self._epochs_in_order = 0  # that followed each other

    def requested(self, position: int, length: int, caller: FrameType, limit: int) -> Sequence[int]:
        """Notes a request, and predicts the following ones of the epoch."""
        order = _order_of(caller, length)
        if order is None:
            order, known = range(length), 0 <= self._last == position - 1
            done = position
        else:
            known = True
            goes_on = order is self._order and self._done < length
            done = self._done
            if not goes_on or order[done] != position:
                done = order.index(position) if position in order else length
        self._order, self._done, self._last = order, done + 1, position
        return order[done + 1 : done + 1 + limit] if known else ()

    def epoch_ended(self, length: int, limit: int) -> Sequence[int]:
        """Notes the end of an epoch, and predicts the first requests of the next one.

        Only epochs in order are predicted, from the second one on: `evaluate` and `predict` have
        one, and where Keras shuffles it has not yet drawn the next order.
        """
        if self._done:  # else the end is told a second time
            in_order = isinstance(self._order, range) and self._done == length
            self._epochs_in_order = self._epochs_in_order + 1 if in_order else 0
            self._done, self._last, self._order = 0, -1, ()
        return range(min(limit, length)) if self._epochs_in_order > 1 else ()


def _order_of(caller: FrameType, length: int) -> Sequence[int] | None:
    """Returns Keras' order of the epoch; None where another loop asks."""
    name = _LOOPS.get(caller.f_globals.get("__name__", ""))
    order: Any = caller.f_locals.get(name) if name is not None else None
    return order if isinstance(order, (list, range)) and len(order) == length else None
