"""flow() delivers what Keras' delivers: inputs, targets, weights, subsets, texts."""

from __future__ import annotations

import copy
import pickle
import random
import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_close_batch, assert_same_batch, photo, without_addresses
from numpy.typing import NDArray
from test_transforms import BAD_RANGES, TUTORIAL

from pyloader import ImageDataGenerator, NumpyArrayIterator

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

_EXACT = {**TUTORIAL, "interpolation_order": 0}


def _images(count: int = 13, channels: int = 3, dtype: str = "float32") -> NDArray[Any]:
    values = np.stack([photo(10, 12, seed) for seed in range(count)])
    return np.concatenate([values, 255 - values], axis=3)[..., :channels].astype(dtype)


def _pair(
    keras_image: ModuleType, x: Any, generator_options: dict[str, Any], **options: Any
) -> tuple[Any, Any]:
    """Our iterator and Keras' over the same arrays."""
    options = {"batch_size": 4, "seed": 9, **options}
    ours = ImageDataGenerator(**generator_options).flow(x, num_threads=2, **options)
    theirs = keras_image.ImageDataGenerator(**generator_options).flow(x, **options)
    return ours, theirs


def _assert_same_passes(ours: Any, theirs: Any, passes: int = 2) -> None:
    for _ in range(passes * len(theirs)):
        assert_same_batch(ours.next(), next(theirs))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int32"])
