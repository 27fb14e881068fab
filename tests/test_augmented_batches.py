"""Whole iterators with augmentation deliver what Keras' deliver."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_close_batch, assert_same_batch, without_addresses
from test_transforms import TUTORIAL

import pyloader
from pyloader import ImageDataGenerator

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")


def _pair(
    keras_image: ModuleType, directory: Path, generator_options: dict[str, Any], **options: Any
) -> tuple[Any, Any]:
    """Our iterator and Keras' over the same folder."""
    options = {"target_size": (18, 22), "batch_size": 5, "seed": 11, **options}
    ours = ImageDataGenerator(**generator_options).flow_from_directory(
        directory, verbose=False, num_threads=2, **options
    )
    theirs = keras_image.ImageDataGenerator(**generator_options).flow_from_directory(
        directory, **options
    )
    return ours, theirs


@pytest.mark.parametrize(
    "options",
    [
        {"interpolation_order": 0, **TUTORIAL},
        {"interpolation_order": 0, "fill_mode": "wrap", "rotation_range": 180},
        {"interpolation_order": 0, "fill_mode": "reflect", "zoom_range": (0.5, 3)},
        {"interpolation_order": 0, "fill_mode": "constant", "cval": 9.5, "shear_range": 60},
        {"horizontal_flip": True, "vertical_flip": True},
        {"channel_shift_range": 60, "horizontal_flip": True},
        {"brightness_range": (0.4, 1.9)},
        {"width_shift_range": [1, 4], "height_shift_range": 3, "interpolation_order": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
def test_without_interpolation_every_bit_is_keras(
    keras_image: ModuleType, class_folders: Path, options: dict[str, Any], color_mode: str
) -> None:
    ours, theirs = _pair(keras_image, class_folders, options, color_mode=color_mode)
    for _ in range(7):
        assert_same_batch(next(ours), next(theirs))


@pytest.mark.parametrize(
    "options",
    [
        TUTORIAL,
        {**TUTORIAL, "fill_mode": "reflect", "channel_shift_range": 30},
        {**TUTORIAL, "fill_mode": "wrap", "data_format": "channels_first"},
        {**TUTORIAL, "fill_mode": "constant", "cval": -3.5, "vertical_flip": True},
        {**TUTORIAL, "interpolation_order": 3},
        {**TUTORIAL, "fill_mode": "mirror"},
        {**TUTORIAL, "dtype": "float64"},
        {**TUTORIAL, "preprocessing_function": lambda image: image[..., ::-1] - 100},
    ],
    ids=without_addresses,
)
def test_with_interpolation_values_are_keras_to_a_thousandth(
    keras_image: ModuleType, class_folders: Path, options: dict[str, Any]
) -> None:
    ours, theirs = _pair(keras_image, class_folders, options)
    for _ in range(7):
        assert_close_batch(next(ours), next(theirs), atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "int16", "uint8"])
def test_batches_of_other_dtypes_are_keras_to_their_precision(
    keras_image: ModuleType, class_folders: Path, dtype: str
) -> None:
    ours, theirs = _pair(keras_image, class_folders, {**TUTORIAL, "dtype": dtype})
    for _ in range(4):
        (our_images, our_targets), (their_images, their_targets) = next(ours), next(theirs)
        assert our_images.dtype == their_images.dtype
        assert_same_batch(our_targets, their_targets)
        difference = our_images.astype(np.float64) - their_images
        assert abs(difference).max() <= (0.125 if dtype == "float16" else 1)
        assert np.mean(difference != 0) < 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"rescale": 1 / 255},
        {"samplewise_center": True, "samplewise_std_normalization": True},
        {"samplewise_center": True, "rescale": 0.1, "data_format": "channels_first"},
        {"featurewise_center": True},
        {"featurewise_center": True, "featurewise_std_normalization": True, "rescale": 1 / 255},
        {
            "featurewise_center": True,
            "featurewise_std_normalization": True,
            "data_format": "channels_first",
        },
        {"zca_whitening": True, "featurewise_center": True, "rescale": 1 / 255},
        {"samplewise_center": True, "preprocessing_function": np.sqrt},
    ],
    ids=str,
)
@pytest.mark.parametrize("augmented", [True, False])
def test_standardised_batches_are_keras(
    keras_image: ModuleType, class_folders: Path, options: dict[str, Any], augmented: bool
) -> None:
    options = {**options, **(TUTORIAL if augmented else {})}
    ours, theirs = _pair(keras_image, class_folders, options, target_size=(9, 8))
    samples = np.random.default_rng(1).uniform(0, 255, (30, 9, 8, 3))
    if options.get("data_format") == "channels_first":
        samples = samples.transpose(0, 3, 1, 2)
    ours.image_data_generator.fit(samples)
    theirs.image_data_generator.fit(samples)
    for _ in range(6):
        batch = next(theirs)
        assert_close_batch(next(ours), batch, rtol=1e-5, atol=1e-5 * float(abs(batch[0]).max()))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_any_mix_of_calls_delivers_keras_batches(
    keras_image: ModuleType, class_folders: Path, seed: int, shuffle: bool
) -> None:
    options = {**TUTORIAL, "interpolation_order": 0}
    ours, theirs = _pair(
        keras_image, class_folders, options, seed=seed, shuffle=shuffle, target_size=(7, 5)
    )
    choose = random.Random(seed)
    for _ in range(40):
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
            _assign(choose, ours.image_data_generator, theirs.image_data_generator)
        assert ours.total_batches_seen == theirs.total_batches_seen
        np.testing.assert_array_equal(ours.index_array, theirs.index_array)


