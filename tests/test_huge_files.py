"""Files of gigabytes: JPEGs never exist as a whole, and what cannot be an image is not read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from faults import NEEDS_PROC, succeeds
from pictures import jpeg, picture, with_pillow

from pyloader import ImageDataGenerator, ImageError, load_img

HUGE = 900 << 20
"""Bytes, most of them a hole in the file: less than what is refused for its size alone."""


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(100)))
    + chunk(b"IEND")
)
BMP = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 60_000, 50_000, 1, 24, *[0] * 6)
PPM = b"P6 60000 50000 255\n"
GIF = b"GIF89a" + struct.pack("<HHBBB", 60_000, 50_000, 0, 0, 0) + b",\0\0\0\0\x60\xea\x50\xc3\0"
TIFF = (
    b"II*\0\x08\0\0\0\x02\0"
    + struct.pack("<HHIIHHII", 256, 4, 1, 60_000, 257, 4, 1, 50_000)
    + bytes(4)
)
TOO_MANY = "Image size (3000000000 pixels) exceeds limit"
KNOWN_FROM_THE_START = {
    "zeros.jpg": (bytes(16), "not an image that Pillow can open"),
    "video.png": (b"\0\0\0\x18ftypmp42" + bytes(range(200)), "not an image that Pillow can open"),
    "a.png": (PNG, TOO_MANY),
    "a.bmp": (BMP, TOO_MANY),
    "a.ppm": (PPM, TOO_MANY),
    "gif.jpg": (GIF, TOO_MANY),
    "a.tif": (TIFF, "not an image that Pillow can open"),
}


def write_with_hole(path: Path, beginning: bytes, size: int = HUGE) -> None:
    with path.open("wb") as file:
        file.write(beginning)
        file.truncate(size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good image, and huge files whose first bytes say what will become of them."""
    (tmp_path / "a").mkdir()
    content = jpeg(picture(np.random.default_rng(1), 20, 30), quality=80)
    (tmp_path / "a" / "good.jpg").write_bytes(content)
    for name, (beginning, _) in KNOWN_FROM_THE_START.items():
        write_with_hole(tmp_path / "a" / name, beginning)
    return tmp_path


def reason_of(source: Path | bytes) -> str:
    with pytest.raises(ImageError) as caught:
        load_img(io.BytesIO(source) if isinstance(source, bytes) else source)
    return str(caught.value.reason)


def test_the_reason_is_that_of_the_whole_file(folder: Path) -> None:
    for name, (beginning, reason) in KNOWN_FROM_THE_START.items():
        told = reason_of(folder / "a" / name)
        assert reason in told, name
        assert told == reason_of(beginning + bytes(5000)), name
    it = ImageDataGenerator().flow_from_directory(
        folder, (8, 8), class_mode=None, on_error="drop", verbose=False
    )
    with pytest.warns(UserWarning, match="7 of 8"):
        assert len(next(it)) == 1
    assert {Path(path).name: reason for path, reason, _ in it.errors} == {
        name: reason_of(folder / "a" / name) for name in KNOWN_FROM_THE_START
    }


def test_a_limit_of_ones_own_holds_at_once(tmp_path: Path) -> None:
    write_with_hole(tmp_path / "a.ppm", b"P5 30 20 255\n")
    assert load_img(tmp_path / "a.ppm", "grayscale", (2, 2), max_pixels=600).shape == (2, 2, 1)
    with pytest.raises(ImageError, match=r"limit of 599 \(max_pixels\)"):
        load_img(tmp_path / "a.ppm", max_pixels=599)


def test_files_of_other_formats_that_are_too_large_are_refused(tmp_path: Path) -> None:
    write_with_hole(tmp_path / "a.ppm", b"P5 30 20 255\n", (1 << 30) + 1)
    assert reason_of(tmp_path / "a.ppm") == "the file is too large to be decoded"


def test_a_jpeg_may_have_gigabytes_behind_it(tmp_path: Path) -> None:
    content = jpeg(picture(np.random.default_rng(2), 70, 90), quality=80)
    write_with_hole(tmp_path / "a.jpg", content, 5 << 30)
    np.testing.assert_array_equal(load_img(tmp_path / "a.jpg"), with_pillow(content))


def test_markers_beyond_the_first_window_are_read_again(tmp_path: Path) -> None:
    content = jpeg(picture(np.random.default_rng(2), 70, 90), quality=80)
    comments = (b"\xff\xfe\xff\xff" + bytes(65_533)) * 40
    (tmp_path / "a.jpg").write_bytes(content[:2] + comments + content[2:])
    np.testing.assert_array_equal(load_img(tmp_path / "a.jpg"), with_pillow(content))


@NEEDS_PROC
def test_they_take_no_memory(folder: Path) -> None:
    write_with_hole(folder / "a" / "behind.jpg", (folder / "a" / "good.jpg").read_bytes())
    told = succeeds(
        folder,
        """
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
warnings.simplefilter("ignore")
it = flow(class_mode=None, on_error="drop", num_threads=4)
list(it.epoch())
before = peak()
delivered = sum(len(batch) for batch in it.epoch())
for path in it.filepaths:
    try:
        pyloader.load_img(path)
    except pyloader.ImageError:
        pass
print(delivered, peak() - before)
""",
    )
    delivered, grown = map(int, told.split())
    assert delivered == 2
    assert grown < 64 << 10  # KiB
