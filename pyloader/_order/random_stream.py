"""Where Keras' random stream stands, as a description that costs nothing to make and to keep."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyloader._augment.sampling import Drawing
from pyloader._order.twister import Recipe, Twister

__all__ = ["Stream"]

_MOST_SHUFFLES = 64
"""Permutations that a description lists; beyond them it holds the generator's whole state."""


class Stream(NamedTuple):
    """How a random stream was seeded and what was drawn from it since, in the order of the fields.

    Each batch can have one; `realise` does the drawing for the few callers that go on from there.
    """

    origin: int | Recipe | Twister
    """A seed, or a state and how it can be made."""

    permuted: int = 0
    """Length of the permutation drawn first, 0 for none."""

    images: int = 0
    """Number of images for which something was drawn after it."""

    drawing: Drawing | None = None
    """What was drawn for them; None for nothing."""

    shuffles: tuple[int, ...] = ()
    """Lengths of the permutations drawn after that."""

    def realise(self) -> np.random.RandomState:
        """Makes a generator that stands where the stream does.

        Returns:
            A generator of the caller's own.
        """
        if isinstance(self.origin, (Recipe, Twister)):
            random = self.origin.make()
        else:
            random = np.random.RandomState(self.origin)
        if self.permuted:
            random.permutation(self.permuted)
        if self.drawing is not None:
            self.drawing(random, self.images)
        for length in self.shuffles:
            random.permutation(length)
        return random

    def shuffled(self, length: int) -> Stream:
        """The stream once a further permutation is drawn.

        Args:
            length: The permutation's length.

        Returns:
            Its description.
        """
        if len(self.shuffles) < _MOST_SHUFFLES:
            return self._replace(shuffles=(*self.shuffles, length))
        random = self.realise()
        random.permutation(length)
        return Stream(Twister(random.get_state(legacy=False)))
