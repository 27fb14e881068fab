"""Keras' ImageDataGenerator: how images are changed and scaled, and the start of every iterator."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyloader._augment.custom import as_global_generator
from pyloader._augment.sampling import Random, draw_one, ranges_of
from pyloader._augment.standardize import (
    PreprocessingFunction,
    fit_statistics,
    standardization_of,
    unfitted_statistics,
)
from pyloader._augment.transforms import apply_row, table_of, transform_rows
from pyloader.callers import level_of_caller
from pyloader.flows import Flows
from pyloader.iterators import keras_config
from pyloader.iterators.revisions import Revised

__all__ = ["ImageDataGenerator"]


class ImageDataGenerator(Revised, Flows):
    """Says what happens to images on their way into batches; makes iterators over image sets.

    Parameters, defaults, warnings, errors and attributes are those of Keras 3. Everything that
    the constructor stores may be assigned later and holds from the next batch on. Subclasses may
    override `get_random_transform`, `apply_transform` and `standardize`: iterators call them, for
    batches prepared ahead too, the latter two on the pool's threads.

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
        rotation_range: Greatest rotation in degrees, in both directions. Default 0.
        width_shift_range: Greatest shift. A float below 1 is a fraction of the image's side, from
            1 on a number of pixels; an int i stands for whole pixels from 1 - i to i - 1; of a list
            of shifts one is taken, with a random sign. As in Keras the images move vertically, see
            `shift_axes`. Default 0.0.
        height_shift_range: The same for the other axis. Default 0.0.
        brightness_range: Two factors to draw one from that values are multiplied with, as bytes:
            fractions are cut off, and what is not within [0, 255] is stretched to it and back.
            None (default) for none. Works for "channels_first" too, unlike in Keras.
        shear_range: Greatest shear angle in degrees, in both directions. Default 0.0.
        zoom_range: Two factors to draw one from for each axis, or a float z for [1 - z, 1 + z];
            below 1 magnifies. Default 0.0.
        channel_shift_range: Greatest value to add to all values of an image, which stay within
            the image's least and greatest. Default 0.0.
        fill_mode: What lies beyond the edge of a warped image: "nearest" (default), "constant",
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
        ValueError: A value that is not among the possible ones.

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
        rescale: float | Sequence[float] | None = None,
        preprocessing_function: PreprocessingFunction | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: DTypeLike | None = None,
        *,
        shift_axes: str = "keras",
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
        self.dtype = keras_config.floatx() if dtype is None else dtype
        self.interpolation_order = interpolation_order
        self.data_format = keras_config.image_data_format() if data_format is None else data_format
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
        if shift_axes not in {"keras", "corrected"}:
            raise ValueError(
                f'`shift_axes` should be "keras" or "corrected". Received: {shift_axes!r}'
            )
        self.shift_axes = shift_axes

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
                stacklevel=level_of_caller(),
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

    def standardize(self, x: NDArray[Any]) -> NDArray[Any]:
        """Applies `preprocessing_function`, `rescale` and every normalisation, in this order.

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
            warnings.warn(text, UserWarning, stacklevel=level_of_caller())
        return result

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
        return draw_one(ranges_of(self), random, height, width)

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


for _name in ("flow", "flow_from_directory", "flow_from_dataframe"):
    _flow = getattr(ImageDataGenerator, _name)
    # A wrong argument's TypeError names the class that users know, and not a part of it.
    _flow.__module__, _flow.__qualname__ = __name__, f"{ImageDataGenerator.__name__}.{_name}"
del _name, _flow


def _warn(what: str) -> None:
    """Warns at the line that constructs the generator."""
    warnings.warn(f"This ImageDataGenerator {what}", UserWarning, stacklevel=level_of_caller())


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
