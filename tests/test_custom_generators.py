"""Subclasses of ImageDataGenerator that override what Keras' iterators call are obeyed."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch
from test_transforms import TUTORIAL

import pyloader

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

_OPTIONS = {**TUTORIAL, "interpolation_order": 0}


def _draws_differently(base: Any) -> Any:
    class Generator(base):  # type: ignore[misc]
        def get_random_transform(self, img_shape: Any, seed: Any = None) -> Any:
            parameters = super().get_random_transform(img_shape, seed)
            parameters["theta"] = float(np.random.choice([0, 90, 180]))
            return parameters

    return Generator


def _transforms_differently(base: Any) -> Any:
    class Generator(base):  # type: ignore[misc]
        def get_random_transform(self, img_shape: Any, seed: Any = None) -> Any:
            parameters = super().get_random_transform(img_shape, seed)
            return {**parameters, "hole": np.random.randint(0, 5, 2)}

        def apply_transform(self, x: Any, transform_parameters: Any) -> Any:
            x = np.array(super().apply_transform(x, transform_parameters))
            row, column = transform_parameters["hole"]
            x[row : row + 3, column : column + 3] = 0
            return x

    return Generator


def _standardises_differently(base: Any) -> Any:
    class Generator(base):  # type: ignore[misc]
        def standardize(self, x: Any) -> Any:
            return super().standardize(x) + 1

    return Generator


@pytest.mark.parametrize(
    "derive", [_draws_differently, _transforms_differently, _standardises_differently]
)
@pytest.mark.parametrize("options", [_OPTIONS, {"rescale": 0.5, "featurewise_center": True}])
def test_batches_are_keras(
    keras_image: ModuleType, class_folders: Path, derive: Any, options: dict[str, Any]
) -> None:
    iterators = [
        derive(module.ImageDataGenerator)(**options).flow_from_directory(
            class_folders, target_size=(9, 9), batch_size=4, seed=2
        )
        for module in (pyloader, keras_image)
    ]
    ours, theirs = iterators
    for step in range(14):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of statistics that were not fitted
            assert_same_batch(next(ours), next(theirs))
            if step % 4 == 1:
                assert_same_batch(ours[2], theirs[2])
                ours.on_epoch_end()
                theirs.on_epoch_end()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_too(keras_image: ModuleType, dtype: str) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (9, 8, 8, 3))
    ours, theirs = (
        _transforms_differently(module.ImageDataGenerator)(**_OPTIONS, dtype=dtype).flow(
            images, batch_size=4, seed=2
        )
        for module in (pyloader, keras_image)
    )
    for _ in range(6):
        assert_same_batch(next(ours), next(theirs))


@pytest.mark.usefixtures("global_random_untouched")
def test_the_global_generator_is_given_back(class_folders: Path) -> None:
    generator = _draws_differently(pyloader.ImageDataGenerator)(**_OPTIONS)
    batches = generator.flow_from_directory(class_folders, seed=1, batch_size=4, verbose=False)
    next(batches)
    batches.on_epoch_end()
    batches[1]
