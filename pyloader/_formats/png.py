"""PNG: the chunks are walked here, the pixels come from OpenCV.

OpenCV gets a PNG made anew: header, unpacked image data, end. Without the other chunks it applies
no gamma, palette or transparency; a palette image is called a gray one, so that its indices come
out. What is left to OpenCV is to undo the filters, put the interlaced rows together and widen
narrow samples.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._formats import opencv
from pyloader._formats.png_chunks import MODES, Chunks
from pyloader._formats.raster import Raster, check_size, make_palette

MAGIC = b"\x89PNG\r\n\x1a\n"

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


_LONGEST_SIDE = 1_000_000  # libpng's limit


def accepts(content: bytes) -> bool:
    """True when the content starts like a PNG."""
    return content.startswith(MAGIC)


def decode(content: bytes) -> Raster:
    """Decodes a PNG's default image, or the first frame of an animation.

    Raises:
        ValueError: Pillow would refuse it, or a side is longer than 1,000,000 pixels.
    """
    chunks = Chunks(content)
    start, length = chunks.read_to_data()
    check_size(chunks.width, chunks.height)
    if max(chunks.width, chunks.height) > _LONGEST_SIDE:
        raise ValueError(f"the PNG is longer than {_LONGEST_SIDE} pixels")
    palette = chunks.palette
    box = chunks.box or (0, 0, chunks.width, chunks.height)
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError("the PNG is damaged: an empty animation frame")
    rows = _inflate(chunks, box, start, length)
    chunks.finish()
    assert chunks.layout is not None
    mode = MODES[chunks.layout]
    return Raster(
        mode,
        _place(_read(chunks, box, rows), chunks, box),
        make_palette(palette) if mode == "P" and palette is not None else None,
        chunks.transparency,
    )


def read_size(content: bytes) -> tuple[int, int]:
    """The size that the header states, where the header comes first, as it should.

    Returns:
        (height, width) in pixels.

    Raises:
        ValueError: The file starts otherwise.
    """
    if content[12:16] != b"IHDR" or len(content) < 24:
        raise ValueError("the PNG does not start with its header")
    width, height = struct.unpack_from(">II", content, 16)
    return height, width


def _read(chunks: Chunks, box: Box, rows: bytes) -> NDArray[Any]:
    """Pixels of the mode's type and channels from the rows with their filter bytes."""
    assert chunks.layout is not None
    bits, color = chunks.layout
    header = b"".join(side.to_bytes(4, "big") for side in (box[2] - box[0], box[3] - box[1]))
    header += bytes([bits, 0 if color == 3 else color, 0, 0, chunks.interlaced])
    file = [MAGIC]
    for kind, parts in ((b"IHDR", [header]), (b"IDAT", _stored(rows)), (b"IEND", [])):
        checksum = zlib.crc32(kind)
        for part in parts:
            checksum = zlib.crc32(part, checksum)
        file += [
            sum(map(len, parts)).to_bytes(4, "big"),
            kind,
            *parts,
            checksum.to_bytes(4, "big"),
        ]
    pixels = opencv.read(b"".join(file))
    if pixels is None:
        raise ValueError("OpenCV cannot read the PNG")
    if (bits, color) == (16, 0):
        return pixels
    if bits == 16:
        pixels = (pixels >> 8).astype(np.uint8)
    if color == 3 and bits < 8:
        pixels //= 255 // ((1 << bits) - 1)
    if color in (0, 3):
        return pixels
    if MODES[chunks.layout] == "LA":
        return np.ascontiguousarray(pixels[:, :, [0, -1]])
    return opencv.swap_red_and_blue(pixels)


def _stored(data: bytes) -> list[bytes | memoryview]:
    """The parts of a zlib stream that holds `data` as it is."""
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    view = memoryview(data)
    for start in range(0, len(data), 0xFFFF):
        block = view[start : start + 0xFFFF]
        size = len(block)
        last = start + size == len(data)
        parts += [
            bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
        ]
        parts += [block]
    return [*parts, zlib.adler32(data).to_bytes(4, "big")]


def _place(pixels: NDArray[Any], chunks: Chunks, box: Box) -> NDArray[Any]:
    """Puts an animation's first frame into the black image that it is a part of."""
    if box == (0, 0, chunks.width, chunks.height):
        return pixels
    whole = np.zeros((chunks.height, chunks.width, *pixels.shape[2:]), pixels.dtype)
    left, top = (0, 0) if chunks.interlaced else box[:2]
    whole[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return whole


def _inflate(chunks: Chunks, box: Box, start: int, length: int) -> bytes:
    """Unpacks the rows of the image, with their filter bytes.

    libpng prints on the terminal about damaged data, so that OpenCV must never see any: the data
    is unpacked and checked here.

    Raises:
        ValueError: Pillow would refuse the data.
    """
    lengths = _row_lengths(chunks, box)
    bodies = chunks.data_chunks(start, length)
    if bodies is not None:
        stream = zlib.decompressobj()
        with contextlib.suppress(zlib.error):
            rows = stream.decompress(b"".join(bodies), sum(lengths))
            if stream.eof and len(rows) == sum(lengths):
                _check_filters(rows, lengths)
                return rows
    return _inflate_row_by_row(chunks, lengths, start, length)


def _check_filters(rows: bytes, lengths: list[int]) -> None:
    starts = np.cumsum([0, *lengths[:-1]])
    if np.frombuffer(rows, np.uint8)[starts].max() > 4:
        raise ValueError("the PNG is damaged: unknown filter")


def _inflate_row_by_row(chunks: Chunks, lengths: list[int], start: int, length: int) -> bytes:
    """Unpacks data with a fault in it exactly as Pillow does.

    Pillow is content when the last row is there, whatever becomes of the end of the stream, and
    leaves the rest black when the stream ends, in good order, behind any row.

    Returns:
        All rows with their filter bytes, black ones at the end where the data ended early.

    Raises:
        ValueError: Pillow would refuse the data.
    """
    rows: list[bytes] = []
    stream = zlib.decompressobj()
    row = b""
    for block in chunks.data_blocks(start, length):
        while block:
            wanted = lengths[len(rows)]
            try:
                row += stream.decompress(block, wanted - len(row))
            except zlib.error as error:
                raise ValueError("the PNG is damaged: broken image data") from error
            block = stream.unconsumed_tail
            if len(row) < wanted:
                break
            if row[0] > 4:
                raise ValueError("the PNG is damaged: unknown filter")
            rows.append(row)
            row = b""
            if stream.eof or len(rows) == len(lengths):
                rows.append(bytes(sum(lengths[len(rows) :])))
                return b"".join(rows)
    raise AssertionError("data_blocks raises when the data ends")


def _row_lengths(chunks: Chunks, box: Box) -> list[int]:
    assert chunks.layout is not None
    bits = chunks.layout[0] * _SAMPLES[chunks.layout[1]]
    width, height = box[2] - box[0], box[3] - box[1]
    lengths = []
    for left, top, across, down in _ADAM7 if chunks.interlaced else ((0, 0, 1, 1),):
        columns = len(range(left, width, across))
        if columns:
            lengths += [1 + (columns * bits + 7) // 8] * len(range(top, height, down))
    return lengths
