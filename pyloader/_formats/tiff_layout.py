"""What the bytes of a TIFF's rows mean: Pillow's table of the layouts it knows, as rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._formats.raster import unpremultiply
from pyloader._formats.raw import widen
from pyloader._formats.tiff_directory import Directory

PHOTOMETRIC, FILL_ORDER = 262, 266
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = (
    258,
    277,
    284,
    338,
    339,
)
_MOST_SAMPLES = 6
_UNSIGNED, _SIGNED, _FLOAT = (1,), (2,), (3,)
_UNSPECIFIED, _PREMULTIPLIED, _ALPHA, _COREL_DRAW = 0, 1, 2, 999
_CHANNELS = {"1": 1, "L": 1, "P": 1, "LA": 2, "PA": 2, "RGB": 3, "YCbCr": 3, "RGBA": 4, "CMYK": 4}

BIT_REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)
"""Every byte with its bits in the other order."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How samples lie in a row and which of Pillow's modes they make.

    Attributes:
        mode: Pillow's mode.
        bits: Bits per sample.
        samples: Samples per pixel in the file, the mode's channels first.
        photometric: The TIFF's word for what the samples mean.
        extra: The TIFF's word for what the samples beyond gray or colour mean.
        planar: Every sample has rows of its own. May be set for a single sample.
        big_endian: The order of the bytes of samples wider than 8 bits.
        inverted: 0 is white.
        reversed: The first pixel is in a byte's lowest bits.
        premultiplied: Colours are multiplied by alpha.
        is_float: Samples are floating point numbers.
        is_signed: Samples are signed integers.
    """

    mode: str
    bits: int
    samples: int
    photometric: int
    extra: tuple[int, ...]
    planar: bool
    big_endian: bool
    inverted: bool = False
    reversed: bool = False
    premultiplied: bool = False
    is_float: bool = False
    is_signed: bool = False

    @property
    def channels(self) -> int:
        """The mode's channels."""
        return _CHANNELS.get(self.mode, 1)

    def row_bytes(self, width: int) -> int:
        """Bytes of `width` pixels (of one of their samples, when planar)."""
        return (width * self.bits * (1 if self.planar else self.samples) + 7) // 8


def find_layout(directory: Directory) -> Layout:
    """The layout that a directory describes.

    Raises:
        ValueError: Pillow knows no such layout, or it is La or LAB.
    """
    photometric = directory.integers(PHOTOMETRIC, (0,))
    is_planar = directory.integer(_PLANAR, 1) == 2
    fill_order = directory.integer(FILL_ORDER, 1)
    sample_format = directory.integers(_SAMPLE_FORMAT, _UNSIGNED)
    if len(sample_format) > 1 and min(sample_format) == max(sample_format):
        sample_format = sample_format[:1]
    bits = directory.integers(_BITS_PER_SAMPLE, (1,))
    extra = directory.integers(_EXTRA_SAMPLES)
    samples = directory.integer(_SAMPLES_PER_PIXEL, 1)
    if is_planar and extra and max(extra) == _UNSPECIFIED:
        bits = bits[: -len(extra)]
        samples -= len(extra)
        extra = ()
    if samples > _MOST_SAMPLES:
        raise ValueError(f"the TIFF has {samples} samples per pixel")
    if samples < len(bits):
        bits = bits[:samples]
    elif samples > len(bits) == 1:
        bits *= samples
    if len(bits) != samples or not bits or min(bits) != max(bits) or fill_order not in (1, 2):
        raise ValueError("the TIFF's samples are of an unknown kind")
    layout = Layout(
        mode="",
        bits=bits[0],
        samples=samples,
        photometric=photometric[0] if len(photometric) == 1 else 0,
        extra=extra,
        planar=is_planar,
        big_endian=directory.big_endian,
        reversed=fill_order == 2,
        is_float=sample_format == _FLOAT,
        is_signed=sample_format == _SIGNED,
    )
    if sample_format not in (_UNSIGNED, _SIGNED, _FLOAT):
        raise ValueError("the TIFF's samples are of an unknown kind")
    return _with_mode(layout)


