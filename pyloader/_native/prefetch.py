"""Batches under way: planned ahead of the consumer and submitted to the native loader."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import RandomState  # now, and not beside a fork
from numpy.typing import NDArray

from pyloader._augment.sampling import Drawing, Drawn
from pyloader._distributed.shards import ALONE, Shard
from pyloader._native.lifecycle import is_ending
from pyloader._native.loading import Loader, LoaderSettings, Source, make_loader
from pyloader._native.substitutes import substitutes
from pyloader._order.cursor import Cursor, Plan

__all__ = ["FetchedBatch", "Lookahead", "PlannedBatch"]

_PLANNED_AT_ONCE = 8
"""Batches planned in one go: most calls of `next()` then plan none. A plan is a few numbers, and
the ring bounds how many batches are being filled."""


class PlannedBatch(NamedTuple):
    """One batch from plan to delivery."""

    before: Cursor
    """The position that it was planned from."""

    after: Cursor
    """The position once it is delivered."""

    item: int | None
    """Its position in the pass if it was asked for by position; None if it is simply the next."""

    ids: NDArray[np.int64]
    """The dataset indices of this process's samples, a copy of its own."""

    order: NDArray[np.int64]
    """The part of the pass's order that `ids` was copied from."""

    rows: NDArray[np.int64]
    """The dataset index of each row of the batch: `ids`, and padding behind them."""

    drawn: Drawn
    """What was drawn for its rows."""

    ticket: int | None
    """The loader's ticket; None for a batch without samples and for one that cannot be loaded."""

    problem: Exception | None
    """Why it cannot be loaded, to be raised when it is due."""

    @property
    def position(self) -> int:
        """Its position in the pass."""
        if self.item is not None:
            return self.item
        return self.before.batch_index if self.before.started else 0


class FetchedBatch(NamedTuple):
    """One batch as the loader made it."""

    images: NDArray[Any] | None
    """A row for each of the batch's rows; None for a batch without samples."""

    bad: list[tuple[int, int, str]]
    """Images that could not be loaded and are no error: the row, the index of the sample in its
    place (-1 for none: the row is undefined), and the reason."""


