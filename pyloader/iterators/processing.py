"""From an ImageDataGenerator and the images' form to loader settings, sampler and saved files."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pyloader._augment.custom import (
    CustomSampler,
    CustomTransforms,
    MethodSet,
    is_overridden,
)
from pyloader._augment.sampling import ParamSampler, ranges_of
from pyloader._augment.standardize import (
    Standardization,
    standardization_of,
    unfitted_statistics,
)
from pyloader._augment.transforms import check_brightness_channels
from pyloader._native.loader import Source
from pyloader._native.prefetch import Batch
from pyloader._native.saving import save_images
from pyloader._native.settings import LoaderSettings
from pyloader._order.checkpoint import digest, plain
from pyloader.errors import user_stacklevel
from pyloader.iterators.base import ImageSource
from pyloader.iterators.keras_lookup import FILE_FUNCTIONS, TRANSFORM_FUNCTIONS, refuse_replaced
from pyloader.options import CHANNELS

_METHODS = MethodSet("get_random_transform", "apply_transform", "standardize")
_MUTABLE = operator.attrgetter(
    *("zoom_range", "brightness_range", "width_shift_range", "height_shift_range"),
    *("rescale", "mean", "std"),
)
"""Parameters that may be lists or small arrays, whose elements may be assigned too."""

_DEFAULTS = {
    **dict.fromkeys(("featurewise_center", "featurewise_std_normalization"), False),
    **dict.fromkeys(("samplewise_center", "samplewise_std_normalization"), False),
    **dict.fromkeys(("zca_whitening", "horizontal_flip", "vertical_flip"), False),
    **dict.fromkeys(("rotation_range", "shear_range", "channel_shift_range", "cval"), 0),
    **dict.fromkeys(("width_shift_range", "height_shift_range"), 0),
    **dict.fromkeys(("brightness_range", "rescale", "preprocessing_function"), None),
    "zoom_range": [1, 1],
    "fill_mode": "nearest",
    "interpolation_order": 1,
    "shift_axes": "keras",
}
"""The parameters of a generator that decide about the bytes of batches."""

_FITTED = {
    "mean": "featurewise_center",
    "std": "featurewise_std_normalization",
    "zca_whitening_matrix": "zca_whitening",
}
"""Fitted statistics, and the parameter that makes use of each."""


def generator_key(generator: Any) -> Any:
    """Returns what is equal as long as nothing about a generator has changed; cheap."""
    if generator is None:
        return None
    key = [getattr(generator, "_changes", None), _METHODS.find(generator)]
    for value in _MUTABLE(generator):
        if isinstance(value, list):
            key.append(tuple(value))
        elif isinstance(value, np.ndarray):
            key.append(value.tobytes())
    return key


def describe_source(
    it: Any,
    images: Source,
    shape: tuple[int, ...],
    *,
    number_limit: int,
    color_mode: str = "rgb",
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> ImageSource:
    """Describes what an iterator loads that passes images through a generator."""
    generator = it.image_data_generator
    channels_first = it.data_format == "channels_first"
    height, width = shape[1:] if channels_first else shape[:2]
    channels = shape[0 if channels_first else 2]
    own_transform = None
    samples_itself = False
    unfitted: tuple[str, ...] = ()
    steps, ranges = Standardization(), None
    if generator is not None:
        if is_overridden(generator, "apply_transform"):
            own_transform = CustomTransforms(generator)
        samples_itself = own_transform is not None or is_overridden(
            generator, "get_random_transform"
        )
        if is_overridden(generator, "standardize"):
            steps = Standardization(function=generator.standardize)
        else:
            steps = standardization_of(generator)
            unfitted = tuple(unfitted_statistics(generator))
        ranges = None if samples_itself else ranges_of(generator)
    transforms = samples_itself or (ranges is not None and ranges.active)
    if not isinstance(images, np.ndarray):
        refuse_replaced(*FILE_FUNCTIONS)
    if transforms and not own_transform:
        refuse_replaced(*TRANSFORM_FUNCTIONS)
    if transforms and not own_transform and generator.brightness_range is not None:
        check_brightness_channels(channels)
    settings = LoaderSettings(
        height=height,
        width=width,
        channels=channels,
        color_mode=color_mode,
        interpolation=interpolation,
        keep_aspect_ratio=keep_aspect_ratio,
        channels_first=channels_first,
        dtype=np.dtype(it.dtype),
        standardization=steps,
        transforms=transforms,
        fill_mode=generator.fill_mode if transforms and not own_transform else "nearest",
        cval=generator.cval if transforms and not own_transform else 0.0,
        order=generator.interpolation_order if transforms and not own_transform else 1,
        own_transform=own_transform,
    )
    number_limit = number_limit if it.save_to_dir else 0
    sampler: ParamSampler
    if samples_itself:
        sampler = CustomSampler(generator, shape, own_transform, number_limit, it._guard)
    else:
        sampler = ParamSampler(ranges, height, width, number_limit)
    return ImageSource(images, settings, sampler, unfitted)


def prepare_images(it: Any, batch: Batch, shape: tuple[int, ...]) -> Any:
    """Returns a batch's images; warns and saves what is due with them."""
    if batch.images is None:
        return np.zeros((0, *shape), dtype=it.dtype)
    for text in it._spec.warnings:
        warnings.warn(text, UserWarning, stacklevel=user_stacklevel())
    numbers = batch.params.numbers
    if numbers is not None and it.save_to_dir:
        samples = len(numbers)  # the rest is padding
        save_images(
            batch.images[:samples],
            batch.rows[:samples],
            numbers,
            directory=it.save_to_dir,
            prefix=it.save_prefix,
            file_format=it.save_format,
            channels_first=it.data_format == "channels_first",
        )
    return batch.images


def generator_settings(generator: Any, dtype: DTypeLike, **others: Any) -> dict[str, Any]:
    """Returns what decides about the bytes of batches, for a state: plain data, no defaults."""
    settings = {"dtype": np.dtype(dtype).name, **others}
    if generator is not None:
        for name, default in _DEFAULTS.items():
            value = getattr(generator, name, default)
            if plain(value) != default:
                settings[name] = value
        for name, parameter_name in _FITTED.items():
            value = getattr(generator, name, None)
            if value is not None and getattr(generator, parameter_name, False):
                settings[name] = digest(value)
        if type(generator).__module__ != "pyloader.generator":
            settings["image_data_generator"] = type(generator)
    return {name: plain(value) for name, value in settings.items() if value is not None}


def channels_of(color_mode: str) -> int:
    """Returns the channels of a color mode; else Keras' ValueError."""
    if not isinstance(color_mode, str) or color_mode not in CHANNELS:
        raise ValueError(
            f'Invalid color mode: {color_mode}; expected "rgb", "rgba", or "grayscale".'
        )
    return CHANNELS[color_mode]
