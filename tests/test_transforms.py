"""Random transforms: Keras' draws, Keras' matrices, Keras' images."""

from __future__ import annotations

import random
import re
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import photo
from numpy.typing import NDArray

from pyloader import ImageDataGenerator
from pyloader._augment.sampling import ParamSampler, ranges_of
from pyloader._augment.transforms import COLUMNS, apply_row, table_of, transform_rows
from pyloader._order.cursor import Cursor

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

TUTORIAL: dict[str, Any] = {
    "rotation_range": 20,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}

OPTIONS: list[dict[str, Any]] = [
    {},
    TUTORIAL,
    {"rotation_range": 90.5},
    {"rotation_range": np.float32(33.3), "vertical_flip": True},
    {"width_shift_range": 3},
    {"width_shift_range": 1, "height_shift_range": -2},
    {"width_shift_range": [0.1, 0.3], "height_shift_range": (4, -7)},
    {"width_shift_range": 5.5, "height_shift_range": 1.0},
    {"width_shift_range": True, "height_shift_range": np.float64(0.5)},
    {"height_shift_range": [0.5, 3], "shear_range": 30},
    {"zoom_range": (0.5, 2)},
    {"zoom_range": [1.5, 1.5], "channel_shift_range": 40.0},
    {"brightness_range": (0.3, 1.8)},
    {"brightness_range": [2, 1], "horizontal_flip": True, "vertical_flip": True},
    {**TUTORIAL, "channel_shift_range": -3, "brightness_range": (0.5, 1.5)},
    {**TUTORIAL, "width_shift_range": [1, 2, 3], "channel_shift_range": 7},
]


def _keras_draws(generator: Any, shape: tuple[int, ...], seed: int, images: int) -> list[Any]:
    np.random.seed(seed)
    return [generator.get_random_transform(shape) for _ in range(images)]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_draws_are_keras_one_by_one_and_in_batches(
    keras_image: ModuleType, options: dict[str, Any], data_format: str
) -> None:
    shape = (30, 41, 3) if data_format == "channels_last" else (3, 30, 41)
    ours = ImageDataGenerator(data_format=data_format, **options)
    theirs = keras_image.ImageDataGenerator(data_format=data_format, **options)
    for seed in range(5):
        expected = _keras_draws(theirs, shape, seed, 17)
        assert ours.get_random_transform(shape, seed=seed) == expected[0]
        np.random.seed(seed)
        assert [ours.get_random_transform(shape) for _ in range(17)] == expected
        rows = transform_rows(table_of(expected), 30, 41)
        drawn = ParamSampler(ranges_of(ours), 30, 41, number_limit=10**7)(
            generator := np.random.RandomState(seed), 17
        )
        if drawn.transforms is None:
            assert not options
        else:
            np.testing.assert_array_equal(drawn.transforms, rows)
        _keras_draws(theirs, shape, seed, 17)
        assert drawn.numbers is not None
        assert drawn.numbers.tolist() == [np.random.randint(1e7) for _ in range(17)]
        assert generator.random_sample() == np.random.random()


def test_draws_have_the_types_of_keras(keras_image: ModuleType) -> None:
    for options in OPTIONS:
        ours = ImageDataGenerator(**options).get_random_transform((9, 8, 3), seed=4)
        theirs = keras_image.ImageDataGenerator(**options).get_random_transform((9, 8, 3), seed=4)
        assert list(ours) == list(theirs) == list(COLUMNS)
        assert [type(value) for value in ours.values()] == [
            type(value) for value in theirs.values()
        ]


@pytest.mark.usefixtures("global_random_untouched")
def test_a_seed_leaves_the_global_generator_alone() -> None:
    generator = ImageDataGenerator(**TUTORIAL)
    generator.get_random_transform((9, 9, 3), seed=1)
    generator.random_transform(np.zeros((9, 9, 3), np.float32), seed=1)
    generator.fit(np.zeros((2, 9, 9, 3)), augment=True, seed=1)


BAD_RANGES: list[dict[str, Any]] = [
    {"rotation_range": "5"},
    {"rotation_range": [1, 2]},
    {"shear_range": np.inf},
    {"width_shift_range": np.array([1, 2])},
    {"height_shift_range": "x"},
    {"channel_shift_range": None},
    {"brightness_range": ["a", "b"]},
]


@pytest.mark.parametrize("options", BAD_RANGES, ids=str)
def test_bad_ranges_raise_what_keras_raises(
    keras_image: ModuleType, options: dict[str, Any]
) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)) as expected:
        keras_image.ImageDataGenerator(**options).get_random_transform((9, 9, 3))
    with pytest.raises(expected.type):
        ImageDataGenerator(**options).get_random_transform((9, 9, 3))


