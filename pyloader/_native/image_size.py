"""The format and the size of an encoded image, from its header where that is simple."""

from __future__ import annotations

import re
import struct

from pyloader._native import other_formats
from pyloader._native.load_img import load_img

__all__ = ["find_format", "find_size", "read_image_size"]

_HEAD = 65536
_JPEG_MAGIC = b"\xff\xd8\xff"
# Start-of-frame markers of JPEG: all of 0xC0 to 0xCF but DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Where a frame header does not come any more: second start, end, start of scan.
_LAST = frozenset((0xD8, 0xD9, 0xDA))
_MOST_SEGMENTS = 100_000  # of a hostile file there might be millions

# What stands between markers is skipped, and so are TEM and restart markers, which have no body.
_marker_with_body = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]").search


def find_format(content: bytes) -> str | None:
    """Tells of which format an image is, from its first bytes.

    Args:
        content: The file, or its first 16 bytes at least.

    Returns:
        "JPEG", "PNG", "BMP", "GIF", "PPM", "WebP" or "TIFF", each with its relatives; None when it
        is no image that pyloader knows.

    Example:
        >>> find_format(b"GIF89a")
        'GIF'
    """
    if content.startswith(_JPEG_MAGIC):
        return "JPEG"
    return other_formats.find_format(content)


def find_size(content: bytes) -> tuple[int, int] | None:
    """The size that an image's header states; nothing is decoded.

    Args:
        content: The file. Its start may do, but not for every file.

    Returns:
        (height, width) in pixels, each at least 1, before a TIFF is turned as its orientation says;
        None when the header does not tell.
    """
    if content.startswith(_JPEG_MAGIC):
        return _jpeg_size(content)
    try:
        height, width = other_formats.read_size(content)
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None


def read_image_size(path: str) -> tuple[int, int]:
    """Finds out how large an image is.

    Args:
        path: The file.

    Returns:
        (height, width) in pixels.

    Raises:
        ImageError: The file cannot be read, or is no image.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(_HEAD)
    except OSError:
        head = b""
    is_simple = find_format(head) in ("JPEG", "PNG")  # others may be turned, or read to their end
    return (find_size(head) if is_simple else None) or _decoded_size(path)


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """The size in a JPEG's first frame header, found as libjpeg finds it; None where it is not."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        found = _marker_with_body(content, at)
        if not found or found.end() + 7 > len(content):
            return None
        marker, at = content[found.end() - 1], found.end()
        length, _, height, width = struct.unpack_from(">HBHH", content, at)
        if marker in _FRAMES:
            return (height, width) if height and width else None
        if marker in _LAST or length < 2:
            return None
        at += length
    return None


def _decoded_size(path: str) -> tuple[int, int]:
    """The size of the decoded image."""
    height, width, _ = load_img(path).shape
    return height, width
