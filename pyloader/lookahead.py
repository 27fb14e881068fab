"""Batches under way: planned ahead of the consumer and submitted to the native loader."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader.drawing import Drawing, Drawn
from pyloader.loading import Loader, LoaderSettings, Source, make_loader
from pyloader.order import Cursor, Plan

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

    drawn: Drawn
    """What was drawn for its images."""

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
        source: The images; kept by reference.
        drawing: What is drawn for the images of a batch.
    """

    settings: LoaderSettings
    source: Source

    def __init__(self, settings: LoaderSettings, source: Source, drawing: Drawing) -> None:
        self.settings = settings
        self.source = source
        self._drawing = drawing
        self._random = np.random.RandomState(0)  # reseeded for every batch
        self._loader: Loader = make_loader(settings, source)
        self._queue: deque[PlannedBatch] = deque()

    def redraw(self, drawing: Drawing) -> None:
        """Draws something else from now on; what is queued is forgotten.

        Args:
            drawing: What is drawn for the images of a batch.
        """
        self._drawing = drawing
        self.forget()

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
                plan = last.next(self._drawing, self._random)
            except Exception:
                if not queue:
                    raise
                break
            queue.append(self._submit(last, plan))
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
        plan = cursor.item(index, self._drawing, self._random)
        self._queue.append(self._submit(cursor, plan))
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

    def _submit(self, before: Cursor, plan: Plan) -> PlannedBatch:
        """Submits one planned batch."""
        ids = np.array(plan.ids, dtype=np.int64)
        ticket, problem = None, None
        if len(ids):
            try:
                ticket = self._submit_indices(ids, plan.drawn.transforms)
            except IndexError as error:
                problem = error
        return PlannedBatch(before, plan.after, ids, plan.ids, plan.drawn, ticket, problem)

    def _submit_indices(
        self, ids: NDArray[np.int64], transforms: NDArray[np.float64] | None
    ) -> int:
        """Submits indices; in an order set by the user, negative ones count from the end."""
        try:
            return self._loader.submit(ids, transforms)
        except IndexError:
            positive = np.where(ids < 0, ids + len(self.source), ids)
            return self._loader.submit(positive, transforms)


def _continues(planned: PlannedBatch, cursor: Cursor) -> bool:
    """Whether a batch still is what follows a cursor; users may write into the order array."""
    return planned.before is cursor and planned.ids.tobytes() == planned.order.tobytes()
