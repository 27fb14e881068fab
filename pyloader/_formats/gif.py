"""GIF: the first frame. OpenCV blends frames in its own way, so that this is unpacked here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyloader._formats.raster import Raster, check_size, make_palette

MAGICS = (b"GIF87a", b"GIF89a")

_TABLE_SIZE = 4096
_EXTENSION, _IMAGE, _END = b"!", b",", b";"
_COMMENT, _CONTROL = 254, 249


class _Reader:
    """The file, read from start to end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def read(self, size: int) -> bytes:
        """The next bytes; fewer at the end of the file."""
        data = self.content[self.place : self.place + size]
        self.place += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """The next bytes, or ValueError."""
        data = self.read(size)
        if len(data) < size:
            raise ValueError("the GIF is truncated")
        return data

    def block(self) -> bytes | None:
        """The next sub-block, None for the one without content that ends a row of them."""
        size = self.read(1)
        return self.read(size[0]) if size and size[0] else None


def accepts(content: bytes) -> bool:
    """True when the content starts like a GIF."""
    return content.startswith(MAGICS)


def decode(content: bytes) -> Raster:
    """Decodes a GIF's first frame onto a canvas of its transparent colour, or of index 0.

    Raises:
        ValueError: Pillow would refuse it.
    """
    reader = _Reader(content)
    screen = reader.exactly(13)
    width, height = _pair(screen[6:10])
    palette = _read_palette(reader, screen[10]) if screen[10] & 128 else None
    transparency = _skip_to_image(reader)
    place = reader.exactly(9)
    left, top = _pair(place[:4])
    columns, rows = _pair(place[4:8])
    if place[8] & 128:
        palette = _read_palette(reader, place[8])
    width, height = max(width, left + columns), max(height, top + rows)
    check_size(width, height)
    check_size(columns, rows)
    bits = reader.exactly(1)[0]
    if bits > 12:
        raise ValueError("the GIF is damaged: impossible code size")
    frame = _unpack(_join_blocks(content, reader.place), bits, columns * rows)
    indices = np.full((height, width), transparency or 0, np.uint8)
    indices[top : top + rows, left : left + columns] = _order_rows(
        frame.reshape(rows, columns), bool(place[8] & 64)
    )
    if palette is None:
        return Raster("L", indices, None, transparency)
    return Raster("P", indices, make_palette(palette), transparency)


def read_size(content: bytes) -> tuple[int, int]:
    """The size of the canvas that a GIF's first frame is put on.

    Returns:
        (height, width) in pixels.

    Raises:
        ValueError: The file ends before it is known, or has no frame.
    """
    reader = _Reader(content)
    screen = reader.exactly(13)
    if screen[10] & 128:
        _read_palette(reader, screen[10])
    _skip_to_image(reader)
    place = reader.exactly(8)
    sides = (_pair(screen[6:]), _pair(place), _pair(place[4:]))
    (width, height), (left, top), (columns, rows) = sides
    return max(height, top + rows), max(width, left + columns)


def _pair(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")


def _read_palette(reader: _Reader, flags: int) -> bytes | None:
    """The palette; None when it is the gray ramp, which makes the image a gray one for Pillow."""
    entries = reader.read(3 << (flags & 7) + 1)
    ramp = bytes(gray for gray in range(256) for _ in range(3))
    if entries != ramp[: len(entries)]:
        return entries
    if len(entries) % 3:
        raise ValueError("the GIF is truncated")
    return None


def _skip_to_image(reader: _Reader) -> int | None:
    """Reads up to the first image's description; returns the transparent index on the way."""
    transparency = None
    while True:
        mark = reader.read(1)
        if mark in (b"", _END):
            raise ValueError("the GIF has no image")
        if mark == _IMAGE:
            return transparency
        if mark != _EXTENSION:
            continue
        kind = reader.exactly(1)[0]
        block = reader.block()
        if kind == _CONTROL and block is not None:
            if len(block) < (4 if block[:1] and block[0] & 1 else 3):
                raise ValueError("the GIF is truncated")
            if block[0] & 1:
                transparency = block[3]
        if kind == _COMMENT:
            while block:
                block = reader.block()
        else:
            while reader.block():
                pass


def _join_blocks(content: bytes, place: int) -> bytes:
    """The sub-blocks from `place` on, as far as they are whole.

    Pillow's decoder looks for codes until the image is full, also behind the end mark.
    """
    blocks = []
    while place < len(content):
        size = content[place]
        if place + 1 + size > len(content):
            break
        blocks.append(content[place + 1 : place + 1 + size])
        place += 1 + size
    return b"".join(blocks)


def _unpack(data: bytes, bits: int, count: int) -> NDArray[np.uint8]:
    """Undoes the LZW coding; ValueError when the data does not give `count` indices."""
    clear = 1 << bits
    literals = [bytes([value & 255]) for value in range(clear)] + [b"", b""]
    table = list(literals)
    size = bits + 1
    parts: list[bytes] = []
    missing = count
    previous = b""
    buffer, held, place = 0, 0, 0
    while missing > 0:
        while held < size:
            if place == len(data):
                raise ValueError("the GIF is truncated")
            buffer |= data[place] << held
            place += 1
            held += 8
        code = buffer & (1 << size) - 1
        buffer >>= size
        held -= size
        if code == clear:
            table, size, previous = list(literals), bits + 1, b""
            continue
        if code == clear + 1:
            raise ValueError("the GIF is truncated")
        if not previous:
            if code > clear:
                raise ValueError("the GIF is damaged: impossible code")
            word = table[code]
        else:
            if code > len(table) or code >= _TABLE_SIZE:
                raise ValueError("the GIF is damaged: impossible code")
            word = table[code] if code < len(table) else previous + previous[:1]
            if len(table) < _TABLE_SIZE:
                if len(table) == (1 << size) - 1 and size < 12:
                    size += 1
                table.append(previous + word[:1])
        parts.append(word)
        missing -= len(word)
        previous = word
    return np.frombuffer(b"".join(parts), np.uint8, count)


def _order_rows(rows: NDArray[np.uint8], interlaced: bool) -> NDArray[np.uint8]:
    if not interlaced:
        return rows
    places = [
        row
        for start, step in ((0, 8), (4, 8), (2, 4), (1, 2))
        for row in range(start, len(rows), step)
    ]
    ordered = np.empty_like(rows)
    ordered[places] = rows
    return ordered
