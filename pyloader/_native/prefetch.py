"""The prefetch queue: batches planned ahead of the consumer and submitted to the native loader."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.random import RandomState  # imported here, not beside a fork
from numpy.typing import NDArray

from pyloader._augment.sampling import BatchParams, ParamSampler
from pyloader._native.lifecycle import is_shutting_down
from pyloader._native.loader import Source, make_loader
from pyloader._native.settings import LoaderSettings
from pyloader._order.cursor import Cursor, Plan
from pyloader.errors import BadImage, ImageError

_PLANNED_AT_ONCE = 8
"""Batches planned in one go: most calls of `next()` then plan none. A plan is a few numbers, and
the ring bounds how many batches are being filled."""

_MAX_SUBSTITUTES = 64
"""Samples tried in place of a bad one."""


class Part(Protocol):
    """This process's part of every batch; see `_distributed.shards.Shard`."""

    def part(self, samples: int) -> slice: ...
    def largest(self, samples: int) -> int: ...


@dataclass(slots=True, eq=False)
class Batch:
    """One batch from plan to delivery."""

    before: Cursor  #: The position that it was planned from
    after: Cursor  #: The position once it is delivered
    item: int | None
    """Its position in the epoch if it was asked for by position; None if it is the next one."""
    order: NDArray[np.int64]
    """This process's samples: a view of the epoch's order, which a user may write into."""
    ids: NDArray[np.int64]  #: A copy of them: dataset indices, (k,)
    rows: NDArray[np.int64]  #: The dataset index of each row: `ids`, and padding behind them
    params: BatchParams  #: The parameters of its rows
    samples: int  #: How many rows are samples
    ordered: bytes = b""
    """The content of `order` when it was planned."""
    ticket: int | None = None
    """The loader's ticket; None for a batch without samples, or with a `problem`."""
    problem: Exception | None = None  #: Why it cannot be loaded, to be raised when it is due
    images: NDArray[Any] | None = None
    """A row for each of `rows`, once it is fetched; None for a batch without samples."""
    bad: list[BadImage] = field(default_factory=list)
    """Its samples that could not be loaded and were dropped or replaced, with epoch 0."""

    @property
    def position(self) -> int:
        """Its position in the epoch."""
        return self.before.position if self.item is None else self.item

    def continues(self, cursor: Cursor, item: int | None) -> bool:
        """Returns whether it still is what a request is for."""
        return self.before is cursor and self.item == item and self.ordered == self.order.tobytes()


