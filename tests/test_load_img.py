"""load_img gives Keras' pixels as an array."""

from __future__ import annotations

import importlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pyloader import ImageDataGenerator, ImageError, load_img
from pyloader.errors import attach_path


@pytest.fixture(scope="module")
def jpeg(class_folders: Path) -> Path:
    """One ragged JPEG."""
    return class_folders / "green" / "deeper" / "inside.jpg"


def _keras(path: Path, **options: Any) -> NDArray[Any]:
    image = np.asarray(importlib.import_module("keras.utils").load_img(path, **options))
    return image.reshape(*image.shape[:2], -1)


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_size": (20, 40)},
        {"target_size": [64, 48], "interpolation": "bilinear"},
        {"target_size": (7, 50), "interpolation": "lanczos", "keep_aspect_ratio": True},
        {"target_size": (33, 17), "interpolation": "box"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("keras_image")
def test_pixels_are_keras(jpeg: Path, color_mode: str, options: dict[str, Any]) -> None:
    ours = load_img(jpeg, color_mode, **options)
    theirs = _keras(jpeg, color_mode=color_mode, **options)
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["str", "Path", "bytes", "BytesIO"])
def test_sources_of_every_kind_give_the_same_image(jpeg: Path, kind: str) -> None:
    source: Any = {
        "str": str(jpeg),
        "Path": jpeg,
        "bytes": jpeg.read_bytes(),
        "BytesIO": io.BytesIO(jpeg.read_bytes()),
    }[kind]
    np.testing.assert_array_equal(load_img(source), load_img(jpeg))


def test_the_array_is_ours_to_write(jpeg: Path) -> None:
    image = load_img(jpeg)
    assert image.flags.writeable
    assert image.flags.c_contiguous
    image[:] = 0
    assert load_img(jpeg).any()


def test_deep_grayscale_keeps_its_values(tmp_path: Path) -> None:
    pil_image = pytest.importorskip("PIL.Image")
    values = (np.arange(30 * 21, dtype=np.uint16) * 97).reshape(30, 21)
    pil_image.fromarray(values).save(tmp_path / "deep.png")
    image = load_img(tmp_path / "deep.png", "grayscale")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image[..., 0], values)
    small = load_img(tmp_path / "deep.png", "grayscale", (9, 8), "bilinear")
    expected = np.asarray(pil_image.open(tmp_path / "deep.png").resize((8, 9), 2))
    np.testing.assert_array_equal(small[..., 0], expected)


@pytest.mark.usefixtures("keras_image")
def test_deep_grayscale_keeps_32_bits(tmp_path: Path) -> None:
    pil_image = pytest.importorskip("PIL.Image")
    values = np.array([[2**31 - 1, 2**24 + 1, 7], [-(2**31), -3, 2**30 + 1]], np.int32)
    pil_image.fromarray(values).save(tmp_path / "deep.tif")
    image = load_img(tmp_path / "deep.tif", "grayscale")
    assert image.dtype == np.int32
    np.testing.assert_array_equal(image[..., 0], values)
    larger = load_img(tmp_path / "deep.tif", "grayscale", (4, 6))
    np.testing.assert_array_equal(larger[..., 0], values.repeat(2, axis=0).repeat(2, axis=1))


def test_an_interpolation_without_a_size_does_not_matter(jpeg: Path) -> None:
    np.testing.assert_array_equal(load_img(jpeg, interpolation="none"), load_img(jpeg))


def test_a_path_with_a_null_byte_names_no_other_file(jpeg: Path) -> None:
    with pytest.raises(ValueError, match="null byte"):
        load_img(f"{jpeg}\0")
    table = pd.DataFrame({"filename": [str(jpeg), f"{jpeg}\0x"], "class": ["a", "b"]})
    it = ImageDataGenerator().flow_from_dataframe(table, validate_filenames=False, verbose=False)
    with pytest.raises(ValueError, match="null byte"):
        next(it)


def test_texts_of_refusals_are_keras(jpeg: Path) -> None:
    keras_load_img = importlib.import_module("keras.utils").load_img
    for source, options in (
        (3, {}),
        (jpeg, {"color_mode": "bgr"}),
        (jpeg, {"target_size": (5, 5), "interpolation": "cubic"}),
    ):
        with pytest.raises((TypeError, ValueError)) as theirs:
            keras_load_img(source, **options)
        with pytest.raises(theirs.type) as ours:
            load_img(source, **options)  # type: ignore[arg-type]
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("size", [(0, 5), (5,), (1, 2, 3), (-1, 5)])
def test_sizes_that_are_none_are_refused(jpeg: Path, size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"`target_size` should be .* Received: \("):
        load_img(jpeg, target_size=size)


def test_a_bad_file_is_an_image_error_that_names_it(tmp_path: Path, jpeg: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(jpeg.read_bytes()[:300])
    for path in (bad, tmp_path / "missing.jpg"):
        with pytest.raises(ImageError) as caught:
            load_img(path)
        assert caught.value.path == str(path)
        assert caught.value.reason
        assert str(caught.value).startswith(f"cannot load image {str(path)!r}: ")
        assert isinstance(caught.value, OSError)


def test_bad_content_is_an_image_error_without_a_path() -> None:
    with pytest.raises(ImageError, match=r"^cannot load an image from bytes: ") as caught:
        load_img(b"not an image\0")
    assert caught.value.path is None


def test_an_image_error_survives_pickling() -> None:
    path = os.fsdecode(b"caf\xe9.jpg")
    error = ImageError(path, "the file is truncated")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is ImageError
    assert (copy.path, copy.reason, str(copy)) == (path, error.reason, str(error))


def test_an_error_of_user_code_learns_its_image() -> None:
    error = ValueError("no such thing")
    attach_path(error, "a/1.jpg")
    assert error.args == ("no such thing [image: 'a/1.jpg']",)
    odd = OSError(2, "gone")
    attach_path(odd, "a/1.jpg")
    assert odd.args == (2, "gone")
    if hasattr(odd, "__notes__"):
        assert odd.__notes__ == ["[image: 'a/1.jpg']"]