def _assign(choose: random.Random, *generators: Any) -> None:
    """Sets the same attribute of both generators."""
    name, value = choose.choice(
        [
            ("rotation_range", 70),
            ("width_shift_range", [1, 2]),
            ("zoom_range", [0.6, 0.9]),
            ("vertical_flip", True),
            ("brightness_range", (0.5, 1.5)),
            ("channel_shift_range", 25.0),
            ("fill_mode", "wrap"),
            ("rescale", 0.5),
        ]
    )
    for generator in generators:
        setattr(generator, name, value)


def test_an_element_of_the_zoom_range_may_be_assigned(
    keras_image: ModuleType, class_folders: Path
) -> None:
    ours, theirs = _pair(keras_image, class_folders, {**TUTORIAL, "interpolation_order": 0})
    assert_same_batch(next(ours), next(theirs))
    for iterator in (ours, theirs):
        iterator.image_data_generator.zoom_range[0] = 0.3
    assert_same_batch(next(ours), next(theirs))


@pytest.mark.usefixtures("global_random_untouched")
def test_with_a_seed_the_global_generator_is_left_alone(class_folders: Path) -> None:
    generator = ImageDataGenerator(**{**TUTORIAL, "width_shift_range": [1, 2]})
    batches = generator.flow_from_directory(class_folders, seed=3, batch_size=4, verbose=False)
    for _ in range(3):
        next(batches)
    batches.on_epoch_end()
    batches[1]


def test_without_a_seed_numpys_seed_decides(class_folders: Path) -> None:
    passes = []
    for _ in range(2):
        np.random.seed(5)
        generator = ImageDataGenerator(**TUTORIAL)
        batches = generator.flow_from_directory(class_folders, verbose=False)
        passes.append([next(batches) for _ in range(3)])
    for first, second in zip(*passes, strict=True):
        assert_same_batch(first, second)


def test_the_result_does_not_depend_on_threads_and_prefetch(class_folders: Path) -> None:
    def flow(num_threads: int, prefetch: int) -> Any:
        return ImageDataGenerator(**TUTORIAL, rescale=1 / 255).flow_from_directory(
            class_folders, seed=1, batch_size=4, num_threads=num_threads, prefetch=prefetch,
            target_size=(30, 30), verbose=False,
        )  # fmt: skip

    reference = list(flow(1, 1).epoch())
    for num_threads, prefetch in ((2, 1), (1, 4), (7, 3)):
        batches = flow(num_threads, prefetch)
        for batch in reference:
            assert_same_batch(batches.next(), batch)


def test_unfitted_statistics_warn_with_every_batch(
    keras_image: ModuleType, class_folders: Path
) -> None:
    options = {"featurewise_center": True, "featurewise_std_normalization": True}
    ours, theirs = _pair(keras_image, class_folders, options, batch_size=1)
    ways: list[Any] = [next, lambda it: it.next(), lambda it: next(it.remaining())]
    for deliver in ways:
        with warnings.catch_warnings(record=True) as expected:
            warnings.simplefilter("always")
            their_batch = next(theirs)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            our_batch = deliver(ours)
        assert [str(warning.message) for warning in found] == [
            str(warning.message) for warning in expected
        ]
        assert all(warning.filename == __file__ for warning in found)
        assert_same_batch(our_batch, their_batch)
    ours.image_data_generator.fit(np.zeros((2, 18, 22, 3)))
    next(ours)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64"])
def test_a_list_rescales_the_channels_of_files_too(
    keras_image: ModuleType, class_folders: Path, dtype: str
) -> None:
    ours, theirs = (
        module.ImageDataGenerator(rescale=[1, 0.5, 0.25], dtype=dtype).flow_from_directory(
            str(class_folders), target_size=(9, 9), batch_size=4, seed=2
        )
        for module in (pyloader, keras_image)
    )
    for _ in range(6):
        assert_same_batch(next(ours), next(theirs))


def test_a_function_that_raises_is_called_for_transformed_images(class_folders: Path) -> None:
    def fail(image: Any) -> Any:
        raise KeyError("not today")

    generator = ImageDataGenerator(preprocessing_function=fail, rotation_range=20)
    batches = generator.flow_from_directory(class_folders, batch_size=1, verbose=False)
    with pytest.raises(KeyError, match=r"not today \[image: "):
        next(batches)
    generator.preprocessing_function = None
    next(batches)


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("order", [0, 3])
def test_other_formats_are_transformed_too(
    keras_image: ModuleType, tmp_path: Path, deep: bool, order: int
) -> None:
    pil_image = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    values = (np.arange(30 * 21, dtype=np.uint16) * 97).reshape(30, 21)
    for index in range(4):
        pixels = values if deep else (values % 251).astype(np.uint8)
        pil_image.fromarray(pixels).save(tmp_path / "a" / f"{index}.png")
    options = {**TUTORIAL, "interpolation_order": order, "samplewise_center": True}
    ours, theirs = _pair(keras_image, tmp_path, options, color_mode="grayscale")
    for _ in range(2):
        assert_close_batch(next(ours), next(theirs), rtol=1e-5, atol=0.02)
