"""Which samples of a pass may take the place of one that cannot be loaded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["substitutes"]

_MOST_TRIED = 64
"""Samples tried in place of a bad one: who finds none among so many has other problems."""


def substitutes(order: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Chooses who may take the place of the samples at some positions of a pass.

    The choice depends on the pass's order and the position alone, so it is the same for any number
    of threads and processes. Every other sample of the pass has its turn, up to 64 of them.

    Args:
        order: The dataset indices of the pass, (n,).
        positions: Positions in it, (k,).

    Returns:
        Dataset indices to try one after the other, (k, min(n - 1, 64)), each at most once.
    """
    others = len(order) - 1
    if others < 1:
        return np.empty((len(positions), 0), dtype=np.int64)
    stride = _stride(others)
    tries = np.arange(min(others, _MOST_TRIED), dtype=np.int64)
    # Where the walk through the others begins must not be the neighbour, who may be in the batch.
    begin = (positions * 7919 + others // 3)[:, np.newaxis]
    steps = (begin + tries * stride) % others
    chosen: NDArray[np.int64] = order[(positions[:, np.newaxis] + 1 + steps) % len(order)]
    return chosen


def _stride(others: int) -> int:
    """A step that visits all of so many places before it returns to one."""
    stride = max(1, int(others * 0.381966))
    while math.gcd(stride, others) != 1:
        stride += 1
    return stride