class PrefetchQueue:
    """A native loader and the queue of batches that it is working on.

    Guards one invariant: the queue continues, gapless, the cursor that the consumer stands at.
    A consumer at another place than the front's `before` makes the queue start anew, and so does
    an interrupt (KeyboardInterrupt, SystemExit), which may come between any two steps: a ticket
    that the queue does not know would hold a slot of the ring forever.
    Not thread-safe, apart from `close`: the iterator calls it under its lock.
    """

    settings: LoaderSettings
    source: Source

    def __init__(
        self,
        settings: LoaderSettings,
        source: Source,
        sampler: ParamSampler,
        *,
        part: Part,
        pad: bool,
        owner: object,
    ) -> None:
        self.settings = settings
        self.source = source
        self._sampler = sampler
        self._part = part
        self._pad = pad
        self._random = RandomState(0)  # reseeded for every batch
        self._loader = make_loader(settings, source, owner)
        self._queue: deque[Batch] = deque()
        self._consistent = True  # whether the queue and the loader know the same tickets

    @property
    def capacity(self) -> int:
        """How many batches may be queued."""
        return max(self._min_queued() + _PLANNED_AT_ONCE, len(self._queue))

    def set_sampler(self, sampler: ParamSampler) -> None:
        """Changes the sampler; queued batches are discarded."""
        self._sampler = sampler
        self.discard()

    def next_batch(self, cursor: Cursor) -> Batch:
        """Returns the batch that follows a cursor, with `depth` or more queued behind it.

        It stays queued until `fetch` takes it out.
        """
        if not self._consistent or (self._queue and not self._queue[0].continues(cursor, None)):
            self.discard()
        wanted = self._wanted()
        while len(self._queue) < wanted:
            last = self._queue[-1].after if self._queue else cursor
            if not self._append(last, None):
                break
        return self._queue[0]

    def get_batch(self, cursor: Cursor, index: int, upcoming: Sequence[int]) -> Batch:
        """Returns the batch at one position of the epoch, with likely requests queued behind it."""
        self.prefetch(cursor, [index, *upcoming])
        if not self._queue:  # it cannot be planned: say why
            self._append(cursor, index)
        return self._queue[0]

    def prefetch(self, cursor: Cursor, upcoming: Sequence[int]) -> None:
        """Queues the batches at some positions of the epoch; others are discarded."""
        if not self._consistent or not self._leads_to(cursor, upcoming):
            self.discard()
        wanted = self._wanted()
        for index in upcoming[len(self._queue) :]:
            last = self._queue[-1].after if self._queue else cursor
            if len(self._queue) >= wanted or not self._try_append(last, index):
                break

    def fetch(self, batch: Batch) -> None:
        """Waits for the front batch, takes it out of the queue, and applies the error policy.

        After an interrupt nothing is delivered, and the next request plans the same batch again.
        """
        assert batch is self._queue[0]
        self._consistent = False  # until it is out of the queue
        try:
            if batch.problem is not None:
                raise batch.problem
            self._wait(batch)
        except Exception:
            self._queue.popleft()
            self._consistent = True
            raise
        self._queue.popleft()
        self._consistent = True

    def load(self, cursor: Cursor, ids: NDArray[np.int64], params: BatchParams) -> Batch:
        """Loads the images of a batch that is in no order, at once; the queue is discarded."""
        self.discard()
        batch = Batch(cursor, cursor, None, ids, ids, ids, params, len(ids))
        if not len(ids):
            return batch
        others = None
        if self.settings.on_error == "replace":
            order = cursor.index_array
            order = np.arange(len(self.source)) if order is None else order
            others = _substitutes(order, np.arange(len(ids)))
        with self._changing():
            batch.ticket = self._submit_indices(ids, params.transforms, others)
            self._wait(batch)
        return batch

    def discard(self) -> None:
        """Drops every queued batch."""
        if self._queue or not self._consistent:
            with self._changing():
                self._queue.clear()
                self._loader.cancel()

    def close(self) -> None:
        """Stops the loader and wakes a thread that waits in `fetch`; from any thread."""
        self._loader.close()

    def counters(self) -> dict[str, int]:
        """Returns the native loader's counters."""
        return self._loader.stats()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Marks the queue as inconsistent until the block has ended without an error."""
        self._consistent = False
        yield
        self._consistent = True

    def _wanted(self) -> int:
        """How many batches the queue should hold."""
        if is_shutting_down():
            return 1  # the one that is due
        wanted = self._min_queued()
        return wanted if len(self._queue) >= wanted else wanted + _PLANNED_AT_ONCE

    def _min_queued(self) -> int:
        """How many batches the queue never falls below: more where files are read ahead."""
        least = self.settings.depth + 1
        files = self._loader.files_wanted
        if files and self._queue:
            least += -(-files // max(1, len(self._queue[-1].rows)))
        return least

    def _leads_to(self, cursor: Cursor, upcoming: Sequence[int]) -> bool:
        """Whether the queue holds nothing but the first batches of some requests."""
        if not upcoming and self._queue and self._queue[0].item is None:
            return self._queue[0].before is cursor  # prepared for `next_batch`
        if len(self._queue) > len(upcoming):
            return False
        for batch, index in zip(self._queue, upcoming, strict=False):
            if not batch.continues(cursor, index):
                return False
            cursor = batch.after
        return True

    def _try_append(self, cursor: Cursor, item: int) -> bool:
        """Plans and submits one more batch; False if it cannot be: its own request will say why."""
        with contextlib.suppress(Exception):
            return self._append(cursor, item)
        return False

    def _append(self, cursor: Cursor, item: int | None) -> bool:
        """Plans and submits one more batch; False if it is not due yet and cannot be planned."""
        try:
            if item is None:
                plan = cursor.next(self._sampler, self._random)
            else:
                plan = cursor.item(item, self._sampler, self._random)
        except Exception:
            if not self._queue:
                raise
            return False
        self._consistent = False
        self._queue.append(self._submit(cursor, item, plan))
        self._consistent = True
        return True

    def _submit(self, before: Cursor, item: int | None, plan: Plan) -> Batch:
        """Submits this process's part of one planned batch."""
        part = self._part.part(len(plan.ids))
        order = plan.ids[part]
        ids = np.array(order, dtype=np.int64)
        rows, params = ids, plan.params.take(part)
        if self._pad:
            missing = self._part.largest(before.batch_size) - len(ids)
            rows = np.concatenate([ids, np.repeat(plan.ids[:1], missing)])
            params = params.padded(plan.params, len(rows) - len(ids))
        samples, ordered = len(ids), order.tobytes()
        batch = Batch(before, plan.after, item, order, ids, rows, params, samples, ordered)
        if len(rows):
            try:
                others = self._substitutes_for(plan, part, len(rows))
                batch.ticket = self._submit_indices(rows, params.transforms, others)
            except IndexError as error:
                batch.problem = error
        return batch

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

    def _substitutes_for(self, plan: Plan, part: slice, rows: int) -> NDArray[np.int64] | None:
        """Returns the samples that may replace each row's image, (rows, any)."""
        order = plan.after.index_array
        if self.settings.on_error != "replace" or order is None:
            return None
        positions = plan.first + np.arange(part.start, part.start + rows)
        positions[part.stop - part.start :] = plan.first  # padding repeats the first sample
        return _substitutes(order, positions)

    def _wait(self, batch: Batch) -> None:
        """Waits for a batch and applies the error policy to it."""
        if batch.ticket is not None:
            batch.images, failed = self._loader.wait(batch.ticket)
            if failed:
                apply_error_policy(batch, failed, self.source, self._pad)


