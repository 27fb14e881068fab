"""Batches from image files: what iterators over folders and over tables of files share."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyloader.arguments import CHANNELS, check_interpolation, check_target_size
from pyloader.iterators import Iterator
from pyloader.labels import class_targets
from pyloader.loading import LoaderSettings
from pyloader.order import draw_flips, draw_nothing
from pyloader.unsupported import SWITCHES, refuse_unsupported

__all__ = ["FileIterator"]

# Read before every batch, so by C: the attributes that decide what a batch looks like.
_own_settings = operator.attrgetter(
    "target_size",
    "color_mode",
    "interpolation",
    "keep_aspect_ratio",
    "data_format",
    "dtype",
    "save_to_dir",
    "image_data_generator",
)
_generator_settings = operator.attrgetter(
    "rescale", "preprocessing_function", *SWITCHES, "brightness_range", "zoom_range"
)


class FileIterator(Iterator):
    """An iterator over image files: holds what Keras' `BatchFromFilesMixin` holds.

    Every attribute may be assigned at any time and holds from the next batch on. A subclass calls
    `_set_processing` before it looks for its files, then `Iterator.__init__`.
    """

    image_data_generator: Any
    """The ImageDataGenerator, or None for images as they are."""
    target_size: tuple[int, ...]
    """(height, width) of the images in pixels."""
    color_mode: str
    """"grayscale", "rgb" or "rgba"."""
    data_format: str
    """"channels_last" or "channels_first"."""
    image_shape: tuple[int, ...]
    """The shape of one image of a batch."""
    save_to_dir: str | None
    """Where to save delivered images; None: nowhere."""
    save_prefix: str
    """How the names of saved images begin."""
    save_format: str
    """The format of saved images."""
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
    classes: NDArray[np.int32]
    """The label of each sample, (n,)."""
    dtype: DTypeLike
    """The dtype of images and targets."""

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
        save_to_dir: str | None,
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
            NotImplementedError: Something that this version cannot do yet.
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
        self._refuse_unsupported()

    def _refuse_unsupported(self) -> None:
        refuse_unsupported(self.image_data_generator)
        if self.save_to_dir:
            raise NotImplementedError(
                "`save_to_dir` is not implemented yet in this version of pyloader: leave it None. "
                f"Received: {self.save_to_dir!r}"
            )

    def _image_files(self) -> list[str]:
        return self.filepaths

    def _settings_key(self) -> tuple[Any, ...]:
        generator = self.image_data_generator
        if generator is None:
            return _own_settings(self)
        return _own_settings(self) + _generator_settings(generator)

    def _loader_settings(self, num_threads: int, depth: int) -> LoaderSettings:
        self._refuse_unsupported()
        height, width = check_target_size(self.target_size)
        check_interpolation(self.interpolation)
        generator = self.image_data_generator
        return LoaderSettings(
            height=height,
            width=width,
            color_mode=self.color_mode,
            interpolation=self.interpolation,
            keep_aspect_ratio=bool(self.keep_aspect_ratio),
            channels_first=self.data_format == "channels_first",
            dtype=np.dtype(self.dtype),
            rescale=generator.rescale if generator else None,
            preprocessing_function=generator.preprocessing_function if generator else None,
            num_threads=num_threads,
            depth=depth,
        )

    def _make_batch(self, images: NDArray[Any] | None, ids: NDArray[np.int64]) -> Any:
        """Images alone for class_mode None, else (images, targets) or with weights as third."""
        if images is None:
            images = np.zeros((0, *self.image_shape), dtype=self.dtype)
        targets = class_targets(
            self.class_mode, images, self.classes[ids], len(self.class_indices), self.dtype
        )
        if targets is None:
            return images
        if self.sample_weight is None:
            return images, targets
        return images, targets, self.sample_weight[ids]

    def _draw_parameters(self, random: np.random.RandomState, images: int) -> object:
        draw = draw_flips if self.image_data_generator else draw_nothing
        return draw(random, images)


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
