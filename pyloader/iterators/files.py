"""Batches from image files: what iterators over folders and over tables of files share."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._data.labels import class_targets
from pyloader._order.fingerprint import mark, mark_of_paths
from pyloader.arguments import CHANNELS, check_interpolation, check_target_size
from pyloader.iterators.images import ImageIterator

__all__ = ["FileIterator"]

_CLASS_MODES = frozenset({"categorical", "binary", "sparse"})


class FileIterator(ImageIterator):
    """An iterator over image files: holds what Keras' `BatchFromFilesMixin` holds.

    A subclass calls `_set_processing` before it looks for its files, then `Iterator.__init__`.
    """

    target_size: tuple[int, ...]
    """(height, width) of the images in pixels."""
    color_mode: str
    """"grayscale", "rgb" or "rgba"."""
    image_shape: tuple[int, ...]
    """The shape of one image of a batch."""
    interpolation: str
    """The filter for images of another size than `target_size`."""
    keep_aspect_ratio: bool
    """Whether images are cropped to the target's shape instead of distorted."""
    split: tuple[float, float] | None
    """The part of every class that is used, as fractions (start, stop); None: all."""
    subset: str | None
    """"training", "validation" or None."""
    class_mode: str | None
    """What the targets are."""
    class_indices: dict[str, int]
    """Class name to label."""
    classes: Any
    """The label of each sample, n of them; a label may be a list of labels."""

    @property
    @abstractmethod
    def filepaths(self) -> list[str]:
        """The file of each sample."""

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
        """Checks and stores how files become images; arguments as Keras' `set_processing_attrs`.

        Raises:
            TypeError: `target_size` is not iterable.
            ValueError: A value that is not among the possible ones.
        """
        self.image_data_generator = image_data_generator
        self.target_size = tuple(target_size)
        self.keep_aspect_ratio = keep_aspect_ratio
        if color_mode not in CHANNELS:
            raise ValueError(
                f'Invalid color mode: {color_mode}; expected "rgb", "rgba", or "grayscale".'
            )
        self.color_mode = color_mode
        self.data_format = data_format
        channels = (CHANNELS[color_mode],)
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
        check_target_size(self.target_size)
        check_interpolation(interpolation)

    def _source(self) -> list[str]:
        return self.filepaths

    def _file_settings(self) -> tuple[str, str, bool]:
        check_interpolation(self.interpolation)
        return self.color_mode, self.interpolation, bool(self.keep_aspect_ratio)

    def _settings(self) -> dict[str, Any]:
        color_mode, interpolation, keep_aspect_ratio = self._file_settings()
        return {
            **super()._settings(),
            "target_size": tuple(self.target_size),
            "color_mode": color_mode,
            "interpolation": interpolation,
            "keep_aspect_ratio": keep_aspect_ratio,
            "fidelity": self._options.fidelity,
            "class_mode": self.class_mode,
        }

    def _dataset(self) -> dict[str, str]:
        labels = getattr(self, "classes", None)
        with contextlib.suppress(ValueError, TypeError):  # lists of labels stay lists
            labels = np.asarray(labels, dtype=np.int64)
        return {
            "files": mark_of_paths(self.filepaths),
            "labels": mark(labels, self._other_targets(), self.sample_weight),
        }

    def _dataset_key(self) -> Any:
        return self._revision, len(self.filepaths)

    def _other_targets(self) -> Any:
        """Targets that are no classes."""
        return None

    def _single_image_shape(self) -> tuple[int, ...]:
        size = check_target_size(self.target_size)
        channels = CHANNELS[self.color_mode]
        return (*size, channels) if self.data_format == "channels_last" else (channels, *size)

    def _make_output(self, images: NDArray[Any], ids: NDArray[np.int64]) -> Any:
        """Images alone for class_mode None, else (images, targets) or with weights as third."""
        targets = self._make_targets(images, ids)
        if targets is None:
            return images
        if self.sample_weight is None:
            return images, targets
        return images, targets, self.sample_weight[ids]

    def _make_targets(self, images: NDArray[Any], ids: NDArray[np.int64]) -> Any:
        """The targets by class mode; None for none."""
        return class_targets(
            self.class_mode,
            images,
            self._labels_of(ids) if self.class_mode in _CLASS_MODES else (),
            len(self.class_indices) if self.class_mode == "categorical" else 0,
            self.dtype,
        )

    def _labels_of(self, ids: NDArray[np.int64]) -> Sequence[Any] | NDArray[Any]:
        """The labels of a batch's samples."""
        classes = self.classes
        if isinstance(classes, np.ndarray):
            return classes[ids]
        return [classes[index] for index in ids]


def _split_of(subset: str | None, generator: Any) -> tuple[float, float] | None:
    """The part of every class that a subset stands for."""
    if subset is None:
        return None
    validation_split = generator._validation_split
    if subset == "validation":
        return 0, validation_split
    if subset == "training":
        return validation_split, 1
    raise ValueError(f'Invalid subset name: {subset};expected "training" or "validation"')
