"""Which samples come next, and where Keras' random stream stands: pure functions of the past.

Keras reseeds one generator with `seed + total_batches_seen` before each batch, draws a permutation
from it where a pass begins, then the transform parameters of the batch's images. A `Cursor` is
that state between two batches as an immutable value: planning ahead makes new cursors and changes
none, so a planned batch can be forgotten without a trace. Nothing here reads or changes NumPy's
global generator, except where `epoch_end` copies its state because Keras would continue from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cursor", "DrawParameters", "Stream", "draw_flips", "draw_nothing"]

DrawParameters: TypeAlias = Callable[[np.random.RandomState, int], object]
"""Draws the transform parameters of a number of images from a generator, image after image."""

_SEED_LIMIT = 2**32


def draw_flips(random: np.random.RandomState, images: int) -> NDArray[np.float64]:
    """Draws what Keras draws for each image even without augmentation: its two flips.

    Args:
        random: The generator to draw from.
        images: How many images the batch has.

    Returns:
        (images, 2) float64 in [0, 1): horizontal, vertical; below 0.5 means to flip.
    """
    return random.random_sample((images, 2))


def draw_nothing(random: np.random.RandomState, images: int) -> None:
    """Draws nothing: what Keras does for a batch without an ImageDataGenerator."""


class Stream(NamedTuple):
    """Where the random stream stands: how it was seeded and what was drawn since.

    A description costs nothing to make, so each batch can have one; `realise` does the drawing
    for the few callers that go on from there.
    """

    origin: int | dict[str, Any]
    """A seed, or the state of a Mersenne Twister as `get_state(legacy=False)` gives it."""

    permuted: int = 0
    """Length of the permutation drawn first, 0 for none."""

    images: int = 0
    """Number of images whose transform parameters were drawn after it."""

    def realise(self, draw_parameters: DrawParameters) -> np.random.RandomState:
        """Makes a generator that stands where the stream does.

        Args:
            draw_parameters: How the images' parameters are drawn.

        Returns:
            A generator of the caller's own.
        """
        if isinstance(self.origin, dict):
            random = np.random.RandomState(0)
            random.set_state(self.origin)
        else:
            random = np.random.RandomState(self.origin)
        if self.permuted:
            random.permutation(self.permuted)
        if self.images:
            draw_parameters(random, self.images)
        return random


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

    started: bool = False
    """True after the first `next`, which begins a pass whatever `batch_index` said."""

    stream: Stream | None = None
    """The random stream after the last batch, None before the first one."""

    def next(self) -> tuple[NDArray[np.int64], Cursor]:
        """Plans the batch that Keras' `next()` delivers.

        Returns:
            The batch's dataset indices, (k,) int64 with 0 <= k <= batch_size (a view of the
            pass's order), and the cursor after it.

        Raises:
            ValueError: The seed plus the number of batches seen is out of NumPy's range.
            TypeError: The seed is not an integer.
        """
        batch_index = self.batch_index if self.started else 0
        seed = self._batch_seed()
        index_array, permuted = self.index_array, 0
        if batch_index == 0 or index_array is None:
            index_array, permuted = self._new_order(seed)
        first = batch_index * self.batch_size % self.n if self.n else 0
        stop = first + self.batch_size
        ids = index_array[first:stop]
        after = self._replace(
            batch_index=batch_index + 1 if self.n > stop else 0,
            total_batches_seen=self.total_batches_seen + 1,
            index_array=index_array,
            started=True,
            stream=Stream(seed, permuted, len(ids)),
        )
        return ids, after

    def item(self, index: int) -> tuple[NDArray[np.int64], Cursor]:
        """Plans the batch that Keras' `it[index]` delivers.

        Args:
            index: Position of the batch in the pass, from 0; beyond the last, the batch is empty.

        Returns:
            The batch's dataset indices and the cursor after it, which keeps its `batch_index`.

        Raises:
            ValueError: The seed plus the number of batches seen is out of NumPy's range.
            TypeError: The seed is not an integer.
        """
        seed = self._batch_seed()
        index_array, permuted = self.index_array, 0
        if index_array is None:
            index_array, permuted = self._new_order(seed)
        ids = index_array[self.batch_size * index : self.batch_size * (index + 1)]
        after = self._replace(
            total_batches_seen=self.total_batches_seen + 1,
            index_array=index_array,
            stream=Stream(seed, permuted, len(ids)),
        )
        return ids, after

    def epoch_end(self, draw_parameters: DrawParameters) -> Cursor:
        """Draws a new order at once, going on from where the last batch left the random stream.

        Before the first batch Keras would draw it from NumPy's global generator: a copy of that
        generator's state is used, or the hidden seed where there is no seed.

        Args:
            draw_parameters: How the parameters of the last batch's images were drawn.

        Returns:
            The cursor with the new order and everything else as it was.
        """
        if not self.shuffle:
            return self._replace(index_array=np.arange(self.n))
        stream = self.stream
        if stream is None and self.seed is None:
            stream = Stream(self.hidden_seed)
        elif stream is None:
            stream = Stream(np.random.get_state(legacy=False))
        random = stream.realise(draw_parameters)
        index_array = random.permutation(self.n)
        return self._replace(index_array=index_array, stream=Stream(random.get_state(legacy=False)))

    def _batch_seed(self) -> int:
        """The seed of the next batch; raises what `np.random.seed` raises for a bad one."""
        base = self.hidden_seed if self.seed is None else self.seed
        seed = base + self.total_batches_seen
        if not (isinstance(seed, int) and 0 <= seed < _SEED_LIMIT):
            np.random.RandomState(seed)
        return seed

    def _new_order(self, seed: int) -> tuple[NDArray[np.int64], int]:
        """A new pass's order, and the length of the permutation drawn for it."""
        if self.shuffle:
            return np.random.RandomState(seed).permutation(self.n), self.n
        return np.arange(self.n), 0
