"""Seeded pictures and JPEG files of every kind that the pixel tests sweep."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

SUBSAMPLINGS = ("444", "422", "420", "440", "411", "Gray")

PILLOW_VARIANTS: tuple[dict[str, Any], ...] = (
    {"progressive": True},
    {"progressive": True, "subsampling": 0},
    {"restart_marker_blocks": 3},
    {"restart_marker_rows": 1, "subsampling": 1},
    {"keep_rgb": True},
    {"optimize": True},
)

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}

PILLOW_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}


def picture(
    random: np.random.Generator, height: int, width: int, channels: int = 3
) -> NDArray[np.uint8]:
    """Waves and grain, (height, width, channels) uint8, with saturated and dark places."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 140 * np.sin(x / (3 + c) + c) * np.cos(y / (5 - c) + c) for c in range(channels)]
    values = np.stack(waves, axis=-1) + random.normal(0, 20, (height, width, channels))
    return np.clip(values, 0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    """A JPEG file by Pillow, with any of its options; 4 channels make a CMYK one."""
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[pixels.shape[2]]
    image = Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def subsampled_jpeg(pixels: NDArray[np.uint8], subsampling: str, quality: int) -> bytes:
    """A JPEG file by libjpeg-turbo's encoder with one of SUBSAMPLINGS."""
    if subsampling == "Gray":
        gray = np.ascontiguousarray(pixels[..., :1])
        return simplejpeg.encode_jpeg(gray, quality=quality, colorspace="GRAY")
    return simplejpeg.encode_jpeg(pixels, quality=quality, colorsubsampling=subsampling)


def all_kinds(random: np.random.Generator, height: int, width: int) -> Iterator[tuple[str, bytes]]:
    """Each kind of JPEG file of one size, with its name."""
    quality = int(random.integers(5, 100))
    pixels = picture(random, height, width)
    for subsampling in SUBSAMPLINGS:
        yield subsampling, subsampled_jpeg(pixels, subsampling, quality)
    for options in PILLOW_VARIANTS:
        yield str(options), jpeg(pixels, quality=quality, **options)
    yield "CMYK", jpeg(picture(random, height, width, 4), quality=quality)


def with_pillow(
    content: bytes,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> NDArray[np.uint8]:
    """What Keras' load_img makes of a file through Pillow, (H, W, C) uint8."""
    image: Image.Image = Image.open(io.BytesIO(content))
    if image.mode != PILLOW_MODES[color_mode]:
        image = image.convert(PILLOW_MODES[color_mode])
    if target_size is not None and image.size != target_size[::-1]:
        height, width = target_size
        box = None
        if keep_aspect_ratio:
            crop_height = min(image.height, image.width * height // width)
            crop_width = min(image.width, image.height * width // height)
            top, left = (image.height - crop_height) // 2, (image.width - crop_width) // 2
            box = (left, top, left + crop_width, top + crop_height)
        image = image.resize((width, height), RESAMPLING[interpolation], box=box)
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
