"""Positions in the endless sequence of batches: pure functions of the past.

Keras reseeds one generator with `seed + total_batches_seen` before each batch, draws a permutation
from it where an epoch begins, then the transform parameters of the batch's images. A `Cursor` is
that state between two batches as an immutable value: planning ahead makes new cursors and changes
none, so a planned batch can be dropped without a trace. NumPy's global generator is neither read
nor changed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import NO_PARAMS, BatchParams, ParamSampler
from pyloader._order.random_stream import Stream

DrawOrder = Callable[[np.random.RandomState], NDArray[np.int64]]


class Cursor(NamedTuple):
    """A position in the endless sequence of batches, and all that decides what follows it.

    The fields named as Keras' attributes mean what they mean there. Cursors compare by identity:
    the same object is the same position under the same settings.
    """

    n: int
    batch_size: int
    shuffle: bool
    seed: int | None

    fallback_seed: int = 0  #: Used in place of the seed while `seed` is None

    batch_index: int = 0
    total_batches_seen: int = 0

    index_array: NDArray[np.int64] | None = None
    """The order of the current epoch, None before the first batch. Shared between cursors."""

    order: Stream | None = None
    """The random stream from which `index_array` is the next permutation; None where it is not."""

    started: bool = False
    """True after the first `next`, which begins an epoch whatever `batch_index` said."""

    stream: Stream | None = None
    """The random stream after the last batch, None before the first one."""

    whole_batches: bool = False  #: Whether an epoch ends with its last full batch

    @property
    def batches(self) -> int:
        """Batches of an epoch."""
        if self.whole_batches:
            return self.n // self.batch_size
        return (self.n + self.batch_size - 1) // self.batch_size

    @property
    def position(self) -> int:
        """The position in the epoch of the batch that `next` plans."""
        return self.batch_index if self.started else 0

    @property
    def batch_seed(self) -> int:
        """What Keras seeds the generator with for the next batch."""
        return (self.fallback_seed if self.seed is None else self.seed) + self.total_batches_seen

    def restarted(self) -> Cursor:
        """Returns the position before the first batch."""
        return Cursor(
            self.n,
            self.batch_size,
            self.shuffle,
            self.seed,
            self.fallback_seed,
            whole_batches=self.whole_batches,
        )

    def next(
        self,
        sampler: ParamSampler,
        random: np.random.RandomState,
        draw_order: DrawOrder | None = None,
    ) -> Plan:
        """Plans the batch that Keras' `next()` delivers."""
        position = self.position
        first = position * self.batch_size % self.n if self.n else 0
        needed = first + self.batch_size
        if self.whole_batches:
            needed += self.batch_size - 1
        following = (position + 1 if self.n > needed else 0, True)
        return self._plan(position == 0, first, following, sampler, random, draw_order)

    def item(
        self,
        index: int,
        sampler: ParamSampler,
        random: np.random.RandomState,
        draw_order: DrawOrder | None = None,
    ) -> Plan:
        """Plans the batch that Keras' `it[index]` delivers; `batch_index` stays."""
        stays = self.batch_index, self.started
        return self._plan(False, self.batch_size * index, stays, sampler, random, draw_order)

    def epoch_end(self) -> Cursor:
        """Draws a new order at once, going on from where the last batch left the random stream.

        Before the first batch the order is drawn from the seed (Keras draws it from NumPy's global
        generator there, so that it depends on what else has used that).
        """
        if not self.shuffle:
            index_array = np.arange(self.n)
            if self.index_array is not None and np.array_equal(self.index_array, index_array):
                return self
            return self._replace(index_array=index_array, order=None)
        stream = Stream(self.batch_seed) if self.stream is None else self.stream
        return self._replace(
            index_array=stream.realize().permutation(self.n),
            order=stream,
            stream=stream.shuffled(self.n),
        )

    def _plan(
        self,
        begins: bool,
        first: int,
        following: tuple[int, bool],
        sampler: ParamSampler,
        random: np.random.RandomState,
        draw_order: DrawOrder | None,
    ) -> Plan:
        """Plans the batch at a position of the epoch, or of a new one.

        `following` is the `batch_index` and `started` of the cursor behind it.
        """
        seed = self.batch_seed
        random.seed(seed)
        index_array, order, permuted = self.index_array, self.order, 0
        if index_array is None or begins:
            order = None
            if draw_order is not None:
                index_array = draw_order(random)
            elif not self.shuffle:
                index_array = np.arange(self.n)
            else:
                index_array, order = random.permutation(self.n), Stream(seed)
                permuted = self.n
        ids = index_array[first : first + self.batch_size]
        after = self._replace(
            batch_index=following[0],
            started=following[1],
            total_batches_seen=self.total_batches_seen + 1,
            index_array=index_array,
            order=order,
            stream=Stream(seed, 0, permuted, len(ids), sampler),
        )
        params = sampler(random, len(ids)) if sampler.used else NO_PARAMS
        return Plan(ids, first, params, after)


class Plan(NamedTuple):
    """One batch, planned."""

    ids: NDArray[np.int64]
    """Its dataset indices, (k,) with 0 <= k <= batch_size: a view of the epoch's order."""
    first: int  #: The position of the first of them in the epoch's order, `after.index_array`
    params: BatchParams  #: The parameters of its images
    after: Cursor  #: The position once it is delivered
