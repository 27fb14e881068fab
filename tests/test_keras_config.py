"""Keras' global settings are the defaults where Keras is imported, as they were at construction."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pyloader
from pyloader import DirectoryIterator, ImageDataGenerator, image_dataset_from_directory
from pyloader.iterators import keras_dataset as keras_config

keras = pytest.importorskip("keras")


@pytest.fixture
def other_settings() -> Iterator[None]:
    """Channels first and float64, until the test is over."""
    before = keras.config.image_data_format(), keras.config.floatx()
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float64")
    yield
    keras.config.set_image_data_format(before[0])
    keras.config.set_floatx(before[1])


@pytest.mark.usefixtures("other_settings")
def test_generators_and_iterators_have_keras_defaults(
    keras_image: ModuleType, class_folders: Path
) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (6, 3, 8, 8))
    found = []
    for module in (pyloader, keras_image):
        generator = module.ImageDataGenerator()
        flow = module.NumpyArrayIterator(images, None, generator)
        files = module.DirectoryIterator(str(class_folders), None, target_size=(5, 7), seed=1)
        batch, targets = next(files)
        found.append(
            (
                generator.data_format,
                generator.channel_axis,
                generator.dtype,
                flow.data_format,
                flow.dtype,
                files.data_format,
                files.image_shape,
                (batch.shape, batch.dtype, targets.dtype),
            )
        )
    assert found[0] == found[1]
    assert found[0][6] == (3, 5, 7)
    assert image_dataset_from_directory(class_folders, image_size=5).next()[0].shape[1] == 3


@pytest.mark.usefixtures("other_settings")
def test_what_is_given_counts(class_folders: Path) -> None:
    generator = ImageDataGenerator(data_format="channels_last", dtype="float32")
    images, targets = generator.flow_from_directory(class_folders, target_size=(5, 7)).next()
    assert (images.shape[1:], images.dtype, targets.dtype) == ((5, 7, 3), "float32", "float32")


def test_copies_keep_what_was_found_at_construction(
    class_folders: Path, other_settings: Any
) -> None:
    generator = ImageDataGenerator()
    made = [
        generator,
        generator.flow(np.zeros((6, 3, 8, 8))),
        DirectoryIterator(class_folders, None),
        image_dataset_from_directory(class_folders, image_size=5),
    ]
    pickled = [pickle.dumps(one) for one in made]
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    for one, content in zip(made, pickled, strict=True):
        for other in (pickle.loads(content), copy.deepcopy(one)):
            if one is made[-1]:
                assert next(other)[0].shape[1] == 3
            else:
                assert (other.data_format, other.dtype) == ("channels_first", "float64")


def test_keras_is_not_imported_for_its_settings() -> None:
    code = (
        "import sys, pyloader; generator = pyloader.ImageDataGenerator();"
        "print('keras' in sys.modules, generator.data_format, generator.dtype)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False channels_last float32\n"


def test_keras_2_is_asked_where_it_is_alone_and_nobody_while_it_is_half_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = SimpleNamespace(floatx=lambda: "float16", image_data_format=lambda: "channels_first")
    spec = SimpleNamespace(_initializing=False)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setitem(
        sys.modules,
        "tf_keras",
        SimpleNamespace(backend=backend, __spec__=spec),  # type: ignore[misc]
    )
    assert (keras_config.floatx(), keras_config.image_data_format()) == (
        "float16",
        "channels_first",
    )
    spec._initializing = True
    assert (keras_config.floatx(), keras_config.image_data_format()) == ("float32", "channels_last")
