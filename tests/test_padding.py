"""Images that keep their shape: where they lie in their frame, and how large they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_jpeg
from numpy.typing import NDArray
from pictures import with_pillow
from PIL import Image

from pyloader import ImageError, image_dataset_from_directory
from pyloader._native.image_size import read_image_size
from pyloader._native.padding import fitted_place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 JPEGs, flat and tall, and one image of each other format."""
    root = tmp_path_factory.mktemp("padding")
    for number in range(12):
        write_jpeg(root / f"{number}.jpg", 9 + 5 * number, 60 - 4 * number, seed=number)
    pixels = np.arange(23 * 9 * 3, dtype=np.uint8).reshape(23, 9, 3)
    for ending in ("png", "bmp", "gif"):
        Image.fromarray(pixels).save(root / f"z.{ending}")
    return root


def load(path: str, **options: Any) -> NDArray[np.float32]:
    return with_pillow(Path(path).read_bytes(), **options).astype(np.float32)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_padding_frames_the_whole_image_with_zeros(folder: Path, data_format: str) -> None:
    dataset: Any = image_dataset_from_directory(
        folder,
        labels=None,
        color_mode="rgba",
        image_size=(17, 21),
        pad_to_aspect_ratio=True,
        data_format=data_format,
        batch_size=4,
        seed=2,
        prefetch=1,
        num_threads=2,
    )
    seen = []
    for images in dataset:
        if data_format == "channels_first":
            assert images.shape[1:] == (4, 17, 21)
            images = images.transpose(0, 2, 3, 1)
        for image, index in zip(images, dataset.batch_indices, strict=True):
            path = dataset.file_paths[index]
            natural = load(path).shape[:2]
            top, left, height, width = fitted_place(natural, (17, 21))
            assert height >= 16 or width >= 20  # float32 loses a pixel of some sizes
            expected = np.zeros((17, 21, 4), np.float32)
            expected[top : top + height, left : left + width] = load(
                path, color_mode="rgba", target_size=(height, width), interpolation="bilinear"
            )
            np.testing.assert_array_equal(image, expected)
            seen.append(index)
    assert sorted(seen) == list(range(dataset.n))
    assert dataset.stats().samples == dataset.n


@pytest.mark.parametrize(
    ("size", "target", "place"),
    [
        ((100, 200), (50, 50), (12, 0, 25, 50)),
        ((30, 20), (10, 10), (0, 1, 10, 6)),  # 1.67 pixels at the left, not (10 - 6) / 2
        ((7, 7), (9, 9), (0, 0, 9, 9)),
        ((1000, 1), (8, 8), (0, 3, 8, 1)),
    ],
)
def test_the_fitted_place_is_tensorflows(size: Any, target: Any, place: Any) -> None:
    assert fitted_place(size, target) == place


def test_sizes_are_read_from_headers(folder: Path, tmp_path: Path) -> None:
    for path in folder.rglob("*.*"):
        if path.suffix.lower() in {".jpg", ".png", ".gif", ".bmp"}:
            assert read_image_size(str(path)) == load(str(path)).shape[:2]
    hostile = tmp_path / "hostile.jpg"
    for content in (b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\x00\x00\x08\x00\x00\x00\x00"):
        hostile.write_bytes(content)
        with pytest.raises(ImageError, match="hostile"):
            read_image_size(str(hostile))
    with pytest.raises(ImageError, match="none"):
        read_image_size(str(tmp_path / "none.jpg"))
