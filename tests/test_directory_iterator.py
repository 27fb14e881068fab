"""DirectoryIterator delivers what Keras delivers: batches, labels, counters, texts."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, photo, without_addresses, write_class_folders

from pyloader import DirectoryIterator, ImageDataGenerator


def _pair(
    keras_image: ModuleType,
    directory: Any,
    generator_options: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Any, Any]:
    """Our iterator and Keras' over the same folder."""
    generator_options = generator_options or {}
    options = {"target_size": (16, 20), "batch_size": 4, "seed": 5, **options}
    ours = ImageDataGenerator(**generator_options).flow_from_directory(
        directory, verbose=False, num_threads=2, **options
    )
    theirs = keras_image.ImageDataGenerator(**generator_options).flow_from_directory(
        directory, **options
    )
    return ours, theirs


def _assert_same_passes(ours: Any, theirs: Any, passes: int = 2) -> None:
    for _ in range(passes * len(theirs)):
        assert_same_batch(ours.next(), next(theirs))


@pytest.mark.parametrize("class_mode", ["categorical", "binary", "sparse", "input", None])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float16", "float64"])
def test_targets_of_every_mode_and_dtype(
    keras_image: ModuleType, class_folders: Path, class_mode: str | None, dtype: str
) -> None:
    ours, theirs = _pair(keras_image, class_folders, {"dtype": dtype}, class_mode=class_mode)
    _assert_same_passes(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"color_mode": "grayscale"},
        {"color_mode": "rgba", "interpolation": "bilinear"},
        {"interpolation": "lanczos", "keep_aspect_ratio": True},
        {"interpolation": "hamming", "target_size": [5, 70]},
        {"interpolation": "bicubic", "shuffle": False},
        {"batch_size": 1},
        {"batch_size": 100},
        {"classes": ["red", "blue"], "class_mode": "binary"},
        {"classes": ["red", "missing", "red"], "class_mode": "sparse"},
        {"seed": 2**31},
    ],
    ids=str,
)
def test_options(keras_image: ModuleType, class_folders: Path, options: dict[str, Any]) -> None:
    ours, theirs = _pair(keras_image, class_folders, **options)
    _assert_same_passes(ours, theirs)


@pytest.mark.parametrize(
    "generator_options",
    [
        {"rescale": 1 / 255},
        {"rescale": 3, "dtype": "float16"},
        {"rescale": np.float64(0.1)},
        {"data_format": "channels_first"},
        {"data_format": "channels_first", "rescale": 0.5, "dtype": "int16"},
        {"preprocessing_function": lambda image: image[::-1] - 7},
        {
            "preprocessing_function": lambda image: image.astype("float64") ** 2,
            "rescale": 1e-3,
            "data_format": "channels_first",
        },
        {"preprocessing_function": lambda image: image[..., :1], "rescale": 2.0},
    ],
    ids=without_addresses,
)
def test_generator_options(
    keras_image: ModuleType, class_folders: Path, generator_options: dict[str, Any]
) -> None:
    ours, theirs = _pair(keras_image, class_folders, generator_options)
    _assert_same_passes(ours, theirs)


@pytest.mark.parametrize("subset", ["training", "validation", None])
def test_subsets(keras_image: ModuleType, class_folders: Path, subset: str | None) -> None:
    ours, theirs = _pair(keras_image, class_folders, {"validation_split": 0.3}, subset=subset)
    assert ours.filenames == theirs.filenames
    _assert_same_passes(ours, theirs)


_ATTRIBUTES = """
    n samples batch_size seed shuffle batch_index total_batches_seen num_batches workers
    use_multiprocessing max_queue_size class_indices num_classes filenames filepaths
    sample_weight class_mode dtype data_format image_shape target_size color_mode interpolation
    split subset keep_aspect_ratio save_to_dir save_prefix save_format directory
    white_list_formats allowed_class_modes index_array
"""


