"""Batches from images in an array."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyloader._native.prefetch import Batch
from pyloader._order.checkpoint import digest
from pyloader.errors import user_stacklevel
from pyloader.iterators.base import ImageSource, Iterator
from pyloader.iterators.keras_dataset import floatx, image_data_format
from pyloader.iterators.processing import (
    describe_source,
    generator_key,
    generator_settings,
    prepare_images,
)
from pyloader.options import DECODING_OPTIONS, LoaderOptions, Subset, check_batch_size, check_seed

__all__ = ["NumpyArrayIterator"]

_MAX_SAVED_NUMBER = 10**4


class NumpyArrayIterator(Iterator):
    """Iterates over images in memory; `flow` returns it.

    A batch is (images, targets) or (images, targets, weights); without `y` it is the images alone.
    Images are (k, height, width, channels), or channels before height for "channels_first", in
    `dtype`; k is `batch_size` or less in the last batch of an epoch. With further inputs a list
    takes the images' place: [images, further...].

    Images in float32 are transformed by the native pool, any other dtype by NumPy and SciPy on the
    calling thread.

    Takes the arguments of `ImageDataGenerator.flow`, the generator among them, and `options` or
    single options by name (see `LoaderOptions`).
    """

    x: NDArray[Any]
    """The images of the subset, rank 4, in `dtype`; read-only once batches are prefetched. Assign
    another array to change them."""
    x_misc: list[NDArray[Any]]  #: Further inputs of the subset
    y: NDArray[Any] | None  #: Targets of the subset, or None
    sample_weight: NDArray[Any] | None  #: Weights as given (for a subset too), or None

    def __init__(
        self,
        x: ArrayLike | Sequence[Any],
        y: ArrayLike | None,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: ArrayLike | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: Subset | None = None,
        ignore_class_split: bool = False,
        dtype: DTypeLike | None = None,
        *,
        options: LoaderOptions | None = None,
        **keywords: Any,
    ) -> None:
        batch_size, seed = check_batch_size(batch_size), check_seed(seed)
        data_format = image_data_format() if data_format is None else data_format
        dtype = floatx() if dtype is None else dtype
        name = type(self).__name__
        options = LoaderOptions.of(options, keywords, without=DECODING_OPTIONS, where=name)
        self.data_format = data_format
        self.dtype = dtype
        images, further = _split_inputs(x)
        _check_length(images, y, "y` (labels)", "y")
        _check_length(images, sample_weight, "sample_weight`", "sample_weight")
        targets: Any = y
        if subset is not None:
            part = _part_of(subset, images, y, image_data_generator, ignore_class_split)
            images = images[part]
            further = [np.asarray(values[part]) for values in further]
            targets = None if targets is None else targets[part]
        self.x = np.asarray(images, dtype=self.dtype)
        self.x_misc = further
        if self.x.ndim != 4:
            raise ValueError(
                "Input data in `NumpyArrayIterator` should have rank 4. "
                f"You passed an array with shape {self.x.shape}"
            )
        self._warn_of_channels()
        self.y = None if targets is None else np.asarray(targets)
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)
        self.image_data_generator = image_data_generator
        self.save_to_dir = save_to_dir
        self.save_prefix = save_prefix
        self.save_format = save_format
        super().__init__(len(self.x), batch_size, shuffle, seed, options=options)

    def _warn_of_channels(self) -> None:
        axis = 3 if self.data_format == "channels_last" else 1
        channels = self.x.shape[axis]
        if channels not in {1, 3, 4}:
            warnings.warn(
                "NumpyArrayIterator is set to use the data format convention "
                f'"{self.data_format}" (channels on axis {axis}), i.e. expected either 1, 3, or 4 '
                f"channels on axis {axis}. However, it was passed an array with shape "
                f"{self.x.shape} ({channels} channels).",
                UserWarning,
                stacklevel=user_stacklevel(),
            )

    def _source_key(self) -> Any:
        return self._changes, generator_key(self.image_data_generator)

    def _describe_source(self) -> ImageSource:
        if self.x.flags.writeable:  # a write in place would miss the batches that are prefetched
            view = self.x.view()
            view.flags.writeable = False
            vars(self)["x"] = view
        return describe_source(self, self.x, self.x.shape[1:], number_limit=_MAX_SAVED_NUMBER)

    def _state_settings(self) -> dict[str, Any]:
        return generator_settings(
            self.image_data_generator,
            self.dtype,
            data_format=self.data_format,
            save_to_dir=bool(self.save_to_dir) or None,  # a number is drawn for each saved file
        )

    def _dataset_key(self) -> Any:
        return self._changes

    def _dataset_digests(self) -> dict[str, str]:
        return {
            "arrays": digest(self.x, self.x_misc),
            "labels": digest(self.y, self.sample_weight),
        }

    def _collate(self, batch: Batch) -> Any:
        ids = batch.rows
        inputs: Any = prepare_images(self, batch, self.x.shape[1:])
        if self.x_misc:
            inputs = [inputs, *(values[ids] for values in self.x_misc)]
        if self.y is None:
            return inputs
        if self.sample_weight is None:
            return inputs, self.y[ids]
        return inputs, self.y[ids], self.sample_weight[ids]


def _split_inputs(x: Any) -> tuple[Any, list[NDArray[Any]]]:
    """Images and further inputs, of the same lengths."""
    if not isinstance(x, (tuple, list)):
        return x, []
    images, rest = x[0], x[1]
    further = [np.asarray(values) for values in (rest if isinstance(rest, list) else [rest])]
    for values in further:
        if len(images) != len(values):
            raise ValueError(
                "All of the arrays in `x` should have the same length. Found a pair with: "
                f"len(x[0]) = {len(images)}, len(x[?]) = {len(values)}"
            )
    return images, further


def _check_length(images: Any, values: Any, title: str, name: str) -> None:
    if values is not None and len(images) != len(values):
        raise ValueError(
            f"`x` (images tensor) and `{title} should have the same length. "
            f"Found: x.shape = {np.asarray(images).shape}, "
            f"{name}.shape = {np.asarray(values).shape}"
        )


def _part_of(subset: str, images: Any, y: Any, generator: Any, ignore_class_split: bool) -> slice:
    """The part of the arrays that a subset stands for: validation comes first."""
    if subset not in {"training", "validation"}:
        raise ValueError(f'Invalid subset name: {subset}; expected "training" or "validation".')
    border = int(len(images) * generator._validation_split)
    if (
        y is not None
        and not ignore_class_split
        and not np.array_equal(np.unique(y[:border]), np.unique(y[border:]))
    ):
        raise ValueError(
            "Training and validation subsets have different number of classes after the split. "
            "If your numpy arrays are sorted by the label, you might want to shuffle them."
        )
    return slice(None, border) if subset == "validation" else slice(border, None)
