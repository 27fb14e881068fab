"""patch_keras puts pyloader behind Keras' import paths; unpatch_keras leaves no trace."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hide_tensorflow import without_tensorflow

import pyloader
from pyloader import DirectoryIterator, ImageDataGenerator, patch_keras, unpatch_keras

keras = pytest.importorskip("keras")

PLACES = [
    "keras.preprocessing.image",
    "keras.src.legacy.preprocessing.image",
    "keras._tf_keras.keras.preprocessing.image",
]


@pytest.fixture
def patched() -> Iterator[None]:
    patch_keras()
    yield
    unpatch_keras()


def snapshot() -> dict[str, dict[str, Any]]:
    """Everything that a patch might change."""
    found = {name: dict(vars(sys.modules[name])) for name in PLACES}
    found["keras.Model"] = dict(vars(keras.Model))
    found["keras.legacy"] = dict(vars(keras.legacy))
    found["keras.preprocessing"] = dict(vars(keras.preprocessing))
    found["modules"] = {name: sys.modules[name] for name in sys.modules if "keras" in name}
    found["meta_path"] = dict(enumerate(sys.meta_path))
    return found


def run_python(code: str, environment: dict[str, str] | None = None) -> str:
    """Runs code in an interpreter of its own; what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("place", [*PLACES, "keras.legacy.preprocessing.image"])
@pytest.mark.usefixtures("patched")
def test_every_place_has_our_classes(place: str) -> None:
    module = importlib.import_module(place)
    assert module.ImageDataGenerator is ImageDataGenerator
    assert module.DirectoryIterator is DirectoryIterator
    assert isinstance(ImageDataGenerator().flow(np.zeros((2, 4, 4, 3))), module.Iterator)


@pytest.mark.usefixtures("patched")
def test_helpers_come_back_as_keras_own(keras_image: ModuleType) -> None:
    place = keras.preprocessing.image
    for name in ("random_rotation", "apply_affine_transform"):
        assert getattr(place, name) is getattr(keras_image, name)
    assert place.load_img.__module__.startswith("keras.")


def test_unpatching_leaves_no_trace() -> None:
    before = snapshot()
    patch_keras()
    importlib.import_module("keras.legacy.preprocessing.image")
    importlib.import_module("keras_preprocessing.image")
    assert snapshot() != before
    unpatch_keras()
    assert snapshot() == before
    with pytest.raises(ImportError):
        importlib.import_module("keras.legacy.preprocessing.image")


def test_calling_again_changes_nothing() -> None:
    before = snapshot()
    unpatch_keras()
    assert snapshot() == before
    patch_keras()
    once = snapshot()
    patch_keras()
    assert snapshot() == once
    unpatch_keras()
    assert snapshot() == before
    unpatch_keras()
    assert snapshot() == before


@pytest.mark.parametrize(
    "statement",
    [
        "from keras.preprocessing.image import ImageDataGenerator",
        "from keras_preprocessing.image import ImageDataGenerator",
    ],
)
def test_keras_may_be_imported_afterwards(statement: str) -> None:
    code = (
        "import sys, pyloader; pyloader.patch_keras()\n"
        "assert not any(name.partition('.')[0] == 'keras' for name in sys.modules)\n"
        f"{statement}\n"
        "import keras\n"
        "assert ImageDataGenerator is pyloader.ImageDataGenerator\n"
        "assert hasattr(keras.Sequential, 'fit_generator')\n"
        "pyloader.unpatch_keras()\n"
        "assert not hasattr(keras.preprocessing.image, 'ImageDataGenerator')\n"
        "assert not hasattr(keras.Model, 'fit_generator')\n"
        "for name in ('keras.src.legacy', 'keras._tf_keras.keras'):\n"
        "    place = sys.modules[name + '.preprocessing.image']\n"
        "    assert place.ImageDataGenerator.__module__.startswith('keras.'), name\n"
        "loader = keras.preprocessing.image.__spec__.loader\n"
        "assert 'exec_module' not in vars(loader)\n"
    )
    run_python(code)


def test_the_patch_plants_no_tensorflow(tmp_path: Path) -> None:
    code = (
        "import importlib.util, pyloader; pyloader.patch_keras()\n"
        "from keras.preprocessing.image import ImageDataGenerator\n"
        "assert importlib.util.find_spec('tensorflow') is None\n"
        "try:\n    import tensorflow\n"
        "except ModuleNotFoundError as error:\n    assert error.name == 'tensorflow'\n"
        "else:\n    raise AssertionError\n"
    )
    run_python(code, without_tensorflow(tmp_path))


def test_under_run_tensorflow_keras_is_keras_where_tensorflow_is_missing(tmp_path: Path) -> None:
    code = (
        "import sys, warnings, pyloader\n"
        "from pyloader.integrations.keras2.patch import patch_for_run\n"
        "patch_for_run()\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    from tensorflow.keras.preprocessing.image import ImageDataGenerator, flip_axis\n"
        "    import tensorflow as tf, keras\n"
        "assert [str(w.message)[:28] for w in caught] == ['TensorFlow is not installed:'], caught\n"
        "assert caught[0].filename == '<string>'\n"
        "assert ImageDataGenerator is pyloader.ImageDataGenerator\n"
        "assert tf.keras.layers.Dense is keras.layers.Dense\n"
        "assert keras._tf_keras.keras.__spec__.name == 'keras._tf_keras.keras'\n"
        "from keras.src.utils.module_utils import tensorflow\n"
        "assert not tensorflow.available\n"
        "try:\n    tf.data\n"
        "except AttributeError as error:\n    assert 'no `tensorflow.data`' in str(error)\n"
        "else:\n    raise AssertionError\n"
        "try:\n    import tensorflow.python\n"
        "except ModuleNotFoundError as error:\n    assert 'KERAS_BACKEND=jax' in str(error)\n"
        "else:\n    raise AssertionError\n"
        "pyloader.unpatch_keras()\n"
        "assert not any(name.startswith('tensorflow') for name in sys.modules)\n"
        "assert not tensorflow.available\n"
    )
    run_python(code, without_tensorflow(tmp_path))


def test_the_look_needs_no_keras_and_finds_it_later(class_folders: Path) -> None:
    code = (
        "import sys, pyloader\n"
        f"it = pyloader.ImageDataGenerator().flow_from_directory({str(class_folders)!r})\n"
        "assert it.__class__ is pyloader.DirectoryIterator\n"
        "assert not isinstance(it, str) and 'keras' not in sys.modules\n"
        "import keras\n"
        "assert isinstance(it, keras.utils.PyDataset)\n"
        "assert isinstance(it, keras.utils.Sequence)\n"
    )
    run_python(code)


def test_nothing_of_it_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, pyloader\n"
        "print([n for n in sys.modules if 'patch' in n or 'feeds' in n or n.endswith('s.dataset')])"
    )
    assert run_python(code) == "[]\n"
    for name in ("pair", "patch_keras", "unpatch_keras", "image_dataset_from_directory"):
        assert name in dir(pyloader)
    with pytest.raises(AttributeError, match="no attribute 'path_keras'"):
        pyloader.path_keras  # noqa: B018
