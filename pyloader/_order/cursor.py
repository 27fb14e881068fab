"""Which samples come next, and where Keras' random stream stands: pure functions of the past.

Keras reseeds one generator with `seed + total_batches_seen` before each batch, draws a permutation
from it where a pass begins, then the transform parameters of the batch's images. A `Cursor` is
that state between two batches as an immutable value: planning ahead makes new cursors and changes
none, so a planned batch can be forgotten without a trace. Nothing here reads or changes NumPy's
global generator, except where `epoch_end` copies its state because Keras would continue from it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import NOTHING_DRAWN, Drawing, Drawn
from pyloader._order.random_stream import Stream
from pyloader._order.twister import Twister

__all__ = ["Cursor", "Plan"]


class Cursor(NamedTuple):
    """A position in the endless sequence of batches, and all that decides what follows it.

    The fields named as Keras' attributes mean what they mean there. Cursors compare by identity:
    the same object is the same position under the same settings.
    """

    n: int
    batch_size: int
    shuffle: bool
    seed: int | None

    hidden_seed: int = 0
    """Stands in for the seed while `seed` is None."""

    batch_index: int = 0
    total_batches_seen: int = 0

    index_array: NDArray[np.int64] | None = None
    """The order of the current pass, None before the first batch. Shared between cursors."""

    order: Stream | None = None
    """The random stream from which `index_array` is the next permutation; None where it is not."""

    started: bool = False
    """True after the first `next`, which begins a pass whatever `batch_index` said."""

    stream: Stream | None = None
    """The random stream after the last batch, None before the first one."""

    whole_batches: bool = False
    """Whether a pass ends with its last full batch."""

    @property
    def batches(self) -> int:
        """Batches of a pass."""
        if self.whole_batches:
            return self.n // self.batch_size
        return (self.n + self.batch_size - 1) // self.batch_size

    def next(self, drawing: Drawing, random: np.random.RandomState) -> Plan:
        """Plans the batch that Keras' `next()` delivers.

        Args:
            drawing: What is drawn for the batch's images.
            random: A generator to draw from; it is reseeded first.

        Returns:
            The plan of the batch.

        Raises:
            ValueError: The seed plus the number of batches seen is out of NumPy's range.
            TypeError: The seed is not an integer.
            Exception: Whatever the drawing raises.
        """
        batch_index = self.batch_index if self.started else 0
        first = batch_index * self.batch_size % self.n if self.n else 0
        stop = first + self.batch_size
        plan = self._plan(batch_index == 0, first, stop, drawing, random)
        needed = stop + self.batch_size - 1 if self.whole_batches else stop
        following = batch_index + 1 if self.n > needed else 0
        after = plan.after._replace(batch_index=following, started=True)
        return plan._replace(after=after)

    def item(self, index: int, drawing: Drawing, random: np.random.RandomState) -> Plan:
        """Plans the batch that Keras' `it[index]` delivers.

        Args:
            index: Position of the batch in the pass, from 0; beyond the last, the batch is empty.
            drawing: What is drawn for the batch's images.
            random: A generator to draw from; it is reseeded first.

        Returns:
            The plan of the batch; the cursor after it keeps its `batch_index`.

        Raises:
            Exception: As for `next`.
        """
        first = self.batch_size * index
        return self._plan(False, first, first + self.batch_size, drawing, random)

    def epoch_end(self) -> Cursor:
        """Draws a new order at once, going on from where the last batch left the random stream.

        Before the first batch Keras would draw it from NumPy's global generator: a copy of that
        generator's state is used, or the hidden seed where there is no seed.

        Returns:
            The cursor with the new order and everything else as it was; the same object where
            nothing is new.
        """
        if not self.shuffle:
            index_array = np.arange(self.n)
            if self.index_array is not None and np.array_equal(self.index_array, index_array):
                return self
            return self._replace(index_array=index_array, order=None)
        stream = self.stream
        if stream is None and self.seed is None:
            stream = Stream(self.hidden_seed)
        elif stream is None:
            stream = Stream(Twister(np.random.get_state(legacy=False)))
        return self._replace(
            index_array=stream.realise().permutation(self.n),
            order=stream,
            stream=stream.shuffled(self.n),
        )

    def _plan(
        self, begins: bool, first: int, stop: int, drawing: Drawing, random: np.random.RandomState
    ) -> Plan:
        """Plans the batch between two positions of the pass, or of a new one."""
        seed = (self.hidden_seed if self.seed is None else self.seed) + self.total_batches_seen
        random.seed(seed)
        index_array, order, permuted = self.index_array, self.order, 0
        if index_array is None or begins:
            index_array, order = np.arange(self.n), None
            if self.shuffle:
                index_array, order = random.permutation(self.n), Stream(seed)
                permuted = self.n
        ids = index_array[first:stop]
        after = self._replace(
            total_batches_seen=self.total_batches_seen + 1,
            index_array=index_array,
            order=order,
            stream=Stream(seed, permuted, len(ids), drawing),
        )
        drawn = drawing(random, len(ids)) if drawing.used else NOTHING_DRAWN
        return Plan(ids, first, drawn, after)


class Plan(NamedTuple):
    """One batch, planned."""

    ids: NDArray[np.int64]
    """Its dataset indices, (k,) with 0 <= k <= batch_size: a view of the pass's order."""

    first: int
    """The position of the first of them in the pass's order, `after.index_array`."""

    drawn: Drawn
    """What was drawn for its images."""

    after: Cursor
    """The position once it is delivered."""