def apply_error_policy(
    batch: Batch, failed: Sequence[tuple[int, int, str]], files: Source, pad: bool
) -> None:
    """Closes the gaps of images that were dropped, and records which were replaced."""
    assert batch.images is not None
    rows, gaps = batch.rows.copy(), []
    for row, substitute, reason in failed:
        replaced = substitute >= 0
        if row < batch.samples:
            index = int(rows[row]) % len(files)
            other = substitute if replaced else None
            batch.bad.append(BadImage(str(files[index]), reason, 0, index, other))
        if replaced:
            rows[row] = substitute
        else:
            gaps.append(row)
    if gaps:
        kept = np.setdiff1d(np.arange(batch.samples), gaps)
        images = batch.images
        for place, row in enumerate(kept):
            if place != row:
                images[place] = images[row]
        if pad:
            images[len(kept) :] = images[0] if len(kept) else 0
        else:
            images = images[: len(kept)]
        filling = rows[kept[:1] if len(kept) else slice(1)]
        rows = np.concatenate([rows[kept], np.repeat(filling, len(images) - len(kept))])
        batch.images, batch.params, batch.samples = images, batch.params.take(kept), len(kept)
    batch.rows = rows


def find_failed_sample(error: ImageError, ids: NDArray[np.int64], files: Source) -> list[BadImage]:
    """Returns the image of a batch that an error names, with epoch 0; or nothing."""
    for index in ids:
        if str(files[index]) == error.path:
            return [BadImage(error.path, error.reason, 0, int(index) % len(files))]
    return []


def _substitutes(order: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Chooses the samples that may replace those at some positions of an epoch.

    The choice depends on the epoch's order and the position alone, so it is the same for any
    number of threads and processes. Every other sample has its turn, up to 64 of them.
    """
    others = len(order) - 1
    if others < 1:
        return np.empty((len(positions), 0), dtype=np.int64)
    stride = max(1, int(others * 0.381966))
    while math.gcd(stride, others) != 1:  # until it visits all before it returns to one
        stride += 1
    tries = np.arange(min(others, _MAX_SUBSTITUTES), dtype=np.int64)
    # The walk must not begin with the neighbor, which may be in the same batch.
    begin = (positions * 7919 + others // 3)[:, np.newaxis]
    steps = (begin + tries * stride) % others
    chosen: NDArray[np.int64] = order[(positions[:, np.newaxis] + 1 + steps) % len(order)]
    return chosen