def _with_mode(layout: Layout) -> Layout:
    mode = ""
    inverted = False
    extra, bits, samples = layout.extra, layout.bits, layout.samples
    is_byte = bits == 8 and not layout.is_float and not layout.is_signed
    is_plain = not (layout.is_float or layout.is_signed or layout.reversed)
    if layout.photometric in (0, 1) and samples == 1 and not extra:
        mode = _gray_mode(layout)
        inverted = layout.photometric == 0 and mode in ("1", "L")
    elif layout.photometric == 1 and (bits, samples) == (8, 2) and is_plain:
        mode = _two_channel_mode("L", extra)
    elif layout.photometric == 2 and bits in (8, 16) and is_plain:
        mode = _color_mode(bits, samples, extra)
    elif layout.photometric == 2 and (is_byte, samples, extra) == (True, 3, ()):
        mode = "RGB"
    elif layout.photometric == 3 and samples == 1 and not extra:
        is_known = bits in (1, 2, 4, 8) and not (layout.is_float or layout.is_signed)
        mode = "P" if is_known else ""
    elif layout.photometric == 3 and (bits, samples) == (8, 2) and is_plain:
        mode = _two_channel_mode("P", extra)
    elif layout.photometric == 5 and is_plain:
        is_known = (bits, samples) == (16, 4) or (bits == 8 and samples in (4, 5, 6))
        mode = "CMYK" if is_known and extra == (_UNSPECIFIED,) * (samples - 4) else ""
    elif layout.photometric == 6 and bits == 8 and is_plain and not extra:
        mode = {1: "L", 3: "YCbCr"}.get(samples, "")
    if not mode:
        raise ValueError("the TIFF's samples are of an unknown kind")
    premultiplied = mode == "RGBA" and extra[:1] == (_PREMULTIPLIED,)
    return replace(layout, mode=mode, inverted=inverted, premultiplied=premultiplied)


def _two_channel_mode(mode: str, extra: tuple[int, ...]) -> str:
    if extra == (_UNSPECIFIED,):
        return mode
    return mode + "A" if extra == (_ALPHA,) else ""


def _gray_mode(layout: Layout) -> str:
    bits, is_light = layout.bits, layout.photometric == 1
    in_order = not layout.reversed
    if layout.is_float:
        return "F" if bits == 32 and in_order else ""
    if layout.is_signed:
        if bits == 8:
            return "L" if is_light and in_order else ""
        return "I" if bits in (16, 32) and is_light and in_order else ""
    if bits in (1, 2, 4, 8):
        return "1" if bits == 1 else "L"
    if layout.big_endian:
        return "I;16B" if bits == 16 and is_light and in_order else ""
    if bits == 12:
        return "I;16" if is_light and in_order else ""
    if bits == 16:
        return "I;16" if is_light or in_order else ""
    return "I" if bits == 32 and is_light and in_order else ""


def _color_mode(bits: int, samples: int, extra: tuple[int, ...]) -> str:
    if (samples, extra) == (3, ()):
        return "RGB"
    if (samples, extra) in ((4, ()), (4, (_COREL_DRAW,))):
        return "RGBA" if bits == 8 or not extra else ""
    most = 6 if bits == 8 else 4
    if not 3 < samples <= most or extra[1:] != (_UNSPECIFIED,) * (samples - 4):
        return ""
    return {_UNSPECIFIED: "RGB", _PREMULTIPLIED: "RGBA", _ALPHA: "RGBA"}.get(extra[0], "")


def unpack(rows: NDArray[np.uint8], width: int, layout: Layout) -> NDArray[Any]:
    """Rows of a TIFF that is not planar as pixels.

    Args:
        rows: (H, bytes of a row).
        width: Pixels per row.
        layout: What the bytes mean.

    Returns:
        (H, width) or (H, width, channels) in the mode's type.
    """
    if layout.reversed:
        rows = BIT_REVERSED[rows]
    if layout.bits < 8:
        return _scale_up(widen(rows, layout.bits, width), layout)
    if layout.bits == 12:
        return _unpack_12(rows, width)
    rows = np.ascontiguousarray(rows[:, : layout.row_bytes(width)])
    order = ">" if layout.big_endian else "<"
    if layout.mode == "F":
        return rows.view(order + "f4").astype(np.float32)
    if layout.mode == "I":
        return rows.view(f"{order}i{layout.bits // 8}").astype(np.int32)
    if layout.mode in ("I;16", "I;16B"):
        return rows.view(order + "u2").astype(np.uint16)
    pixels = rows.reshape(len(rows), width, layout.samples, layout.bits // 8)
    pixels = pixels[:, :, : layout.channels, 0 if layout.big_endian else -1]
    if layout.premultiplied:
        return unpremultiply(pixels)
    if layout.channels > 1:
        return pixels
    return 255 - pixels[:, :, 0] if layout.inverted else pixels[:, :, 0]


def _scale_up(values: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    most = (1 << layout.bits) - 1
    if layout.mode == "P":
        return values
    if layout.inverted:
        values = np.uint8(most) - values
    return values * np.uint8(255 // most)


def _unpack_12(rows: NDArray[np.uint8], width: int) -> NDArray[np.uint16]:
    pairs = np.zeros((len(rows), (width + 1) // 2 * 3), np.uint16)
    pairs[:, : rows.shape[1]] = rows[:, : pairs.shape[1]]
    first, middle, last = (pairs[:, start::3] for start in range(3))
    pixels = np.stack([first << 4 | middle >> 4, (middle & 15) << 8 | last], axis=2)
    return pixels.reshape(len(rows), -1)[:, :width]
