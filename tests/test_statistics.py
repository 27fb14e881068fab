"""fit and standardize: Keras' statistics, values, warnings and errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_transforms import TUTORIAL

from pyloader import ImageDataGenerator

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

_ALL: dict[str, Any] = {
    "featurewise_center": True,
    "featurewise_std_normalization": True,
    "samplewise_center": True,
    "samplewise_std_normalization": True,
}

_OPTIONS: list[dict[str, Any]] = [
    {},
    {"featurewise_center": True},
    {"featurewise_center": True, "featurewise_std_normalization": True},
    {"featurewise_center": True, "zca_whitening": True, "rescale": 1 / 255},
    {**_ALL, "rescale": 0.1},
    {**_ALL, "dtype": "float64"},
    {"samplewise_center": True},
    {"samplewise_center": True, "samplewise_std_normalization": True},
    {"preprocessing_function": np.sqrt, "rescale": 3, "featurewise_center": True},
]


def _samples(data_format: str = "channels_last", count: int = 40) -> NDArray[np.float64]:
    values = np.random.default_rng(3).uniform(0, 255, (count, 6, 5, 3))
    return values if data_format == "channels_last" else values.transpose(0, 3, 1, 2)


def _pair(keras_image: ModuleType, options: dict[str, Any]) -> tuple[Any, Any]:
    return ImageDataGenerator(**options), keras_image.ImageDataGenerator(**options)


@pytest.mark.parametrize("options", _OPTIONS, ids=str)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("augment", [{}, {"augment": True, "rounds": 2, "seed": 5}], ids=str)
def test_statistics_and_standardised_values_are_keras(
    keras_image: ModuleType, options: dict[str, Any], data_format: str, augment: dict[str, Any]
) -> None:
    options = {**options, **TUTORIAL, "data_format": data_format, "interpolation_order": 0}
    ours, theirs = _pair(keras_image, options)
    samples = _samples(data_format)
    before = samples.copy()
    assert ours.fit(samples, **augment) is None
    theirs.fit(samples, **augment)
    np.testing.assert_array_equal(samples, before)
    for name in ("mean", "std", "zca_whitening_matrix"):
        our, their = getattr(ours, name), getattr(theirs, name)
        if their is None:
            assert our is None
            continue
        assert our.dtype == their.dtype
        assert our.shape == their.shape
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-7)
    images = samples[:4].astype(theirs.dtype)
    for x in (images[0], images):
        np.testing.assert_allclose(
            ours.standardize(x.copy()), theirs.standardize(x.copy()), rtol=1e-5, atol=1e-5
        )


def test_without_a_seed_fit_draws_from_numpys_generator(keras_image: ModuleType) -> None:
    options = {"featurewise_center": True, **TUTORIAL, "interpolation_order": 0}
    ours, theirs = _pair(keras_image, options)
    np.random.seed(8)
    ours.fit(_samples(), augment=True)
    after = np.random.random()
    np.random.seed(8)
    theirs.fit(_samples(), augment=True)
    assert np.random.random() == after
    np.testing.assert_array_equal(ours.mean, theirs.mean)


def test_standardize_works_in_place() -> None:
    generator = ImageDataGenerator(rescale=0.5, samplewise_center=True)
    image = _samples()[0].astype("float32")
    assert generator.standardize(image) is image
    assert abs(image.mean()) < 1e-4


def test_bytes_are_refused_as_in_keras(keras_image: ModuleType) -> None:
    image = _samples()[0].astype("uint8")
    for generator in _pair(keras_image, {"rescale": 0.5}):
        with pytest.raises(TypeError, match="Cannot cast ufunc 'multiply'"):
            generator.standardize(image)


def _warnings_of(call: Callable[[], object]) -> list[Any]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return found


def test_unfitted_statistics_warn_with_every_call(keras_image: ModuleType) -> None:
    for options in (
        {"featurewise_center": True},
        {"featurewise_center": True, "featurewise_std_normalization": True},
        {"featurewise_center": True, "zca_whitening": True},
    ):
        ours, theirs = _pair(keras_image, options)
        for _ in range(2):
            found = _warnings_of(lambda ours=ours: ours.standardize(_samples()[0]))
            expected = _warnings_of(lambda theirs=theirs: theirs.standardize(_samples()[0]))
            assert len(found) >= 1
            assert [str(one.message) for one in found] == [str(one.message) for one in expected]
            assert all(one.filename == __file__ for one in found)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_fit_warns_of_other_channels_and_refuses_other_ranks(
    keras_image: ModuleType, data_format: str
) -> None:
    ours, theirs = _pair(keras_image, {"data_format": data_format, "featurewise_center": True})
    samples = np.zeros((3, 7, 5, 2)) if data_format == "channels_last" else np.zeros((3, 2, 7, 5))
    found, expected = (
        _warnings_of(lambda: ours.fit(samples)),
        _warnings_of(lambda: theirs.fit(samples)),
    )
    assert [str(one.message) for one in found] == [str(one.message) for one in expected]
    assert len(found) == 1
    assert found[0].filename == __file__
    with pytest.raises(ValueError, match="rank 4") as their_error:
        theirs.fit(samples[0])
    with pytest.raises(ValueError, match="rank 4") as our_error:
        ours.fit(samples[0])
    assert str(our_error.value) == str(their_error.value)


def test_random_transform_is_draw_and_apply(keras_image: ModuleType) -> None:
    ours, theirs = _pair(keras_image, {**TUTORIAL, "interpolation_order": 0})
    image = _samples()[0].astype("float32")
    np.testing.assert_array_equal(
        ours.random_transform(image, seed=4), theirs.random_transform(image, seed=4)
    )
