"""The ways to loop over an endless iterator: one pass, what is left of it, or for ever."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyloader.iterators.repeated import Repeated

__all__ = ["Passes"]


class Passes(ABC):
    """Loops over the batches of `next()`."""

    @abstractmethod
    def next(self) -> Any:
        """Delivers the next batch; after a pass the next one begins."""

    @abstractmethod
    def _progress(self) -> tuple[int, int]:
        """Batches delivered of the current pass, and batches of a pass."""

    def epoch(self) -> Generator[Any, None, None]:
        """One pass for a plain loop: exactly `len(it)` batches from `next()`.

        Yields:
            What `next` returns.
        """
        for _ in range(self._progress()[1]):
            yield self.next()

    def remaining(self) -> Generator[Any, None, None]:
        """What is left of the current pass, as after `load_state_dict`; a whole one at its start.

        Yields:
            What `next` returns.
        """
        done, batches = self._progress()
        for _ in range(batches - done):
            yield self.next()

    def as_generator(self) -> Generator[Any, None, None]:
        """The endless batches of `next()` as a real generator, for consumers that insist on one.

        Yields:
            What `next` returns.
        """
        while True:
            yield self.next()

    def repeat(self) -> Repeated:
        """The endless batches of `next()` for Keras 3's `fit` with any `steps_per_epoch`.

        Returns:
            A dataset without a length: passes follow each other unbroken, wherever Keras' epochs
            end. Each `fit` begins a new one; the first after `load_state_dict` goes on from there.
        """
        from pyloader.iterators.repeated import Repeated  # which few need

        return Repeated(self)
