"""States of NumPy's legacy generator, and how they can be told in two numbers.

A generator that was seeded with an integer is known by that seed and by how much was drawn since.
The Mersenne Twister (Matsumoto and Nishimura, 1998) can be run backwards, which finds the two.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Recipe", "Twister"]

_WORDS = 624  # of a state
_SHIFT = 397
_REST = _WORDS - _SHIFT
_MATRIX = np.uint32(0x9908B0DF)
_TOP = np.uint32(0x80000000)
_SEEDING = 1812433253  # multiplier of the seeding recurrence
_UNSEEDING = pow(_SEEDING, -1, 1 << 32)
_MOST_GENERATIONS = 4096  # 2.5 million words back, less than 0.2 s


class Recipe(NamedTuple):
    """How to make a state."""

    seed: int
    """The seed, as for `numpy.random.seed`."""

    words: int
    """32-bit words drawn since."""

    def make(self) -> np.random.RandomState:
        """Makes a generator in that state.

        Returns:
            A generator of the caller's own.
        """
        random = np.random.RandomState(self.seed)
        if self.words:
            random.bytes(4 * self.words)
        return random


class Twister:
    """A state, frozen.

    Args:
        state: As `get_state(legacy=False)` gives it.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    @functools.cached_property
    def recipe(self) -> Recipe | None:
        """How to make the state; None if it was not seeded with an integer, or too long ago."""
        key = np.array(self.state["state"]["key"], dtype=np.uint32)
        position = int(self.state["state"]["pos"])
        for generation in range(_MOST_GENERATIONS):
            seed = _seed_of(key)
            if seed is not None:
                words = _WORDS * (generation - 1) + position if generation else 0
                return Recipe(seed, words) if generation or position == _WORDS else None
            key = _untwist(key)
        return None

    def make(self) -> np.random.RandomState:
        """Makes a generator in this state.

        Returns:
            A generator of the caller's own.
        """
        random = np.random.RandomState(0)
        random.set_state(self.state)
        return random


def _untwist(new: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The key one generation before, but for the lower bits of its first word.

    Word i was mixed from the top bit of word i and the rest of word i + 1, then combined with word
    i + 397; the latter two are words of the new key where they are beyond the end. The lower bits
    of a key's first word are known to its own last word alone.
    """
    _, first = _unmix(new[-1:] ^ new[_SHIFT - 1])
    new = new.copy()
    new[0] = (new[0] & _TOP) | first[0]
    old = np.zeros(_WORDS, dtype=np.uint32)
    tops, rests = _unmix(new[_REST:] ^ new[:_SHIFT])
    old[_REST:] = tops
    old[_REST + 1 :] |= rests[:-1]
    tops, rests = _unmix(new[:_REST] ^ old[_SHIFT:])
    old[:_REST] = tops
    old[1 : _REST + 1] |= rests
    return old


def _unmix(mixed: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The top bits of words, and the rests of the ones that follow them."""
    odd = mixed >> np.uint32(31)  # the matrix has its top bit set, the shifted word has not
    words = ((mixed ^ (odd * _MATRIX)) << np.uint32(1)) | odd
    return words & _TOP, words & ~_TOP


def _seed_of(key: NDArray[np.uint32]) -> int | None:
    """The seed that a key was made from, if it is fresh from seeding."""
    if int(key[2]) != _seeded(int(key[1]), 2):
        return None
    before = (int(key[1]) - 1) * _UNSEEDING & 0xFFFFFFFF
    seed = before ^ before >> 30
    fresh = np.random.RandomState(seed).get_state(legacy=False)["state"]["key"]
    same = np.array_equal(fresh[1:], key[1:]) and (int(fresh[0]) ^ int(key[0])) < int(_TOP)
    return seed if same else None


def _seeded(word: int, index: int) -> int:
    """The word of a fresh key that follows another one."""
    return (_SEEDING * (word ^ word >> 30) + index) & 0xFFFFFFFF
