"""How a subclass makes its batches: by hooks for the native loader, or by Keras' own method."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyloader._augment.custom import as_global_generator
from pyloader._augment.sampling import NOTHING_DRAWN, Drawing, Drawn
from pyloader._monitor.error_log import BadImage, blame, settle
from pyloader._native.prefetch import Lookahead, PlannedBatch
from pyloader._order.random_stream import Stream
from pyloader._order.twister import Twister
from pyloader.errors import ImageError, passes_batch_over
from pyloader.iterators.sharded import Sharded

if TYPE_CHECKING:
    from pyloader._monitor.deliveries import Deliveries
    from pyloader._native.loading import LoaderSettings, Source

__all__ = ["OwnBatches"]

_NOTHING = Drawing(None)


class OwnBatches(Sharded):
    """Asks a subclass for its batches.

    Keras' iterators make every batch with `_get_batches_of_transformed_samples`, and Keras tells
    its users to override it. A subclass that does so makes its batches itself: one by one, when
    they are asked for, and nothing is prepared ahead.
    """

    _closed: bool
    _lookahead: Lookahead | None
    _deliveries: Deliveries
    _batch_indices: NDArray[np.int64] | None
    _own_bad: tuple[BadImage, ...] = ()
    """What could not be loaded for the batch under way."""

    def _source(self) -> Source:
        """The images; the same object as long as nothing changed."""
        raise self._makes_nothing()

    def _settings_key(self) -> tuple[Any, ...]:
        """The attributes that decide about batches, as they are now; looked at before each one."""
        return ()

    def _loader_settings(self, num_threads: int, depth: int) -> LoaderSettings:
        """What a loader needs to know, checked; called when the key has changed."""
        raise self._makes_nothing()

    def _drawing(self) -> Drawing:
        """What is drawn for the images of a batch; called when the key has changed."""
        return _NOTHING

    def _make_batch(self, images: NDArray[Any] | None, ids: NDArray[np.int64], drawn: Drawn) -> Any:
        """What to hand out for a batch's images; None stands for a batch without samples."""
        raise self._makes_nothing()

    def _makes_nothing(self) -> NotImplementedError:
        """For a subclass as Keras' users write it, which has none of the hooks above."""
        return NotImplementedError(
            f"{type(self).__name__} has no images of its own to load: it should define "
            "`_get_batches_of_transformed_samples`, without `super()`, and no `memory_limit`"
        )

    @abstractmethod
    def _open_lookahead(self) -> Lookahead:
        """The lookahead for the settings as they are now."""

    @abstractmethod
    def _check_open(self) -> None:
        """Raises a RuntimeError if the iterator is closed."""

    def _get_batches_of_transformed_samples(self, index_array: ArrayLike) -> Any:
        """Makes the batch of some samples; Keras' place to make it in another way.

        What is random about it is drawn from NumPy's global generator, as in Keras: for all images
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
        ids = np.array(index_array)
        if ids.size and ids.dtype.kind not in "iu":
            raise TypeError(f"`index_array` should hold integers. Received: {index_array!r}")
        ids = ids.astype(np.int64)
        with self._mutex:
            lookahead = self._open_lookahead()
            drawn = _draw_globally(self._drawing(), len(ids))
            planned, fetched = lookahead.load(self._cursor, ids, drawn)
            images, rows, drawn, _, bad = settle(planned, fetched, lookahead.source, False)
            self._own_bad += tuple(bad)
            return self._make_batch(images, rows, drawn)

    @property
    def index_generator(self) -> Generator[NDArray[np.int64], None, None]:
        """The dataset indices of the batches that `next()` would deliver, (k,) each.

        For subclasses with a `next` of their own, as they were written for Keras 2. Whoever takes
        indices has taken the batch; what they draw comes from NumPy's global generator as it is.
        """
        while True:
            with self._mutex:
                plan = self._cursor.next(_NOTHING, np.random.RandomState(0))
                self._move(plan.after)
            yield np.array(plan.ids)

    def _makes_own_batches(self) -> bool:
        """Whether `_get_batches_of_transformed_samples` is overridden."""
        own = self._get_batches_of_transformed_samples
        return getattr(own, "__func__", own) is not OwnBatches._get_batches_of_transformed_samples

    def _check_own_batches(self) -> None:
        """Refuses options that need batches which pyloader makes."""
        if not self._makes_own_batches():
            return
        for name, value, usual in (
            ("shard", self._options.shard, None),
            ("last_batch", self._options.last_batch == "pad", False),
        ):
            if value != usual:
                raise ValueError(
                    f"`{name}` does not go with a `_get_batches_of_transformed_samples` of "
                    f"{type(self).__name__}'s own: pyloader does not know the rows of its batches."
                )

    def _deliver_own(self, index: int | None) -> Any:
        """Has the subclass make the batch that is due, or batch `index` of the pass.

        As in Keras, all counters have moved on when it begins, and stay there if it fails.
        """
        self._check_open()
        requested = time.perf_counter()
        before, random = self._cursor, np.random.RandomState(0)
        if index is None:
            plan = before.next(_NOTHING, random)
        else:
            plan = before.item(index, _NOTHING, random)
        ids = np.array(plan.ids, dtype=np.int64)
        planned = PlannedBatch(
            before, plan.after, index, ids, plan.ids, ids, NOTHING_DRAWN, None, None
        )
        self._own_bad = ()
        self._cursor = plan.after
        try:
            with as_global_generator(random):
                batch = self._get_batches_of_transformed_samples(ids.copy())
        except BaseException as error:
            if not passes_batch_over(error):
                self._cursor = before
                raise
            self._check_open()
            if isinstance(error, ImageError) and self._lookahead is not None:
                self._own_bad += tuple(blame(error, planned, self._lookahead.source))
            self._bad_images.deliver(planned, self._own_bad)
            raise
        stream = Stream(Twister(random.get_state(legacy=False)))
        self._cursor = self._cursor._replace(stream=stream)  # for the next order, as in Keras
        self._bad_images.deliver(planned, self._own_bad)
        self._batch_indices = _without(ids, self._own_bad)
        self._deliveries.add(len(self._batch_indices), requested)
        return batch


def _draw_globally(drawing: Drawing, images: int) -> Drawn:
    """What is drawn for a batch from NumPy's global generator, which moves on."""
    random = np.random.RandomState(0)
    random.set_state(np.random.get_state(legacy=False))
    drawn = drawing(random, images)
    np.random.set_state(random.get_state(legacy=False))
    return drawn


def _without(ids: NDArray[np.int64], bad: tuple[BadImage, ...]) -> NDArray[np.int64]:
    """The samples of a batch once bad ones were dropped or replaced."""
    for image in bad:
        if image.replaced_by is None:
            ids = ids[ids != image.index]
        else:
            ids = np.where(ids == image.index, image.replaced_by, ids)
    return ids
