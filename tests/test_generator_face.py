"""ImageDataGenerator looks like Keras' from outside: signatures, attributes, texts."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pyloader
from pyloader import (
    DataFrameIterator,
    DirectoryIterator,
    ImageDataGenerator,
    LoaderOptions,
    NumpyArrayIterator,
)

_VALID: list[dict[str, Any]] = [
    {},
    {"rescale": 1 / 255},
    {"rescale": 0},
    {"data_format": "channels_first", "dtype": "float64"},
    {"data_format": "channels_last", "dtype": np.uint8},
    {"validation_split": 0.25},
    {"validation_split": None},
    {"validation_split": False},
    {"zoom_range": (1, 1.0)},
    {"zoom_range": 0},
    {"fill_mode": "wrap", "cval": 3.0, "interpolation_order": 3, "zca_epsilon": 1e-3},
    {"preprocessing_function": np.negative},
    {"rotation_range": 10, "width_shift_range": [1, 2], "height_shift_range": 3},
    {"horizontal_flip": True, "vertical_flip": 1, "channel_shift_range": 20},
    {"brightness_range": [0.5, 1.5], "shear_range": 2, "zoom_range": [0.5, 1]},
    {"samplewise_center": True, "featurewise_center": True},
]

_INVALID: list[dict[str, Any]] = [
    {"data_format": "channels"},
    {"validation_split": 1},
    {"validation_split": -0.1},
    {"validation_split": 2.5},
    {"zoom_range": (1, 2, 3)},
    {"zoom_range": ["a", "b"]},
    {"brightness_range": 1.0},
    {"brightness_range": (1.0,)},
    {"brightness_range": np.array([0.5, 1.5])},
]

_WARNING: list[dict[str, Any]] = [
    {"zca_whitening": True},
    {"zca_whitening": True, "featurewise_std_normalization": True},
    {
        "zca_whitening": True,
        "featurewise_std_normalization": True,
        "featurewise_center": True,
        "samplewise_std_normalization": True,
    },
    {"featurewise_std_normalization": True},
    {"samplewise_std_normalization": True, "samplewise_center": True},
    {"samplewise_std_normalization": True},
]


def _attributes(generator: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(generator).items() if name != "shift_axes"}


@pytest.mark.parametrize("options", _VALID, ids=str)
def test_attributes_are_keras(keras_image: ModuleType, options: dict[str, Any]) -> None:
    ours = _attributes(ImageDataGenerator(**options))
    assert ours == _attributes(keras_image.ImageDataGenerator(**options))


@pytest.mark.parametrize("options", _INVALID, ids=str)
def test_refusals_are_keras(keras_image: ModuleType, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)) as theirs:
        keras_image.ImageDataGenerator(**options)
    with pytest.raises(theirs.type) as ours:
        ImageDataGenerator(**options)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("options", _WARNING, ids=str)
def test_warnings_are_keras(keras_image: ModuleType, options: dict[str, Any]) -> None:
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        keras_image.ImageDataGenerator(**options)
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        ImageDataGenerator(**options)
    assert [str(warning.message) for warning in ours] == [
        str(warning.message) for warning in theirs
    ]
    assert all(warning.category is UserWarning for warning in ours)
    assert all(warning.filename == __file__ for warning in ours)


def test_the_axes_of_shifts_are_keras_or_corrected() -> None:
    assert ImageDataGenerator().shift_axes == "keras"
    assert ImageDataGenerator(shift_axes="corrected").shift_axes == "corrected"
    with pytest.raises(ValueError, match="Received: 'x'"):
        ImageDataGenerator(shift_axes="x")


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        ImageDataGenerator(rotate=1)  # type: ignore[call-arg]


def test_a_wrong_argument_of_a_method_is_refused_in_keras_words(keras_image: ModuleType) -> None:
    calls: list[Any] = [
        lambda generator: generator.flow(np.zeros((2, 4, 4, 3)), foo=3),
        lambda generator: generator.flow_from_directory("data", workers=3),
        lambda generator: generator.flow_from_dataframe(),
    ]
    for call in calls:
        with pytest.raises(TypeError) as theirs:
            call(keras_image.ImageDataGenerator())
        with pytest.raises(TypeError) as ours:
            call(ImageDataGenerator())
        assert str(ours.value) == str(theirs.value)


def _parameters(function: Any) -> list[tuple[str, Any]]:
    return [
        (parameter.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY and parameter.name != "keywords"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "ImageDataGenerator",
        "ImageDataGenerator.flow",
        "ImageDataGenerator.flow_from_directory",
        "ImageDataGenerator.flow_from_dataframe",
        "ImageDataGenerator.fit",
        "ImageDataGenerator.standardize",
        "ImageDataGenerator.get_random_transform",
        "ImageDataGenerator.apply_transform",
        "ImageDataGenerator.random_transform",
        "DirectoryIterator",
        "DataFrameIterator",
        "NumpyArrayIterator",
    ],
)
def test_parameters_are_keras_in_order_and_default(keras_image: ModuleType, name: str) -> None:
    ours, theirs = pyloader, keras_image
    for part in name.split("."):
        ours, theirs = getattr(ours, part), getattr(theirs, part)
    assert _parameters(ours) == _parameters(theirs)


_OPTIONS = [(field.name, field.default) for field in dataclasses.fields(LoaderOptions)]
_ARRAY_OPTIONS = [
    ("num_threads", None),
    ("prefetch", None),
    ("pin_memory", None),
    ("shard", None),
    ("last_batch", "keep"),
    ("memory_limit", None),
    ("verbose", True),
]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (ImageDataGenerator, [("shift_axes", "keras")]),
        (ImageDataGenerator.flow, _ARRAY_OPTIONS),
        (ImageDataGenerator.flow_from_directory, _OPTIONS),
        (ImageDataGenerator.flow_from_dataframe, [("keep_aspect_ratio", False), *_OPTIONS]),
        (DirectoryIterator, [("options", None)]),
        (DataFrameIterator, [("options", None)]),
        (NumpyArrayIterator, [("options", None)]),
    ],
)
def test_our_own_parameters_are_keyword_only(function: Any, expected: list[Any]) -> None:
    own = [
        (parameter.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert own == expected


def test_import_loads_numpy_and_the_extension_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import numpy, pyloader;"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(tops & {'cv2', 'tqdm', 'simplejpeg', 'PIL', 'keras', 'jax', 'scipy',"
        " 'pandas', 'argparse', 'tensorflow', 'torch'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout == "[]\n"


def test_public_names_exist() -> None:
    for name in pyloader.__all__:
        assert hasattr(pyloader, name)
    assert isinstance(pyloader.__version__, str)
