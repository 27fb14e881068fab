"""The compressions of TIFF strips and tiles.

OpenCV's libtiff undoes LZW, fax and JPEG: it gets a TIFF made anew around the compressed data. It
forgives broken strips of 8 bits, but not of 16, hence the gray image of 16 bits for LZW.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._formats import opencv

FAX = (2, 3, 4)
DEFLATES = (8, 32946)
LZW, JPEG, PACKBITS, LZMA = 5, 7, 32773, 34925

_LONGEST_SIDE = 1 << 20  # OpenCV's limit
_SHORT, _LONG, _UNDEFINED = 3, 4, 7

Tags = dict[int, tuple[int, tuple[int, ...] | bytes]]
"""Tag to type and values."""


def inflate(compression: int, data: bytes, row_bytes: int, row_count: int) -> NDArray[np.uint8]:
    """Undoes a compression that knows nothing of pixels.

    Args:
        compression: LZW, PACKBITS, LZMA or one of DEFLATES.
        data: One strip or tile.
        row_bytes: Bytes of one of its rows.
        row_count: Its rows.

    Returns:
        (row_count, row_bytes).

    Raises:
        ValueError: The data is damaged or too short.
    """
    size = row_bytes * row_count
    if compression == LZW:
        return _unpack_lzw(data, row_bytes, row_count)
    if compression == PACKBITS:
        unpacked = _unpack_bits(data, size)
    elif compression == LZMA:
        unpacked = _unpack_lzma(data, size)
    else:
        try:
            unpacked = zlib.decompressobj().decompress(data, size)
        except zlib.error as error:
            raise ValueError("the TIFF is damaged: broken image data") from error
    if len(unpacked) < size:
        raise ValueError("the TIFF is damaged: too little image data")
    return np.frombuffer(unpacked, np.uint8, size).reshape(row_count, row_bytes)


def _unpack_bits(data: bytes, size: int) -> bytes:
    parts: list[bytes] = []
    missing, place = size, 0
    while missing > 0 and place < len(data):
        count = data[place]
        place += 1
        if count == 128:
            continue
        if count > 128:
            part = data[place : place + 1] * (257 - count)
            place += 1
        else:
            part = data[place : place + min(count + 1, missing)]
            if len(part) < min(count + 1, missing):
                break
            place += count + 1
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _unpack_lzma(data: bytes, size: int) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor().decompress(data, size)
    except lzma.LZMAError as error:
        raise ValueError("the TIFF is damaged: broken image data") from error


def _unpack_lzw(data: bytes, row_bytes: int, row_count: int) -> NDArray[np.uint8]:
    size = row_bytes * row_count
    bits, width, height = _strict_shape(size)
    checked = _read_gray(data, bits, width, height) if width else None
    if width and checked is None:
        raise ValueError("the TIFF is damaged: broken image data")
    if checked is not None and bits == 16 and width * height * 2 == size:
        return checked.astype("<u2").view(np.uint8).reshape(row_count, row_bytes)
    whole = _read_gray(data, 8, row_bytes, row_count)
    if whole is None:
        raise ValueError("the TIFF is damaged: broken image data")
    return whole


def _strict_shape(size: int) -> tuple[int, int, int]:
    """Bits, width and height of a gray image of `size` bytes that OpenCV reads strictly.

    A large odd size has none: then all bytes but the last few.
    """
    for bits in (16, 12, 10, 14):
        width = size * 8 // bits
        if width <= _LONGEST_SIDE and (width * bits + 7) // 8 == size:
            return bits, width, 1
    height = max(1, -(-(size // 2) // _LONGEST_SIDE))
    return 16, size // 2 // height, height


def _read_gray(data: bytes, bits: int, width: int, height: int) -> NDArray[Any] | None:
    if max(width, height) > _LONGEST_SIDE:
        raise ValueError(f"the TIFF's strips are longer than {_LONGEST_SIDE} bytes or rows")
    tags: Tags = {258: (_SHORT, (bits,)), 259: (_SHORT, (LZW,)), 262: (_SHORT, (1,))}
    tags |= {277: (_SHORT, (1,)), 278: (_LONG, (height,))}
    return opencv.read(_build(tags, width, height, [data], is_tiled=False))


def read_picture(
    tags: Tags, width: int, height: int, blocks: list[bytes], *, is_tiled: bool
) -> NDArray[np.uint8]:
    """Decodes whole images of 1 or 8 bits per sample whose compression knows of pixels.

    Args:
        tags: What libtiff has to know, without the size and place of the data.
        width: Columns.
        height: Rows.
        blocks: The strips or tiles.
        is_tiled: They are tiles.

    Returns:
        (H, W) gray or (H, W, 3) red, green, blue.

    Raises:
        ValueError: OpenCV cannot read it.
    """
    if max(width, height) > _LONGEST_SIDE:
        raise ValueError(f"the TIFF is longer than {_LONGEST_SIDE} pixels")
    picture = opencv.read(_build(tags, width, height, blocks, is_tiled=is_tiled))
    if picture is None:
        raise ValueError("the TIFF is damaged: broken image data")
    return picture if picture.ndim == 2 else opencv.swap_red_and_blue(picture)


def _build(tags: Tags, width: int, height: int, blocks: list[bytes], *, is_tiled: bool) -> bytes:
    """A little-endian TIFF: header, data, directory, the values that do not fit in there."""
    places = np.cumsum([8, *map(len, blocks)]).tolist()
    end = places.pop()
    offsets_tag, counts_tag = (324, 325) if is_tiled else (273, 279)
    tags = {
        **tags,
        256: (_LONG, (width,)),
        257: (_LONG, (height,)),
        offsets_tag: (_LONG, tuple(places)),
        counts_tag: (_LONG, tuple(map(len, blocks))),
    }
    padding = end % 2
    directory = end + padding
    beyond = directory + 2 + 12 * len(tags) + 4
    entries = struct.pack("<H", len(tags))
    values = b""
    for tag, (kind, numbers) in sorted(tags.items()):
        letter = {_SHORT: "H", _LONG: "L", _UNDEFINED: "B"}[kind]
        data = struct.pack(f"<{len(numbers)}{letter}", *numbers)
        entries += struct.pack("<HHL", tag, kind, len(numbers))
        if len(data) > 4:
            entries += struct.pack("<L", beyond + len(values))
            values += data + bytes(len(data) % 2)
        else:
            entries += data.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<L", directory)
    return b"".join([head, *blocks, bytes(padding), entries, bytes(4), values])


def undo_predictor(
    rows: NDArray[np.uint8],
    predictor: int,
    bits: int,
    samples: int,
    *,
    big_endian: bool,
    is_float: bool,
) -> NDArray[np.uint8]:
    """Turns differences from pixel to pixel into values, in the machine's byte order (little).

    Args:
        rows: (H, row bytes) in the file's byte order.
        predictor: 1 none, 2 differences, 3 differences of the bytes of floating point numbers.
        bits: Bits per sample.
        samples: Samples per pixel in a row.
        big_endian: The file's byte order.
        is_float: Samples are floating point numbers.

    Returns:
        (H, row bytes).

    Raises:
        ValueError: libtiff knows no such predictor for such samples.
    """
    size = bits // 8
    if predictor == 1 and (bits % 8 or bits == 8 or not big_endian):
        return rows
    if predictor not in (1, 2, 3) or bits not in (8, 16, 32) or (predictor == 3 and not is_float):
        raise ValueError("the TIFF's predictor is unknown")
    count = len(rows)
    if predictor == 3:
        rows = np.add.accumulate(rows.reshape(count, -1, samples), axis=1, dtype=np.uint8)
        planes = rows.reshape(count, size, -1)  # the highest bytes of all samples first
        return np.ascontiguousarray(planes[:, ::-1].transpose(0, 2, 1)).reshape(count, -1)
    kind = f"{'>' if big_endian else '<'}u{size}"
    values = np.ascontiguousarray(rows).view(kind).astype(f"u{size}")
    if predictor == 2:
        values = values.reshape(count, -1, samples)
        values = np.add.accumulate(values, axis=1, dtype=values.dtype)
    return values.reshape(count, -1).astype(f"<u{size}").view(np.uint8)
