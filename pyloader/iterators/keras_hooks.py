"""Keras' own protocol, for iterators whose Keras hooks a user has replaced.

Keras' iterators ask `_flow_index` for the order of batches, that asks `_set_index_array` for the
order of an epoch, and `_get_batches_of_transformed_samples` makes each batch. Public code
overrides all three: in a subclass, on the class, or on one object. Then the hooks are called as
Keras calls them, one batch at a time, with NumPy's global generator lent to them at the position
where Keras would have it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray

from pyloader._augment.custom import MethodSet, as_global_generator, is_overridden
from pyloader._augment.sampling import ParamSampler
from pyloader._native.prefetch import find_failed_sample
from pyloader._order.cursor import Cursor
from pyloader._order.random_stream import Stream
from pyloader.errors import ImageError, skips_batch

_BATCHES, _EPOCH_ORDER, _ORDER = HOOKS = (
    "_get_batches_of_transformed_samples",
    "_set_index_array",
    "_flow_index",
)
_METHODS = MethodSet(*HOOKS)
_NO_SAMPLING = ParamSampler(None)


def are_overridden(it: Any) -> bool:
    """Returns whether batches are to be made by Keras' protocol."""
    return it._index_generator_assigned or _METHODS.any_overridden(it)


def check_options(it: Any) -> None:
    """Refuses options that need batches which pyloader makes."""
    if not are_overridden(it):
        return
    options = it._options
    if options.last_batch == "pad" or (options.shard and is_overridden(it, _BATCHES)):
        name = "last_batch" if options.last_batch == "pad" else "shard"
        hook = next((hook for hook in HOOKS if is_overridden(it, hook)), "index_generator")
        raise ValueError(
            f"`{name}` does not go with a `{hook}` of {type(it).__name__}'s own: pyloader does not "
            f"know the rows of its batches. Received: {name}={getattr(options, name)!r}"
        )


def deliver(it: Any, index: int | None) -> Any:
    """Has the hooks make the batch that is due, or batch `index` of the epoch.

    As in Keras, all counters have moved on when `_get_batches_of_transformed_samples` begins, and
    stay there if it fails.
    """
    check_options(it)
    it._check_open()
    requested = time.perf_counter()
    before: Cursor = it._cursor
    random = _stream_of(before).realize()
    ids = np.empty(0, dtype=np.int64)
    it._hooks_active, it._hook_errors = True, []
    try:
        with as_global_generator(random):
            ids = np.array(next(it.index_generator) if index is None else take_indices(it, index))
            batch = it._get_batches_of_transformed_samples(ids.copy())
    except BaseException as error:
        if not skips_batch(error):
            it._cursor = before
        elif not isinstance(error, StopIteration):
            it._check_open()
            if isinstance(error, ImageError) and it._queue is not None:
                it._hook_errors += find_failed_sample(error, ids, it._queue.source)
            _record(it, before, index, len(ids))
        raise
    finally:
        it._hooks_active = False
    _set_stream(it, before, random)  # the next order is drawn from there, as in Keras
    _record(it, before, index, len(ids))
    for image in it._hook_errors:
        if image.replaced_by is None:
            ids = ids[ids != image.index]
        else:
            ids = np.where(ids == image.index, image.replaced_by, ids)
    it._batch_indices = ids
    it._deliveries.add(len(ids), requested)
    return batch


def take_indices(it: Any, index: int | None = None) -> NDArray[np.int64]:
    """Takes the indices of the next batch, or of batch `index` of the epoch, and moves on."""
    cursor: Cursor = it._cursor
    random = RandomState(0)

    def draw_order(random: RandomState) -> NDArray[np.int64]:
        with as_global_generator(random):
            it._set_index_array()
        order: NDArray[np.int64] = it._cursor.index_array
        return order

    hook = draw_order if is_overridden(it, _EPOCH_ORDER) else None
    if index is None:
        plan = cursor.next(_NO_SAMPLING, random, hook)
    else:
        plan = cursor.item(index, _NO_SAMPLING, random, hook)
    now = it._cursor  # the hook may have changed its attributes
    it._move(plan.after._replace(n=now.n, batch_size=now.batch_size, shuffle=now.shuffle))
    if it._hooks_active:
        np.random.set_state(random.get_state(legacy=False))
    return np.array(plan.ids)


def end_epoch(it: Any) -> None:
    """Draws a new order, by the hook where there is one."""
    cursor: Cursor = it._cursor
    if not is_overridden(it, _EPOCH_ORDER):
        it._cursor = cursor.epoch_end()
        return
    random = _stream_of(cursor).realize()
    with as_global_generator(random):
        it._set_index_array()
    _set_stream(it, cursor, random)


def load_samples(it: Any, index_array: ArrayLike) -> Any:
    """Loads the batch of some samples at once; see `Iterator`."""
    ids = np.array(index_array)
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"`index_array` should hold integers. Received: {index_array!r}")
    ids = ids.astype(np.int64)
    with it._guard:
        queue = it._ready_queue()
        random = RandomState(0)
        random.set_state(np.random.get_state(legacy=False))
        params = it._spec.sampler(random, len(ids))
        np.random.set_state(random.get_state(legacy=False))
        if it._hooks_active and not is_overridden(it, _BATCHES):
            part = it._find_shard().part(len(ids))
            ids, params = ids[part], params.take(part)
        batch = queue.load(it._cursor, ids, params)
        it._hook_errors += batch.bad
        return it._collate(batch)


def _stream_of(cursor: Cursor) -> Stream:
    return Stream(cursor.batch_seed) if cursor.stream is None else cursor.stream


def _set_stream(it: Any, before: Cursor, random: RandomState) -> None:
    stream = Stream(before.batch_seed, state=random.get_state(legacy=False))
    it._cursor = it._cursor._replace(stream=stream)


def _record(it: Any, before: Cursor, index: int | None, samples: int) -> None:
    it._error_log.record(
        it._hook_errors,
        position=before.position if index is None else index,
        in_order=index is None,
        batches=before.batches,
        samples=samples,
    )
