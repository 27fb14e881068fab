"""Keras' ImageDataGenerator: how images are changed and scaled, and the start of every iterator."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import DTypeLike, NDArray

from pyloader.directory_iterator import DirectoryIterator
from pyloader.sample_hooks import PreprocessingFunction
from pyloader.unsupported import refuse_unsupported

__all__ = ["ImageDataGenerator"]


class ImageDataGenerator:
    """Says what happens to images on their way into batches; makes iterators over image sets.

    Parameters, defaults, warnings, errors and attributes are those of Keras 3. Everything that
    the constructor stores may be assigned later and holds from the next batch on.

    Args:
        featurewise_center: Not implemented yet; False.
        samplewise_center: Not implemented yet; False.
        featurewise_std_normalization: Not implemented yet; False.
        samplewise_std_normalization: Not implemented yet; False.
        zca_whitening: Not implemented yet; False.
        zca_epsilon: For `zca_whitening`. Default 1e-6.
        rotation_range: Not implemented yet; 0.
        width_shift_range: Not implemented yet; 0.0.
        height_shift_range: Not implemented yet; 0.0.
        brightness_range: Not implemented yet; None.
        shear_range: Not implemented yet; 0.0.
        zoom_range: Not implemented yet; 0.0.
        channel_shift_range: Not implemented yet; 0.0.
        fill_mode: For shifts, rotation, shear and zoom. Default "nearest".
        cval: For `fill_mode="constant"`. Default 0.0.
        horizontal_flip: Not implemented yet; False.
        vertical_flip: Not implemented yet; False.
        rescale: Factor for every value, after everything else; None (default) or 0 for none.
        preprocessing_function: Called with each image after resizing and before `rescale`: one
            float32 array of rank 3 in the data format; returns an array of the same shape. It
            runs on the pool's threads, one call at a time under the GIL, for batches prepared
            ahead too. None (default) for none.
        data_format: "channels_last" (the default, None): (height, width, channels), or
            "channels_first".
        validation_split: Part of the images kept for `subset="validation"`, strictly between 0
            and 1; 0.0 (default) for no split.
        interpolation_order: Spline order of shifts, rotation, shear and zoom. Default 1.
        dtype: The dtype of batches; None: "float32".

    Raises:
        ValueError: A value that is not among the possible ones.
        NotImplementedError: A parameter that this version does not support yet.

    Warns:
        UserWarning: A parameter that switches on another one.
    """

    mean: NDArray[Any] | None
    """Mean for `featurewise_center`; None until fitted."""
    std: NDArray[Any] | None
    """Standard deviation for `featurewise_std_normalization`; None until fitted."""
    zca_whitening_matrix: NDArray[Any] | None
    """Matrix for `zca_whitening`; None until fitted."""
    channel_axis: int
    """Axis of the channels in a batch of rank 4."""
    row_axis: int
    """Axis of the rows in a batch of rank 4."""
    col_axis: int
    """Axis of the columns in a batch of rank 4."""

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: float | Sequence[float] = 0.0,
        height_shift_range: float | Sequence[float] = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: PreprocessingFunction | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.shear_range = shear_range
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.dtype = "float32" if dtype is None else dtype
        self.interpolation_order = interpolation_order
        self.data_format = "channels_last" if data_format is None else data_format
        self.channel_axis, self.row_axis, self.col_axis = _batch_axes(self.data_format)
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                "`validation_split` must be strictly between 0 and 1. "
                f" Received: {validation_split}"
            )
        self._validation_split = validation_split
        self.mean = None
        self.std = None
        self.zca_whitening_matrix = None
        self.zoom_range = _zoom_limits(zoom_range)
        self._resolve_normalisation()
        if brightness_range is not None and (
            not isinstance(brightness_range, (tuple, list)) or len(brightness_range) != 2
        ):
            raise ValueError(
                "`brightness_range should be tuple or list of two floats. "
                f"Received: {brightness_range}"
            )
        self.brightness_range = brightness_range
        refuse_unsupported(self)

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: Iterable[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Iterable[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        *,
        num_threads: int | None = None,
        prefetch: int | None = None,
        verbose: bool = True,
    ) -> DirectoryIterator:
        """Makes an iterator over the images of a folder with one subfolder per class.

        Args:
            directory: The folder with the class folders.
            target_size: (height, width) of the images in pixels. Default (256, 256).
            color_mode: "rgb" (default), "rgba" or "grayscale".
            classes: Class folders in label order; None (default): all subdirectories, sorted.
            class_mode: "categorical" (default), "binary", "sparse", "input" or None.
            batch_size: Samples of a batch. Default 32.
            shuffle: Whether each pass has a new random order. Default True.
            seed: Fixes the order; None (default): drawn from NumPy's global generator.
            save_to_dir: Not implemented yet; None.
            save_prefix: For `save_to_dir`. Default "".
            save_format: For `save_to_dir`. Default "png".
            follow_links: Whether to enter links to folders below the class folders. Default False.
            subset: "training", "validation", or None (default) for all images.
            interpolation: "nearest" (default), "bilinear", "bicubic", "hamming", "box" or
                "lanczos".
            keep_aspect_ratio: Whether to crop the centre to the target's shape. Default False.
            num_threads: Threads of the native pool; None (default): one for each usable core.
            prefetch: Batches prepared ahead; None (default): enough to keep all threads busy.
            verbose: Whether to print how many images were found. Default True.

        Returns:
            The iterator; see `DirectoryIterator` for shapes and dtypes.

        Raises:
            ValueError: A value that is not among the possible ones.
            TypeError: A value of the wrong type.
            FileNotFoundError: There is no such directory.
            NotImplementedError: Something that this version cannot do yet.

        Example:
            A folder with `red/` and `blue/` in it::

                generator = ImageDataGenerator(rescale=1 / 255)
                train = generator.flow_from_directory("data/train", class_mode="binary")
                images, targets = next(train)  # (32, 256, 256, 3) and (32,), float32
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype,
            num_threads=num_threads,
            prefetch=prefetch,
            verbose=verbose,
        )

    def _resolve_normalisation(self) -> None:
        """Switches on what other parameters imply, with Keras' warnings, judging the arguments."""
        center, std = self.featurewise_center, self.featurewise_std_normalization
        if self.zca_whitening and not center:
            self.featurewise_center = True
            _warn("specifies `zca_whitening`, which overrides setting of `featurewise_center`.")
        if self.zca_whitening and std:
            self.featurewise_std_normalization = False
            _warn(
                "specifies `zca_whitening` which overrides setting "
                "of`featurewise_std_normalization`."
            )
        if std and not center:
            self.featurewise_center = True
            _warn(
                "specifies `featurewise_std_normalization`, "
                "which overrides setting of `featurewise_center`."
            )
        if self.samplewise_std_normalization and not self.samplewise_center:
            self.samplewise_center = True
            _warn(
                "specifies `samplewise_std_normalization`, "
                "which overrides setting of `samplewise_center`."
            )


def _warn(what: str) -> None:
    """Warns at the line that constructs the generator."""
    warnings.warn(f"This ImageDataGenerator {what}", UserWarning, stacklevel=4)


def _batch_axes(data_format: str) -> tuple[int, int, int]:
    """Axes of channels, rows and columns in a batch."""
    if data_format == "channels_last":
        return 3, 1, 2
    if data_format == "channels_first":
        return 1, 2, 3
    raise ValueError(
        '`data_format` should be `"channels_last"` (channel after row and column) or '
        '`"channels_first"` (channel before row and column). '
        f"Received: {data_format}"
    )


def _zoom_limits(zoom_range: float | Sequence[float]) -> list[float]:
    """The least and the greatest zoom factor."""
    if isinstance(zoom_range, (float, int)):
        return [1 - zoom_range, 1 + zoom_range]
    if len(zoom_range) == 2 and all(isinstance(value, (float, int)) for value in zoom_range):
        return [zoom_range[0], zoom_range[1]]
    raise ValueError(
        f"`zoom_range` should be a float or a tuple or list of two floats. Received: {zoom_range}"
    )
