"""Batch iterators: Keras' protocol over a position in the order and a native loader ahead of it."""

from __future__ import annotations

import operator
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Generic, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from pyloader import lifecycle, loading
from pyloader.arguments import check_count
from pyloader.discovery import IMAGE_EXTENSIONS
from pyloader.drawing import Drawing, Drawn
from pyloader.integrations.keras_look import KerasLook
from pyloader.loading import LoaderSettings, Source
from pyloader.lookahead import Lookahead, PlannedBatch
from pyloader.order import Cursor
from pyloader.stats import Stats, make_stats

__all__ = ["Iterator"]

_T = TypeVar("_T")
_SelfIterator = TypeVar("_SelfIterator", bound="Iterator")


class _Position(Generic[_T]):
    """An attribute that lives in the iterator's cursor.

    Assigning makes a new cursor; the batches prepared for the old one are dropped, so that the
    next batch already follows the new value.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type[Iterator], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, iterator: None, owner: type[Iterator]) -> _Position[_T]: ...
    @overload
    def __get__(self, iterator: Iterator, owner: type[Iterator]) -> _T: ...
    def __get__(self, iterator: Iterator | None, owner: type[Iterator]) -> _Position[_T] | _T:
        if iterator is None:
            return self
        return cast(_T, getattr(iterator._cursor, self._name))

    def __set__(self, iterator: Iterator, value: _T) -> None:
        with iterator._mutex:
            change: dict[str, Any] = {self._name: value}
            iterator._move(iterator._cursor._replace(**change))


class Iterator(KerasLook, ABC):
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

    Raises:
        TypeError: `num_threads` or `prefetch` is not an integer.
        ValueError: `num_threads` or `prefetch` is less than 1.
    """

    white_list_formats = IMAGE_EXTENSIONS
    use_sequence_api = True

    n = _Position[int]("Number of samples.")
    batch_size = _Position[int]("Samples of a batch; the last one of a pass may have fewer.")
    shuffle = _Position[bool]("Whether each pass has a new random order.")
    batch_index = _Position[int]("Index of the batch that `next()` delivers next.")
    total_batches_seen = _Position[int]("Batches delivered so far by `next()` and `it[i]`.")
    index_array = _Position["NDArray[np.int64] | None"](
        "Dataset indices in the order of the current pass, (n,); None before the first batch."
    )

    lock: threading.Lock
    """Kept for code that expects it; the iterator guards itself by another."""

    workers: int
    """Read by Keras, which starts no threads of its own while it is 1: leave it there."""

    use_multiprocessing: bool
    """Read by Keras; leave it False."""

    max_queue_size: int
    """Read by Keras; without effect while `workers` is 1."""

    def __init__(
        self,
        n: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        *,
        num_threads: int | None = None,
        prefetch: int | None = None,
    ) -> None:
        self._num_threads = check_count("num_threads", num_threads)
        self._prefetch = check_count("prefetch", prefetch)
        self.workers = 1
        self.use_multiprocessing = False
        self.max_queue_size = 10
        self._cursor = Cursor(
            n=n,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            hidden_seed=_draw_hidden_seed() if seed is None else 0,
        )
        self._lookahead: Lookahead | None = None
        self._key: tuple[Any, ...] = ()
        self._closed = False
        self._batch_indices: NDArray[np.int64] | None = None
        self._samples_delivered = 0
        self._batches_delivered = 0
        self._first_request = 0.0
        self._last_delivery = 0.0
        self._after_fork()
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

    def __len__(self) -> int:
        cursor = self._cursor
        return (cursor.n + cursor.batch_size - 1) // cursor.batch_size

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
            ValueError: The seed plus the number of batches seen is not a seed for NumPy.
            TypeError: The seed is not an integer.
            RuntimeError: The iterator is closed.
        """
        with self._mutex:
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
            length = len(self)
            if not -length <= position < length:
                raise ValueError(
                    f"Asked to retrieve element {index}, but the Sequence has length {length}"
                )
            lookahead = self._open_lookahead()
            position += length if position < 0 else 0
            return self._deliver(lookahead, lookahead.single(self._cursor, position))

    def epoch(self) -> Generator[Any, None, None]:
        """One pass for a plain loop: exactly `len(it)` batches from `next()`.

        Yields:
            What `next` returns.
        """
        for _ in range(len(self)):
            yield self.next()

    def as_generator(self) -> Generator[Any, None, None]:
        """The endless batches of `next()` as a real generator, for consumers that insist on one.

        Yields:
            What `next` returns.
        """
        while True:
            yield self.next()

    def reset(self) -> None:
        """Makes `next()` begin a new pass, in a new order when shuffled."""
        if self.batch_index != 0:  # else keep the batches that are prepared already
            self.batch_index = 0

    def on_epoch_begin(self) -> None:
        """Does nothing; Keras calls it before an epoch."""

    def on_epoch_end(self) -> None:
        """Draws a new order for `it[i]` at once; Keras calls it after an epoch."""
        with self._mutex:
            self._move(self._cursor.epoch_end())

    def stats(self) -> Stats:
        """What was measured since the first batch.

        Returns:
            A snapshot; `print` it for a table.
        """
        lookahead = self._lookahead
        return make_stats(
            lookahead.counters() if lookahead is not None else {},
            samples=self._samples_delivered,
            batches=self._batches_delivered,
            seconds=max(0.0, self._last_delivery - self._first_request),
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

    @abstractmethod
    def _source(self) -> Source:
        """The images; the same object as long as nothing changed."""

    @abstractmethod
    def _settings_key(self) -> tuple[Any, ...]:
        """The attributes that decide about batches, as they are now; looked at before each one."""

    @abstractmethod
    def _loader_settings(self, num_threads: int, depth: int) -> LoaderSettings:
        """What a loader needs to know, checked; called when the key has changed."""

    @abstractmethod
    def _drawing(self) -> Drawing:
        """What is drawn for the images of a batch; called when the key has changed."""

    @abstractmethod
    def _make_batch(self, images: NDArray[Any] | None, ids: NDArray[np.int64], drawn: Drawn) -> Any:
        """What to hand out for a batch's images; None stands for a batch without samples."""

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
        num_threads = self._num_threads or loading.usable_cores()
        depth = self._prefetch or loading.automatic_depth(num_threads, self._cursor.batch_size)
        settings, drawing = self._loader_settings(num_threads, depth), self._drawing()
        if lookahead is not None and lookahead.settings == settings and lookahead.source is source:
            lookahead.redraw(drawing)
            self._key = key
            return lookahead
        if lookahead is not None:
            lookahead.close()
        self._lookahead = lookahead = Lookahead(settings, source, drawing)
        self._key = key
        self._samples_delivered = self._batches_delivered = 0
        self._first_request = self._last_delivery = time.perf_counter()
        if self._closed:  # by another thread, too early to meet this loader
            lookahead.close()
        return lookahead

    def _deliver(self, lookahead: Lookahead, planned: PlannedBatch) -> Any:
        """Waits for a batch and moves on. A batch that fails is passed over, as in Keras."""
        try:
            images = lookahead.fetch()
        except Exception:
            self._check_open()
            self._cursor = planned.after
            raise
        self._cursor = planned.after
        self._batch_indices = planned.ids
        self._samples_delivered += len(planned.ids)
        self._batches_delivered += 1
        self._last_delivery = time.perf_counter()
        return self._make_batch(images, planned.ids, planned.drawn)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(
                f"this {type(self).__name__} is closed: it delivers no more batches. "
                "Make a new one."
            )


def _draw_hidden_seed() -> int:
    """A seed for iterators without one: `np.random.seed` fixes them, fresh runs differ."""
    return int(np.random.randint(2**31))
