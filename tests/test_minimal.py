"""The smallest proof that an installation works. `python tests/test_minimal.py` needs no pytest.

With a folder in PYLOADER_EXPECT_LIBJPEG, libjpeg-turbo must have come from below it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

import pyloader
from pyloader._pyloader import build_info


def gradient(height: int, width: int) -> np.ndarray:
    """A smooth picture, (height, width, 3) uint8."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 3 % 256, columns * 2 % 256, (rows + columns) % 256], 2).astype("uint8")


def write_images(root: Path) -> dict[str, np.ndarray]:
    """A JPEG and a PNG of each of two classes, and their pixels by file name."""
    pixels = {}
    for label, name in enumerate(("cats", "dogs")):
        (root / name).mkdir()
        picture = gradient(50 + 7 * label, 61)
        content = simplejpeg.encode_jpeg(picture, quality=90)
        (root / name / "a.jpg").write_bytes(content)
        pixels[f"{name}/a.jpg"] = simplejpeg.decode_jpeg(content)
        cv2.imwrite(str(root / name / "b.png"), picture[:, :, ::-1])
        pixels[f"{name}/b.png"] = picture
    return pixels


def test_one_image_has_its_pixels() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, expected in write_images(Path(folder)).items():
            np.testing.assert_array_equal(pyloader.load_img(Path(folder) / name), expected)


def test_a_folder_gives_batches_with_labels() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pixels = write_images(Path(folder))
        generator = pyloader.ImageDataGenerator(rescale=1 / 255)
        with generator.flow_from_directory(
            folder, target_size=(50, 61), class_mode="sparse", shuffle=False, verbose=False
        ) as it:
            images, labels = next(it)
            assert images.shape == (4, 50, 61, 3)
            assert images.dtype == np.float32
            assert labels.tolist() == [0, 0, 1, 1]
            for image, name in zip(images[:2], it.filenames[:2], strict=True):
                expected = pixels[name].astype("float32") * np.float32(1 / 255)
                np.testing.assert_array_equal(image, expected)


def test_a_damaged_file_is_an_error_that_names_it() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cut.jpg"
        path.write_bytes(simplejpeg.encode_jpeg(gradient(40, 40))[:300])
        blamed = None
        try:
            pyloader.load_img(path)
        except pyloader.ImageError as error:
            blamed = error.path
        assert blamed == str(path)


def test_the_command_line_tells_what_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyloader", "info"], capture_output=True, text=True, check=True
    )
    assert "libjpeg-turbo" in done.stdout


def test_libjpeg_turbo_comes_from_where_it_should() -> None:
    expected = os.environ.get("PYLOADER_EXPECT_LIBJPEG")
    if expected:
        file = Path(build_info()["libjpeg_file"]).resolve()
        assert Path(expected).resolve() in file.parents, file


if __name__ == "__main__":
    tests = [test for name, test in sorted(globals().items()) if name.startswith("test_")]
    for test in tests:
        test()
    print(f"{len(tests)} passed; libjpeg-turbo: {build_info()['libjpeg_file']}")