class Lookahead:
    """One native loader and the queue of batches that it is working on.

    Guards one invariant: the queue continues, gapless, the cursor that the consumer stands at.
    A consumer that stands elsewhere than at the front's `before` makes the queue start anew. So
    does an interrupt (KeyboardInterrupt, SystemExit), which may come between any two steps: a
    ticket that the queue does not know would hold a place in the ring for ever.
    Not thread-safe, apart from `close`: the iterator calls it under its lock.

    Args:
        settings: What the loader freezes.
        source: The images; kept by reference.
        drawing: What is drawn for the images of a batch.
        shard: Which part of every batch is this process's. Default: all of it.
        pad: Whether each batch is filled up to the rows that the largest part of a whole batch
            has. Default False.
    """

    settings: LoaderSettings
    source: Source

    def __init__(
        self,
        settings: LoaderSettings,
        source: Source,
        drawing: Drawing,
        shard: Shard = ALONE,
        pad: bool = False,
    ) -> None:
        self.settings = settings
        self.source = source
        self._drawing = drawing
        self._shard = shard
        self._pad = pad
        self._random = RandomState(0)  # reseeded for every batch
        self._loader: Loader = make_loader(settings, source)
        self._queue: deque[PlannedBatch] = deque()
        self._agrees = True  # whether the queue and the loader know the same tickets
        self._epoch_end: tuple[Cursor | None, Cursor | None] = None, None

    @property
    def reach(self) -> int:
        """How many batches may be queued."""
        return max(self._least() + _PLANNED_AT_ONCE, len(self._queue))

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
        if not self._agrees or (self._queue and not _continues(self._queue[0], cursor, None)):
            self.forget()
        enough = self._enough()
        while len(self._queue) < enough:
            last = self._queue[-1].after if self._queue else cursor
            if not self._append(last, None):
                break
        return self._queue[0]

    def item(self, cursor: Cursor, index: int, upcoming: Sequence[int | None]) -> PlannedBatch:
        """The batch at one position of the pass, with the ones that may be asked for next behind.

        Args:
            cursor: Where the consumer stands.
            index: Position of the batch, from 0.
            upcoming: As for `expect`, after this one.

        Returns:
            The batch, still queued; `fetch` takes it out.

        Raises:
            ValueError: The batch cannot be planned (see `Cursor.item`).
            TypeError: Likewise.
        """
        self.expect(cursor, [index, *upcoming])
        if not self._queue:  # it cannot be planned: say why
            self._append(cursor, index)
        return self._queue[0]

    def expect(self, cursor: Cursor, upcoming: Sequence[int | None]) -> None:
        """Prepares the batches at some positions of the pass; others are dropped.

        Args:
            cursor: Where the consumer stands.
            upcoming: The positions, in the order in which they will be asked for, with None where
                an epoch ends in between. No more are prepared than is usual.
        """
        if not self._agrees or (self._queue and not self._leads_to(cursor, upcoming)):
            self.forget()
        enough, known = self._enough(), len(self._queue)
        for index in upcoming:
            if index is None:
                cursor = self.epoch_end(cursor)
                continue
            if known:
                known -= 1
            elif len(self._queue) >= enough or not self._try_append(cursor, index):
                break
            cursor = self._queue[-1 - known].after

    def epoch_end(self, cursor: Cursor) -> Cursor:
        """The position after an epoch's end; the same object for the same cursor, asked twice.

        Args:
            cursor: The position before it.

        Returns:
            See `Cursor.epoch_end`.
        """
        if cursor.stream is None:  # depends on NumPy's global generator, as it stands now
            return cursor.epoch_end()
        if self._epoch_end[0] is not cursor:
            self._epoch_end = cursor, cursor.epoch_end()
        after = self._epoch_end[1]
        assert after is not None
        return after

    def fetch(self) -> FetchedBatch:
        """Waits for the front batch and takes it out of the queue.

        After an interrupt (KeyboardInterrupt, SystemExit) nothing is delivered, and the next
        `front` plans the same batch again.

        Returns:
            The batch's images.

        Raises:
            Exception: Whatever made the batch fail; it is out of the queue all the same.
        """
        planned = self._queue[0]
        self._agrees = False
        try:
            if planned.problem is not None:
                raise planned.problem
            fetched = FetchedBatch(None, [])
            if planned.ticket is not None:
                fetched = FetchedBatch(*self._loader.wait(planned.ticket))
        except Exception:
            self._queue.popleft()
            self._agrees = True
            raise
        self._queue.popleft()
        self._agrees = True
        return fetched

    def load(
        self, cursor: Cursor, ids: NDArray[np.int64], drawn: Drawn
    ) -> tuple[PlannedBatch, FetchedBatch]:
        """Loads the images of a batch that is in no order, at once; what is queued is forgotten.

        Args:
            cursor: Where the consumer stands.
            ids: The dataset indices of its samples.
            drawn: What was drawn for them.

        Returns:
            The batch as planned, and its images.

        Raises:
            Exception: Whatever makes the batch fail.
        """
        self.forget()
        planned = PlannedBatch(cursor, cursor, None, ids, ids, ids, drawn, None, None)
        if not len(ids):
            return planned, FetchedBatch(None, [])
        others = None
        if self.settings.on_error == "replace":
            order = cursor.index_array
            order = np.arange(len(self.source)) if order is None else order
            others = substitutes(order, np.arange(len(ids)))
        self._agrees = False  # until nothing is under way
        ticket = self._submit_indices(ids, drawn.transforms, others)
        fetched = FetchedBatch(*self._loader.wait(ticket))
        self._agrees = True
        return planned, fetched

    def forget(self) -> None:
        """Drops every batch of the queue."""
        if self._queue or not self._agrees:
            self._agrees = False
            self._queue.clear()
            self._loader.cancel()
            self._agrees = True

    def close(self) -> None:
        """Stops the loader and wakes whoever waits in `fetch`. May be called from any thread."""
        self._loader.close()

    def counters(self) -> dict[str, int]:
        """The native loader's counters."""
        return self._loader.stats()

    def _enough(self) -> int:
        """How many batches the queue should hold."""
        if is_ending():
            return 1  # the one that is due
        enough = self._least()
        return enough if len(self._queue) >= enough else enough + _PLANNED_AT_ONCE

    def _least(self) -> int:
        """How many batches the queue never falls below: more where files are read ahead."""
        least = self.settings.depth + 1
        files = self._loader.files_wanted
        if files and self._queue:
            least += -(-files // max(1, len(self._queue[-1].rows)))
        return least

    def _leads_to(self, cursor: Cursor, upcoming: Sequence[int | None]) -> bool:
        """Whether the queue holds nothing but the first batches of some requests."""
        if not upcoming and self._queue[0].item is None:
            return self._queue[0].before is cursor  # prepared for `front`
        positions = iter(upcoming)
        for planned in self._queue:
            index = next(positions, None)
            if index is None:
                cursor = self.epoch_end(cursor)
                index = next(positions, None)
            if index is None or not _continues(planned, cursor, index):
                return False
            cursor = planned.after
        return True

    def _try_append(self, cursor: Cursor, item: int) -> bool:
        """Plans and submits one batch more; False if it cannot be: its own request will say why."""
        try:
            return self._append(cursor, item)
        except Exception:
            return False

    def _append(self, cursor: Cursor, item: int | None) -> bool:
        """Plans and submits one batch more; False if it is not due yet and cannot be planned."""
        try:
            if item is None:
                plan = cursor.next(self._drawing, self._random)
            else:
                plan = cursor.item(item, self._drawing, self._random)
        except Exception:
            if not self._queue:
                raise
            return False
        self._agrees = False
        self._queue.append(self._submit(cursor, item, plan))
        self._agrees = True
        return True

    def _submit(self, before: Cursor, item: int | None, plan: Plan) -> PlannedBatch:
        """Submits this process's part of one planned batch."""
        part = self._shard.part(len(plan.ids))
        order = plan.ids[part]
        ids = np.array(order, dtype=np.int64)
        rows, drawn = ids, plan.drawn.take(part)
        if self._pad:
            missing = self._shard.largest(before.batch_size) - len(ids)
            rows = np.concatenate([ids, np.repeat(plan.ids[:1], missing)])
            drawn = drawn.padded(plan.drawn, len(rows) - len(ids))
        ticket, problem = None, None
        if len(rows):
            try:
                others = self._substitutes(plan, part, len(rows))
                ticket = self._submit_indices(rows, drawn.transforms, others)
            except IndexError as error:
                problem = error
        return PlannedBatch(before, plan.after, item, ids, order, rows, drawn, ticket, problem)

    def _substitutes(self, plan: Plan, part: slice, rows: int) -> NDArray[np.int64] | None:
        """Who may take the place of each row's image, (rows, any)."""
        order = plan.after.index_array
        if self.settings.on_error != "replace" or order is None:
            return None
        positions = plan.first + np.arange(part.start, part.start + rows)
        positions[part.stop - part.start :] = plan.first  # padding repeats the first sample
        return substitutes(order, positions)

    def _submit_indices(
        self,
        ids: NDArray[np.int64],
        transforms: NDArray[np.float64] | None,
        others: NDArray[np.int64] | None,
    ) -> int:
        """Submits indices; in an order set by the user, negative ones count from the end."""
        try:
            return self._loader.submit(ids, transforms, others)
        except IndexError:
            n = len(self.source)
            ids = np.where(ids < 0, ids + n, ids)
            others = None if others is None else np.where(others < 0, others + n, others)
            return self._loader.submit(ids, transforms, others)


def _continues(planned: PlannedBatch, cursor: Cursor, item: int | None) -> bool:
    """Whether a batch still is what a request is for; users may write into the order array."""
    return (
        planned.before is cursor
        and planned.item == item
        and planned.ids.tobytes() == planned.order.tobytes()
    )
