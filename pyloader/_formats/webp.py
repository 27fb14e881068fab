"""WebP: the container is judged here, the pictures come from OpenCV, which has the same libwebp."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pyloader._formats import opencv
from pyloader._formats.raster import Raster, check_size

_ALPHA_FLAG, _ANIMATION_FLAG = 0x10, 0x02


def accepts(content: bytes) -> bool:
    """True when the content starts like a WebP file."""
    kinds = (b"VP8 ", b"VP8X", b"VP8L")
    return content.startswith(b"RIFF") and content[8:12] == b"WEBP" and content[12:16] in kinds


def decode(content: bytes) -> Raster:
    """Decodes a WebP, or the first frame of an animated one.

    Raises:
        ValueError: Pillow would refuse it.
    """
    size = int.from_bytes(content[4:8], "little")
    if size + 8 > len(content):
        raise ValueError("the WebP is truncated")
    content = content[: size + 8]
    check_size(*_size(content))
    flags = content[20] if content[12:16] == b"VP8X" else 0
    if not flags & _ANIMATION_FLAG:
        return _raster(_read(content))
    width, height = _size(content)
    for kind, body in _chunks(content, 12):
        if kind == b"ANMF" and len(body) > 16:
            left, top = (2 * int.from_bytes(body[at : at + 3], "little") for at in (0, 3))
            picture = _opaque(_read(_still(body)))
            if left + picture.shape[1] > width or top + picture.shape[0] > height:
                break
            canvas = np.zeros((height, width, 4), np.uint8)
            canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            has_alpha = bool(flags & _ALPHA_FLAG)
            return Raster("RGBA" if has_alpha else "RGB", canvas[:, :, : 3 + has_alpha])
    raise ValueError("the WebP is damaged: no frame in it")


def read_size(content: bytes) -> tuple[int, int]:
    """The size that the header states.

    Returns:
        (height, width) in pixels.

    Raises:
        ValueError: The header is damaged.
    """
    width, height = _size(content)
    return height, width


def _size(content: bytes) -> tuple[int, int]:
    kind, body = content[12:16], content[20:30]
    if kind == b"VP8 " and len(body) == 10 and body[3:6] == b"\x9d\x01\x2a":
        sides = (
            int.from_bytes(body[6:8], "little"),
            int.from_bytes(body[8:10], "little"),
        )
        return sides[0] & 0x3FFF, sides[1] & 0x3FFF
    if kind == b"VP8X" and len(body) == 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ValueError("the WebP's header is damaged")


def _chunks(data: bytes, place: int) -> Iterator[tuple[bytes, bytes]]:
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        yield data[place : place + 4], data[place + 8 : place + 8 + size]
        place += 8 + size + (size & 1)


def _still(frame: bytes) -> bytes:
    """An animation's frame as a file of its own."""
    picture = frame[16:]
    if picture[:4] == b"ALPH":
        sides = frame[6:12]  # less one, 24 bits each, as the header wants them
        picture = (
            b"VP8X" + (10).to_bytes(4, "little") + bytes([_ALPHA_FLAG, 0, 0, 0]) + sides + picture
        )
    return b"RIFF" + (4 + len(picture)).to_bytes(4, "little") + b"WEBP" + picture


def _read(content: bytes) -> NDArray[np.uint8]:
    pixels = opencv.read(content)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("the WebP is damaged")
    return opencv.swap_red_and_blue(pixels)


def _opaque(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.shape[2] == 4:
        return pixels
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)


def _raster(pixels: NDArray[np.uint8]) -> Raster:
    return Raster("RGBA" if pixels.shape[2] == 4 else "RGB", pixels)
