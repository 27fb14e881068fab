"""Batches from an array whose dtype the native core does not compute with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._native.hooks import SampleHooks

__all__ = ["ArrayLoader"]


class ArrayLoader:
    """Makes batches on the caller's thread, with Keras' steps in the array's own dtype.

    Has the methods of the native loader. A batch is made when it is waited for, since nothing
    would be gained before.

    Args:
        array: The images, rank 4.
        hooks: Finishes each image.
    """

    def __init__(self, array: NDArray[Any], hooks: SampleHooks) -> None:
        self._array = array
        self._hooks = hooks
        self._tickets: dict[int, tuple[NDArray[np.int64], NDArray[np.float64] | None]] = {}
        self._submitted = 0
        self._closed = False
        self._counters = {"samples": 0, "batches": 0}

    def submit(
        self,
        indices: NDArray[np.int64],
        transforms: NDArray[np.float64] | None = None,
        substitutes: NDArray[np.int64] | None = None,
    ) -> int:
        """Notes down one batch.

        Args:
            indices: Positions in the array, (k,).
            transforms: A transform row for each, (k, 11); None for none.
            substitutes: Without effect: there are no bad images in an array.

        Returns:
            The batch's ticket.
        """
        self._submitted += 1
        self._tickets[self._submitted] = (indices, transforms)
        return self._submitted

    def wait(self, ticket: int) -> tuple[NDArray[Any], list[tuple[int, int, str]]]:
        """Makes the batch of a ticket, which is used up.

        Returns:
            (k, ...) in the array's dtype; and nothing that could not be loaded.

        Raises:
            RuntimeError: The loader is closed.
            IndexError: An index is out of range.
            Exception: Whatever a step raises.
        """
        if self._closed:
            raise RuntimeError("the loader is closed")
        indices, transforms = self._tickets.pop(ticket)
        batch = np.zeros((len(indices), *self._array.shape[1:]), dtype=self._array.dtype)
        for position, index in enumerate(indices):
            transform = None if transforms is None else transforms[position]
            self._hooks.finish(self._array[index].copy(), batch[position], transform)
        self._counters["samples"] += len(indices)
        self._counters["batches"] += 1
        return batch, []

    def cancel(self) -> None:
        """Drops every ticket that was not waited for."""
        self._tickets.clear()

    @property
    def files_wanted(self) -> int:
        """0: nothing is read from files."""
        return 0

    def close(self) -> None:
        """Lets no batch be made any more."""
        self._closed = True

    def stats(self) -> dict[str, int]:
        """Batches made and their samples."""
        return dict(self._counters)
