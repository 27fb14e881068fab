"""pad_to_aspect_ratio: the whole image, in its shape, in the middle of a frame of zeros."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import photo, write_jpeg
from numpy.typing import NDArray
from PIL import Image

from pyloader import image_dataset_from_directory, load_img
from pyloader._pyloader import fitted_place

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def tensorflows_place(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width, by TensorFlow's float32 arithmetic."""
    height, width = np.float32(size[0]), np.float32(size[1])
    ratio = max(width / np.float32(target[1]), height / np.float32(target[0]))
    fitted = height / ratio, width / ratio
    top, left = (max(0, int((side - part) / 2)) for side, part in zip(target, fitted, strict=True))
    return top, left, max(1, int(fitted[0])), max(1, int(fitted[1]))


def padded(path: str, target: tuple[int, int], color_mode: Any, **options: Any) -> NDArray[Any]:
    """What a dataset delivers for a file, made of `load_img`."""
    natural = load_img(path, color_mode).shape[:2]
    top, left, height, width = tensorflows_place(natural, target)
    image = load_img(path, color_mode, (height, width), **options)
    place = np.zeros((*target, image.shape[2]), np.float32)
    place[top : top + height, left : left + width] = image
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEGs, flat and tall and gray, and images of other formats."""
    root = tmp_path_factory.mktemp("padding")
    for number in range(12):
        write_jpeg(root / f"{number}.jpg", 9 + 5 * number, 60 - 4 * number, seed=number)
    Image.fromarray(photo(40, 21, 3)).convert("L").save(root / "gray.jpg")
    Image.fromarray(photo(200, 160, 4)).save(root / "large.jpg", quality=90)
    pixels = np.arange(23 * 9 * 3, dtype=np.uint8).reshape(23, 9, 3)
    for ending in ("png", "bmp", "gif"):
        Image.fromarray(pixels).save(root / f"z.{ending}")
    rgba = np.random.default_rng(1).integers(0, 256, (30, 41, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(root / "alpha.png")
    deep = np.random.default_rng(2).integers(0, 65536, (30, 17)).astype(np.uint16)
    Image.fromarray(deep).save(root / "deep.png")
    return root


def dataset_of(folder: Path, **options: Any) -> Any:
    arguments: dict[str, Any] = {
        "labels": None,
        "image_size": (17, 21),
        "pad_to_aspect_ratio": True,
        "batch_size": 4,
        "seed": 2,
        "verbose": False,
    }
    return image_dataset_from_directory(folder, **{**arguments, **options})


def assert_as_load_img(
    dataset: Any, size: tuple[int, int], color_mode: str, **options: Any
) -> None:
    seen = []
    for images in dataset:
        for image, index in zip(images, dataset.batch_indices, strict=True):
            expected = padded(dataset.file_paths[index], size, color_mode, **options)
            np.testing.assert_array_equal(image, expected, err_msg=dataset.file_paths[index])
            seen.append(index)
    assert sorted(seen) == list(range(dataset.n))


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "lanczos3"])
def test_padding_frames_the_whole_image_with_zeros(
    folder: Path, color_mode: str, interpolation: str
) -> None:
    pillows = interpolation.removesuffix("3")
    for size in ((17, 21), (64, 30), (1, 1), (90, 91)):
        for threads in (1, 7):
            dataset = dataset_of(
                folder,
                color_mode=color_mode,
                interpolation=interpolation,
                image_size=size,
                num_threads=threads,
            )
            assert_as_load_img(dataset, size, color_mode, interpolation=pillows)


def test_channels_may_come_first(folder: Path) -> None:
    first = dataset_of(folder, data_format="channels_first", color_mode="rgba")
    for images, plain in zip(first, dataset_of(folder, color_mode="rgba"), strict=True):
        np.testing.assert_array_equal(images, plain.transpose(0, 3, 1, 2))


def test_fast_images_are_framed_too(folder: Path) -> None:
    dataset = dataset_of(folder, fidelity="fast", image_size=(40, 64))
    assert_as_load_img(dataset, (40, 64), "rgb", interpolation="bilinear", fidelity="fast")


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("where", ["memory", "folder"])
def test_framed_images_are_cached(
    folder: Path, tmp_path: Path, where: str, color_mode: str
) -> None:
    cache = "memory" if where == "memory" else tmp_path / "cache"
    dataset = dataset_of(folder, cache=cache, color_mode=color_mode)
    for _ in range(3):
        assert_as_load_img(dataset, (17, 21), color_mode, interpolation="bilinear")
    assert dataset.stats().cache_hits > dataset.n
    plain = dataset_of(folder, cache=cache, color_mode=color_mode, pad_to_aspect_ratio=False)
    for images, uncached in zip(
        plain, dataset_of(folder, color_mode=color_mode, pad_to_aspect_ratio=False), strict=True
    ):
        np.testing.assert_array_equal(images, uncached)


def test_memory_is_bounded(folder: Path) -> None:
    dataset = dataset_of(folder, memory_limit="200MB")
    assert_as_load_img(dataset, (17, 21), "rgb", interpolation="bilinear")
    assert dataset.stats().memory_limit == 200_000_000


@pytest.mark.parametrize("on_error", ["drop", "replace"])
def test_bad_images_are_dropped_or_replaced(folder: Path, tmp_path: Path, on_error: str) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "5.jpg").write_bytes(b"no image at all")
    dataset = dataset_of(tmp_path, on_error=on_error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for images in dataset:
            for image, index in zip(images, dataset.batch_indices, strict=True):
                expected = padded(
                    dataset.file_paths[index], (17, 21), "rgb", interpolation="bilinear"
                )
                np.testing.assert_array_equal(image, expected)
    assert [Path(bad.path).name for bad in dataset.errors] == ["5.jpg"]


@pytest.mark.parametrize(
    ("size", "target", "place"),
    [
        ((100, 200), (50, 50), (12, 0, 25, 50)),
        ((30, 20), (10, 10), (0, 1, 10, 6)),  # 1.67 pixels at the left, not (10 - 6) / 2
        ((7, 7), (9, 9), (0, 0, 9, 9)),
        ((1000, 1), (8, 8), (0, 3, 8, 1)),
    ],
)
def test_the_place_is_tensorflows(
    tmp_path: Path, size: tuple[int, int], target: tuple[int, int], place: Any
) -> None:
    assert fitted_place(size, target) == place == tensorflows_place(size, target)
    Image.new("L", size[::-1], 255).save(tmp_path / "white.png")
    dataset = dataset_of(tmp_path, image_size=target, color_mode="grayscale", batch_size=1)
    rows, columns = np.nonzero(next(iter(dataset))[0, :, :, 0])
    top, left, height, width = place
    assert (rows.min(), columns.min()) == (top, left)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (height, width)


def test_places_of_any_size_are_tensorflows() -> None:
    random = np.random.default_rng(4)
    for sides in np.exp(random.uniform(0, np.log(70_000), (20_000, 4))).astype(int).tolist():
        size, target = (sides[0], sides[1]), (sides[2], sides[3])
        assert fitted_place(size, target) == tensorflows_place(size, target)