class _Recording:
    """Keras' iterator over tiny arrays, and the parameters of its last batch."""

    def __init__(self, keras_image: ModuleType, options: dict[str, Any], **flow: Any) -> None:
        recorded = self.recorded = []

        class Generator(keras_image.ImageDataGenerator):  # type: ignore[misc,name-defined]
            def get_random_transform(self, img_shape: Any, seed: Any = None) -> Any:
                recorded.append(super().get_random_transform(img_shape, seed))
                return recorded[-1]

            def apply_transform(self, x: Any, transform_parameters: Any) -> Any:
                return x

        self.iterator = Generator(**options).flow(np.zeros((11, 6, 7, 1)), **flow)

    def rows(self, deliver: Any) -> NDArray[np.float64]:
        self.recorded.clear()
        deliver(self.iterator)
        return transform_rows(table_of(self.recorded), 6, 7)


@pytest.mark.parametrize("options", OPTIONS[1:], ids=str)
@pytest.mark.parametrize("shuffle", [True, False])
def test_any_mix_of_calls_draws_keras_parameters(
    keras_image: ModuleType, options: dict[str, Any], shuffle: bool
) -> None:
    choose = random.Random(7)
    theirs = _Recording(keras_image, options, batch_size=4, shuffle=shuffle, seed=3)
    drawing = ParamSampler(ranges_of(ImageDataGenerator(**options)), 6, 7)
    cursor, generator = Cursor(n=11, batch_size=4, shuffle=shuffle, seed=3), np.random.RandomState()
    for _ in range(30):
        call = choose.choice(["next", "next", "next", "item", "reset", "end"])
        if call == "next":
            plan = cursor.next(drawing, generator)
            expected = theirs.rows(next)
        elif call == "item":
            index = choose.randrange(3)
            plan = cursor.item(index, drawing, generator)
            expected = theirs.rows(lambda iterator, index=index: iterator[index])
        elif call == "reset":
            theirs.iterator.reset()
            cursor = cursor._replace(batch_index=0)
            continue
        else:
            cursor = cursor.epoch_end()
            theirs.iterator.on_epoch_end()
            np.testing.assert_array_equal(cursor.index_array, theirs.iterator.index_array)
            continue
        cursor = plan.after
        np.testing.assert_array_equal(cursor.index_array, theirs.iterator.index_array)
        np.testing.assert_allclose(plan.params.transforms, expected, rtol=0, atol=1e-12)


class _Matrices:
    """Stands in for SciPy inside Keras and notes down what the warp is called with."""

    def __init__(self) -> None:
        self.ndimage = self.interpolation = self
        self.called: list[tuple[Any, Any]] = []

    def affine_transform(self, channel: Any, matrix: Any, offset: Any, **options: Any) -> Any:
        self.called.append((np.array(matrix), np.array(offset)))
        return channel


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_matrices_have_keras_bits(
    keras_image: ModuleType, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrices = _Matrices()
    monkeypatch.setattr(keras_image, "scipy", matrices)
    generator = keras_image.ImageDataGenerator(**options)
    for height, width in ((8, 9), (150, 31), (1, 1)):
        image = np.zeros((height, width, 1), np.float32)
        drawn = _keras_draws(generator, image.shape, 5, 40)
        rows = transform_rows(table_of(drawn), height, width)
        for parameters, row in zip(drawn, rows, strict=True):
            matrices.called.clear()
            parameters = {**parameters, "brightness": None}
            generator.apply_transform(image, parameters)
            assert bool(row[0]) == bool(matrices.called)
            for matrix, offset in matrices.called:
                np.testing.assert_array_equal(row[1:5].reshape(2, 2), matrix)
                np.testing.assert_array_equal(row[5:7], offset)


def test_corrected_axes_move_along_the_side_that_the_range_names() -> None:
    image = np.zeros((20, 40, 1), np.float32)
    image[10, 20] = 1
    generator = ImageDataGenerator(shift_axes="corrected", width_shift_range=[0.25])
    rows, columns, _ = np.nonzero(generator.random_transform(image, seed=1))
    assert (rows.tolist(), abs(columns - 20).tolist()) == ([10], [10])
    generator = ImageDataGenerator(shift_axes="corrected", height_shift_range=[0.25])
    rows, columns, _ = np.nonzero(generator.random_transform(image, seed=1))
    assert (abs(rows - 10).tolist(), columns.tolist()) == ([5], [20])


def test_corrected_axes_draw_the_same_numbers_in_batches_and_one_by_one() -> None:
    for options in OPTIONS:
        generator = ImageDataGenerator(shift_axes="corrected", **options)
        np.random.seed(6)
        drawn = [generator.get_random_transform((10, 21, 3)) for _ in range(9)]
        batch = ParamSampler(ranges_of(generator), 10, 21)(np.random.RandomState(6), 9)
        if batch.transforms is not None:
            expected = transform_rows(table_of(drawn), 10, 21)
            np.testing.assert_array_equal(batch.transforms, expected)


def _image(data_format: str, dtype: str, channels: int = 3) -> NDArray[Any]:
    image = photo(24, 31, 5).astype(dtype)
    image = np.concatenate([image, image], axis=2)[..., :channels]
    return image if data_format == "channels_last" else image.transpose(2, 0, 1)


_PARAMETERS: list[dict[str, Any]] = [
    {},
    {"theta": 30, "tx": 2.5, "ty": -1.25, "shear": 10, "zx": 0.8, "zy": 1.3},
    {"tx": 3},
    {"flip_horizontal": 1},
    {"flip_vertical": True, "zx": 0.5},
    {"channel_shift_intensity": 31.5},
    {"channel_shift_intensity": -20.0, "flip_horizontal": 1, "theta": -7},
]


@pytest.mark.parametrize("parameters", _PARAMETERS, ids=str)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("dtype", "order", "fill_mode", "channels"),
    [
        ("float32", 1, "nearest", 3),
        ("float32", 0, "reflect", 3),
        ("float32", 1, "wrap", 2),
        ("float32", 1, "constant", 5),
        ("float32", 3, "nearest", 3),
        ("float32", 1, "mirror", 1),
        ("float64", 1, "nearest", 3),
        ("uint8", 0, "constant", 4),
    ],
)
def test_images_are_transformed_as_in_keras(
    keras_image: ModuleType,
    parameters: dict[str, Any],
    data_format: str,
    dtype: str,
    order: int,
    fill_mode: str,
    channels: int,
) -> None:
    options: dict[str, Any] = {
        "interpolation_order": order,
        "fill_mode": fill_mode,
        "cval": 17.0,
        "data_format": data_format,
    }
    image = _image(data_format, dtype, channels)
    before = image.copy()
    expected = keras_image.ImageDataGenerator(**options).apply_transform(image, parameters)
    result = ImageDataGenerator(**options).apply_transform(image, parameters)
    assert (result is image) == (expected is image)
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-3 if order == 1 else 0)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_brightness_has_keras_bits(keras_image: ModuleType, channels: int, dtype: str) -> None:
    images = [_image("channels_last", dtype, channels)]
    if dtype != "uint8":
        images += [images[0] * 1.7 - 60, images[0] / 255, images[0] * 0 + 300, images[0] * 0.9]
    for image in images:
        image = image.astype(dtype)
        for factor in (0.0, 0.31, 1.0, 1.234567, 2.5, 40):
            parameters = {"brightness": factor}
            expected = keras_image.ImageDataGenerator().apply_transform(image, parameters)
            result = ImageDataGenerator().apply_transform(image, parameters)
            assert result.dtype == expected.dtype
            np.testing.assert_array_equal(result, expected)


