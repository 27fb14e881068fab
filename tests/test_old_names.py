"""Names that Keras' preprocessing modules ever had can be imported under the patch, with values."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pyloader import patch_keras, unpatch_keras
from pyloader.iterators import keras_lookup

keras = pytest.importorskip("keras")

CLASSES = {"ImageDataGenerator", "Iterator", "DirectoryIterator", "NumpyArrayIterator"}
CLASSES |= {"DataFrameIterator"}

RANDOM = {f"random_{name}" for name in ("rotation", "shift", "shear", "zoom", "channel_shift")}
RANDOM |= {"random_brightness"}
TRANSFORMS = {"apply_affine_transform", "apply_brightness_shift", "apply_channel_shift"}
TRANSFORMS |= {"flip_axis", "transform_matrix_offset_center"}
FILES = {"array_to_img", "img_to_array", "load_img", "save_img", "list_pictures"}

# Public functions and classes of all releases: Keras 1.2, 2.0 to 2.15, keras_preprocessing 1.0.0
# to 1.1.2.
IMAGE = CLASSES | RANDOM | TRANSFORMS | FILES
IMAGE |= {"apply_transform", "smart_resize", "BatchFromFilesMixin", "validate_filename"}
IMAGE |= {"get_extension", "horizontal_flip", "vertical_flip"}
SEQUENCE = {"pad_sequences", "make_sampling_table", "skipgrams", "TimeseriesGenerator"}
TEXT = {"text_to_word_sequence", "one_hot", "hashing_trick", "Tokenizer", "tokenizer_from_json"}

OF_KERAS_PREPROCESSING = {
    "": {"get_keras_submodule", "set_keras_submodules", "image", "sequence", "text"},
    ".image": IMAGE,
    ".image.affine_transformations": RANDOM | TRANSFORMS | {"array_to_img", "img_to_array"},
    ".image.dataframe_iterator": {
        "DataFrameIterator", "BatchFromFilesMixin", "Iterator", "validate_filename",
        "get_extension",
    },
    ".image.directory_iterator": {"DirectoryIterator", "BatchFromFilesMixin", "Iterator"},
    ".image.image_data_generator": {"ImageDataGenerator"} | TRANSFORMS | CLASSES,
    ".image.iterator": {"Iterator", "BatchFromFilesMixin", "load_img", "img_to_array"},
    ".image.numpy_array_iterator": {"NumpyArrayIterator", "Iterator", "array_to_img"},
    ".image.utils": FILES | {"get_extension", "validate_filename"},
    ".sequence": SEQUENCE | {"timeseries_generator_from_json"},
    ".text": TEXT,
}  # fmt: skip

NAMES = {
    "keras.preprocessing.image": IMAGE,
    "keras._tf_keras.keras.preprocessing.image": IMAGE,
    "keras.preprocessing.sequence": SEQUENCE,
    "keras.preprocessing.text": TEXT,
    **{f"keras_preprocessing{name}": names for name, names in OF_KERAS_PREPROCESSING.items()},
}


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    patch_keras()
    yield
    unpatch_keras()


@pytest.fixture
def image() -> Any:
    return importlib.import_module("keras_preprocessing.image")


@pytest.mark.parametrize("place", NAMES)
def test_a_module_has_every_name_that_it_ever_had(place: str) -> None:
    for name in sorted(NAMES[place]):
        found: dict[str, Any] = {}
        exec(f"from {place} import {name}", found)
        if name in CLASSES:
            assert found[name].__module__.startswith("pyloader.")
        else:
            assert isinstance(found[name], ModuleType) or callable(found[name])


def test_what_keras_3_still_has_is_keras_own(keras_image: ModuleType, image: Any) -> None:
    for name in RANDOM | TRANSFORMS | {"BatchFromFilesMixin", "validate_filename"}:
        assert getattr(image, name) is getattr(keras_image, name)
    for name in FILES - {"list_pictures"}:
        assert getattr(image, name) is getattr(keras.utils, name)


def test_an_unknown_name_or_module_is_an_error_that_names_it() -> None:
    package = importlib.import_module("keras_preprocessing")
    with pytest.raises(AttributeError, match=r"keras_preprocessing\.images"):
        package.images  # noqa: B018
    for name in ("keras_preprocessing.images", "keras_preprocessing.image.utility"):
        with pytest.raises(ModuleNotFoundError, match=name):
            importlib.import_module(name)
    with pytest.raises(ImportError, match="cannot import name 'no_such'"):
        exec("from keras_preprocessing.image.utils import no_such", {})


def test_the_submodules_come_without_being_imported() -> None:
    package = importlib.import_module("keras_preprocessing")
    assert package.image.iterator.load_img is keras.utils.load_img
    assert package.get_keras_submodule("backend") is keras.backend
    assert package.get_keras_submodule("utils") is keras.utils
    package.set_keras_submodules(backend=keras.backend, utils=keras.utils)
    with pytest.raises(ImportError, match="Received: 'models'"):
        package.get_keras_submodule("models")


def test_pictures_are_listed_in_all_folders(tmp_path: Path, image: Any) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.JPG", "b-1.png", "c.txt", "deep/d.tiff", "deep/e.jpeg"):
        (tmp_path / name).touch()
    folder = str(tmp_path)
    found = [path.removeprefix(folder) for path in image.list_pictures(folder)]
    assert sorted(found) == ["/a.JPG", "/b-1.png", "/deep/d.tiff", "/deep/e.jpeg"]
    for few in ("jpg|png", ("png", "jpg")):
        names = [Path(path).name for path in image.list_pictures(folder, few)]
        assert sorted(names) == ["a.JPG", "b-1.png"]
    assert image.list_pictures(folder, ext="txt") == [f"{folder}/c.txt"]


@pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")
def test_old_helpers_have_keras_values(image: Any) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 9, 7)).astype("float32")
    cos, sin = np.cos(np.deg2rad(37)), np.sin(np.deg2rad(37))
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    matrix = image.transform_matrix_offset_center(rotation, 9, 7)
    matrix = matrix[[1, 0, 2]][:, [1, 0, 2]]  # Keras swaps rows and columns
    for mode in ("nearest", "constant"):
        expected = image.apply_affine_transform(pixels, theta=37, fill_mode=mode, cval=3.0)
        ours = image.apply_transform(pixels, matrix, 0, mode, 3.0)
        np.testing.assert_array_equal(ours, expected)
        last = image.apply_transform(np.moveaxis(pixels, 0, 2), matrix, 2, mode, 3.0)
        np.testing.assert_array_equal(np.moveaxis(last, 2, 0), ours)
    assert image.get_extension("a/b.C.JPeG") == "jpeg"
    assert image.get_extension("a.b/c") == ""
    kept = pixels.copy()
    assert image.horizontal_flip(kept) is kept
    np.testing.assert_array_equal(kept, image.flip_axis(pixels, 2))
    np.testing.assert_array_equal(image.vertical_flip(pixels.copy()), image.flip_axis(pixels, 1))


def test_a_series_comes_back_from_its_json() -> None:
    sequence: Any = importlib.import_module("keras.preprocessing.sequence")
    series = sequence.TimeseriesGenerator(list(range(20)), list(range(20)), 3, batch_size=2)
    numbers = json.dumps(list(range(20)))
    config = {"data": numbers, "targets": numbers, "length": 3, "batch_size": 2}
    text = json.dumps({"class_name": "TimeseriesGenerator", "config": config})  # as of Keras 2
    again = sequence.timeseries_generator_from_json(text)
    for ours, theirs in zip(again[1], series[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_all_of_it_goes_when_the_patch_goes() -> None:
    importlib.import_module("keras_preprocessing.image.utils")
    importlib.import_module("keras.preprocessing.text")
    unpatch_keras()
    for name in ("keras_preprocessing", "keras.preprocessing.text"):
        with pytest.raises(ImportError):
            importlib.import_module(name)
    for name in ("text", "image.flip_axis", "sequence.skipgrams"):
        with pytest.raises(AttributeError):
            eval(f"keras.preprocessing.{name}", {"keras": keras})


# Functions that a script replaces


def test_nothing_is_replaced_in_keras_as_it_is(image: Any) -> None:
    names = (*keras_lookup.FILE_FUNCTIONS, *keras_lookup.TRANSFORM_FUNCTIONS)
    importlib.import_module("keras_preprocessing.image.iterator")
    importlib.import_module("keras_preprocessing.image.image_data_generator")
    assert keras_lookup.replaced_functions(*names) == []
    keras_lookup.refuse_replaced(*names)
    unpatch_keras()
    assert keras_lookup.replaced_functions(*names) == []


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("keras.src.utils.image_utils", "load_img"),
        ("keras.src.utils.image_utils", "img_to_array"),
        ("keras.preprocessing.image", "load_img"),
        ("keras._tf_keras.keras.preprocessing.image", "load_img"),
        ("keras_preprocessing.image", "load_img"),
        ("keras_preprocessing.image.iterator", "load_img"),
        ("keras_preprocessing.image.image_data_generator", "flip_axis"),
        ("keras.src.legacy.preprocessing.image", "apply_affine_transform"),
        ("keras.src.legacy.preprocessing.image", "apply_brightness_shift"),
        ("keras.src.legacy.preprocessing.image", "apply_channel_shift"),
    ],
)
def test_a_replaced_function_is_named(
    monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    module = importlib.import_module(place)
    original = getattr(module, name)

    def crop(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    wrapped = inspect.unwrap(crop)
    for replacement in (crop, importlib.import_module("functools").wraps(original)(wrapped), 3):
        monkeypatch.setattr(module, name, replacement)
        assert keras_lookup.replaced_functions(name) == [f"{place}.{name}"]
        with pytest.raises(RuntimeError, match=rf"Replaced: {place}\.{name}$"):
            keras_lookup.refuse_replaced(name)
        others = {"load_img", "img_to_array", "flip_axis"} - {name}
        assert keras_lookup.replaced_functions(*others) == []


def test_replacing_the_name_of_one_submodule_leaves_the_others(image: Any) -> None:
    utils = importlib.import_module("keras_preprocessing.image.utils")
    original = utils.load_img
    image.iterator.load_img = lambda path, **options: utils.load_img(path, **options)
    assert utils.load_img is original
    assert keras_lookup.replaced_functions("load_img") == [
        "keras_preprocessing.image.iterator.load_img"
    ]
