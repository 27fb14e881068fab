"""Encoded images that are not JPEGs: bytes to exactly the pixels that Keras gets through Pillow.

    decode(content: bytes, color_mode: str) -> NDArray[np.uint8] | DeepImage

`color_mode` is "grayscale", "rgb" or "rgba". The array is (H, W, C), C-contiguous, C = 1, 3 or 4,
at the image's natural size. A `DeepImage` comes only for color_mode "grayscale", for gray images
deeper than 8 bits, which Keras keeps unclipped:

    DeepImage.height, DeepImage.width: int
    DeepImage.values -> NDArray[np.float32]    (height, width, 1), natural size
    DeepImage.resize(height, width, interpolation, keep_aspect_ratio) -> NDArray[np.float32]
                                               (height, width, 1); as Pillow resizes that mode
    DeepImage.pixels, DeepImage.resized(...)   the same, (height, width) uint16 or int32

Known are PNG, BMP and DIB, PBM/PGM/PPM/PFM, TIFF, and GIF and WebP (which arise as misnamed files).
Bad content raises ValueError with a short reason in plain words; nothing is printed. What Pillow
refuses is refused, what it opens is opened with its pixels, except for these, refused here alone:

- every other format that Pillow has a plugin for (ICO, TGA, PCX, JPEG 2000, AVIF, ...);
- PNG with a side of more than 1,000,000 pixels;
- TIFF compressed with Zstandard, WebP, old-style JPEG or ThunderScan; JPEG-compressed TIFF of
  anything but gray, RGB and YCbCr in one plane; YCbCr compressed otherwise; LAB; gray or palette
  with alpha, compressed, in planes; TIFF whose tags have odd types or counts.

Damage is judged by OpenCV's copies of libtiff and libwebp, and Python's of liblzma, which may
forgive more or less than Pillow's use of them, in WebP and in fax-, JPEG- and LZMA-compressed TIFF.
LZW strips of an odd number of bytes above 1.5 million are not checked in their last few bytes, nor
the first code of any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._formats import bmp, gif, png, ppm, tiff, webp
from pyloader._formats.deep import DeepImage
from pyloader._formats.raster import Raster, at_most, check_size, to_color_mode
from pyloader.arguments import MAX_PIXELS

__all__ = ["DeepImage", "check_beginning", "decode", "find_format", "memory_needed", "read_size"]


_BYTES_PER_PIXEL = 16
"""What decoding takes: rows, samples, colours, and copies between them."""

_COPIES = 4
"""How often the file's content is in memory meanwhile."""


def decode(
    content: bytes, color_mode: str, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8] | DeepImage:
    """Decodes an encoded image at its natural size.

    Args:
        content: The file; its type is found from its first bytes. Not a JPEG.
        color_mode: "grayscale", "rgb" or "rgba".
        max_pixels: More pixels are refused before memory is taken for them. Default as in Pillow.

    Returns:
        (H, W, C) uint8, C-contiguous, C = 1, 3 or 4. For "grayscale" and gray images deeper than
        8 bits a `DeepImage`.

    Raises:
        ValueError: The content is no image that pyloader knows, or a damaged one.
    """
    with at_most(max_pixels):
        return to_color_mode(_read(content), color_mode)


def check_beginning(beginning: bytes, max_pixels: int = MAX_PIXELS) -> None:
    """Refuses what `decode` will refuse, where a file's first bytes tell.

    Args:
        beginning: The file's first bytes, or all of them.
        max_pixels: As for `decode`.

    Raises:
        ValueError: The file is no image that pyloader knows, or one of too many pixels.
    """
    known = _known(beginning)
    try:
        height, width = known.read_size(beginning)
    except ValueError:  # it may stand further behind
        return
    if min(height, width) > 0:
        with at_most(max_pixels):
            check_size(width, height)


def memory_needed(beginning: bytes, size: int, max_pixels: int = MAX_PIXELS) -> int:
    """How much memory `decode` takes, at most.

    Args:
        beginning: The file's first bytes, or all of them.
        size: All of its bytes.
        max_pixels: As for `decode`, which refuses more.

    Returns:
        Bytes; 0 where the image's size stands further behind.
    """
    pixels = 0
    if _find(beginning) is not None:
        try:
            height, width = read_size(beginning)
        except ValueError:
            if len(beginning) < size:
                return 0
        else:
            pixels = max(0, min(height * width, max_pixels))
    return _COPIES * size + _BYTES_PER_PIXEL * pixels


def find_format(content: bytes) -> str | None:
    """Tells of which format an image is, from its first bytes.

    Args:
        content: The file, or its first 16 bytes at least. Not a JPEG.

    Returns:
        "PNG", "BMP", "GIF", "PPM", "WebP" or "TIFF", each with its relatives; None when it is no
        image that pyloader knows.
    """
    known = _find(content)
    return None if known is None else known.name


def read_size(content: bytes) -> tuple[int, int]:
    """The size that an image's header states; nothing is decoded.

    Args:
        content: The file. Not a JPEG.

    Returns:
        (height, width) in pixels, before a TIFF is turned as its orientation says.

    Raises:
        ValueError: The content is no image that pyloader knows, or its header is damaged.
    """
    return _known(content).read_size(content)


def _read(content: bytes) -> Raster:
    return _known(content).decode(content)


class _Format(NamedTuple):
    name: str
    accepts: Callable[[bytes], bool]
    decode: Callable[[bytes], Raster]
    read_size: Callable[[bytes], tuple[int, int]]


_FORMATS = (
    _Format("PNG", png.accepts, png.decode, png.read_size),
    _Format("BMP", bmp.accepts, bmp.decode, bmp.read_size),
    _Format("GIF", gif.accepts, gif.decode, gif.read_size),
    _Format("PPM", ppm.accepts, ppm.decode, ppm.read_size),
    _Format("WebP", webp.accepts, webp.decode, webp.read_size),
    _Format("TIFF", tiff.accepts, tiff.decode, tiff.read_size),
)


def _find(content: bytes) -> _Format | None:
    return next((known for known in _FORMATS if known.accepts(content)), None)


def _known(content: bytes) -> _Format:
    known = _find(content)
    if known is None:
        raise ValueError("not an image that pyloader knows")
    return known
