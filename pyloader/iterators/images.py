"""Batches of images that pass through an ImageDataGenerator: what files and arrays share."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyloader._augment.custom import CustomDrawing, CustomTransforms, overrides
from pyloader._augment.sampling import Drawing, Drawn, ranges_of
from pyloader._augment.standardize import Standardization, standardization_of, unfitted_statistics
from pyloader._augment.transforms import check_brightness_channels
from pyloader._native.loading import LoaderSettings
from pyloader._native.saving import save_images
from pyloader._order.fingerprint import settings_of
from pyloader.callers import level_of_caller
from pyloader.iterators.base import Iterator
from pyloader.iterators.revisions import Revised

__all__ = ["ImageIterator"]


class ImageIterator(Revised, Iterator):
    """An iterator over images that an ImageDataGenerator transforms and standardises.

    Every attribute, of the iterator and of its generator, may be assigned at any time and holds
    from the next batch on. What is changed inside an attribute (an element of a list or an array)
    may miss the batches that are prepared already.
    """

    image_data_generator: Any
    """The ImageDataGenerator; where None, images stay as they are."""
    data_format: str
    """"channels_last" or "channels_first"."""
    dtype: DTypeLike
    """The dtype of images."""
    save_to_dir: str | os.PathLike[str] | None
    """An existing folder for copies of all delivered images; None: none are saved."""
    save_prefix: str
    """How the names of saved images begin."""
    save_format: str
    """The format of saved images, as the ending of their names."""

    _save_limit: ClassVar[int] = 10**7
    """Upper limit of the random number in the name of a saved image."""

    _own_transform: CustomTransforms | None = None

    _unfitted: tuple[str, ...] = ()
    """Warnings due with every batch; found when the settings change."""

    @abstractmethod
    def _single_image_shape(self) -> tuple[int, ...]:
        """The shape of one image of a batch; checked, where the user may change it."""

    @abstractmethod
    def _make_output(self, images: NDArray[Any], ids: NDArray[np.int64]) -> Any:
        """What to hand out for a batch's images."""

    def _file_settings(self) -> tuple[str, str, bool]:
        """How files are read: color_mode, interpolation, keep_aspect_ratio."""
        return "rgb", "nearest", False

    def _settings_key(self) -> tuple[Any, ...]:
        generator = self.image_data_generator
        if generator is None:
            return (self._revision,)
        zoom = generator.zoom_range  # a list, whose elements may be assigned too
        return self._revision, generator._revision, zoom[0], zoom[1]

    def _settings(self) -> dict[str, Any]:
        generator = self.image_data_generator
        settings = {} if generator is None else settings_of(generator)
        for derived in ("channel_axis", "row_axis", "col_axis", "zca_epsilon"):
            settings.pop(derived, None)
        fitted = [settings.pop(name, None) for name in ("mean", "std", "zca_whitening_matrix")]
        return {
            **settings,
            "fitted statistics": fitted,
            "image_data_generator": type(generator).__qualname__,
            "data_format": self.data_format,
            "dtype": np.dtype(self.dtype).str,
            "save_to_dir": bool(self.save_to_dir),  # a number is drawn for each saved file
        }

    def _loader_settings(self, num_threads: int, depth: int) -> LoaderSettings:
        generator = self.image_data_generator
        channels_first = self.data_format == "channels_first"
        shape = self._single_image_shape()
        height, width = shape[1:] if channels_first else shape[:2]
        color_mode, interpolation, keep_aspect_ratio = self._file_settings()
        self._own_transform = None
        if generator is not None and overrides(generator, "apply_transform"):
            self._own_transform = CustomTransforms(generator)
        self._unfitted = ()
        if generator is not None and not overrides(generator, "standardize"):
            self._unfitted = tuple(unfitted_statistics(generator))
        transforms = generator is not None and (self._draws_itself() or ranges_of(generator).active)
        if transforms and not self._own_transform and generator.brightness_range is not None:
            check_brightness_channels(shape[0 if channels_first else 2])
        return LoaderSettings(
            height=height,
            width=width,
            channels=shape[0 if channels_first else 2],
            color_mode=color_mode,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            channels_first=channels_first,
            dtype=np.dtype(self.dtype),
            standardization=_standardization_of(generator),
            transforms=transforms,
            fill_mode=generator.fill_mode if transforms else "nearest",
            cval=generator.cval if transforms else 0.0,
            order=generator.interpolation_order if transforms else 1,
            own_transform=self._own_transform,
            num_threads=num_threads,
            depth=depth,
        )

    def _drawing(self) -> Drawing:
        generator = self.image_data_generator
        shape = self._single_image_shape()
        number_limit = self._save_limit if self.save_to_dir else 0
        if self._draws_itself():
            return CustomDrawing(generator, shape, self._own_transform, number_limit)
        height, width = shape[1:] if self.data_format == "channels_first" else shape[:2]
        ranges = ranges_of(generator) if generator else None
        return Drawing(ranges, height, width, number_limit)

    def _draws_itself(self) -> bool:
        """Whether drawing, or what becomes of it, is the generator's own business."""
        return self._own_transform is not None or (
            self.image_data_generator is not None
            and overrides(self.image_data_generator, "get_random_transform")
        )

    def _make_batch(self, images: NDArray[Any] | None, ids: NDArray[np.int64], drawn: Drawn) -> Any:
        if images is None:
            empty = np.zeros((0, *self._single_image_shape()), dtype=self.dtype)
            return self._make_output(empty, ids)
        for text in self._unfitted:
            warnings.warn(text, UserWarning, stacklevel=level_of_caller())
        if drawn.numbers is not None and self.save_to_dir:
            samples = len(drawn.numbers)  # the rest is padding
            save_images(
                images[:samples],
                ids[:samples],
                drawn.numbers,
                directory=self.save_to_dir,
                prefix=self.save_prefix,
                file_format=self.save_format,
                channels_first=self.data_format == "channels_first",
            )
        return self._make_output(images, ids)


def _standardization_of(generator: Any) -> Standardization:
    """What happens to the values of transformed images."""
    if generator is None:
        return Standardization()
    if overrides(generator, "standardize"):
        return Standardization(function=generator.standardize)
    return standardization_of(generator)