def test_brightness_works_for_channels_first_too() -> None:
    image = _image("channels_last", "float32", 4)
    last = ImageDataGenerator().apply_transform(image, {"brightness": 1.3})
    first = ImageDataGenerator(data_format="channels_first").apply_transform(
        image.transpose(2, 0, 1), {"brightness": 1.3}
    )
    np.testing.assert_array_equal(first, last.transpose(2, 0, 1))


def test_refusals_are_keras(keras_image: ModuleType) -> None:
    for image, parameters in (
        (np.zeros((4, 4), np.float32), {}),
        (np.zeros((4, 4, 2), np.float32), {"brightness": 1.5}),
    ):
        with pytest.raises(ValueError, match="channel") as theirs:
            keras_image.ImageDataGenerator().apply_transform(image, parameters)
        with pytest.raises(ValueError, match="channel") as ours:
            ImageDataGenerator().apply_transform(image, parameters)
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float64", "float16", "float32"])
@pytest.mark.parametrize("intensity", [0, 50, -20, 300, True, 12.5, 0.0])
def test_values_are_shifted_in_keras_dtype(
    keras_image: ModuleType, dtype: str, intensity: float
) -> None:
    image = np.array([[[0], [100]], [[250], [7]]]).astype(dtype)
    parameters = {"channel_shift_intensity": intensity, "flip_vertical": 1}
    try:
        theirs = keras_image.ImageDataGenerator().apply_transform(image, parameters)
    except OverflowError as error:  # from NumPy 2 on
        with pytest.raises(OverflowError, match=f"^{re.escape(str(error))}$"):
            ImageDataGenerator().apply_transform(image, parameters)
        return
    ours = ImageDataGenerator().apply_transform(image, parameters)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_without_scipy_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "scipy", None)
    generator = ImageDataGenerator(interpolation_order=3)
    with pytest.raises(ImportError, match="pip install scipy"):
        generator.apply_transform(np.zeros((4, 4, 3), np.float32), {"theta": 5})


def test_rows_are_applied_to_strided_images_as_to_contiguous_ones() -> None:
    image = photo(20, 30, 3).astype(np.float32)
    row = transform_rows(table_of([{"theta": 5, "flip_vertical": 1}]), 20, 15)[0]
    options: dict[str, Any] = {"fill_mode": "nearest", "cval": 0, "order": 1}
    strided = apply_row(image[:, ::2], row, channels_first=False, **options)
    copied = apply_row(image[:, ::2].copy(), row, channels_first=False, **options)
    np.testing.assert_array_equal(strided, copied)


def test_a_batch_is_drawn_in_less_than_a_millisecond() -> None:
    generator = np.random.RandomState(0)
    drawing = ParamSampler(ranges_of(ImageDataGenerator(**TUTORIAL)), 256, 256)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        drawing(generator, 32)
        times.append(time.perf_counter() - start)
    assert min(times) < 1e-3
