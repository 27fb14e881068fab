"""save_to_dir writes Keras' files, for delivered batches only."""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, photo
from numpy.typing import NDArray
from test_transforms import TUTORIAL

from pyloader import ImageDataGenerator

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

_EXACT = {**TUTORIAL, "interpolation_order": 0}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    return ours, theirs


def _pair(
    keras_image: ModuleType,
    source: Path | NDArray[Any],
    folders: tuple[Path, Path],
    generator_options: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Any, Any]:
    generator_options = _EXACT if generator_options is None else generator_options
    generators = (
        ImageDataGenerator(**generator_options),
        keras_image.ImageDataGenerator(**generator_options),
    )
    options = {"batch_size": 4, "seed": 3, **options}
    iterators = []
    for generator, folder in zip(generators, folders, strict=True):
        if isinstance(source, Path):
            flow = generator.flow_from_directory
            options = {"target_size": (9, 11), **options}
        else:
            flow = generator.flow
        iterators.append(flow(source, save_to_dir=str(folder), **options))
    return iterators[0], iterators[1]


def _read(path: Path) -> Any:
    pil_image = pytest.importorskip("PIL.Image")
    with pil_image.open(path) as image:
        return image.format, image.mode, np.asarray(image)


def _assert_same_files(folders: tuple[Path, Path], tolerance: float = 0) -> None:
    ours, theirs = folders
    names = sorted(path.name for path in theirs.iterdir())
    assert sorted(path.name for path in ours.iterdir()) == names
    for name in names:
        (our_format, our_mode, our_pixels) = _read(ours / name)
        (their_format, their_mode, their_pixels) = _read(theirs / name)
        assert (our_format, our_mode) == (their_format, their_mode)
        np.testing.assert_allclose(
            our_pixels.astype(int), their_pixels.astype(int), rtol=0, atol=tolerance
        )


@pytest.mark.parametrize("color_mode", ["grayscale", "rgb", "rgba"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_png_files_have_keras_names_and_pixels(
    keras_image: ModuleType,
    class_folders: Path,
    folders: tuple[Path, Path],
    color_mode: str,
    data_format: str,
    dtype: str,
) -> None:
    options = {**_EXACT, "data_format": data_format, "dtype": dtype}
    ours, theirs = _pair(
        keras_image, class_folders, folders, options, color_mode=color_mode, save_prefix="seen"
    )
    for _ in range(8):
        assert_same_batch(next(ours), next(theirs))
    _assert_same_files(folders)
    assert all(path.name.startswith("seen_") for path in folders[0].iterdir())


@pytest.mark.parametrize("save_format", ["png", "bmp", "tif", "ppm"])
def test_other_lossless_formats(
    keras_image: ModuleType, class_folders: Path, folders: tuple[Path, Path], save_format: str
) -> None:
    ours, theirs = _pair(keras_image, class_folders, folders, save_format=save_format)
    next(ours)
    next(theirs)
    _assert_same_files(folders)


@pytest.mark.parametrize("save_format", ["jpg", "jpeg", "JPG"])
@pytest.mark.parametrize("color_mode", ["grayscale", "rgb"])
def test_jpeg_files_are_keras(
    keras_image: ModuleType,
    class_folders: Path,
    folders: tuple[Path, Path],
    save_format: str,
    color_mode: str,
) -> None:
    ours, theirs = _pair(
        keras_image, class_folders, folders, save_format=save_format, color_mode=color_mode
    )
    next(ours)
    next(theirs)
    _assert_same_files(folders)


def test_files_of_arrays_have_shorter_numbers(
    keras_image: ModuleType, folders: tuple[Path, Path]
) -> None:
    images = np.stack([photo(8, 9, seed) for seed in range(7)]).astype("float32")
    ours, theirs = _pair(keras_image, images, folders)
    for _ in range(6):
        assert_same_batch(next(ours), next(theirs))
    _assert_same_files(folders)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_mix_of_calls_with_files_delivers_keras_batches(
    keras_image: ModuleType, class_folders: Path, folders: tuple[Path, Path], seed: int
) -> None:
    ours, theirs = _pair(keras_image, class_folders, folders, seed=seed)
    choose = random.Random(seed)
    for _ in range(25):
        call = choose.choice(["next", "next", "item", "end", "switch"])
        if call == "next":
            assert_same_batch(next(ours), next(theirs))
        elif call == "item":
            index = choose.randrange(len(theirs))
            assert_same_batch(ours[index], theirs[index])
        elif call == "end":
            ours.on_epoch_end()
            theirs.on_epoch_end()
        else:
            for iterator, folder in zip((ours, theirs), folders, strict=True):
                iterator.save_to_dir = None if iterator.save_to_dir else str(folder)
        np.testing.assert_array_equal(ours.index_array, theirs.index_array)
    _assert_same_files(folders)


def test_prefetched_batches_leave_no_files(class_folders: Path, folders: tuple[Path, Path]) -> None:
    batches = ImageDataGenerator().flow_from_directory(
        class_folders, save_to_dir=folders[0], batch_size=4, prefetch=4, verbose=False
    )
    next(batches)
    assert len(list(folders[0].iterdir())) == 4
    batches.close()
    assert len(list(folders[0].iterdir())) == 4


def test_images_of_one_value_and_of_any_range_can_be_saved(
    keras_image: ModuleType, folders: tuple[Path, Path]
) -> None:
    images = np.stack([np.full((4, 4, 3), 7.0), np.linspace(-3, 900, 48).reshape(4, 4, 3)])
    ours, theirs = _pair(keras_image, images, folders, {}, shuffle=False)
    next(ours)
    next(theirs)
    _assert_same_files(folders)


def test_a_folder_that_does_not_exist_costs_the_batch(class_folders: Path) -> None:
    batches = ImageDataGenerator().flow_from_directory(
        class_folders, save_to_dir=str(class_folders / "nowhere"), seed=1, verbose=False
    )
    with pytest.raises(FileNotFoundError):
        next(batches)
    assert batches.total_batches_seen == 1
    batches.save_to_dir = None
    next(batches)


@pytest.mark.parametrize(
    ("save_format", "color_mode", "error"),
    [("xyz", "rgb", ValueError), ("jpg", "rgba", OSError), ("", "rgb", ValueError)],
)
def test_formats_that_cannot_be_written_are_errors_as_in_keras(
    keras_image: ModuleType,
    class_folders: Path,
    folders: tuple[Path, Path],
    save_format: str,
    color_mode: str,
    error: type[Exception],
) -> None:
    for iterator in _pair(
        keras_image, class_folders, folders, save_format=save_format, color_mode=color_mode
    ):
        with pytest.raises(error):
            next(iterator)
