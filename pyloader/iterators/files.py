"""Batches from image files: what iterators over folders and over tables share."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyloader._data.labels import class_targets
from pyloader._native.pillow import load_pillow
from pyloader._native.prefetch import Batch
from pyloader._order.checkpoint import digest, digest_paths
from pyloader.iterators.base import ImageSource, Iterator
from pyloader.iterators.processing import (
    channels_of,
    describe_source,
    generator_key,
    generator_settings,
    prepare_images,
)
from pyloader.options import check_interpolation, check_target_size

_CLASS_MODES = frozenset({"categorical", "binary", "sparse"})
_MAX_SAVED_NUMBER = 10**7


class FileList(list[str]):
    """A list of paths that refuses changes in place: the native loader has a copy of it."""

    def _refuse(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise TypeError(
            "this list of files cannot be changed in place, because its files are being loaded "
            "already. Assign a new list instead: `it._filepaths = [...]`."
        )

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)


class FileIterator(Iterator):
    """An iterator over image files: holds what Keras' `BatchFromFilesMixin` holds.

    Every attribute, of the iterator and of its generator, may be assigned at any time and holds
    from the next batch on. A subclass calls `_set_processing` before it looks for its files, then
    `Iterator.__init__`.
    """

    image_data_generator: Any  #: The ImageDataGenerator; where None, images stay as they are.
    target_size: tuple[int, ...]  #: (height, width) of the images in pixels
    color_mode: str  #: "grayscale", "rgb" or "rgba"
    data_format: str  #: "channels_last" or "channels_first"
    image_shape: tuple[int, ...]  #: The shape of one image of a batch
    dtype: DTypeLike  #: The dtype of images and targets
    interpolation: str  #: The filter for images of another size than `target_size`
    keep_aspect_ratio: bool
    """Whether images are cropped to the target's shape instead of distorted."""
    save_to_dir: str | os.PathLike[str] | None
    """An existing folder for copies of all delivered images; None: none are saved."""
    save_prefix: str  #: How the names of saved images begin
    save_format: str  #: The format of saved images, as the ending of their names
    split: tuple[float, float] | None
    """The part of every class that is used, as fractions (start, stop); None: all."""
    subset: str | None  #: "training", "validation" or None
    class_mode: str | None  #: What the targets are
    class_indices: dict[str, int]  #: Class name to label
    classes: Any  #: The label of each sample, n of them; a label may be a list of labels.
    _filepaths: list[str]

    @property
    def filepaths(self) -> list[str]:
        """The file of each sample: `directory` joined with `filenames`."""
        if type(self._filepaths) is not FileList:  # assigned by a user
            self._filepaths = FileList(self._filepaths)
        return self._filepaths

    @property
    @abstractmethod
    def labels(self) -> Any:
        """The label of each sample."""

    @property
    @abstractmethod
    def sample_weight(self) -> NDArray[Any] | None:
        """The weight of each sample, (n,), or None."""

    def _set_processing(
        self,
        image_data_generator: Any,
        target_size: Iterable[int],
        color_mode: str,
        data_format: str,
        save_to_dir: str | os.PathLike[str] | None,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
        keep_aspect_ratio: bool,
    ) -> None:
        """Checks and stores how files become images; arguments as Keras' `set_processing_attrs`."""
        load_pillow()
        self.image_data_generator = image_data_generator
        size = tuple(target_size) if isinstance(target_size, Iterable) else target_size
        self.target_size = check_target_size(size)
        self.keep_aspect_ratio = keep_aspect_ratio
        channels = (channels_of(color_mode),)
        self.color_mode = color_mode
        self.data_format = data_format
        last = data_format == "channels_last"
        self.image_shape = self.target_size + channels if last else channels + self.target_size
        self.save_to_dir = save_to_dir
        self.save_prefix = save_prefix
        self.save_format = save_format
        self.interpolation = interpolation
        self.split = _split_of(subset, image_data_generator)
        self.subset = subset
        if data_format not in {"channels_last", "channels_first"}:
            raise ValueError(
                '`data_format` should be "channels_last" or "channels_first". '
                f"Received: {data_format!r}"
            )
        check_interpolation(interpolation)

    def _source_key(self) -> Any:
        return self._changes, self.filepaths, generator_key(self.image_data_generator)

    def _describe_source(self) -> ImageSource:
        return describe_source(
            self,
            self.filepaths,
            self._shape(),
            number_limit=_MAX_SAVED_NUMBER,
            color_mode=self.color_mode,
            interpolation=check_interpolation(self.interpolation),
            keep_aspect_ratio=bool(self.keep_aspect_ratio),
        )

    def _shape(self) -> tuple[int, ...]:
        size = check_target_size(self.target_size)
        channels = channels_of(self.color_mode)
        return (*size, channels) if self.data_format == "channels_last" else (channels, *size)

    def _state_settings(self) -> dict[str, Any]:
        return generator_settings(
            self.image_data_generator,
            self.dtype,
            target_size=tuple(self.target_size),
            color_mode=self.color_mode,
            interpolation=self.interpolation,
            keep_aspect_ratio=bool(self.keep_aspect_ratio) or None,
            data_format=self.data_format,
            fidelity=self._options.fidelity,
            class_mode=self.class_mode,
            save_to_dir=bool(self.save_to_dir) or None,  # a number is drawn for each saved file
        )

    def _dataset_key(self) -> Any:
        return self._changes, len(self.filepaths)

    def _dataset_digests(self) -> dict[str, str]:
        labels = getattr(self, "classes", None)
        with contextlib.suppress(ValueError, TypeError):  # lists of labels stay lists
            labels = np.asarray(labels, dtype=np.int64)
        return {
            "files": digest_paths(self.filepaths),
            "labels": digest(labels, self._other_targets(), self.sample_weight),
        }

    def _other_targets(self) -> Any:
        """Returns targets that are no classes."""
        return None

    def _collate(self, batch: Batch) -> Any:
        """Returns images alone for class_mode None, else (images, targets) and weights if any."""
        images, ids = prepare_images(self, batch, self._shape()), batch.rows
        targets = self._make_targets(images, ids)
        if targets is None:
            return images
        if self.sample_weight is None:
            return images, targets
        return images, targets, self.sample_weight[ids]

    def _make_targets(self, images: NDArray[Any], ids: NDArray[np.int64]) -> Any:
        """Returns the targets by class mode; None for none."""
        return class_targets(
            self.class_mode,
            images,
            self._labels_of(ids) if self.class_mode in _CLASS_MODES else (),
            len(self.class_indices) if self.class_mode == "categorical" else 0,
            self.dtype,
        )

    def _labels_of(self, ids: NDArray[np.int64]) -> Sequence[Any] | NDArray[Any]:
        classes = self.classes
        if isinstance(classes, np.ndarray):
            return classes[ids]
        return [classes[index] for index in ids]


def check_class_mode(class_mode: Any, allowed: set[Any]) -> None:
    """Raises Keras' ValueError for a class mode that the iterator does not have."""
    if class_mode not in allowed:
        raise ValueError(f"Invalid class_mode: {class_mode}; expected one of: {allowed}")


def _split_of(subset: str | None, generator: Any) -> tuple[float, float] | None:
    """Returns the part of every class that a subset stands for."""
    if subset is None:
        return None
    validation_split = generator._validation_split
    if subset == "validation":
        return 0, validation_split
    if subset == "training":
        return validation_split, 1
    raise ValueError(f'Invalid subset name: {subset};expected "training" or "validation"')
