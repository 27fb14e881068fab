"""Batch iterators: Keras' protocol over a position in the order and a prefetch queue.

`next(it)` reads from `Iterator.next` through `_ready_queue` and `_deliver`, and in
`_native/prefetch.py`; one `Batch` goes from plan to delivery.
"""

from __future__ import annotations

import operator
import os
import sys
import threading
import time
from collections.abc import Generator, Mapping
from types import FrameType
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyloader._augment.custom import ChangeCounter, overridable, refuse_reentry
from pyloader._augment.sampling import ParamSampler
from pyloader._data.folders import IMAGE_EXTENSIONS
from pyloader._data.labels import weighted
from pyloader._distributed.shards import ALONE, Shard, find_shard, warn_unseeded_shuffle
from pyloader._monitor.error_log import ErrorLog
from pyloader._monitor.stats import DeliveryCounter, Stats, make_stats
from pyloader._native import lifecycle
from pyloader._native.cores import usable_cores
from pyloader._native.loader import Source
from pyloader._native.pillow import Switches
from pyloader._native.prefetch import Batch, PrefetchQueue, find_failed_sample
from pyloader._native.settings import Cache, LoaderSettings, apply_options
from pyloader._order.checkpoint import OrderCheck, cursor_from_state, state_at
from pyloader._order.cursor import Cursor
from pyloader._order.keras_order import KerasOrder
from pyloader.errors import BadImage, ImageError, skips_batch
from pyloader.iterators import keras_hooks
from pyloader.iterators.keras_dataset import KerasDatasetMixin, to_torch_if_keras
from pyloader.iterators.loops import EpochLoops
from pyloader.options import LoaderOptions, check_batch_size, check_seed

__all__ = ["ImageSource", "Iterator"]

_T = TypeVar("_T")
_Self = TypeVar("_Self", bound="Iterator")


class ImageSource(NamedTuple):
    """What an iterator loads, as its attributes stand: described anew when one has changed."""

    images: Source  #: Paths or an array; the same object as long as nothing changed.
    settings: LoaderSettings
    sampler: ParamSampler
    warnings: tuple[str, ...] = ()  #: Texts of warnings that are due with every batch


class CursorField(Generic[_T]):
    """An attribute that is a field of the iterator's cursor.

    Assigning makes a new cursor and discards the batches prefetched for the old one, so that the
    next batch already follows the new value.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, iterator: None, owner: type) -> CursorField[_T]: ...
    @overload
    def __get__(self, iterator: Iterator, owner: type) -> _T: ...
    def __get__(self, iterator: Iterator | None, owner: type) -> CursorField[_T] | _T:
        return self if iterator is None else cast(_T, getattr(iterator._cursor, self._name))

    def __set__(self, iterator: Iterator, value: Any) -> None:
        with iterator._guard:
            change: dict[str, Any] = {self._name: value}
            if self._name == "batch_size":
                change["batch_size"] = check_batch_size(value)
            elif self._name == "seed":
                change["seed"] = check_seed(value)
                change["fallback_seed"] = draw_fallback_seed() if value is None else 0
            elif self._name == "index_array":
                change["order"] = None  # not known to be a permutation of any stream
                change["index_array"] = None if value is None else np.asarray(value)
            iterator._move(iterator._cursor._replace(**change))


class _Guard:
    """The iterator's lock, which refuses user code that calls back into its own iterator."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        refuse_reentry(self)
        self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()


