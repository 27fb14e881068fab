"""BMP, and DIB, which is a BMP without its first 14 bytes. Nothing here needs OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyloader._formats.raster import Raster, check_size, make_palette
from pyloader._formats.raw import take_rows, widen

MAGIC = b"BM"
DIB_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)

_RAW, _RLE8, _RLE4, _BITFIELDS = range(4)
_CHANNELS = {24: "BGR", 32: "BGRX"}
_CHANNELS_OF_MASKS = {
    (32, (0xFF0000, 0xFF00, 0xFF, 0x0)): "BGRX",
    (32, (0xFF000000, 0xFF0000, 0xFF00, 0x0)): "XBGR",
    (32, (0xFF000000, 0xFF00, 0xFF, 0x0)): "BGXR",
    (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)): "ABGR",
    (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)): "RGBA",
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)): "BGRA",
    (32, (0xFF000000, 0xFF00, 0xFF, 0xFF0000)): "BGAR",
    (32, (0x0, 0x0, 0x0, 0x0)): "BGRA",
    (24, (0xFF0000, 0xFF00, 0xFF)): "BGR",
}
_BITS_OF_MASKS: dict[tuple[int, ...], tuple[int, ...]] = {
    (0xF800, 0x7E0, 0x1F): (5, 6, 5),
    (0x7C00, 0x3E0, 0x1F): (5, 5, 5),
}


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    colors: int
    entry_bytes: int  # of a palette entry
    masks: tuple[int, ...]  # red, green, blue, alpha, for _BITFIELDS
    size: int
    end: int  # where the header and its masks end in the file


def accepts(content: bytes) -> bool:
    """True when the content starts like a BMP, or like a DIB."""
    size = int.from_bytes(content[:4], "little")
    return content.startswith(MAGIC) or (size in DIB_HEADER_SIZES and len(content) > 4)


def decode(content: bytes) -> Raster:
    """Decodes a BMP, or a DIB when the content does not start with "BM".

    Raises:
        ValueError: Pillow would refuse it.
    """
    is_dib = not content.startswith(MAGIC)
    offset = 0 if is_dib else _integer(content, 10)
    header = _read_header(content, 0 if is_dib else 14)
    check_size(header.width, header.height)
    if not is_dib and offset == 14 + header.size and header.bits <= 8:
        offset += header.entry_bytes * header.colors
    if header.bits not in (1, 4, 8, 16, 24, 32):
        raise ValueError(f"the BMP has {header.bits} bits per pixel, which is unknown")
    if header.compression > _BITFIELDS:
        raise ValueError(f"the BMP's compression {header.compression} is unknown")
    if header.bits > 8:
        if header.compression in (_RLE8, _RLE4):
            raise ValueError("the BMP is run-length coded, but not with a palette")
        return _decode_colors(content, header, offset or header.end)
    if header.compression == _BITFIELDS:
        raise ValueError("the BMP's bit fields are unknown")
    return _decode_indices(content, header, offset)


def read_size(content: bytes) -> tuple[int, int]:
    """The size that a BMP's or DIB's header states.

    Returns:
        (height, width) in pixels.

    Raises:
        ValueError: There is no such header.
    """
    header = _read_header(content, 14 if content.startswith(MAGIC) else 0)
    return header.height, header.width


def _integer(content: bytes, place: int, size: int = 4) -> int:
    if place + size > len(content):
        raise ValueError("the BMP is truncated")
    return int.from_bytes(content[place : place + size], "little")


def _read_header(content: bytes, start: int) -> _Header:
    size = _integer(content, start)
    if size not in DIB_HEADER_SIZES:
        raise ValueError(f"the BMP's header of {size} bytes is unknown")
    end = start + size
    if end > len(content):
        raise ValueError("the BMP is truncated")
    if size == 12:
        width, height, _, bits = (_integer(content, start + place, 2) for place in (4, 6, 8, 10))
        return _Header(width, height, False, bits, _RAW, 1 << bits, 3, (), size, end)
    top_down = content[start + 11] == 0xFF
    height = _integer(content, start + 8)
    bits = _integer(content, start + 14, 2)
    compression = _integer(content, start + 16)
    masks: tuple[int, ...] = ()
    if compression == _BITFIELDS:
        # A header of 40 bytes is followed by three masks, a longer one holds them.
        if size == 40:
            end += 12
        masks = tuple(_integer(content, start + 40 + 4 * place) for place in range(3))
        masks += (_integer(content, start + 52) if size >= 56 else 0,)
    return _Header(
        width=_integer(content, start + 4),
        height=2**32 - height if top_down else height,
        top_down=top_down,
        bits=bits,
        compression=compression,
        colors=_integer(content, start + 32) or 1 << bits,
        entry_bytes=4,
        masks=masks,
        size=size,
        end=end,
    )


def _rows(content: bytes, header: _Header, offset: int, bits: int) -> NDArray[np.uint8]:
    """(H, row bytes), the top row first; `bits` per pixel are taken, whatever the header says."""
    stride = (header.width * header.bits + 31) // 32 * 4
    rows = take_rows(content, offset, (header.width * bits + 7) // 8, header.height, stride)
    return rows if header.top_down else rows[::-1]


def _decode_colors(content: bytes, header: _Header, offset: int) -> Raster:
    channels = _CHANNELS.get(header.bits, "")
    sizes: tuple[int, ...] = (5, 5, 5)
    if header.compression == _BITFIELDS:
        if header.bits == 16:
            sizes = _BITS_OF_MASKS.get(header.masks[:3], ())
        else:
            masks = header.masks if header.bits == 32 else header.masks[:3]
            channels = _CHANNELS_OF_MASKS.get((header.bits, masks), "")
        if not (sizes if header.bits == 16 else channels):
            raise ValueError("the BMP's bit fields are unknown")
    rows = _rows(content, header, offset, header.bits)
    if header.bits == 16:
        return Raster("RGB", _unpack_16(rows, sizes))
    pixels = rows.reshape(header.height, header.width, len(channels))
    mode = "RGBA" if "A" in channels else "RGB"
    return Raster(mode, np.stack([pixels[:, :, channels.index(c)] for c in mode], axis=2))


def _unpack_16(rows: NDArray[np.uint8], sizes: tuple[int, ...]) -> NDArray[np.uint8]:
    """16-bit pixels with red, green, blue of these sizes, red in the high bits."""
    pixels = np.ascontiguousarray(rows).view("<u2").astype(np.uint32)
    shifts = (sizes[1] + sizes[2], sizes[2], 0)
    channels = []
    for size, shift in zip(sizes, shifts, strict=True):
        most = (1 << size) - 1
        channels.append((pixels >> shift & most) * 255 // most)
    return np.stack(channels, axis=2).astype(np.uint8)


def _decode_indices(content: bytes, header: _Header, offset: int) -> Raster:
    if not 0 < header.colors <= 65536:
        raise ValueError(f"the BMP's palette has {header.colors} colours")
    entries = content[header.end : header.end + header.entry_bytes * header.colors]
    offset = offset or header.end + len(entries)
    mode = "P"
    if _is_gray_ramp(entries, header):
        mode = "1" if header.colors <= 2 else "L"
    if header.compression == _RAW:
        # Pillow reads bytes where the ramp made it forget the palette; the stride stays.
        bits = {"P": header.bits, "L": 8, "1": 1}[mode]
        indices = widen(_rows(content, header, offset, bits), bits, header.width)
        if mode == "1":
            indices = indices * np.uint8(255)
    else:
        indices = _decode_runs(content, header, offset)
        if mode == "1":
            indices = (indices != 0) * np.uint8(255)
    if mode != "P":
        return Raster(mode, indices)
    order = "BGRX" if header.entry_bytes == 4 else "BGR"
    return Raster(mode, indices, make_palette(entries, order))


def _is_gray_ramp(entries: bytes, header: _Header) -> bool:
    """True when every index stands for the gray of that value (black and white for two)."""
    size, count = header.entry_bytes, header.colors
    if len(entries) < size * (count - 1) + 3:
        return False
    grays = [0, 255] if count == 2 else [index & 255 for index in range(count)]
    return all(
        entries[size * index : size * index + 3] == bytes([gray] * 3)
        for index, gray in enumerate(grays)
    )


def _decode_runs(content: bytes, header: _Header, offset: int) -> NDArray[np.uint8]:
    """Run-length coded indices, 8 or 4 bits each, with Pillow's reading of doubtful data."""
    width, total = header.width, header.width * header.height
    is_4_bit = header.compression == _RLE4
    pixels = bytearray()
    place, column = offset, 0
    while len(pixels) < total:
        pair = content[place : place + 2]
        place += 2
        if len(pair) < 2:
            break
        count, value = pair
        if count:
            count = min(count, max(0, width - column))
            pattern = bytes([value >> 4, value & 15]) if is_4_bit else bytes([value]) * 2
            pixels += (pattern * (count // 2 + 1))[:count]
            column += count
        elif value == 0:
            pixels += bytes(-len(pixels) % width)
            column = 0
        elif value == 1:
            break
        elif value == 2:
            step = content[place : place + 2]
            place += 2
            if len(step) < 2:
                break
            pixels += bytes(min(total - len(pixels), step[0] + step[1] * width))
            column = len(pixels) % width
        else:
            count = min(total - len(pixels), value)
            size = (count + 1) // 2 if is_4_bit else count
            data = content[place : place + size]
            place += len(data)
            if is_4_bit:
                narrow = np.frombuffer(data, np.uint8)[None]
                pixels += widen(narrow, 4, min(count, 2 * len(data))).tobytes()
            else:
                pixels += data
            if len(data) < size or len(pixels) == total:
                break
            column += value
            place += place & 1
    if len(pixels) < total:
        raise ValueError("the BMP is truncated")
    indices = np.frombuffer(bytes(pixels[:total]), np.uint8).reshape(header.height, width)
    return indices if header.top_down else indices[::-1]
