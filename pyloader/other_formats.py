"""Encoded images that are not JPEGs: bytes to exactly the pixels that Keras gets through Pillow.

    decode(content: bytes, color_mode: str) -> NDArray[np.uint8] | DeepImage

`color_mode` is "grayscale", "rgb" or "rgba". The array is (H, W, C), C-contiguous, C = 1, 3 or 4,
at the image's natural size. A `DeepImage` comes only for color_mode "grayscale", for gray images
deeper than 8 bits, which Keras keeps unclipped:

    DeepImage.height, DeepImage.width: int
    DeepImage.values -> NDArray[np.float32]    (height, width, 1), natural size
    DeepImage.resize(height, width, interpolation, keep_aspect_ratio) -> NDArray[np.float32]
                                               (height, width, 1); as Pillow resizes that mode

Known are PNG, BMP and DIB, PBM/PGM/PPM/PFM, TIFF, and GIF and WebP (which arise as misnamed files).
Bad content raises ValueError with a short reason in plain words; nothing is printed. What Pillow
refuses is refused, what it opens is opened with its pixels, except for these, refused here alone:

- every other format that Pillow has a plugin for (ICO, TGA, PCX, JPEG 2000, AVIF, ...);
- PNG with a side of more than 1,000,000 pixels;
- TIFF compressed with Zstandard, WebP, old-style JPEG or ThunderScan; JPEG-compressed TIFF of
  anything but gray, RGB and YCbCr in one plane; YCbCr compressed otherwise; LAB; gray or palette
  with alpha, compressed, in planes; TIFF whose tags have odd types or counts.

Damage is judged by OpenCV's copies of libtiff and libwebp, which may forgive more or less than
Pillow's use of them, in fax- and JPEG-compressed TIFF and in WebP; and LZW strips of an odd number
of bytes above 1.5 million are not checked in their last few bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyloader._formats import bmp, gif, png, ppm, tiff, webp
from pyloader._formats.deep import DeepImage
from pyloader._formats.raster import Raster, to_color_mode

__all__ = ["DeepImage", "decode"]


def decode(content: bytes, color_mode: str) -> NDArray[np.uint8] | DeepImage:
    """Decodes an encoded image at its natural size.

    Args:
        content: The file; its type is found from its first bytes. Not a JPEG.
        color_mode: "grayscale", "rgb" or "rgba".

    Returns:
        (H, W, C) uint8, C-contiguous, C = 1, 3 or 4. For "grayscale" and gray images deeper than
        8 bits a `DeepImage`.

    Raises:
        ValueError: The content is no image that pyloader knows, or a damaged one.
    """
    return to_color_mode(_read(content), color_mode)


def _read(content: bytes) -> Raster:
    if content.startswith(png.MAGIC):
        return png.decode(content)
    if content.startswith(bmp.MAGIC) or (
        int.from_bytes(content[:4], "little") in bmp.DIB_HEADER_SIZES and len(content) > 4
    ):
        return bmp.decode(content)
    if content.startswith(gif.MAGICS):
        return gif.decode(content)
    if ppm.accepts(content):
        return ppm.decode(content)
    if webp.accepts(content):
        return webp.decode(content)
    if content.startswith(tiff.PREFIXES):
        return tiff.decode(content)
    raise ValueError("not an image that pyloader knows")
