"""Batch iterators: Keras' protocol over a position in the order and a native loader ahead of it."""

from __future__ import annotations

import operator
import sys
import threading
import time
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyloader._data.folders import IMAGE_EXTENSIONS
from pyloader._data.labels import weighted
from pyloader._distributed.shards import ALONE, Shard, ShardSpec, next_number
from pyloader._monitor.deliveries import Deliveries
from pyloader._monitor.error_log import BadImage, BadImages, blame, settle
from pyloader._monitor.stats import Stats, make_stats
from pyloader._native import lifecycle, loading
from pyloader._native.cores import usable_cores
from pyloader._native.loading import LoaderSettings
from pyloader._native.prefetch import Lookahead, PlannedBatch
from pyloader._order.cursor import Cursor
from pyloader._order.keras_order import Forecast
from pyloader.arguments import MAX_PIXELS, MAX_SCANS
from pyloader.caching import CacheSpec
from pyloader.errors import ImageError, passes_batch_over
from pyloader.iterators.keras_look import KerasLook
from pyloader.iterators.keras_torch import for_caller
from pyloader.iterators.own_batches import OwnBatches
from pyloader.iterators.passes import Passes
from pyloader.iterators.positions import Position
from pyloader.options import check_options

__all__ = ["Iterator"]

_SelfIterator = TypeVar("_SelfIterator", bound="Iterator")