@pytest.mark.parametrize(
    "options",
    [{}, {"color_mode": "grayscale", "target_size": [3, 4]}, {"class_mode": None, "batch_size": 1}],
    ids=str,
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_attributes_are_keras(
    keras_image: ModuleType, class_folders: Path, options: dict[str, Any], data_format: str
) -> None:
    generator_options = {"data_format": data_format, "validation_split": 0.2}
    ours, theirs = _pair(
        keras_image, class_folders, generator_options, subset="training", **options
    )
    for name in _ATTRIBUTES.split():
        assert getattr(ours, name) == getattr(theirs, name), name
    assert len(ours) == len(theirs)
    for name in ("classes", "labels"):
        assert getattr(ours, name).dtype == np.int32
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert isinstance(ours.image_data_generator, ImageDataGenerator)
    assert type(ours.lock) is type(theirs.lock)
    assert iter(ours) is ours
    assert ours.use_sequence_api is True


def test_nothing_makes_frameworks_take_it_for_an_array(class_folders: Path) -> None:
    ours = ImageDataGenerator().flow_from_directory(class_folders, verbose=False)
    for name in ("__array__", "shape", "__array_interface__"):
        assert not hasattr(ours, name)


@pytest.mark.parametrize("seed", [1, 9])
@pytest.mark.parametrize("shuffle", [True, False])
def test_any_mix_of_calls_delivers_keras_batches(
    keras_image: ModuleType, class_folders: Path, seed: int, shuffle: bool
) -> None:
    ours, theirs = _pair(keras_image, class_folders, seed=seed, shuffle=shuffle, target_size=(4, 4))
    choose = random.Random(seed)
    for _ in range(60):
        call = choose.choice(["next", "next", "next", "item", "reset", "end", "assign"])
        if call == "next":
            assert_same_batch(next(ours), next(theirs))
        elif call == "item":
            index = choose.randrange(len(theirs))
            assert_same_batch(ours[index], theirs[index])
        elif call == "reset":
            ours.reset()
            theirs.reset()
        elif call == "end":
            ours.on_epoch_end()
            theirs.on_epoch_end()
        else:
            name, value = choose.choice(
                [("batch_size", 3), ("batch_size", 7), ("seed", 4), ("total_batches_seen", 1)]
            )
            setattr(ours, name, value)
            setattr(theirs, name, value)
        assert ours.batch_index == theirs.batch_index
        assert ours.total_batches_seen == theirs.total_batches_seen
        np.testing.assert_array_equal(ours.index_array, theirs.index_array)


@pytest.mark.parametrize(
    "change",
    [
        lambda it: setattr(it, "shuffle", False),
        lambda it: setattr(it, "index_array", np.arange(it.n)[::-1]),
        lambda it: it.index_array.sort(),
        lambda it: setattr(it, "n", 10),
        lambda it: setattr(it, "batch_index", 2),
        lambda it: setattr(it, "class_mode", "sparse"),
        lambda it: setattr(it, "interpolation", "box"),
        lambda it: setattr(it, "dtype", "uint8"),
        lambda it: setattr(it.image_data_generator, "rescale", 0.5),
        lambda it: setattr(it.image_data_generator, "preprocessing_function", np.negative),
        lambda it: setattr(it, "image_data_generator", None),
    ],
)
def test_attributes_may_change_at_any_time(
    keras_image: ModuleType, class_folders: Path, change: Callable[[Any], None]
) -> None:
    ours, theirs = _pair(keras_image, class_folders, seed=2)
    _assert_same_passes(ours, theirs, 1)
    assert_same_batch(next(ours), next(theirs))
    change(ours)
    change(theirs)
    _assert_same_passes(ours, theirs)


def test_the_printed_line_is_keras(
    keras_image: ModuleType, class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keras_image.ImageDataGenerator().flow_from_directory(class_folders)
    theirs = capsys.readouterr().out
    ImageDataGenerator().flow_from_directory(class_folders)
    assert capsys.readouterr().out == theirs == "Found 23 images belonging to 3 classes.\n"
    ImageDataGenerator().flow_from_directory(class_folders, verbose=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "options",
    [
        {"color_mode": "bgr"},
        {"subset": "test"},
        {"directory": "no/such/folder"},
    ],
    ids=str,
)
def test_refusals_are_keras(
    keras_image: ModuleType, class_folders: Path, options: dict[str, Any]
) -> None:
    options = {"directory": class_folders, **options}
    with pytest.raises((ValueError, TypeError, OSError)) as theirs:
        keras_image.ImageDataGenerator().flow_from_directory(**options)
    with pytest.raises(theirs.type) as ours:
        ImageDataGenerator().flow_from_directory(**options)
    assert str(ours.value) == str(theirs.value)


def test_a_bad_class_mode_is_refused_as_in_keras(class_folders: Path) -> None:
    with pytest.raises(ValueError, match=r"^Invalid class_mode: raw; expected one of: \{"):
        ImageDataGenerator().flow_from_directory(class_folders, class_mode="raw")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"num_threads": 0}, ValueError),
        ({"num_threads": 1.5}, TypeError),
        ({"prefetch": -1}, ValueError),
        ({"prefetch": True}, TypeError),
        ({"target_size": (0, 4)}, ValueError),
        ({"target_size": (4.0, 4)}, TypeError),
        ({"interpolation": "cubic"}, ValueError),
    ],
    ids=str,
)
def test_our_own_refusals_come_before_the_search(
    class_folders: Path,
    options: dict[str, Any],
    error: type[Exception],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(error):
        ImageDataGenerator().flow_from_directory(class_folders, **options)
    assert capsys.readouterr().out == ""


def test_items_out_of_range_are_keras_error_and_negative_ones_count_from_the_end(
    keras_image: ModuleType, class_folders: Path
) -> None:
    ours, theirs = _pair(keras_image, class_folders, shuffle=False)
    with pytest.raises(ValueError, match="Asked") as their_error:
        theirs[6]
    for index in (6, -7):
        with pytest.raises(ValueError, match="Asked") as our_error:
            ours[index]
        assert str(our_error.value) == str(their_error.value).replace("6", str(index), 1)
    assert ours.total_batches_seen == 0
    assert_same_batch(ours[-1], theirs[5])
    assert_same_batch(ours[-6], theirs[0])


@pytest.mark.parametrize("class_mode", ["categorical", "sparse", "input", None])
def test_no_images_make_empty_batches(
    keras_image: ModuleType, tmp_path: Path, class_mode: str | None
) -> None:
    write_class_folders(tmp_path, {"a": 0, "b": 0})
    ours, theirs = _pair(keras_image, tmp_path, class_mode=class_mode)
    assert len(ours) == 0
    for _ in range(3):
        assert_same_batch(next(ours), next(theirs))
    assert ours.total_batches_seen == 3
    with pytest.raises(ValueError, match="Asked to retrieve element 0, but the Sequence has"):
        ours[0]


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize(
    "generator_options",
    [
        {},
        {"data_format": "channels_first", "rescale": 1 / 255},
        {"preprocessing_function": lambda image: 2 * image, "rescale": 0.1},
        {"dtype": "uint8"},
    ],
    ids=without_addresses,
)
def test_other_formats_and_deep_gray_images(
    keras_image: ModuleType, tmp_path: Path, color_mode: str, generator_options: dict[str, Any]
) -> None:
    pil_image = pytest.importorskip("PIL.Image")
    write_class_folders(tmp_path, {"a": 2})
    deep = (np.arange(30 * 21, dtype=np.uint16) * 97).reshape(30, 21)
    if generator_options.get("dtype") == "uint8":
        deep %= 256  # NumPy leaves open what larger floats become
    pil_image.fromarray(deep).save(tmp_path / "a" / "deep.png")
    pil_image.fromarray(photo(24, 31, 1)).save(tmp_path / "a" / "photo.png")
    pil_image.fromarray(photo(16, 20, 2)).save(tmp_path / "a" / "photo.bmp")
    pil_image.fromarray(photo(40, 9, 3)).save(tmp_path / "a" / "png_in_truth.jpg", "png")
    ours, theirs = _pair(
        keras_image, tmp_path, generator_options, color_mode=color_mode, interpolation="bicubic"
    )
    _assert_same_passes(ours, theirs)


def test_an_iterator_without_a_generator(keras_image: ModuleType, class_folders: Path) -> None:
    options: dict[str, Any] = {"target_size": (8, 8), "batch_size": 5, "seed": 3}
    ours = DirectoryIterator(class_folders, None, verbose=False, **options)
    theirs = keras_image.DirectoryIterator(class_folders, None, **options)
    _assert_same_passes(ours, theirs, 1)
    ours.on_epoch_end()
    theirs.on_epoch_end()
    np.testing.assert_array_equal(ours.index_array, theirs.index_array)


def test_class_indices_beyond_the_dtype_wrap_as_in_keras(
    keras_image: ModuleType, tmp_path: Path
) -> None:
    names = {f"{index:03}": 0 for index in range(300)}
    write_class_folders(tmp_path, {**names, "299": 2})
    ours, theirs = _pair(keras_image, tmp_path, {"dtype": "uint8"}, class_mode="sparse")
    assert_same_batch(next(ours), next(theirs))


def test_the_tutorial_shows_what_it_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train", "validation", "test"):
        write_class_folders(tmp_path / name, {"red": 1, "blue": 1})
    generator = ImageDataGenerator()
    for name in ("train", "validation", "test"):
        batches = generator.flow_from_directory(
            f"{tmp_path}/{name}/", class_mode="binary", batch_size=64
        )
    images, targets = batches.next()
    assert capsys.readouterr().out == 3 * "Found 2 images belonging to 2 classes.\n"
    assert images.shape == (2, 256, 256, 3)
    assert 0 <= images.min() < images.max() <= 255
    assert sorted(targets) == [0, 1]
