"""An image as its file holds it, and the conversion to the colour mode that the loader wants.

The modes are Pillow's, because its conversions are what has to be met: "1" (0 or 255), "L", "LA",
"P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16" and "I;16B" (16-bit gray, which Keras treats
differently), "I" (32-bit gray) and "F" (float gray).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._formats import opencv
from pyloader._formats.deep import DeepImage
from pyloader.arguments import MAX_PIXELS

_max_pixels: ContextVar[int] = ContextVar("max_pixels", default=MAX_PIXELS)


@contextmanager
def at_most(max_pixels: int) -> Iterator[None]:
    """Has `check_size` refuse images of more pixels than this, in this thread."""
    token = _max_pixels.set(max_pixels)
    try:
        yield
    finally:
        _max_pixels.reset(token)


Transparency = int | tuple[int, int, int] | bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Pixels in one of Pillow's modes.

    Attributes:
        mode: See the module's first lines.
        pixels: (H, W) or (H, W, C) of the mode's type.
        palette: (256, 4) RGBA for the modes "P" and "PA"; None where the file has none, which
            makes every index black.
        transparency: The transparent gray, colour or palette index, or one alpha byte per palette
            entry; honoured by "rgba" alone.
    """

    mode: str
    pixels: NDArray[Any]
    palette: NDArray[np.uint8] | None = None
    transparency: Transparency = None


def check_size(width: int, height: int) -> None:
    """Raises ValueError for an empty image and for one of more pixels than `at_most` allows."""
    if width < 1 or height < 1:
        raise ValueError(f"the image is empty: {width} x {height} pixels")
    limit = _max_pixels.get()
    if width * height > limit:
        raise ValueError(f"its {width} x {height} pixels exceed the limit of {limit} (max_pixels)")


def make_palette(entries: bytes, order: str = "RGB") -> NDArray[np.uint8]:
    """A palette, (256, 4) RGBA, black beyond the entries given.

    Args:
        entries: The file's entries, one after the other.
        order: What one entry holds: "RGB", "BGR" or "BGRX".

    Raises:
        ValueError: There are more than 256 entries.
    """
    count = len(entries) // len(order)
    if count > 256:
        raise ValueError(f"the palette has {count} entries, more than 256")
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 3] = 255
    table = np.frombuffer(entries, np.uint8, count * len(order)).reshape(count, len(order))
    palette[:count, :3] = table[:, [order.index(letter) for letter in "RGB"]]
    return palette


def to_color_mode(raster: Raster, color_mode: str) -> NDArray[np.uint8] | DeepImage:
    """Converts as `keras.utils.load_img` does through Pillow.

    Returns:
        (H, W, 1), (H, W, 3) or (H, W, 4) for "grayscale", "rgb" or "rgba", C-contiguous; a
        `DeepImage` for "grayscale" of the modes "I;16" and "I".

    Raises:
        ValueError: A transparent palette index without a palette or outside of it.
    """
    if raster.mode in ("I;16", "I") and color_mode == "grayscale":
        return DeepImage(np.ascontiguousarray(raster.pixels))
    return np.ascontiguousarray(_to_channels(raster, color_mode))


def _to_channels(raster: Raster, color_mode: str) -> NDArray[np.uint8]:
    mode, pixels = raster.mode, raster.pixels
    if mode in ("P", "PA"):
        return _from_palette(raster, color_mode)
    if mode in ("1", "L", "LA", "I;16", "I;16B", "I", "F"):
        return _from_gray(raster, color_mode)
    if mode == "CMYK":
        pixels = _cmyk_to_rgb(pixels)
    elif mode == "YCbCr":
        if color_mode == "grayscale":
            return pixels[:, :, :1]
        pixels = _ycbcr_to_rgb(pixels)
    if color_mode == "grayscale":
        return luma(pixels)[:, :, None]
    channels = pixels.shape[2]
    if channels == (3 if color_mode == "rgb" else 4):
        return pixels
    if color_mode == "rgb":
        return opencv.recolor(pixels, "RGBA2RGB")
    rgba = opencv.recolor(pixels, "RGB2RGBA")
    if raster.transparency is not None:
        assert isinstance(raster.transparency, tuple)
        color = np.array([value & 255 for value in raster.transparency], np.uint8)
        rgba[(pixels == color).all(axis=2), 3] = 0
    return rgba


