"""Pillow's process-wide switches, which scripts set at their top, hold here as in Keras."""

from __future__ import annotations

import io
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, photo
from PIL import Image, ImageFile

from pyloader import ImageDataGenerator, ImageError, load_img

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def _cut(path: Path, name: str, progressive: bool = False) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate((0.65, 0.8, 0.95, 1.0)):
        file = io.BytesIO()
        options = {"progressive": True} if progressive else {}
        kind = {"jpg": "JPEG", "tif": "TIFF"}.get(name, name.upper())
        Image.fromarray(photo(60, 44, number)).save(file, kind, **options)
        content = file.getvalue()
        cut = content[: int(part * len(content))]
        (path / f"{number}{'p' * progressive}.{name}").write_bytes(cut)


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    for name in ("jpg", "png", "bmp", "tif"):
        _cut(tmp_path / "a", name)
    _cut(tmp_path / "a", "jpg", progressive=True)
    return tmp_path


def _flow(module: Any, folder: Path, **options: Any) -> Any:
    arguments = {"target_size": (32, 24), "batch_size": 5, "class_mode": None, "seed": 1}
    generator = module.ImageDataGenerator(horizontal_flip=True)
    return generator.flow_from_directory(str(folder), **{**arguments, **options})


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
def test_truncated_images_load_with_keras_pixels(
    keras_image: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    truncated: Path,
    interpolation: str,
    color_mode: str,
) -> None:
    import pyloader

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    options = {"interpolation": interpolation, "color_mode": color_mode}
    theirs = _flow(keras_image, truncated, **options)
    for more in ({"num_threads": 1}, {"num_threads": 3, "cache": "memory"}):
        theirs.reset()
        theirs.total_batches_seen = 0
        ours = _flow(pyloader, truncated, **options, **more)
        for _ in range(8):
            assert_same_batch(next(ours), next(theirs))
    for file in sorted((truncated / "a").iterdir()):
        expected = np.asarray(Image.open(file).convert("RGB"))
        np.testing.assert_array_equal(load_img(file), expected)


def test_the_switch_holds_from_the_next_batch_on_and_leaves_nothing_in_a_cache(
    monkeypatch: pytest.MonkeyPatch, truncated: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import pyloader

    cache = tmp_path_factory.mktemp("cache")
    options: dict[str, Any] = {"shuffle": False, "cache": cache, "on_error": "drop"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        it = _flow(pyloader, truncated, **options)
        strict = sum(len(batch) for batch in it.epoch())
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        tolerant = [sum(len(batch) for batch in it.epoch()) for _ in range(2)]
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
        again = sum(len(batch) for batch in _flow(pyloader, truncated, **options).epoch())
    assert strict == again < tolerant[0] == tolerant[1]


def test_the_limit_of_pixels_is_pillows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("x.jpg", "x.png"):
        Image.fromarray(photo(40, 50, 1)).save(tmp_path / "a" / name)
    options: dict[str, Any] = {"class_mode": None, "target_size": (8, 8), "verbose": False}
    it = ImageDataGenerator().flow_from_directory(tmp_path, **options)
    assert len(next(it)) == 2
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 999)
    with pytest.raises(ImageError, match="limit"):
        next(it)
    for name in ("x.jpg", "x.png"):
        with pytest.raises(ImageError, match="limit"):
            load_img(tmp_path / "a" / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(next(it)) == 2
    with pytest.raises(ImageError, match=r"limit of 1999 \(max_pixels\)"):
        load_img(tmp_path / "a" / "x.png", max_pixels=1999)
    assert load_img(tmp_path / "a" / "x.png", max_pixels=2000).shape == (40, 50, 3)


def test_a_warning_that_is_an_error_refuses_the_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Image.fromarray(photo(40, 50, 1)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert load_img(tmp_path / "x.png").shape == (40, 50, 3)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match="exceeds limit"):
            load_img(tmp_path / "x.png")


def test_a_path_of_bytes_is_a_path_as_in_keras(tmp_path: Path) -> None:
    import os

    from keras.utils import load_img as keras_load_img  # type: ignore[import-untyped]

    path = tmp_path / "caf\udce9.png"
    Image.fromarray(photo(4, 5, 1)).save(path)
    expected = np.asarray(keras_load_img(os.fsencode(path)))
    np.testing.assert_array_equal(load_img(os.fsencode(path)), expected)
    content = path.read_bytes()
    for source in (content, bytearray(content), memoryview(content), io.BytesIO(content)):
        np.testing.assert_array_equal(load_img(source), expected)  # type: ignore[arg-type]
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_img(file), expected)
    with pytest.raises(ImageError, match=r"b?missing\.jpg"):
        load_img(b"missing.jpg")


def test_what_was_loaded_under_a_switch_of_later_is_not_cached(
    monkeypatch: pytest.MonkeyPatch, truncated: Path, tmp_path: Path
) -> None:
    def switched_on(image: Any) -> Any:
        ImageFile.LOAD_TRUNCATED_IMAGES = True  # for the images that follow in the batch
        return image

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    options: dict[str, Any] = {"shuffle": False, "on_error": "drop", "class_mode": None}
    options |= {"target_size": (8, 8), "batch_size": 4, "verbose": False, "num_threads": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        strict = sum(
            map(len, ImageDataGenerator().flow_from_directory(truncated, **options).epoch())
        )
        cached = {**options, "cache": tmp_path / "cache", "prefetch": 6}
        with ImageDataGenerator(preprocessing_function=switched_on).flow_from_directory(
            truncated, **cached
        ) as it:
            next(it)
            deadline = time.monotonic() + 60
            while it.stats().prepared < it.n and time.monotonic() < deadline:
                time.sleep(0.01)
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
        for _ in range(2):
            again = ImageDataGenerator().flow_from_directory(truncated, **cached)
            assert sum(map(len, again.epoch())) == strict
