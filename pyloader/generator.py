"""Keras' ImageDataGenerator: how images are changed and scaled, and the start of every iterator."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyloader._augment.custom import ChangeCounter, as_global_generator, overridable
from pyloader._augment.parameters import CHECKS, check_number, zoom_limits
from pyloader._augment.sampling import Random, ranges_of, sample_one
from pyloader._augment.standardize import (
    PreprocessingFunction,
    fit_statistics,
    standardization_of,
    unfitted_statistics,
)
from pyloader._augment.transforms import apply_row, table_of, transform_rows
from pyloader.errors import user_stacklevel
from pyloader.iterators.array import NumpyArrayIterator
from pyloader.iterators.dataframe import DataFrameIterator
from pyloader.iterators.directory import DirectoryIterator
from pyloader.iterators.keras_dataset import floatx, image_data_format
from pyloader.options import (
    CacheSpec,
    ClassMode,
    ColorMode,
    DataFormat,
    Fidelity,
    Interpolation,
    LastBatch,
    LoaderOptions,
    OnError,
    ShardSpec,
    Subset,
    TableClassMode,
)

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped]

__all__ = ["ImageDataGenerator"]


class ImageDataGenerator(ChangeCounter):
    """Configures augmentation and normalization, and creates batch iterators (Keras-compatible).

    Parameters, defaults, warnings, errors and attributes are those of Keras 3. Everything that
    the constructor stores may be assigned later and holds from the next batch on. Subclasses may
    override `get_random_transform`, `apply_transform` and `standardize`: iterators call them, for
    prefetched batches too, the latter two on the pool's threads.

    Args:
        featurewise_center: Whether to subtract the mean of each channel that `fit` found.
            Default False, and so for the following ones.
        samplewise_center: Whether to subtract each image's mean over all its values.
        featurewise_std_normalization: Whether to divide by the standard deviation of each channel
            that `fit` found, plus 1e-6; switches `featurewise_center` on.
        samplewise_std_normalization: Whether to divide by each image's standard deviation, plus
            1e-6; switches `samplewise_center` on.
        zca_whitening: Whether to whiten with the matrix that `fit` found; switches
            `featurewise_center` on and `featurewise_std_normalization` off.
        zca_epsilon: Added to the singular values in `fit`. Default 1e-6.
        rotation_range: Maximum rotation in degrees, in both directions. Default 0.
        width_shift_range: Maximum shift. A float below 1 is a fraction of the image's side, from
            1 on a number of pixels; an int i stands for whole pixels from 1 - i to i - 1; from a
            list of shifts one is drawn, with a random sign. As in Keras the images move
            vertically, see `shift_axes`. Default 0.0.
        height_shift_range: The same for the other axis. Default 0.0.
        brightness_range: (low, high): a factor sampled uniformly between them. Applied to uint8
            values as Keras does; images outside [0, 255] are rescaled first and back afterwards.
            None (default) for none. Works for "channels_first" too, unlike in Keras.
        shear_range: Maximum shear angle in degrees, in both directions. Default 0.0.
        zoom_range: (low, high): a factor sampled for each axis, or a float z for [1 - z, 1 + z];
            below 1 magnifies. Default 0.0.
        channel_shift_range: Maximum value to add to all values of an image, which are clipped to
            the image's own minimum and maximum. Default 0.0.
        fill_mode: Values beyond the edge of a warped image: "nearest" (default), "constant",
            "reflect" or "wrap"; other modes of `scipy.ndimage` work too, slowly.
        cval: The value there for "constant". Default 0.0.
        horizontal_flip: Whether to flip images horizontally, with probability 1/2.
        vertical_flip: Whether to flip images vertically, with probability 1/2.
        rescale: Factor for every value, after the transform, or a list of one for each channel (of
            the last axis, as in Keras), which NumPy applies; None (default) or 0 for none.
        preprocessing_function: Called with each image after its transform and before `rescale`: one
            float32 array of rank 3 in the data format; returns an array of the same shape. It
            runs on the pool's threads, one call at a time under the GIL, for batches prepared
            ahead too. None (default) for none.
        data_format: "channels_last": (height, width, channels), or "channels_first". None
            (default): what Keras is set to, where it is imported; else "channels_last".
        validation_split: Part of the images kept for `subset="validation"`, strictly between 0
            and 1; 0.0 (default) for no split.
        interpolation_order: Spline order of rotation, shifts, shear and zoom, which are one
            warp: 0 or 1 (default); 2 to 5 by SciPy, slowly.
        dtype: The dtype of batches. None (default): Keras' `floatx`, where it is imported; else
            "float32".
        shift_axes: "keras" (default): `height_shift_range` moves images horizontally, by fractions
            of the height, and `width_shift_range` vertically, by fractions of the width, as they
            do in Keras. "corrected": each moves along its own axis.

    Raises:
        TypeError: A value of the wrong type, named in the message; also for later assignments.
        ValueError: A value that is not one of the possible ones, likewise.

    Warns:
        UserWarning: A parameter that switches on another one.
    """

    mean: NDArray[Any] | None  #: Mean for `featurewise_center`; None until fitted.
    std: NDArray[Any] | None
    """Standard deviation for `featurewise_std_normalization`; None until fitted."""
    zca_whitening_matrix: NDArray[Any] | None  #: Matrix for `zca_whitening`; None until fitted.
    channel_axis: int  #: Axis of the channels in a batch of rank 4
    row_axis: int  #: Axis of the rows in a batch of rank 4
    col_axis: int  #: Axis of the columns in a batch of rank 4

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
        rescale: float | Sequence[float] | None = None,
        preprocessing_function: PreprocessingFunction | None = None,
        data_format: DataFormat | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: DTypeLike | None = None,
        *,
        shift_axes: Literal["keras", "corrected"] = "keras",
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
        self.dtype = floatx() if dtype is None else dtype
        self.interpolation_order = interpolation_order
        self.data_format = image_data_format() if data_format is None else data_format
        self.channel_axis, self.row_axis, self.col_axis = _batch_axes(self.data_format)
        check_number("validation_split", validation_split or 0)
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                "`validation_split` must be strictly between 0 and 1. "
                f" Received: {validation_split}"
            )
        self._validation_split = validation_split
        self.mean = None
        self.std = None
        self.zca_whitening_matrix = None
        self.zoom_range = zoom_limits(zoom_range)
        self._resolve_normalization()
        self.brightness_range = brightness_range
        self.shift_axes = shift_axes

    def __setattr__(self, name: str, value: Any) -> None:
        check = CHECKS.get(name)
        if check is not None:
            check(name, value)
        super().__setattr__(name, value)

    def flow(
        self,
        x: ArrayLike | Sequence[Any],
        y: ArrayLike | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: Subset | None = None,
        *,
        num_threads: int | None = None,
        prefetch: int | None = None,
        pin_memory: bool | None = None,
        shard: ShardSpec = None,
        last_batch: LastBatch = "keep",
        memory_limit: int | str | None = None,
        verbose: bool = True,
    ) -> NumpyArrayIterator:
        """Makes an iterator over images in an array.

        Args:
            x: Images, rank 4 in the data format; or (images, further) with one more input or a
                list of them, each with an entry for every image.
            y: Targets, an entry for every image; None (default) for none.
            batch_size: Samples of a batch. Default 32.
            shuffle: Whether each epoch has a new random order. Default True.
            sample_weight: A weight for every image; None (default) for none.
            seed: Fixes order and transforms, and makes them Keras'; None (default): drawn from
                NumPy's global generator.
            save_to_dir: As for `flow_from_directory`, and so `save_prefix` and `save_format`.
            ignore_class_split: Whether the subsets may have different classes. Default False.
            subset: "validation" for the first part by `validation_split`, "training" for the
                rest, None (default) for all.
            num_threads: How batches are loaded, and so all further options: see
                `LoaderOptions` for their meaning and defaults.

        Returns:
            The iterator; see `NumpyArrayIterator` for shapes and dtypes.

        Raises:
            ValueError: Lengths differ, the images do not have rank 4, the subsets have different
                classes, or there is no such subset.

        Warns:
            UserWarning: The images do not have 1, 3 or 4 channels.

        Example:
            >>> import numpy as np
            >>> from pyloader import ImageDataGenerator
            >>> generator = ImageDataGenerator(rescale=1 / 255, rotation_range=20)
            >>> x, y = np.zeros((10, 32, 32, 3), np.uint8), np.arange(10)
            >>> images, targets = next(generator.flow(x, y, batch_size=4, seed=1))
            >>> images.shape, images.dtype, targets
            ((4, 32, 32, 3), dtype('float32'), array([2, 9, 6, 4]))
        """
        options = LoaderOptions(
            num_threads=num_threads, prefetch=prefetch, pin_memory=pin_memory, shard=shard,
            last_batch=last_batch, memory_limit=memory_limit, verbose=verbose,
        )  # fmt: skip
        return NumpyArrayIterator(
            x, y, self, batch_size=batch_size, shuffle=shuffle, sample_weight=sample_weight,
            seed=seed, data_format=self.data_format, save_to_dir=save_to_dir,
            save_prefix=save_prefix, save_format=save_format, subset=subset,
            ignore_class_split=ignore_class_split, dtype=self.dtype, options=options,
        )  # fmt: skip

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: Iterable[int] = (256, 256),
        color_mode: ColorMode = "rgb",
        classes: Iterable[str] | None = None,
        class_mode: ClassMode = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: Subset | None = None,
        interpolation: Interpolation = "nearest",
        keep_aspect_ratio: bool = False,
        *,
        num_threads: int | None = None,
        prefetch: int | None = None,
        fidelity: Fidelity = "exact",
        cache: CacheSpec = None,
        cache_limit: int | str | None = None,
        on_error: OnError = "raise",
        pin_memory: bool | None = None,
        shard: ShardSpec = None,
        last_batch: LastBatch = "keep",
        memory_limit: int | str | None = None,
        max_pixels: int | None = None,
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
            shuffle: Whether each epoch has a new random order. Default True.
            seed: Fixes order and transforms, and makes them Keras'; None (default): drawn from
                NumPy's global generator.
            save_to_dir: An existing folder for copies of delivered images, each stretched to the
                full range of bytes; None (default): none are saved.
            save_prefix: How the names of saved images begin. Default "".
            save_format: The ending of their names, and so their format. Default "png".
            follow_links: Whether to enter links to folders below the class folders. Default False.
            subset: "training", "validation", or None (default) for all images.
            interpolation: "nearest" (default), "bilinear", "bicubic", "hamming", "box" or
                "lanczos".
            keep_aspect_ratio: Whether to crop the center to the target's shape. Default False.
            num_threads: How batches are loaded, and so all further options: see
                `LoaderOptions` for their meaning and defaults.

        Returns:
            The iterator; see `DirectoryIterator` for shapes and dtypes.

        Raises:
            ValueError: A value that is not among the possible ones.
            TypeError: A value of the wrong type.
            FileNotFoundError: There is no such directory.

        Example:
            A folder with `red/` and `blue/` in it::

                generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
                train = generator.flow_from_directory("data/train", class_mode="binary")
                images, targets = next(train)  # (32, 256, 256, 3) and (32,), float32
        """
        options = LoaderOptions(
            num_threads=num_threads, prefetch=prefetch, fidelity=fidelity, cache=cache,
            cache_limit=cache_limit, on_error=on_error, pin_memory=pin_memory, shard=shard,
            last_batch=last_batch, memory_limit=memory_limit, max_pixels=max_pixels,
            verbose=verbose,
        )  # fmt: skip
        return DirectoryIterator(
            directory, self, target_size=target_size, color_mode=color_mode, classes=classes,
            class_mode=class_mode, batch_size=batch_size, shuffle=shuffle, seed=seed,
            data_format=self.data_format, save_to_dir=save_to_dir, save_prefix=save_prefix,
            save_format=save_format, follow_links=follow_links, subset=subset,
            interpolation=interpolation, keep_aspect_ratio=keep_aspect_ratio, dtype=self.dtype,
            options=options,
        )  # fmt: skip

    def flow_from_dataframe(
        self,
        dataframe: DataFrame,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: str | list[str] = "class",
        weight_col: str | None = None,
        target_size: Iterable[int] = (256, 256),
        color_mode: ColorMode = "rgb",
        classes: Iterable[str] | None = None,
        class_mode: TableClassMode = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: Subset | None = None,
        interpolation: Interpolation = "nearest",
        validate_filenames: bool = True,
        *,
        keep_aspect_ratio: bool = False,
        num_threads: int | None = None,
        prefetch: int | None = None,
        fidelity: Fidelity = "exact",
        cache: CacheSpec = None,
        cache_limit: int | str | None = None,
        on_error: OnError = "raise",
        pin_memory: bool | None = None,
        shard: ShardSpec = None,
        last_batch: LastBatch = "keep",
        memory_limit: int | str | None = None,
        max_pixels: int | None = None,
        verbose: bool = True,
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Makes an iterator over the images that a pandas DataFrame names.

        Args:
            dataframe: The table; it is not changed.
            directory: The folder that the file names are relative to; None (default): as they are.
            x_col: The column of file names. Default "filename".
            y_col: The column of labels, or a list of columns for "raw" and "multi_output".
                Default "class".
            weight_col: The column of sample weights, numbers; None (default) for none.
            classes: Classes in label order, others are left out; None (default): all, sorted.
            class_mode: "categorical" (default), "binary", "sparse", "input", "multi_output",
                "raw" or None.
            subset: "validation" for the first rows by `validation_split`, "training" for the
                rest, None (default) for all.
            validate_filenames: Whether to leave out what is no file or no image by its name.
                Default True; False saves a look at every file.
            keep_aspect_ratio: Whether to crop the center to the target's shape. Default False.
                Keras takes it and ignores it.
            target_size: As for `flow_from_directory`, and so all other arguments.
            **kwargs: Ignored as in Keras, with a warning.

        Returns:
            The iterator; see `DataFrameIterator` for shapes and dtypes.

        Raises:
            ValueError: A value that is not among the possible ones, or "binary" without two
                classes.
            TypeError: A column with values of the wrong type.
            KeyError: There is no such column.

        Warns:
            UserWarning: Rows are left out because there is no such image file; `classes` has no
                meaning for the class mode.
            DeprecationWarning: An argument that Keras deprecates, such as `has_ext`.
        """
        for name in kwargs:
            if name in _DEPRECATED:
                _warn_caller(_DEPRECATED[name], DeprecationWarning)
            else:
                _warn_caller(f"flow_from_dataframe ignores `{name}`: it has no such argument.")
        if class_mode == "other":  # type: ignore[comparison-overlap]
            _warn_caller(
                '`class_mode="other"` is deprecated, please use `class_mode="raw"`.',
                DeprecationWarning,
            )
            class_mode = "raw"
        options = LoaderOptions(
            num_threads=num_threads, prefetch=prefetch, fidelity=fidelity, cache=cache,
            cache_limit=cache_limit, on_error=on_error, pin_memory=pin_memory, shard=shard,
            last_batch=last_batch, memory_limit=memory_limit, max_pixels=max_pixels,
            verbose=verbose,
        )  # fmt: skip
        return DataFrameIterator(
            dataframe, directory, self, x_col=x_col, y_col=y_col, weight_col=weight_col,
            target_size=target_size, color_mode=color_mode, classes=classes, class_mode=class_mode,
            batch_size=batch_size, shuffle=shuffle, seed=seed, data_format=self.data_format,
            save_to_dir=save_to_dir, save_prefix=save_prefix, save_format=save_format,
            subset=subset, interpolation=interpolation, keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype, validate_filenames=validate_filenames, options=options,
        )  # fmt: skip

    def fit(
        self, x: ArrayLike, augment: bool = False, rounds: int = 1, seed: int | None = None
    ) -> None:
        """Finds the statistics for `featurewise_center`, `featurewise_std_normalization` and ZCA.

        `rescale` applies first; `preprocessing_function` does not apply, as in Keras.

        Args:
            x: Sample images, rank 4, in the data format; not changed.
            augment: Whether to use randomly transformed samples. Default False.
            rounds: How often every sample is transformed for that. Default 1.
            seed: Fixes the transforms; None (default): drawn from NumPy's global generator.

        Raises:
            ValueError: `x` does not have rank 4.

        Warns:
            UserWarning: `x` does not have 1, 3 or 4 channels.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(
                f"Input to `.fit()` should have rank 4. Got array with shape: {x.shape}"
            )
        channels = x.shape[self.channel_axis]
        if channels not in {1, 3, 4}:
            warnings.warn(
                "Expected input to be images (as Numpy array) following the data format "
                f'convention "{self.data_format}" (channels on axis {self.channel_axis}), i.e. '
                f"expected either 1, 3 or 4 channels on axis {self.channel_axis}. However, it was "
                f"passed an array with shape {x.shape} ({channels} channels).",
                UserWarning,
                stacklevel=user_stacklevel(),
            )
        if self.rescale:
            x *= self.rescale
        if augment:
            samples = np.zeros((rounds * len(x), *x.shape[1:]), dtype=self.dtype)
            private = (
                nullcontext() if seed is None else as_global_generator(np.random.RandomState(seed))
            )
            with private:
                for position in range(len(samples)):
                    samples[position] = self.random_transform(x[position % len(x)])
            x = samples
        found = fit_statistics(
            x,
            channel_axis=self.channel_axis,
            center=bool(self.featurewise_center),
            std=bool(self.featurewise_std_normalization),
            whitening=bool(self.zca_whitening),
            zca_epsilon=self.zca_epsilon,
        )
        self.mean = self.mean if found.mean is None else found.mean
        self.std = self.std if found.std is None else found.std
        if found.whitening is not None:
            self.zca_whitening_matrix = found.whitening

    @overridable
    def standardize(self, x: NDArray[Any]) -> NDArray[Any]:
        """Applies `preprocessing_function`, `rescale` and every normalization, in this order.

        Args:
            x: One image or a batch, in the data format; changed in place where NumPy can.

        Returns:
            The values, of the same shape: `x` itself, unless a function or ZCA made a new array.

        Raises:
            TypeError: A step's result does not fit the dtype, such as a factor for bytes.

        Warns:
            UserWarning: Statistics that are asked for were not fitted; the step is left out.
        """
        result: NDArray[Any] = standardization_of(self).apply(x)
        for text in unfitted_statistics(self):
            warnings.warn(text, UserWarning, stacklevel=user_stacklevel())
        return result

    @overridable
    def get_random_transform(
        self, img_shape: Sequence[int], seed: int | None = None
    ) -> dict[str, Any]:
        """Draws the parameters of a random transform.

        Args:
            img_shape: Shape of the image, rank 3, in the data format.
            seed: Fixes the draw; None (default): from NumPy's global generator. With a seed that
                generator is left alone (Keras reseeds it).

        Returns:
            `theta` and `shear` in degrees, `tx` and `ty` in pixels, `zx` and `zy` factors,
            `flip_horizontal` and `flip_vertical` 0 or 1, `channel_shift_intensity` and
            `brightness`, which are None where there is none.
        """
        random: Random = np.random if seed is None else np.random.RandomState(seed)
        height, width = img_shape[self.row_axis - 1], img_shape[self.col_axis - 1]
        return sample_one(ranges_of(self), random, height, width)

    @overridable
    def apply_transform(
        self, x: NDArray[Any], transform_parameters: Mapping[str, Any]
    ) -> NDArray[Any]:
        """Transforms one image: warp, channel shift, flips and brightness, in this order.

        Args:
            x: The image, rank 3, in the data format; not changed.
            transform_parameters: As from `get_random_transform`; what is missing changes nothing.

        Returns:
            The image, of the same shape: `x` itself where nothing changes. float32 images give
            float32 ones.

        Raises:
            ValueError: `x` does not have rank 3, or its brightness is to change and it does not
                have 1, 3 or 4 channels.
            OverflowError: An int for `channel_shift_intensity` that an integer image's dtype does
                not hold.
            ImportError: SciPy is needed and not installed: for an `interpolation_order` above 1,
                fill modes that Keras does not name, and images that are not float32.
        """
        if x.ndim != 3:
            raise ValueError("Input arrays must be multi-channel 2D images.")
        height, width = x.shape[self.row_axis - 1], x.shape[self.col_axis - 1]
        return apply_row(
            x,
            transform_rows(table_of([transform_parameters]), height, width)[0],
            channels_first=self.data_format == "channels_first",
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
            intensity=transform_parameters.get("channel_shift_intensity"),
        )

    def random_transform(self, x: NDArray[Any], seed: int | None = None) -> NDArray[Any]:
        """Transforms one image at random.

        Args:
            x: The image, rank 3, in the data format; not changed.
            seed: As for `get_random_transform`.

        Returns:
            As for `apply_transform`.
        """
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def _resolve_normalization(self) -> None:
        """Switches on what other parameters imply, with Keras' warnings, judging the arguments."""
        center, std = self.featurewise_center, self.featurewise_std_normalization
        if self.zca_whitening and not center:
            self.featurewise_center = True
            _warn_caller(
                "This ImageDataGenerator specifies `zca_whitening`, which overrides setting of "
                "`featurewise_center`."
            )
        if self.zca_whitening and std:
            self.featurewise_std_normalization = False
            _warn_caller(
                "This ImageDataGenerator specifies `zca_whitening` which overrides setting "
                "of`featurewise_std_normalization`."
            )
        if std and not center:
            self.featurewise_center = True
            _warn_caller(
                "This ImageDataGenerator specifies `featurewise_std_normalization`, "
                "which overrides setting of `featurewise_center`."
            )
        if self.samplewise_std_normalization and not self.samplewise_center:
            self.samplewise_center = True
            _warn_caller(
                "This ImageDataGenerator specifies `samplewise_std_normalization`, "
                "which overrides setting of `samplewise_center`."
            )


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


_DEPRECATED = {
    "has_ext": "has_ext is deprecated, filenames in the dataframe have to match the exact "
    "filenames in disk.",
    "sort": "sort is deprecated, batches will be created in thesame order than the filenames "
    "provided if `shuffle`is set to `False`.",
    "drop_duplicates": "drop_duplicates is deprecated, you can drop duplicates by using the "
    "pandas.DataFrame.drop_duplicates method.",
}
"""Keras' words about arguments of `flow_from_dataframe`."""


def _warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    warnings.warn(text, category, stacklevel=user_stacklevel())
