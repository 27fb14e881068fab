"""Which batch Keras asks for next, guessed from what it asked for so far.

Inside `fit` Keras asks for batches by position, in an order that it draws itself: 0, 1, 2, ... with
`shuffle=False`, and in `evaluate` and `predict`; a permutation from the `random` module's own
generator in Keras 2 and in Keras 3 up to 3.15; one from `random.Random(epoch)` since Keras 3.16. A
wrong guess costs time and never a wrong batch: whoever prepares batches ahead drops those that are
not asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["Forecast"]

_LONGEST = 50_000
"""Batches of a pass whose permutations are foreseen; longer ones take too long to draw."""

_OPENING = 4
"""Requests of an epoch after which its order is known, or given up."""


class _Guess(NamedTuple):
    """An order that requests may follow."""

    kind: str
    """"run", "global" (Keras up to 3.15) or "epoch" (since 3.16)."""

    order: Sequence[int]
    """The positions, from the first request on."""

    made: int = 0
    """How many of them were asked for."""

    epoch: int = 0
    """What the order is drawn from, for "epoch"."""

    @property
    def complete(self) -> bool:
        """Whether all of them were asked for."""
        return self.made == len(self.order)


class Forecast:
    """Follows the requests of epoch after epoch. Not thread-safe."""

    def __init__(self) -> None:
        self._guesses: list[_Guess] = []  # the likeliest one first
        self._asked: list[int] = []  # since the length was read before a request, or an epoch's end
        self._read: tuple[Any, ...] | None = None  # state of `random` when the length was read
        self._opened: tuple[Any, ...] | None = None  # the same, at the epoch's first request
        self._sure = False
        self._following: _Guess | None = None  # drawn when this epoch's end came into sight
        self._runs = 0  # whole epochs in order that followed each other
        self._epoch = 0  # the last one that an order was drawn from, and ends of epochs since
        self._ends = 0

    def length_read(self) -> None:
        """Notes that the number of batches was read: Keras does so right before it shuffles."""
        self._read = random.getstate()

    def requested(self, position: int, length: int) -> None:
        """Notes a request.

        Args:
            position: The batch asked for, from 0.
            length: Batches of a pass.
        """
        opens = self._read is not None
        if opens:
            self._opened, self._read, self._asked = self._read, None, []
        self._asked.append(position)
        going_on = [
            guess._replace(made=guess.made + 1)
            for guess in self._guesses
            if not guess.complete and guess.order[guess.made] == position
        ]
        self._sure = opens or bool(going_on)
        if opens or (not going_on and 1 < len(self._asked) <= _OPENING):
            asked = len(self._asked)
            for guess in self._orders(length):
                if list(guess.order[:asked]) == self._asked:
                    going_on.append(guess._replace(made=asked))
                    self._sure = True
                    break
        if opens or not going_on or going_on[0].order is not self._guesses[0].order:
            self._following = None
        self._guesses = going_on or [_Guess("run", range(position, length), 1)]
        if self._guesses[0].kind == "epoch":
            self._epoch, self._ends = self._guesses[0].epoch, 0

    def upcoming(self, most: int) -> list[int | None]:
        """What will be asked for next.

        Args:
            most: How many positions to tell at most.

        Returns:
            Positions in the order of the requests, and None where an epoch ends; nothing while
            there is no sign of an order.
        """
        if not self._guesses or not self._sure:
            return []
        guess = self._guesses[0]
        steps: list[int | None] = list(guess.order[guess.made : guess.made + most])
        if len(steps) < most and self._goes_on(guess):
            if self._following is None:
                self._following = self._after(guess)
            steps += [None, *self._following.order[: most - len(steps)]]
        return steps

    def epoch_ended(self, length: int) -> None:
        """Notes the end of an epoch: another one may follow in the same manner.

        Args:
            length: Batches of a pass.
        """
        self._ends += 1
        self._asked, self._opened = [], None
        guess = self._guesses[0] if self._guesses else None
        self._guesses, self._following, self._sure = [], None, False
        if guess is None:
            return
        whole = len(guess.order) == length
        if guess.made == 0 and whole:  # nobody asked for anything since the last end
            self._guesses, self._sure = [self._after(guess, again=True)], True
        elif guess.complete and whole:
            if self._goes_on(guess):
                self._guesses, self._sure = [self._after(guess)], True
            self._runs = self._runs + 1 if guess.kind == "run" else 0
        else:
            self._runs = 0

    def _goes_on(self, guess: _Guess) -> bool:
        """Whether an epoch will be followed by another: only `fit` shuffles, and it often has more
        than one; `evaluate` and `predict` go through the batches in order, and do so once."""
        if guess.kind == "run":
            return self._runs > 0 and guess.order[:1] == range(1)
        return True

    def _after(self, guess: _Guess, again: bool = False) -> _Guess:
        """The order of the epoch after a guess's, or of its own again, as things stand now."""
        length = len(guess.order)
        if guess.kind == "epoch":
            epoch = guess.epoch if again else guess.epoch + 1
            return _Guess("epoch", _shuffled(random.Random(epoch), length), epoch=epoch)
        if guess.kind == "run":
            return _Guess("run", range(length))
        generator = random.Random()
        generator.setstate(random.getstate())
        return _Guess("global", _shuffled(generator, length))

    def _orders(self, length: int) -> Iterator[_Guess]:
        """The orders that may have begun when the length was read last, the likeliest one first."""
        epochs = dict.fromkeys((self._epoch + self._ends, 1, 0, 2))
        return self._draw(self._opened, length, epochs)

    def _draw(
        self, state: tuple[Any, ...] | None, length: int, epochs: Iterable[int]
    ) -> Iterator[_Guess]:
        """The orders of a whole pass, each drawn when it is looked at."""
        yield _Guess("run", range(length))
        if length > _LONGEST:
            return
        generator = random.Random()
        if state is not None:
            generator.setstate(state)
            yield _Guess("global", _shuffled(generator, length))
        for epoch in epochs:
            yield _Guess("epoch", _shuffled(random.Random(epoch), length), epoch=epoch)


def _shuffled(generator: random.Random, length: int) -> list[int]:
    """The positions of a pass as Keras shuffles them."""
    order = list(range(length))
    generator.shuffle(order)
    return order
