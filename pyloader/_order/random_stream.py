"""The position of Keras' random stream, as a description that costs nothing to make and keep."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pyloader._augment.sampling import ParamSampler

_MAX_SHUFFLES = 64
"""Permutations that a description lists; beyond them it counts words."""

_MAX_EXTRA_WORDS = 1 << 22
"""Words that are searched for beyond those known to be drawn, until the whole state is kept."""

_WORDS = 624  # of the Mersenne Twister's key: one generation of its output


class Stream(NamedTuple):
    """How a generator was seeded and what was drawn from it since, in the order of the fields.

    Each batch has one; `realize` does the drawing for the few callers that go on from there.
    """

    seed: int
    words: int = 0  #: 32-bit words drawn first
    permuted: int = 0  #: Length of the permutation drawn then, 0 for none
    images: int = 0  #: Number of images for which parameters were sampled after it
    sampler: ParamSampler | None = None  #: What sampled them; None for nothing.
    shuffles: tuple[int, ...] = ()  #: Lengths of the permutations drawn after that
    state: dict[str, Any] | None = None
    """The generator's whole state in place of all the above, where it cannot be described."""

    def realize(self) -> np.random.RandomState:
        """Returns a new generator in that position."""
        random = np.random.RandomState(self.seed)
        if self.state is not None:
            random.set_state(self.state)
            return random
        if self.words:
            random.bytes(4 * self.words)
        if self.permuted:
            random.permutation(self.permuted)
        if self.sampler is not None:
            self.sampler(random, self.images)
        for length in self.shuffles:
            random.permutation(length)
        return random

    def shuffled(self, length: int) -> Stream:
        """Returns the position after one more permutation of that length."""
        if self.state is None and len(self.shuffles) < _MAX_SHUFFLES:
            return self._replace(shuffles=(*self.shuffles, length))
        random = self.realize()
        random.permutation(length)
        return Stream(self.seed, state=random.get_state(legacy=False))

    def to_json(self) -> dict[str, Any]:
        """Returns {"seed", "words"}: the seed and the 32-bit words drawn since.

        Where the stream cannot be described so (a hook reseeded the generator, or used
        `np.random.normal`, which keeps a second value), it is the generator's whole state.
        """
        if self.state is None and self == (self.seed, self.words, *Stream(0)[2:]):
            return {"seed": self.seed, "words": self.words}
        state: dict[str, Any] = self.realize().get_state(legacy=False)
        drawn = self.words + max(0, self.permuted - 1) + sum(self.shuffles)
        words = None if state["has_gauss"] else _words_drawn(state["state"], self.seed, drawn)
        if words is not None:
            return {"seed": self.seed, "words": words}
        key = np.asarray(state["state"]["key"], dtype="<u4").tobytes()
        return {
            "key": base64.b64encode(key).decode(),
            "position": int(state["state"]["pos"]),
            "gauss": float(state["gauss"]) if state["has_gauss"] else None,
        }

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Stream:
        """Returns the stream that `to_json` described; ValueError if it is none."""
        if "key" not in described:
            seed, words = described["seed"], described["words"]
            if not (0 <= seed < 2**32 and 0 <= words < 2**40):
                raise ValueError(f"seed {seed!r} or words {words!r} of a random stream")
            return cls(int(seed), int(words))
        state = np.random.RandomState(0).get_state(legacy=False)
        packed = base64.b64decode(described["key"], validate=True)
        if len(packed) != 4 * _WORDS or not 0 <= described["position"] <= _WORDS:
            raise ValueError("the key of a random stream")
        key = np.frombuffer(packed, dtype="<u4")
        state["state"] = {"key": key.astype(np.uint32), "pos": int(described["position"])}
        gauss = described.get("gauss")
        state["has_gauss"], state["gauss"] = int(gauss is not None), float(gauss or 0.0)
        return cls(0, state=state)


def _words_drawn(state: dict[str, Any], seed: int, expected: int) -> int | None:
    """Counts the words drawn since seeding, by running a second generator until both agree."""
    key, position = state["key"], int(state["pos"])
    other = np.random.RandomState(seed)
    for generation in range((2 * expected + _MAX_EXTRA_WORDS) // _WORDS):
        found = other.get_state(legacy=False)["state"]["key"]
        if found[-1] == key[-1] and np.array_equal(found, key):
            if generation:
                return _WORDS * (generation - 1) + position
            return 0 if position == _WORDS else None
        other.bytes(4 * _WORDS)
    return None
