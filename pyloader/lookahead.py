"""Batches under way: planned ahead of the consumer and submitted to the native loader."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._pyloader import Loader
from pyloader.loading import LoaderSettings, make_loader
from pyloader.order import Cursor

__all__ = ["Lookahead", "PlannedBatch"]

_PLANNED_AT_ONCE = 8
"""Batches planned in one go: most calls of `next()` then plan none. A plan is a few numbers, and
the ring bounds how many batches are being filled."""


class PlannedBatch(NamedTuple):
    """One batch from plan to delivery."""

    before: Cursor
    """The position that it was planned from."""

    after: Cursor
    """The position once it is delivered."""

    ids: NDArray[np.int64]
    """Its dataset indices, a copy of its own."""

    order: NDArray[np.int64]
    """The part of the pass's order that `ids` was copied from."""

    ticket: int | None
    """The loader's ticket; None for a batch without samples and for one that cannot be loaded."""

    problem: Exception | None
    """Why it cannot be loaded, to be raised when it is due."""


class Lookahead:
    """One native loader and the queue of batches that it is working on.

    Guards one invariant: the queue continues, gapless, the cursor that the consumer stands at.
    A consumer that stands elsewhere than at the front's `before` makes the queue start anew.
    Not thread-safe, apart from `close`: the iterator calls it under its lock.

    Args:
        settings: What the loader freezes.
        paths: The image files; kept by reference.
    """

    settings: LoaderSettings
    paths: Sequence[str]

    def __init__(self, settings: LoaderSettings, paths: Sequence[str]) -> None:
        self.settings = settings
        self.paths = paths
        self._loader: Loader = make_loader(settings, paths)
        self._queue: deque[PlannedBatch] = deque()

    def front(self, cursor: Cursor) -> PlannedBatch:
        """The batch that follows a cursor, with `depth` or more queued behind it.

        Args:
            cursor: Where the consumer stands.

        Returns:
            The batch, still queued; `fetch` takes it out.

        Raises:
            ValueError: The batch cannot be planned (see `Cursor.next`). Only for the batch that is
                due: trouble further ahead waits until it is at the front.
            TypeError: Likewise.
        """
        queue = self._queue
        if queue and not _continues(queue[0], cursor):
            self.forget()
        enough = self.settings.depth + 1
        if len(queue) < enough:
            enough += _PLANNED_AT_ONCE
        while len(queue) < enough:
            last = queue[-1].after if queue else cursor
            try:
                ids, after = last.next()
            except Exception:
                if not queue:
                    raise
                break
            queue.append(self._submit(last, ids, after))
        return queue[0]

    def single(self, cursor: Cursor, index: int) -> PlannedBatch:
        """The batch at one position of the pass, alone in the queue.

        Args:
            cursor: Where the consumer stands.
            index: Position of the batch, from 0.

        Returns:
            The batch, still queued; `fetch` takes it out.

        Raises:
            ValueError: The batch cannot be planned (see `Cursor.item`).
            TypeError: Likewise.
        """
        self.forget()
        ids, after = cursor.item(index)
        self._queue.append(self._submit(cursor, ids, after))
        return self._queue[0]

    def fetch(self) -> NDArray[Any] | None:
        """Waits for the front batch and takes it out of the queue.

        An interrupt (KeyboardInterrupt, SystemExit) empties the queue: nothing is delivered, and
        the next `front` plans the same batch again.

        Returns:
            The batch's images; None for a batch without samples.

        Raises:
            Exception: Whatever made the batch fail; it is out of the queue all the same.
        """
        planned = self._queue[0]
        try:
            if planned.problem is not None:
                raise planned.problem
            images = None if planned.ticket is None else self._loader.wait(planned.ticket)
        except Exception:
            self._queue.popleft()
            raise
        except BaseException:
            self.forget()
            raise
        self._queue.popleft()
        return images

    def forget(self) -> None:
        """Drops every batch of the queue."""
        if self._queue:
            self._queue.clear()
            self._loader.cancel()

    def close(self) -> None:
        """Stops the loader and wakes whoever waits in `fetch`. May be called from any thread."""
        self._loader.close()

    def counters(self) -> dict[str, int]:
        """The native loader's counters."""
        return self._loader.stats()

    def _submit(self, before: Cursor, order: NDArray[np.int64], after: Cursor) -> PlannedBatch:
        """Submits one batch, given its part of the pass's order."""
        ids = np.array(order, dtype=np.int64)
        ticket, problem = None, None
        if len(ids):
            try:
                ticket = self._submit_indices(ids)
            except IndexError as error:
                problem = error
        return PlannedBatch(before, after, ids, order, ticket, problem)

    def _submit_indices(self, ids: NDArray[np.int64]) -> int:
        """Submits indices; in an order set by the user, negative ones count from the end."""
        try:
            return self._loader.submit(ids)
        except IndexError:
            return self._loader.submit(np.where(ids < 0, ids + len(self.paths), ids))


def _continues(planned: PlannedBatch, cursor: Cursor) -> bool:
    """Whether a batch still is what follows a cursor; users may write into the order array."""
    return planned.before is cursor and planned.ids.tobytes() == planned.order.tobytes()