class Iterator(KerasLook, Passes, OwnBatches):
    """Delivers batches for ever, as Keras' `Iterator` does, prepared ahead by native threads.

    `next()` and iteration follow the order of passes, each pass in a new order when shuffled;
    `it[i]` is batch i of the current order. All of it may be called from any thread; each batch
    is delivered once. A delivered array is the caller's own.

    Args:
        n: Number of samples.
        batch_size: Samples of a batch.
        shuffle: Whether each pass has a new random order.
        seed: Fixes the order (and makes it Keras'); None: drawn from NumPy's global generator,
            once, now.
        num_threads: Threads of the native pool; None (default): one for each usable core.
        prefetch: Batches prepared ahead; None (default): enough to keep all threads busy.
        shard: This process's part of every batch, (index, count), or "auto" to find it out at the
            first batch (see `shards.find_shard`); None (default): all of it. `batch_size` is that
            of all processes together.
        last_batch: "keep" (default): the last batch of a pass may have fewer samples. "pad": every
            batch has the same number of rows, in every process, and sample weights, which are 0
            for the rows that fill it up; `batch_indices` leaves those out. "drop": a pass ends
            with its last whole batch.
        fidelity: "exact" (default), Pillow's very bytes; or "fast": JPEGs are resized before
            their colour conversion, a mean of half a level away. See Tuning in the docs.
        pin_memory: Whether batches lie in page-locked memory, which a GPU copies from faster. True:
            registered with the CUDA runtime that the program has loaded, else locked by the system
            where it allows that; None (default): only the former; False: neither.
        cache, cache_limit: Where resized images are kept; see `caching.check_cache`.
        on_error: What becomes of an image that cannot be loaded. "raise" (default): an ImageError,
            and its batch is lost; "drop": it leaves its batch, which gets shorter; "replace":
            another image of the pass takes its place, with its own label. See `errors`.
        memory_limit: Bytes that the loader may hold, or text like "512MB"; None (default): no
            limit. What does not fit is a MemoryLimitError.
        max_pixels, max_scans: Pixels of an image, and scans of a JPEG, at most. Default
            178,956,970, as in Pillow, and 500.

    Raises:
        TypeError: `num_threads`, `prefetch` or `shard` is of the wrong type.
        ValueError: `num_threads` or `prefetch` is less than 1, `shard` is outside its world,
            `last_batch` is something else or leaves nothing.
    """

    white_list_formats = IMAGE_EXTENSIONS
    use_sequence_api = True

    n = Position[int]("Number of samples.")
    batch_size = Position[int]("Samples of a batch; the last one of a pass may have fewer.")
    shuffle = Position[bool]("Whether each pass has a new random order.")
    batch_index = Position[int]("Index of the batch that `next()` delivers next.")
    total_batches_seen = Position[int]("Batches delivered so far by `next()` and `it[i]`.")
    index_array = Position["NDArray[np.int64] | None"](
        "Dataset indices in the order of the current pass, (n,); None before the first batch."
    )

    lock: threading.Lock
    """Kept for code that expects it; the iterator guards itself by another."""

    def __init__(
        self,
        n: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        *,
        num_threads: int | None = None,
        prefetch: int | None = None,
        shard: ShardSpec = None,
        last_batch: str = "keep",
        fidelity: str = "exact",
        pin_memory: bool | None = None,
        cache: CacheSpec = None,
        cache_limit: int | str | None = None,
        on_error: str = "raise",
        memory_limit: int | str | None = None,
        max_pixels: int = MAX_PIXELS,
        max_scans: int = MAX_SCANS,
    ) -> None:
        self._options = check_options(
            n,
            batch_size,
            num_threads=num_threads,
            prefetch=prefetch,
            shard=shard,
            last_batch=last_batch,
            fidelity=fidelity,
            pin_memory=pin_memory,
            cache=cache,
            cache_limit=cache_limit,
            on_error=on_error,
            memory_limit=memory_limit,
            max_pixels=max_pixels,
            max_scans=max_scans,
        )
        self._check_own_batches()
        self._shard_number = 0 if shard is None else next_number()
        self._cursor = Cursor(
            n=n,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            hidden_seed=_draw_hidden_seed() if seed is None else 0,
            whole_batches=last_batch == "drop",
        )
        self._forecast = Forecast()
        self._lookahead: Lookahead | None = None
        self._key: tuple[Any, ...] = ()
        self._closed = False
        self._batch_indices: NDArray[np.int64] | None = None
        self._deliveries = Deliveries()
        self._bad_images = BadImages(on_error)
        self._after_fork()
        if memory_limit is not None and shard is None:
            self._settings_for(ALONE)  # refuses a limit that is too little at once
        lifecycle.track(self)

    @property
    def seed(self) -> int | None:
        """The seed as given. None: the order follows a draw made at construction."""
        return self._cursor.seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        with self._mutex:
            hidden_seed = _draw_hidden_seed() if value is None else 0
            self._move(self._cursor._replace(seed=value, hidden_seed=hidden_seed))

    @property
    def num_batches(self) -> int:
        """Batches of a pass, `len(it)`."""
        return len(self)

    @property
    def batch_indices(self) -> NDArray[np.int64] | None:
        """Dataset indices of the samples last delivered, (k,); None before the first batch."""
        return self._batch_indices

    @property
    def errors(self) -> list[BadImage]:
        """The images that could not be loaded when their batch was delivered, oldest first.

        Each once in a pass, the last 100,000 of them.
        """
        return list(self._bad_images)

    def __len__(self) -> int:
        self._forecast.length_read()
        return self._cursor.batches

    def __iter__(self: _SelfIterator) -> _SelfIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self) -> Any:
        """Delivers the next batch; after a pass the next one begins.

        Returns:
            Images, or a tuple of images and targets: see the subclass.

        Raises:
            ImageError: An image of the batch cannot be loaded. The batch is lost; the following
                call delivers the following batch. The same goes for what a
                preprocessing_function raises.
            MemoryLimitError: Batches in the caller's hands leave no room for this one. Nothing is
                lost: a later call delivers it.
            ValueError: The seed plus the number of batches seen is not a seed for NumPy.
            TypeError: The seed is not an integer.
            RuntimeError: The iterator is closed.
        """
        with self._mutex:
            if self._makes_own_batches():
                return self._deliver_own(None)
            lookahead = self._open_lookahead()
            return self._deliver(lookahead, lookahead.front(self._cursor))

    def __getitem__(self, index: int) -> Any:
        """Delivers one batch of the current pass; `next()` goes on from where it was.

        Args:
            index: Position of the batch in the pass; negative ones count from the end.

        Returns:
            What `next` returns.

        Raises:
            ValueError: There is no such batch; or as for `next`.
            ImageError: As for `next`, and so TypeError and RuntimeError.
        """
        position = operator.index(index)
        with self._mutex:
            length = self._cursor.batches
            if not -length <= position < length:
                raise ValueError(
                    f"Asked to retrieve element {index}, but the Sequence has length {length}"
                )
            position += length if position < 0 else 0
            if self._makes_own_batches():
                return for_caller(self._deliver_own(position), sys._getframe(1))
            lookahead = self._open_lookahead()
            self._forecast.requested(position, length)
            upcoming = self._forecast.upcoming(lookahead.reach)
            planned = lookahead.item(self._cursor, position, upcoming)
            return for_caller(self._deliver(lookahead, planned), sys._getframe(1))

    def reset(self) -> None:
        """Makes `next()` begin a new pass, in a new order when shuffled."""
        if self.batch_index != 0:  # else keep the batches that are prepared already
            self.batch_index = 0

    def on_epoch_begin(self) -> None:
        """Does nothing; Keras calls it before an epoch."""

    def on_epoch_end(self) -> None:
        """Draws a new order for `it[i]` at once; Keras calls it after an epoch."""
        with self._mutex:
            lookahead = self._lookahead
            if lookahead is None:
                self._cursor = self._cursor.epoch_end()
            else:  # which may know it already
                self._cursor = lookahead.epoch_end(self._cursor)
            self._forecast.epoch_ended(self._cursor.batches)
            self._bad_images.end_pass()
            if lookahead is not None and not self._closed:
                lookahead.expect(self._cursor, self._forecast.upcoming(lookahead.reach))

    def stats(self) -> Stats:
        """What was measured since the first batch.

        Returns:
            A snapshot; `print` it for a table.
        """
        lookahead = self._lookahead
        return make_stats(
            lookahead.counters() if lookahead is not None else {},
            samples=self._deliveries.samples,
            batches=self._deliveries.batches,
            seconds=self._deliveries.seconds,
            batch_seconds=list(self._deliveries.batch_seconds),
            pinning=self._options.pinning,
            cache=self._options.cache,
            memory=lookahead.settings.memory if lookahead is not None else None,
        )

    def close(self) -> None:
        """Stops the threads; whoever waits for a batch gets a RuntimeError, so does a later `next`.

        Delivered arrays stay valid. Closing twice is fine, and so is closing from any thread.
        """
        self._closed = True
        lookahead = self._lookahead
        if lookahead is not None:
            lookahead.close()

    def __enter__(self: _SelfIterator) -> _SelfIterator:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _after_fork(self) -> None:
        """Leaves the parent's threads and locks behind; called in the child of a fork."""
        self._mutex = threading.RLock()
        self.lock = threading.Lock()
        self._lookahead = None

    def _move(self, cursor: Cursor) -> None:
        """Stands elsewhere from now on; the batches under way lead from the old place."""
        self._cursor = cursor
        if self._lookahead is not None and not self._closed:
            self._lookahead.forget()

    def _open_lookahead(self) -> Lookahead:
        """The lookahead for the settings as they are now."""
        self._check_open()
        key = (self._cursor.batch_size, *self._settings_key())
        source = self._source()
        lookahead = self._lookahead
        if lookahead is not None and key == self._key and lookahead.source is source:
            return lookahead
        shard = self._find_shard()
        settings, drawing = self._settings_for(shard), self._drawing()
        if lookahead is not None and lookahead.settings == settings and lookahead.source is source:
            lookahead.redraw(drawing)
            self._key = key
            return lookahead
        if lookahead is not None:
            lookahead.close()
        self._lookahead = lookahead = Lookahead(
            settings, source, drawing, shard, pad=self._options.last_batch == "pad"
        )
        self._key = key
        self._deliveries.restart()
        if self._closed:  # by another thread, too early to meet this loader
            lookahead.close()
        return lookahead

    def _settings_for(self, shard: Shard) -> LoaderSettings:
        """What a loader of some part of every batch needs to know, with the options."""
        rows = shard.largest(self._cursor.batch_size)
        num_threads = self._options.num_threads or usable_cores()
        depth = self._options.prefetch or loading.automatic_depth(num_threads, rows)
        return self._options.apply(self._loader_settings(num_threads, depth), rows)

    def _deliver(self, lookahead: Lookahead, planned: PlannedBatch) -> Any:
        """Waits for a batch and moves on. A batch that fails is passed over, as in Keras."""
        requested = time.perf_counter()
        try:
            fetched = lookahead.fetch()
        except Exception as error:
            if not passes_batch_over(error):
                raise
            self._check_open()
            self._cursor = planned.after
            if isinstance(error, ImageError):
                self._bad_images.deliver(planned, blame(error, planned, lookahead.source))
            raise
        if self._options.cache is not None:
            self._options.cache.look()
        self._cursor = planned.after
        pad = self._options.last_batch == "pad"
        images, rows, drawn, samples, bad = settle(planned, fetched, lookahead.source, pad)
        self._batch_indices = rows[:samples]
        self._deliveries.add(samples, requested)
        self._bad_images.deliver(planned, bad)
        batch = self._make_batch(images, rows, drawn)
        return weighted(batch, samples) if pad else batch

    def _progress(self) -> tuple[int, int]:
        cursor = self._cursor
        return cursor.batch_index if cursor.started else 0, cursor.batches

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(
                f"this {type(self).__name__} is closed: it delivers no more batches. "
                "Make a new one."
            )


def _draw_hidden_seed() -> int:
    """A seed for iterators without one: `np.random.seed` fixes them, fresh runs differ."""
    return int(np.random.randint(2**31))