@pytest.mark.parametrize("given", ["float32", "float64", "uint8"])
def test_every_dtype(keras_image: ModuleType, dtype: str, given: str) -> None:
    options = {"dtype": dtype, "horizontal_flip": True, "vertical_flip": True}
    ours, theirs = _pair(keras_image, _images(dtype=given), options, y=np.arange(13))
    assert ours.x.dtype == theirs.x.dtype
    _assert_same_passes(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rescale": 1 / 255},
        _EXACT,
        {**_EXACT, "data_format": "channels_first"},
        {**_EXACT, "channel_shift_range": 20, "fill_mode": "constant"},
        {**_EXACT, "dtype": "float64"},
        {**_EXACT, "dtype": "uint8"},
        {"interpolation_order": 3, **TUTORIAL},
        {"brightness_range": (0.5, 1.5)},
        {"preprocessing_function": lambda image: image[..., ::-1] * 2, "rescale": 0.5},
    ],
    ids=without_addresses,
)
def test_generator_options(keras_image: ModuleType, options: dict[str, Any]) -> None:
    images = _images()
    if options.get("data_format") == "channels_first":
        images = images.transpose(0, 3, 1, 2)
    before = images.copy()
    ours, theirs = _pair(keras_image, images, options, y=np.arange(13))
    _assert_same_passes(ours, theirs)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_interpolated_values_are_keras_to_a_thousandth(keras_image: ModuleType, dtype: str) -> None:
    ours, theirs = _pair(keras_image, _images(), {**TUTORIAL, "dtype": dtype})
    for _ in range(8):
        assert_close_batch(next(ours), next(theirs), atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_any_number_of_channels(keras_image: ModuleType, channels: int) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ours, theirs = _pair(keras_image, _images(channels=channels), _EXACT)
    texts = [str(warning.message) for warning in found]
    if channels in {1, 4}:
        assert texts == []
    else:
        assert len(texts) == 2
        assert texts[0] == texts[1]
        assert found[0].filename == __file__
    _assert_same_passes(ours, theirs)


@pytest.mark.parametrize(
    "further", [np.arange(13.0), [np.arange(13)], [np.arange(26).reshape(13, 2), list("abc" * 5)]]
)
@pytest.mark.parametrize("weights", [None, np.linspace(0, 1, 13), [1] * 13])
@pytest.mark.parametrize("y", [None, np.eye(13), list(range(13))])
def test_further_inputs_targets_and_weights(
    keras_image: ModuleType, further: Any, weights: Any, y: Any
) -> None:
    if isinstance(further, list) and len(further) == 2:
        further = [further[0], further[1][:13]]
    x = (_images(), further)
    ours, theirs = _pair(keras_image, x, {}, y=y, sample_weight=weights)
    _assert_same_passes(ours, theirs)


@pytest.mark.parametrize("subset", ["training", "validation", None])
@pytest.mark.parametrize("x_misc", [True, False])
def test_subsets(keras_image: ModuleType, subset: str | None, x_misc: bool) -> None:
    x: Any = (_images(), [np.arange(13)]) if x_misc else _images()
    y = np.array([0, 1] * 6 + [1])
    options = {"validation_split": 0.4, **_EXACT}
    ours, theirs = _pair(keras_image, x, options, y=y, subset=subset)
    assert ours.n == theirs.n
    _assert_same_passes(ours, theirs)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("options", [_EXACT, {**_EXACT, "dtype": "float64"}], ids=str)
def test_any_mix_of_calls_delivers_keras_batches(
    keras_image: ModuleType, shuffle: bool, options: dict[str, Any]
) -> None:
    ours, theirs = _pair(keras_image, _images(), options, y=np.arange(13), shuffle=shuffle)
    choose = random.Random(2)
    for _ in range(40):
        call = choose.choice(["next", "next", "next", "item", "reset", "end", "x"])
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
            ours.x = theirs.x = ours.x[::-1]
        assert ours.total_batches_seen == theirs.total_batches_seen
        np.testing.assert_array_equal(ours.index_array, theirs.index_array)


_ATTRIBUTES = """
    n batch_size seed shuffle batch_index total_batches_seen num_batches workers dtype data_format
    use_multiprocessing max_queue_size save_to_dir save_prefix save_format white_list_formats
    index_array y sample_weight
"""


def test_attributes_are_keras(keras_image: ModuleType) -> None:
    ours, theirs = _pair(keras_image, _images(dtype="uint8"), {"data_format": "channels_last"})
    for name in _ATTRIBUTES.split():
        assert getattr(ours, name) == getattr(theirs, name), name
    np.testing.assert_array_equal(ours.x, theirs.x)
    assert ours.x.dtype == theirs.x.dtype
    assert ours.x_misc == theirs.x_misc == []
    assert not hasattr(ours, "shape")


@pytest.mark.parametrize(
    ("x", "options"),
    [
        ((_images(), np.arange(12)), {}),
        (_images(), {"y": np.arange(3)}),
        (_images(), {"sample_weight": [1, 2]}),
        (_images()[0], {}),
        (_images(), {"subset": "test"}),
        (_images(), {"subset": "training", "y": np.arange(13)}),
        (_images(), {"subset": "validation", "y": [0] * 6 + [1] * 7}),
    ],
)
def test_refusals_are_keras(keras_image: ModuleType, x: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w") as theirs:
        keras_image.ImageDataGenerator(validation_split=0.5).flow(x, **options)
    with pytest.raises(ValueError, match=r"\w") as ours:
        ImageDataGenerator(validation_split=0.5).flow(x, **options)
    assert str(ours.value) == str(theirs.value)


def test_a_class_split_may_be_ignored(keras_image: ModuleType) -> None:
    ours, theirs = _pair(
        keras_image, _images(), {"validation_split": 0.5}, y=np.arange(13),
        subset="training", ignore_class_split=True,
    )  # fmt: skip
    _assert_same_passes(ours, theirs)


def test_bytes_cannot_be_rescaled_in_place(keras_image: ModuleType) -> None:
    for iterator in _pair(keras_image, _images(), {"dtype": "uint8", "rescale": 0.5}):
        with pytest.raises(TypeError, match="Cannot cast ufunc"):
            next(iterator)


@pytest.mark.parametrize("rescale", [[1, 2, 3], (0.5, 0.1, 2.0), [0.3], np.array([0.5]), [], [0.0]])
@pytest.mark.parametrize("options", [{}, {"dtype": "float64"}, _EXACT], ids=str)
def test_a_list_rescales_every_channel_by_its_own_factor(
    keras_image: ModuleType, rescale: Any, options: dict[str, Any]
) -> None:
    options = {**options, "rescale": rescale}
    ours, theirs = _pair(keras_image, _images(), options, y=np.arange(13))
    _assert_same_passes(ours, theirs)


def test_a_list_that_does_not_fit_the_channels_is_numpys_error(keras_image: ModuleType) -> None:
    for iterator in _pair(keras_image, _images(), {"rescale": [1, 2]}):
        with pytest.raises(ValueError, match="could not be broadcast"):
            next(iterator)


def test_no_images_make_empty_batches(keras_image: ModuleType) -> None:
    ours, theirs = _pair(keras_image, np.zeros((0, 4, 5, 3)), _EXACT, y=np.zeros(0))
    for _ in range(2):
        assert_same_batch(next(ours), next(theirs))


def test_delivered_batches_belong_to_the_consumer() -> None:
    images = _images()
    batches = ImageDataGenerator().flow(images, shuffle=False, batch_size=13)
    first = next(batches)
    first[:] = 0
    np.testing.assert_array_equal(next(batches), images)


@pytest.mark.parametrize("shape", [(1, 1, 3), (10, 12, 3), (12, 1), (1, 1, 1), ()])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_statistics_may_have_any_shape_that_fits(
    keras_image: ModuleType, shape: tuple[int, ...], data_format: str
) -> None:
    images = _images()
    if data_format == "channels_first":
        images, shape = images.transpose(0, 3, 1, 2), shape[::-1] if shape == (1, 1, 3) else (10, 1)
    options = {
        "featurewise_center": True,
        "featurewise_std_normalization": True,
        "data_format": data_format,
    }
    ours, theirs = _pair(keras_image, images, options)
    for iterator in (ours, theirs):
        iterator.image_data_generator.mean = np.random.RandomState(1).uniform(0, 255, shape)
        iterator.image_data_generator.std = np.random.RandomState(2).uniform(1, 20, shape)
    assert_close_batch(next(ours), next(theirs), rtol=1e-5, atol=1e-4)


def test_statistics_that_fit_no_image_are_numpys_error() -> None:
    generator = ImageDataGenerator(featurewise_center=True)
    generator.mean = np.zeros((1, 1, 7))
    with pytest.raises(ValueError, match="broadcast"):
        next(generator.flow(_images()))


def test_a_copy_starts_at_the_beginning() -> None:
    batches = ImageDataGenerator(**TUTORIAL).flow(_images(), np.arange(13), seed=2)
    first = next(batches)
    for other in (pickle.loads(pickle.dumps(batches)), copy.deepcopy(batches)):
        assert type(other) is NumpyArrayIterator
        assert_same_batch(next(other), first)


@pytest.mark.parametrize("options", BAD_RANGES, ids=str)
def test_bad_ranges_are_errors_at_once_or_of_the_first_batch(options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        next(ImageDataGenerator(**options).flow(_images(), seed=1))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rotation_range": "5"}, TypeError),
        ({"rotation_range": None}, TypeError),
        ({"width_shift_range": "x"}, TypeError),
        ({"height_shift_range": [1, "x"]}, TypeError),
        ({"shear_range": [1]}, TypeError),
        ({"channel_shift_range": (1, 2)}, TypeError),
        ({"zoom_range": None}, TypeError),
        ({"zoom_range": "a"}, ValueError),
        ({"brightness_range": ["a", "b"]}, ValueError),
        ({"fill_mode": "nearst"}, ValueError),
        ({"fill_mode": None}, ValueError),
        ({"cval": "0"}, TypeError),
        ({"rescale": "1/255"}, TypeError),
        ({"preprocessing_function": 5}, TypeError),
        ({"interpolation_order": 6}, ValueError),
        ({"shift_axes": "both"}, ValueError),
    ],
    ids=str,
)
def test_a_bad_parameter_is_named_where_it_is_given(
    options: dict[str, Any], error: type[Exception]
) -> None:
    (name, value) = next(iter(options.items()))
    with pytest.raises(error, match=f"`{name}.*Received: ") as raised:
        ImageDataGenerator(**options)
    assert str(value) in str(raised.value)
    if name != "zoom_range":  # stored in another form
        with pytest.raises(error, match=f"`{name}"):
            setattr(ImageDataGenerator(), name, value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *(({"batch_size": value}, ValueError) for value in (0, -1)),
        *(({"batch_size": value}, TypeError) for value in (None, "a", 4.0, True)),
        *(({"seed": value}, ValueError) for value in (-1, 2**32)),
        *(({"seed": value}, TypeError) for value in ("a", 1.5, [1])),
    ],
    ids=str,
)
def test_batch_size_and_seed_are_checked_where_they_are_given(
    options: dict[str, Any], error: type[Exception]
) -> None:
    name, value = next(iter(options.items()))
    with pytest.raises(error, match=f"`{name}`.*Received: {re.escape(repr(value))}$"):
        ImageDataGenerator().flow(_images(), **options)
    batches = ImageDataGenerator().flow(_images())
    with pytest.raises(error, match=f"`{name}`"):
        setattr(batches, name, value)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    ImageDataGenerator().flow(_images())
    assert capsys.readouterr().out == ""
