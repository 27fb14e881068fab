"""Two iterators in step: images and masks with the same order and the same random parameters."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Iterator as AnyIterator
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import ParamSampler
from pyloader._monitor.stats import Stats
from pyloader._native import lifecycle
from pyloader._order.cursor import Cursor
from pyloader.errors import BadImage, skips_batch, user_stacklevel
from pyloader.iterators.base import Iterator
from pyloader.iterators.keras_dataset import KerasDatasetMixin, to_torch_if_keras
from pyloader.iterators.loops import EpochLoops

__all__ = ["PairIterator", "PairStats", "pair"]

_SAME = ("n", "batch_size", "shuffle", "seed", "batch_index", "total_batches_seen")
_SAME_OPTIONS = ("shard", "last_batch", "on_error")


def pair(images: Iterator, masks: Iterator) -> PairIterator:
    """Makes one iterator of two: what Keras' recipe `zip(image_generator, mask_generator)` is for.

    Both go through the same order with the same random draws, so that every mask belongs to its
    image and is rotated, shifted, sheared, zoomed and flipped with it. `fit` takes the result as
    it is, on Keras 3 too, which refuses a `zip`.

    Masks hold classes, not colors: flow them with `class_mode=None`, `color_mode="grayscale"`
    and `interpolation="nearest"` (Keras' default), from a generator with `interpolation_order=0`
    where it rotates, shifts, shears or zooms. What concerns images alone, such as brightness,
    goes into the image generator's `preprocessing_function`: Keras draws the numbers for one
    parameter after the other, so a parameter that one of two generators lacks would set them
    apart.

    Args:
        images: Delivers the first element of each batch.
        masks: Delivers the second one; with as many samples, and the same `batch_size`, `shuffle`
            and `seed`. `seed=None` is fine for both: the masks take over the images' draw.

    Returns:
        The iterator. It takes both over: draw no more batches from them directly.

    Raises:
        TypeError: One of them is no iterator of pyloader, or both are the same.
        ValueError: They cannot go in step; the message says what differs.

    Warns:
        UserWarning: The masks would not keep their values.

    Example:
        Folders `data/images/all` and `data/masks/all` with files of the same names::

            options = {"target_size": (128, 128), "class_mode": None, "seed": 1}
            augment = {"rotation_range": 20, "horizontal_flip": True}
            images = ImageDataGenerator(**augment).flow_from_directory("data/images", **options)
            masks = ImageDataGenerator(**augment, interpolation_order=0).flow_from_directory(
                "data/masks", color_mode="grayscale", **options
            )
            model.fit(pair(images, masks))  # (32, 128, 128, 3) and (32, 128, 128, 1), float32
    """
    return PairIterator(images, masks)


class PairStats(NamedTuple):
    """What both iterators of a pair measured; `print` it for two tables."""

    images: Stats
    masks: Stats

    def as_dict(self) -> dict[str, Any]:
        """Both as plain numbers, for logs: {"images": {...}, "masks": {...}}."""
        return {"images": self.images.as_dict(), "masks": self.masks.as_dict()}

    def __str__(self) -> str:
        return f"images\n{self.images}\n\nmasks\n{self.masks}"


def _of_images(name: str, doc: str) -> Any:
    """Returns a property of the pair that is the images' own."""
    return property(lambda self: getattr(self.images, name), doc=doc)


class PairIterator(EpochLoops, KerasDatasetMixin):
    """Delivers (batch of the first iterator, batch of the second one); see `pair`.

    Like its two iterators it has no end, `it[i]` is batch i of the current epoch, and it may be
    used from any thread.
    """

    use_sequence_api = True

    images: Iterator  #: Delivers the first element of each batch
    masks: Iterator  #: Delivers the second element of each batch

    def __init__(self, images: Iterator, masks: Iterator) -> None:
        for name, iterator in (("images", images), ("masks", masks)):
            if not isinstance(iterator, Iterator):
                raise TypeError(
                    f"`{name}` should be an iterator of pyloader, as the `flow` methods return. "
                    f"Received: {iterator!r}"
                )
        if images is masks:
            raise TypeError("`images` and `masks` should be two iterators. Received one twice.")
        for attribute in _SAME:
            first, second = getattr(images, attribute), getattr(masks, attribute)
            if first != second:
                raise ValueError(
                    f"`images` and `masks` should have the same `{attribute}` to go in step. "
                    f"Received: {first!r} and {second!r}"
                )
        for name in _SAME_OPTIONS:
            if getattr(images._options, name) != getattr(masks._options, name):
                raise ValueError(f"`images` and `masks` should have the same `{name}`.")
        _check_on_error(images)
        _check_same_draws(images, masks)
        _warn_if_values_change(masks)
        self.images = images
        self.masks = masks
        self._mutex = threading.RLock()
        self._step_from: tuple[Cursor, Cursor] | None = None
        self._batch_indices: NDArray[np.int64] | None = None
        if images.seed is None:
            masks._move(masks._cursor._replace(fallback_seed=images._cursor.fallback_seed))
        lifecycle.register_for_shutdown(self)

    def _after_fork(self) -> None:
        """Leaves the parent's lock behind, and a step that its thread was in."""
        self._mutex = threading.RLock()
        if self._step_from is not None:
            for iterator, cursor in zip((self.images, self.masks), self._step_from, strict=True):
                iterator._after_fork()
                iterator._cursor = cursor
            self._step_from = None

    n = _of_images("n", "Number of pairs.")
    batch_size = _of_images("batch_size", "Pairs of a batch; the last one may have fewer.")
    shuffle = _of_images("shuffle", "Whether each epoch has a new random order.")
    seed = _of_images("seed", "The seed of both.")
    batch_index = _of_images("batch_index", "Index of the batch that `next()` delivers next.")

    @property
    def total_batches_seen(self) -> int:
        """Batches delivered so far by `next()` and `it[i]`."""
        return self.images.total_batches_seen

    @total_batches_seen.setter
    def total_batches_seen(self, value: int) -> None:
        with self._mutex:
            self.images.total_batches_seen = self.masks.total_batches_seen = value

    @property
    def batch_indices(self) -> NDArray[np.int64] | None:
        """Dataset indices of the pairs last delivered, (k,); None before the first batch."""
        return self._batch_indices

    @property
    def errors(self) -> list[BadImage]:
        """The images and masks that could not be loaded; see `Iterator.errors`."""
        return self.images.errors + self.masks.errors

    @property
    def num_batches(self) -> int:
        """Batches of an epoch, `len(it)`."""
        return len(self)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> PairIterator:
        return self

    def __next__(self) -> tuple[Any, Any]:
        return self.next()

    def next(self) -> tuple[Any, Any]:
        """Delivers the next (batch of `images`, batch of `masks`).

        Raises:
            ImageError: An image or a mask cannot be loaded. The batch of both is skipped.
            RuntimeError: One of the iterators is closed.
        """
        with self._mutex, self._in_step(lambda cursor, *sampling: cursor.next(*sampling)):
            return self._matched(self.images.next(), self.masks.next())

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """Delivers batch `index` of the current epoch; see `Iterator`."""
        caller = sys._getframe(1)
        with (
            self._mutex,
            self._in_step(lambda cursor, *sampling: cursor.item(index % cursor.batches, *sampling)),
        ):
            batches = (it._get_item(index, caller) for it in (self.images, self.masks))
            batch: tuple[Any, Any] = to_torch_if_keras(self._matched(*batches), caller)
            return batch

    def reset(self) -> None:
        """Makes `next()` begin a new epoch, in a new order when shuffled."""
        with self._mutex:
            self.images.reset()
            self.masks.reset()

    def stats(self) -> PairStats:
        """What both measured since the first batch; a request to the masks' waits in turn."""
        return PairStats(self.images.stats(), self.masks.stats())

    def state_dict(self) -> dict[str, Any]:
        """Returns the position, for `load_state_dict`: the states of both iterators."""
        with self._mutex:
            return self._state_at(self._position())

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from a saved position; see `Iterator.load_state_dict`."""
        with self._mutex:
            if not isinstance(state_dict, Mapping) or set(state_dict) != {"images", "masks"}:
                raise ValueError("this is no state of a pair of iterators of pyloader")
            images = self.images._cursor_from(state_dict["images"])
            masks = self.masks._cursor_from(state_dict["masks"])
            self.images._go_on_at(images)
            self.masks._go_on_at(masks)

    def on_epoch_begin(self) -> None:
        """Does nothing; Keras calls it before an epoch."""

    def on_epoch_end(self) -> None:
        """Draws a new order for `it[i]` at once, for both; Keras calls it after an epoch."""
        with self._mutex:
            self.images.on_epoch_end()
            self.masks.on_epoch_end()
            images, masks = self.images._cursor, self.masks._cursor
            if not np.array_equal(np.asarray(images.index_array), np.asarray(masks.index_array)):
                # The masks' generator samples nothing at all, or there was no batch yet.
                self.masks._move(
                    masks._replace(
                        index_array=images.index_array, order=images.order, stream=images.stream
                    )
                )

    def close(self) -> None:
        """Closes both iterators. Delivered arrays stay valid; closing twice is fine."""
        self.images.close()
        self.masks.close()

    def __enter__(self) -> PairIterator:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the two iterators: copies of them start over."""
        return type(self), (self.images, self.masks)

    def _is_where_loaded(self) -> bool:
        return self.images._is_where_loaded()

    def _position(self) -> tuple[Cursor, Cursor]:
        return self.images._position(), self.masks._position()

    def _state_at(self, position: tuple[Cursor, Cursor]) -> dict[str, Any]:
        images, masks = position
        return {"images": self.images._state_at(images), "masks": self.masks._state_at(masks)}

    def _progress(self) -> tuple[int, int]:
        return self.images._progress()

    def _matched(self, images: Any, masks: Any) -> tuple[Any, Any]:
        """Two batches without the samples that were dropped from one of them."""
        first, second = self.images.batch_indices, self.masks.batch_indices
        assert first is not None
        assert second is not None
        self._batch_indices = first
        if not np.array_equal(first, second):
            of_images, of_masks = np.isin(first, second), np.isin(second, first)
            images, masks = _rows(images, of_images), _rows(masks, of_masks)
            self._batch_indices = first[of_images]
        return images, masks

    @contextlib.contextmanager
    def _in_step(self, plan: Any) -> AnyIterator[None]:
        """Keeps both iterators at the same position when one of them fails.

        An error skips the batch for both, by `plan`; an interrupt, or a lack of memory for now,
        leaves both before it.
        """
        before = self._step_from = self.images._cursor, self.masks._cursor
        try:
            yield
        except BaseException as error:
            if not skips_batch(error):
                self._move_both(*before)
            elif self.images._cursor is not before[0]:  # it went first
                random = np.random.RandomState(0)
                samplers = _sampler_of(self.images), _sampler_of(self.masks)
                self._move_both(
                    *(
                        plan(cursor, sampler, random).after
                        for cursor, sampler in zip(before, samplers, strict=True)
                    )
                )
            raise
        finally:
            self._step_from = None

    def _move_both(self, images: Cursor, masks: Cursor) -> None:
        """Moves both iterators, as far as they are not there yet."""
        for iterator, cursor in ((self.images, images), (self.masks, masks)):
            if iterator.total_batches_seen != cursor.total_batches_seen:
                iterator._move(cursor)


def _rows(batch: Any, kept: NDArray[np.bool_]) -> Any:
    """Some rows of all arrays of a batch."""
    if isinstance(batch, (tuple, list)):
        return type(batch)(_rows(part, kept) for part in batch)
    return batch[kept]


def _sampler_of(iterator: Iterator) -> ParamSampler:
    return ParamSampler(None) if iterator._spec is None else iterator._spec.sampler


# What makes Keras draw numbers for an image. The draws stay in step if both draw as many.
_WARPS = (
    "rotation_range",
    "width_shift_range",
    "height_shift_range",
    "shear_range",
    "zoom_range",
)
_DRAWS = (*_WARPS, "horizontal_flip", "vertical_flip", "channel_shift_range", "brightness_range")


def _check_on_error(images: Iterator) -> None:
    """Refuses options that would give images and masks different rows."""
    options = images._options
    if options.on_error == "replace":
        raise ValueError(
            'A pair cannot `on_error="replace"`: the image that replaces another one would not '
            'belong to its mask. Use "drop", which drops both.'
        )
    if options.on_error == "drop" and options.last_batch == "pad":
        raise ValueError('A pair cannot `on_error="drop"` with `last_batch="pad"`.')


def _check_same_draws(images: Iterator, masks: Iterator) -> None:
    """Refuses generators that would draw different numbers, or different amounts of them."""
    generators = [getattr(it, "image_data_generator", None) for it in (images, masks)]
    if None in generators:
        return
    for name in _DRAWS:
        first, second = (_plain(getattr(generator, name, None)) for generator in generators)
        if first != second:
            raise ValueError(
                f"The generators of `images` and `masks` should have the same `{name}`: the random "
                "draws would not be the same. What is meant for the images alone can be done in "
                f"their `preprocessing_function`. Received: {first!r} and {second!r}"
            )


def _plain(value: Any) -> Any:
    """Returns a parameter, comparable: a range as a list; nothing at all as False."""
    if isinstance(value, (tuple, list, np.ndarray)):
        return list(value)
    return value or False


def _warn_if_values_change(masks: Iterator) -> None:
    """Warns of settings that mix the classes of a mask or make others of them."""
    interpolation = getattr(masks, "interpolation", "nearest")
    if interpolation != "nearest":
        _warn(f"resized with interpolation={interpolation!r}", 'interpolation="nearest"')
    generator = getattr(masks, "image_data_generator", None)
    order = getattr(generator, "interpolation_order", 0)
    if order and any(_plain(getattr(generator, name, 0)) not in (False, [1, 1]) for name in _WARPS):
        _warn(f"warped with interpolation_order={order}", "interpolation_order=0")
    for name in ("channel_shift_range", "brightness_range"):
        if _plain(getattr(generator, name, None)):
            _warn(f"changed by {name}", "a `preprocessing_function` for the images instead")


def _warn(what: str, instead: str) -> None:
    warnings.warn(
        f"The masks are {what}: their values would no longer be classes. Use {instead}.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )
