"""The size of an encoded image, from its header where that is simple."""

from __future__ import annotations

import struct

from pyloader.images import load_img

__all__ = ["read_image_size"]

_HEAD = 65536
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Start-of-frame markers of JPEG: all of 0xC0 to 0xCF but DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


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
    return _jpeg_size(head) or _png_size(head) or _decoded_size(path)


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """The size that a JPEG's first frame header states; None where there is none in the head."""
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        length, _, height, width = struct.unpack_from(">HBHH", head, at + 2)
        if marker in _FRAMES:
            return (height, width) if height and width else None
        at += 2 + length
    return None


def _png_size(head: bytes) -> tuple[int, int] | None:
    """The size in the header of a PNG; None for other content."""
    if head.startswith(_PNG_MAGIC) and head[12:16] == b"IHDR" and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return (height, width) if height and width else None
    return None


def _decoded_size(path: str) -> tuple[int, int]:
    """The size of the decoded image."""
    height, width, _ = load_img(path).shape
    return height, width