class Iterator(ChangeCounter, EpochLoops, KerasDatasetMixin):
    """Endless batch iterator with Keras' `Iterator` API; batches are prefetched by C++ threads.

    `next()` and iteration follow the order of epochs, each in a new order when shuffled; `it[i]`
    is batch i of the current order. Every method may be called from any thread; each batch is
    delivered once. A delivered array is the caller's own.

    Subclasses may override Keras' hooks (`_get_batches_of_transformed_samples`,
    `_set_index_array`, `_flow_index`); then batches are made as Keras makes them, one by one when
    they are asked for, and nothing is prefetched.

    Args:
        n: Number of samples.
        batch_size: Samples of a batch.
        shuffle: Whether each epoch has a new random order.
        seed: Fixes the order (and makes it Keras'); None: drawn from NumPy's global generator,
            once, at construction.
        options: How batches are loaded.
        **keywords: The same by name: `num_threads`, `prefetch`, ...; see `LoaderOptions`.

    Raises:
        TypeError: A value of the wrong type, named in the message.
        ValueError: A value that is not one of the possible ones, likewise.
    """

    white_list_formats = IMAGE_EXTENSIONS
    use_sequence_api = True

    n = CursorField[int]("Number of samples.")
    batch_size = CursorField[int]("Samples of a batch; the last one of an epoch may have fewer.")
    shuffle = CursorField[bool]("Whether each epoch has a new random order.")
    seed = CursorField["int | None"](
        "The seed as given. None: the order follows a draw made at construction."
    )
    batch_index = CursorField[int]("Index of the batch that `next()` delivers next.")
    total_batches_seen = CursorField[int]("Batches delivered so far by `next()` and `it[i]`.")
    index_array = CursorField["NDArray[np.int64] | None"](
        "Dataset indices in the order of the current epoch, (n,); None before the first batch."
    )

    lock: threading.Lock  #: Kept for code that expects it; the iterator guards itself by another.

    _RUNTIME: ClassVar[frozenset[str]] = frozenset(
        {
            *("lock", "_guard", "_queue", "_key", "_spec", "_cache", "_closed", "_deliveries"),
            *(
                "_error_log",
                "_keras_order",
                "_order_check",
                "_index_generator",
                "_shard",
                "_index_generator_assigned",
            ),
            *("_digests", "_batch_indices", "_loaded", "_hooks_active", "_hook_errors", "_cursor"),
        }
    )
    """Attributes that a copy does not share."""

    def __init__(
        self,
        n: int,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        *,
        options: LoaderOptions | None = None,
        **keywords: Any,
    ) -> None:
        self._options = LoaderOptions.of(options, keywords, where=type(self).__name__)
        batch_size, seed = check_batch_size(batch_size), check_seed(seed)
        self._options.check_sizes(n, batch_size)
        cursor = Cursor(
            n=n,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            fallback_seed=draw_fallback_seed() if seed is None else 0,
            whole_batches=self._options.last_batch == "drop",
        )
        self._start(cursor)
        keras_hooks.check_options(self)
        if self._options.memory_limit is not None and self._options.shard is None:
            self._complete(self._describe_source().settings, ALONE)

    def _start(self, cursor: Cursor) -> None:
        """Sets all that a copy does not share."""
        self._after_fork()
        self._cursor = cursor
        self._closed = False
        self._cache = Cache(self._options) if self._options.cache is not None else None
        self._shard: Shard | None = None
        self._deliveries = DeliveryCounter()
        self._error_log = ErrorLog(self._options.on_error)
        self._keras_order = KerasOrder()
        self._order_check = OrderCheck()
        self._digests: tuple[Any, dict[str, str]] = (None, {})
        self._batch_indices: NDArray[np.int64] | None = None
        self._loaded: Cursor | None = None
        self._index_generator: Generator[NDArray[np.int64], None, None] | None = None
        self._index_generator_assigned = False
        lifecycle.register_for_shutdown(self)

    def _after_fork(self) -> None:
        """Leaves the parent's threads and locks behind; called in the child of a fork."""
        self._guard = _Guard()
        self.lock = threading.Lock()
        self._queue: PrefetchQueue | None = None
        self._key: Any = None
        self._spec: ImageSource | None = None
        self._hooks_active = False
        self._hook_errors: list[BadImage] = []

    # What a subclass says about its images.

    def _source_key(self) -> Any:
        """The attributes that decide about batches, comparable; looked at before each batch."""
        return ()

    def _describe_source(self) -> ImageSource:
        """Describes the images; called when the key has changed."""
        raise NotImplementedError(
            f"{type(self).__name__} has no images of its own to load: it should define "
            "`_get_batches_of_transformed_samples`, without `super()`, and no `memory_limit`"
        )

    def _collate(self, batch: Batch) -> Any:
        """Makes of a loaded batch what `next` returns."""
        raise NotImplementedError

    def _state_settings(self) -> dict[str, Any]:
        """What decides about the bytes of batches, for a state: plain data, without defaults."""
        return {}

    def _dataset_key(self) -> Any:
        """Changes whenever the dataset may have changed."""
        return ()

    def _dataset_digests(self) -> dict[str, str]:
        """Digests of the files or arrays and of the labels."""
        return {}

    # Batches.

    def __iter__(self: _Self) -> _Self:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self) -> Any:
        """Delivers the next batch; after an epoch the next one begins.

        Returns:
            Images, or a tuple of images and targets: see the subclass.

        Raises:
            ImageError: An image of the batch cannot be loaded. The batch is skipped: the following
                call delivers the following batch. The same goes for what a
                preprocessing_function raises.
            MemoryLimitError: Batches in the caller's hands leave no room for this one. Nothing is
                lost: a later call delivers it.
            RuntimeError: The iterator is closed, or called from its own preprocessing_function.
        """
        with self._guard:
            if keras_hooks.are_overridden(self):
                return keras_hooks.deliver(self, None)
            queue = self._ready_queue()
            return self._deliver(queue, queue.next_batch(self._cursor))

    def __getitem__(self, index: int) -> Any:
        """Delivers one batch of the current epoch; `next()` goes on from where it was.

        Args:
            index: Position of the batch in the epoch; negative ones count from the end.

        Returns:
            What `next` returns.

        Raises:
            ValueError: There is no such batch.
            ImageError: As for `next`, and so MemoryLimitError and RuntimeError.
        """
        caller = sys._getframe(1)
        return to_torch_if_keras(self._get_item(index, caller), caller)

    def _get_item(self, index: int, caller: FrameType) -> Any:
        """Delivers one batch; `caller` is the frame whose loop may tell which ones follow."""
        position = operator.index(index)
        with self._guard:
            length = self._cursor.batches
            if not -length <= position < length:
                raise ValueError(
                    f"Asked to retrieve element {index}, but the Sequence has length {length}"
                )
            position += length if position < 0 else 0
            if keras_hooks.are_overridden(self):
                return keras_hooks.deliver(self, position)
            queue = self._ready_queue()
            upcoming = self._keras_order.requested(position, length, caller, queue.capacity)
            batch = queue.get_batch(self._cursor, position, upcoming)
            return self._deliver(queue, batch)

    def _ready_queue(self) -> PrefetchQueue:
        """Returns the queue for the attributes as they are now."""
        self._check_open()
        switches = Switches.read()
        key = (self._cursor.batch_size, switches, self._source_key())
        queue = self._queue
        if queue is not None and key == self._key:
            return queue
        spec = self._describe_source()
        shard = self._find_shard()
        settings = self._complete(spec.settings, shard)
        if queue is not None and queue.settings == settings and queue.source is spec.images:
            queue.set_sampler(spec.sampler)
        else:
            if queue is not None:
                queue.close()
            self._queue = queue = PrefetchQueue(
                settings,
                spec.images,
                spec.sampler,
                part=shard,
                pad=self._options.last_batch == "pad",
                owner=self._guard,
            )
            self._deliveries.restart()
            if self._closed:  # by another thread, too early to meet this queue
                queue.close()
        self._spec = spec
        self._key = key  # last: an interrupt may come between any two steps
        return queue

    def _complete(self, settings: LoaderSettings, shard: Shard) -> LoaderSettings:
        """Adds the options."""
        return apply_options(
            settings,
            self._options,
            rows=shard.largest(self._cursor.batch_size),
            num_threads=usable_cores(),
            switches=Switches.read(),
            cache=self._cache,
        )

    def _deliver(self, queue: PrefetchQueue, batch: Batch) -> Any:
        """Waits for a batch and moves on. A batch that fails is skipped, as in Keras."""
        requested = time.perf_counter()
        try:
            queue.fetch(batch)
        except Exception as error:
            if skips_batch(error):
                self._check_open()
                self._cursor = batch.after
                if isinstance(error, ImageError):
                    batch.bad = find_failed_sample(error, batch.ids, queue.source)
                    self._record(batch)
            raise
        self._cursor = batch.after
        self._batch_indices = batch.rows[: batch.samples]
        self._deliveries.add(batch.samples, requested)
        if self._cache is not None:
            self._cache.warn_on_problem()
        self._record(batch)
        output = self._collate(batch)
        return weighted(output, batch.samples) if self._options.last_batch == "pad" else output

    def _record(self, batch: Batch) -> None:
        self._error_log.record(
            batch.bad,
            position=batch.position,
            in_order=batch.item is None,
            batches=batch.before.batches,
            samples=len(batch.ids),
        )

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(
                f"this {type(self).__name__} is closed: it delivers no more batches. "
                "Make a new one."
            )

    # Epochs and positions.

    def __len__(self) -> int:
        return self._cursor.batches

    @property
    def num_batches(self) -> int:
        """Batches of an epoch, `len(it)`."""
        return len(self)

    @property
    def batch_indices(self) -> NDArray[np.int64] | None:
        """Dataset indices of the samples last delivered, (k,); None before the first batch."""
        return self._batch_indices

    @property
    def errors(self) -> list[BadImage]:
        """The images that could not be loaded when their batch was delivered, oldest first.

        Each once in an epoch, the last 100,000 of them.
        """
        return list(self._error_log)

    @property
    def shard(self) -> tuple[int, int]:
        """This process's part of every batch: (index, count). "auto" is resolved when it is read
        or at the first batch."""
        shard = self._find_shard()
        return shard.index, shard.count

    def reset(self) -> None:
        """Makes `next()` begin a new epoch, in a new order when shuffled."""
        if self.batch_index != 0:  # else keep the batches that are prefetched already
            self.batch_index = 0

    def on_epoch_begin(self) -> None:
        """Does nothing; Keras calls it before an epoch."""

    def on_epoch_end(self) -> None:
        """Draws a new order for `it[i]` at once; Keras calls it after an epoch."""
        with self._guard:
            if keras_hooks.are_overridden(self):
                keras_hooks.end_epoch(self)
            else:
                self._cursor = self._cursor.epoch_end()
            self._error_log.end_epoch()
            queue = self._queue
            if queue is not None and not self._closed:
                length = self._cursor.batches
                queue.prefetch(self._cursor, self._keras_order.epoch_ended(length, queue.capacity))

    def _move(self, cursor: Cursor) -> None:
        """Jumps to another position; discards prefetched batches."""
        self._cursor = cursor
        if self._queue is not None and not self._closed:
            self._queue.discard()

    def _progress(self) -> tuple[int, int]:
        """Returns the batches delivered of the current epoch, and the batches of an epoch."""
        return self._cursor.position, self._cursor.batches

    def _position(self) -> Cursor:
        """Returns the position, for `_state_at`: costs nothing to keep."""
        return self._cursor

    def _find_shard(self) -> Shard:
        """Returns this process's part of every batch, the same from the first call on."""
        if self._shard is None:
            shard = find_shard(self._options.shard)
            if shard.count > 1 and self._cursor.seed is None and self._cursor.shuffle:
                warn_unseeded_shuffle(shard, type(self).__name__)
            self._shard = shard
        return self._shard

    # Keras' hooks, for subclasses that override or call them.

    @overridable
    def _get_batches_of_transformed_samples(self, index_array: ArrayLike) -> Any:
        """Makes the batch of some samples; Keras' hook to make it in another way.

        Transform parameters are drawn from NumPy's global generator, as in Keras: for all images
        before any of them is changed, which makes no difference to the numbers. While `next()` or
        `it[i]` call this method, that generator stands where Keras would have seeded it.

        Args:
            index_array: Dataset indices, (k,) integers.

        Returns:
            What `next` returns.

        Raises:
            TypeError: Indices that are no integers.
            IndexError: There is no such sample.
            ImageError: As for `next`.
        """
        return keras_hooks.load_samples(self, index_array)

    @overridable
    def _set_index_array(self) -> None:
        """Draws the order of an epoch from NumPy's global generator; Keras' hook for the order."""
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    @overridable
    def _flow_index(self) -> Generator[NDArray[np.int64], None, None]:
        """The dataset indices of the batches that `next()` delivers, (k,) each; Keras' hook."""
        while True:
            with self._guard:
                ids = keras_hooks.take_indices(self)
            yield ids

    @property
    def index_generator(self) -> Generator[NDArray[np.int64], None, None]:
        """The generator that `_flow_index` returned, as for subclasses with a `next` of their own.

        Taking indices from it counts as taking the batch.
        """
        if self._index_generator is None:
            self._index_generator = self._flow_index()
        return self._index_generator

    @index_generator.setter
    def index_generator(self, generator: Generator[NDArray[np.int64], None, None]) -> None:
        self._index_generator, self._index_generator_assigned = generator, True

    # Checkpoints and copies.

    def state_dict(self) -> dict[str, Any]:
        """Returns the position, for `load_state_dict`: all batches delivered so far lie before it.

        Returns:
            Plain data for JSON, less than 2 kB of it. It is the same on all ranks, and fits any
            number of threads, processes and prefetched batches.
        """
        return self._state_at(self._cursor)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from a saved position: the next batch is the one that came next there.

        Takes the same time wherever the position is. An iterator without a seed takes over the
        random order of the saved one.

        Args:
            state_dict: From `state_dict` of an iterator over the same dataset with the same
                settings; `num_threads`, `prefetch`, `shard`, `cache` and `on_error` may differ.

        Raises:
            ValueError: It is of another dataset or of other settings, and the message says which;
                or it is no such state.
        """
        with self._guard:
            self._go_on_at(self._cursor_from(state_dict))

    def _state_at(self, cursor: Cursor) -> dict[str, Any]:
        """Returns the state with the iterator at some position."""
        return state_at(cursor, *self._identity(), self._order_check)

    def _cursor_from(self, state: Mapping[str, Any]) -> Cursor:
        """Returns the position of a state that was saved from the same iterator."""
        return cursor_from_state(state, self._cursor, *self._identity())

    def _identity(self) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Returns what a state must fit: the class's name, the dataset, the settings."""
        key = self._dataset_key()
        if self._digests[0] != key:
            self._digests = key, self._dataset_digests()
        settings = self._state_settings()
        if self._options.last_batch != "keep":
            settings["last_batch"] = self._options.last_batch
        return type(self).__name__, self._digests[1], settings

    def _go_on_at(self, cursor: Cursor) -> None:
        """Jumps to a position that was loaded."""
        self._move(cursor)
        self._loaded = cursor
        self._error_log.resume_at(cursor.total_batches_seen // max(1, cursor.batches))

    def _is_where_loaded(self) -> bool:
        """Returns whether a position was loaded and nothing was delivered since."""
        return self._loaded is self._cursor

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the configuration as it is now; a copy begins at the beginning, in one order."""
        attributes = {
            name: value for name, value in vars(self).items() if name not in self._RUNTIME
        }
        return _rebuild, (type(self), attributes, self._cursor.restarted())

    # Everything else.

    def stats(self) -> Stats:
        """Returns a snapshot of what was measured since the first batch; `print` it for a table."""
        queue = self._queue
        plan = None if queue is None else queue.settings.memory
        return make_stats(
            {} if queue is None else queue.counters(),
            samples=self._deliveries.samples,
            batches=self._deliveries.batches,
            seconds=self._deliveries.seconds,
            batch_seconds=list(self._deliveries.batch_seconds),
            cores=usable_cores(),
            pin_memory=self._options.pin_memory,
            cache=(0, "") if self._cache is None else self._cache.describe(),
            memory=(0, 0, 0) if plan is None else (plan.limit, plan.slots, plan.images),
        )

    def close(self) -> None:
        """Stops the threads; a call that waits for a batch, and every later one, gets a
        RuntimeError.

        Delivered arrays stay valid. Closing twice is fine, and so is closing from any thread.
        """
        self._closed = True
        queue = self._queue
        if queue is not None:
            queue.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        directory = getattr(self, "directory", None)
        where = f" over {os.fspath(directory)!r}" if directory else ""
        return (
            f"<{type(self).__name__}{where}: {self.n} samples in {self._cursor.batches} batches of "
            f"{self.batch_size}{', shuffled' if self.shuffle else ''}>"
        )


def draw_fallback_seed() -> int:
    """Draws a seed for iterators without one: `np.random.seed` fixes them, fresh runs differ."""
    return int(np.random.randint(2**31))


def _rebuild(cls: type[Iterator], attributes: dict[str, Any], cursor: Cursor) -> Iterator:
    """Makes a pickled iterator again."""
    iterator = cls.__new__(cls)
    for name, value in attributes.items():
        object.__setattr__(iterator, name, value)
    iterator._start(cursor)
    return iterator
