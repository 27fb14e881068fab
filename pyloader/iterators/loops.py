"""The ways to loop over an endless iterator: one epoch, the rest of it, or without an end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyloader.iterators.repeated import Repeated


class EpochLoops(ABC):
    """Loops over the batches of `next()`."""

    @abstractmethod
    def next(self) -> Any:
        """Delivers the next batch; after an epoch the next one begins."""

    @abstractmethod
    def reset(self) -> None:
        """Makes `next()` begin a new epoch."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _progress(self) -> tuple[int, int]:
        """Returns the batches delivered of the current epoch, and the batches of an epoch."""

    def epoch(self) -> Generator[Any, None, None]:
        """One whole epoch, `len(it)` batches; begins a new one if this one is under way.

        Yields:
            What `next` returns.
        """
        if self._progress()[0]:
            self.reset()
        for _ in range(len(self)):
            yield self.next()

    def remaining(self) -> Generator[Any, None, None]:
        """The rest of the current epoch, as after `load_state_dict`; a whole one at its start.

        Yields:
            What `next` returns.
        """
        done, batches = self._progress()
        for _ in range(batches - done):
            yield self.next()

    def as_generator(self) -> Generator[Any, None, None]:
        """The endless batches of `next()` as a generator, for code that insists on one.

        Yields:
            What `next` returns.
        """
        while True:
            yield self.next()

    def repeat(self) -> Repeated:
        """The endless batches of `next()` for Keras 3's `fit` with any `steps_per_epoch`.

        Returns:
            A dataset without a length: epochs follow each other unbroken, wherever Keras' epochs
            end. Each `fit` begins a new one; the first after `load_state_dict` goes on from there.
        """
        from pyloader.iterators.repeated import Repeated  # few scripts need it

        return Repeated(self)
