"""Formats and sizes are told from headers as the decoders find them."""

from __future__ import annotations

import io

import numpy as np
import other_pictures as zoo
import pytest
from pictures import all_kinds, jpeg, picture
from PIL import Image

from pyloader import ImageError, load_img
from pyloader._native import other_formats
from pyloader._native.image_size import find_format, find_size

FAMILIES = {"MPO": "JPEG", "DIB": "BMP", "WEBP": "WebP"}
"""Pillow's names of formats where ours differ."""

FORMATS = {"JPEG", "PNG", "BMP", "GIF", "PPM", "WebP", "TIFF"}


def everything() -> list[bytes]:
    """A file of every kind."""
    random = np.random.default_rng(1)
    frames = [zoo.picture(random, "RGBA", 23, 9) for _ in range(2)]
    webps = [
        zoo.saved(frames[0], "WEBP", lossless=True),
        zoo.saved(frames[0], "WEBP"),
        zoo.saved(frames[0].convert("RGB"), "WEBP"),
        zoo.saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
    ]
    named = (*all_kinds(random, 23, 37), *zoo.one_of_each())
    return [*(content for _, content in named), *webps]


def damaged(contents: list[bytes], seed: int, count: int) -> list[bytes]:
    """Each file several times, with a byte changed in its first 200."""
    random = np.random.default_rng(seed)
    files = []
    for content in contents:
        for _ in range(count):
            changed = bytearray(content)
            changed[random.integers(min(200, len(content)))] = random.integers(256)
            files.append(bytes(changed))
    return files


def size_by_pillow(content: bytes) -> tuple[str, tuple[int, int]] | None:
    """Pillow's format and (height, width), where it loads the whole image."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            known = FAMILIES.get(str(image.format), str(image.format))
            # Before loading, which turns a TIFF.
            size = image.size
            image.load()
    except Exception:
        return None
    return known, size[::-1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_format_and_size_are_pillows_for_what_pillow_loads() -> None:
    compared, seen = 0, set()
    for content in (*everything(), *damaged(everything(), 2, 30)):
        expected = size_by_pillow(content)
        if expected is None or expected[0] not in FORMATS:
            continue
        assert find_format(content) == expected[0]
        assert find_size(content) in (expected[1], None)
        compared += find_size(content) is not None
        seen.add(expected[0])
    assert compared > 1000
    assert seen == FORMATS


def test_every_kind_of_file_states_its_size() -> None:
    for content in everything():
        size = find_size(content)
        assert size is not None
        assert sorted(size) == sorted(load_img(content).shape[:2])


def test_a_size_comes_from_little_more_than_the_header() -> None:
    pixels = picture(np.random.default_rng(3), 40, 50)
    content = jpeg(pixels, comment=b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01" * 100, exif=b"x" * 5000)
    start = content.rindex(b"\xff\xc0")
    assert find_size(content) == (40, 50)
    assert find_size(content[: start + 9]) == (40, 50)
    assert find_size(content[: start + 8]) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x01" + bytes(20),
        b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x00\x00\x09\x01\x01\x11\x00",
        b"\xff\xd8" + b"\xff" * 2_000_000,
        b"\xff\xd8" + b"\xff\xfe\x00\x02" * 500_000,
        b"\xff\xd8\xff\xda\x00\x08"
        + bytes(6)
        + b"\xff\xc0\x00\x0b\x08\x00\x09\x00\x09\x01\x01\x11",
        b"\x89PNG\r\n\x1a\n" + bytes(30),
        b"GIF89a" + bytes(9),
        b"BM" + bytes(60),
        b"P6 x y 255 ",
        b"P6 -3 4 255 ",
        b"RIFF\0\0\0\0WEBPVP8 " + bytes(20),
        b"II\x2a\x00" + bytes(4),
        b"II\x2a\x00\xff\xff\xff\xff",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_header_that_tells_no_size_is_none(content: bytes) -> None:
    assert find_size(content) is None
    with pytest.raises(ImageError):
        load_img(content)


def test_what_no_decoder_takes_has_no_format_and_the_reverse() -> None:
    seen = set()
    for content in (*damaged([one[:40] for one in everything()], 4, 60), b"", b"\xff\xd8", b"P"):
        if content.startswith(b"\xff\xd8\xff"):
            continue
        try:
            other_formats.decode(content, "rgb")
            is_known = True
        except ValueError as error:
            is_known = str(error) != "not an image that pyloader knows"
        if find_format(content) != "PPM":  # whose first word may be refused in the same words
            assert (find_format(content) is not None) == is_known
        seen.add(find_format(content))
    assert seen == {None, *FORMATS} - {"JPEG"}