def luma(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The gray of red, green, blue (the last axis; further channels are ignored), as in Pillow."""
    gray = colors[..., 0].astype(np.uint32) * 19595
    gray += colors[..., 1].astype(np.uint32) * 38470
    gray += colors[..., 2].astype(np.uint32) * 7471
    gray += 0x8000
    gray >>= 16
    return gray.astype(np.uint8)


def unpremultiply(
    pixels: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """(H, W, 4) with the colours divided by alpha, rounded down and clipped."""
    alpha = pixels[:, :, 3:].astype(np.uint32)
    colors = pixels[:, :, :3].astype(np.uint32) * 255 // np.maximum(alpha, 1)
    colors = np.minimum(colors, 255) * (alpha > 0)
    return np.concatenate([colors.astype(np.uint8), pixels[:, :, 3:]], axis=2)


def _from_gray(raster: Raster, color_mode: str) -> NDArray[np.uint8]:
    pixels = raster.pixels
    alpha: NDArray[np.uint8] | None = None
    if raster.mode == "LA":
        pixels, alpha = pixels[:, :, 0], pixels[:, :, 1]
    if raster.mode == "F":
        pixels = np.where(np.isnan(pixels), 0, pixels)
    gray = pixels if pixels.dtype == np.uint8 else np.clip(pixels, 0, 255).astype(np.uint8)
    if color_mode == "grayscale":
        return gray[:, :, None]
    if color_mode == "rgb":
        return opencv.recolor(gray, "GRAY2RGB")
    rgba = opencv.recolor(gray, "GRAY2RGBA")
    if alpha is not None:
        rgba[:, :, 3] = alpha
    elif raster.transparency is not None:
        assert isinstance(raster.transparency, int)
        rgba[gray == (raster.transparency & 255), 3] = 0
    return rgba


def _from_palette(raster: Raster, color_mode: str) -> NDArray[np.uint8]:
    indices, palette, transparency = raster.pixels, raster.palette, raster.transparency
    if palette is None:
        if isinstance(transparency, int) and color_mode != "rgba":
            raise ValueError("a transparent palette index, but no palette")
        palette = make_palette(b"")
    alpha: NDArray[np.uint8] | None = None
    if raster.mode == "PA":
        indices, alpha = indices[:, :, 0], indices[:, :, 1]
    if color_mode == "grayscale":
        return np.take(luma(palette), indices)[:, :, None]
    if color_mode == "rgba" and transparency is not None:
        palette = palette.copy()
        if isinstance(transparency, bytes):
            if len(transparency) > 256:
                raise ValueError(f"{len(transparency)} alpha values for a palette of 256")
            palette[: len(transparency), 3] = np.frombuffer(transparency, np.uint8)
        else:
            assert isinstance(transparency, int)
            if transparency > 255:
                raise ValueError(f"transparent colour {transparency} is outside the palette")
            palette[transparency, 3] = 0
    entries = palette.view(np.uint32)[:, 0]  # four bytes at once: far quicker to look up
    rgba = np.take(entries, indices).view(np.uint8).reshape(*indices.shape, 4)
    if color_mode == "rgb":
        return opencv.recolor(rgba, "RGBA2RGB")
    if alpha is not None:
        rgba[:, :, 3] = alpha
    return rgba


def _cmyk_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    light = 255 - pixels[:, :, 3:].astype(np.uint32)
    ink = pixels[:, :, :3] * light + 128
    return (light - ((ink >> 8) + ink >> 8)).astype(np.uint8)


def _ycbcr_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    def table(factor: float) -> NDArray[np.int32]:
        return np.array([int((step - 128) * factor * 64 + 0.5) for step in range(256)], np.int32)

    luminance = pixels[:, :, 0].astype(np.int32)
    blue, red = pixels[:, :, 1], pixels[:, :, 2]
    rgb = np.stack(
        [
            luminance + (table(1.402)[red] >> 6),
            luminance + (table(-0.34414)[blue] + table(-0.71414)[red] >> 6),
            luminance + (table(1.772)[blue] >> 6),
        ],
        axis=2,
    )
    clipped: NDArray[np.uint8] = np.clip(rgb, 0, 255).astype(np.uint8)
    return clipped
