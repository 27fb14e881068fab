"""The portable bitmaps, graymaps and pixmaps (P1 to P6) and the relatives that Pillow reads.

Nothing here needs OpenCV.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._formats.raster import Raster, check_size
from pyloader._formats.raw import take_rows, widen

_WHITESPACE = b"\x20\x09\x0a\x0b\x0c\x0d"
_LONGEST_TOKEN = 10
_MODES = {
    b"P1": "1",
    b"P2": "L",
    b"P3": "RGB",
    b"P4": "1",
    b"P5": "L",
    b"P6": "RGB",
    b"P0CMYK": "CMYK",
    b"Pf": "F",
    b"PyP": "P",
    b"PyRGBA": "RGBA",
    b"PyCMYK": "CMYK",
}
_CHANNELS = {"1": 1, "L": 1, "I": 1, "P": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}


def accepts(content: bytes) -> bool:
    """True when the content starts like one of these files."""
    return len(content) >= 2 and content[:1] == b"P" and content[1:2] in b"0123456fy"


def decode(content: bytes) -> Raster:
    """Decodes a PBM, PGM, PPM or PFM file.

    Raises:
        ValueError: Pillow would refuse it.
    """
    header = _Header(content)
    magic = header.magic()
    mode = _MODES.get(magic)
    if mode is None:
        raise ValueError("not an image that pyloader knows")
    width, height = header.number(), header.number()
    if mode == "F":
        scale = float(header.token())
        if scale == 0.0 or not math.isfinite(scale):
            raise ValueError("the PFM's scale must be finite and not zero")
        check_size(width, height)
        rows = take_rows(content, header.place, 4 * width, height)
        floats = np.ascontiguousarray(rows).view("<f4" if scale < 0 else ">f4")
        return Raster("F", floats[::-1].astype(np.float32))
    most = 1
    if mode != "1":
        most = header.number()
        if not 0 < most < 65536:
            raise ValueError(f"the largest value of a PPM must be 1 to 65535, not {most}")
        if most > 255 and mode == "L":
            mode = "I"
    check_size(width, height)
    channels = _CHANNELS[mode]
    pixels: NDArray[Any]
    if magic == b"P1":
        pixels = _plain_bits(content[header.place :], width * height)
    elif magic in (b"P2", b"P3"):
        pixels = _plain_values(content[header.place :], width * height * channels, most)
    elif mode == "1":
        rows = take_rows(content, header.place, (width + 7) // 8, height)
        pixels = widen(rows, 1, width)
    else:
        depth = 1 if most < 256 else 2
        rows = take_rows(content, header.place, width * channels * depth, height)
        pixels = rows if depth == 1 else np.ascontiguousarray(rows).view(">u2")
    if mode == "1":
        samples: NDArray[Any] = (1 - pixels).astype(np.uint8) * 255
    else:
        samples = _scale(pixels, most, 65535 if mode == "I" else 255)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return Raster(mode, samples.reshape(shape))


def read_size(content: bytes) -> tuple[int, int]:
    """The size that the header states.

    Returns:
        (height, width) in pixels; nonsense where the header is nonsense.

    Raises:
        ValueError: The header is cut short or damaged.
    """
    header = _Header(content)
    header.magic()
    width, height = header.number(), header.number()
    return height, width


class _Header:
    """The words at the start of the file.

    Attributes:
        place: Where the next byte is read.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def _byte(self) -> bytes:
        byte = self._content[self.place : self.place + 1]
        self.place += len(byte)
        return byte

    def magic(self) -> bytes:
        """The first word, six letters at most."""
        magic = b""
        for _ in range(6):
            byte = self._byte()
            if not byte or byte in _WHITESPACE:
                break
            magic += byte
        return magic

    def token(self) -> bytes:
        """The next word; comments, from # to the end of the line, count for nothing."""
        token = b""
        while len(token) <= _LONGEST_TOKEN:
            byte = self._byte()
            if not byte:
                break
            if byte in _WHITESPACE:
                if token:
                    break
            elif byte == b"#":
                while self._byte() not in b"\r\n":
                    pass
            else:
                token += byte
        if not token:
            raise ValueError("the PPM is truncated")
        if len(token) > _LONGEST_TOKEN:
            raise ValueError("the PPM's header is damaged")
        return token

    def number(self) -> int:
        """The next word as a number, with Python's ideas of what is one."""
        try:
            return int(self.token())
        except ValueError as error:
            raise ValueError("the PPM's header is damaged") from error


def _without_comments(text: bytes) -> bytes:
    return re.sub(rb"#[^\r\n]*(?:[\r\n]|$)", b"", text)


def _plain_bits(text: bytes, count: int) -> NDArray[np.uint8]:
    digits = b"".join(_without_comments(text).split())
    if digits.strip(b"01"):
        raise ValueError("the PBM is damaged: something else than 0 and 1")
    if len(digits) < count:
        raise ValueError("the PBM is truncated")
    return np.frombuffer(digits, np.uint8, count) - np.uint8(ord("0"))


def _plain_values(text: bytes, count: int, most: int) -> NDArray[np.int64]:
    text = _without_comments(text)
    tokens = text.split()
    if len(tokens) < count:
        raise ValueError("the PPM is truncated")
    is_last_open = not text[-1:].isspace()
    if is_last_open and len(tokens[-1]) > _LONGEST_TOKEN:
        raise ValueError("the PPM is damaged: a word that is too long")
    del tokens[count:]
    if max(map(len, tokens)) > _LONGEST_TOKEN:
        raise ValueError("the PPM is damaged: a word that is too long")
    try:
        values = np.fromiter(map(int, tokens), np.int64, count)
    except ValueError as error:
        raise ValueError("the PPM is damaged: something else than numbers") from error
    if values.min() < 0 or values.max() > most:
        raise ValueError(f"the PPM is damaged: values outside 0 to {most}")
    return values


def _scale(values: NDArray[Any], most: int, new_most: int) -> NDArray[Any]:
    """Values of 0 to `most` on the scale from 0 to `new_most`; what lies above is clipped."""
    kind = np.int32 if new_most > 255 else np.uint8
    if most == new_most:
        return values.astype(kind)
    return np.minimum(np.rint(values / most * new_most), new_most).astype(kind)
