"""TIFF: the first image of a file, strips or tiles, plain or compressed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._formats import tiff_unpack
from pyloader._formats.raster import Raster, check_size, make_palette, unpremultiply
from pyloader._formats.raw import take_rows
from pyloader._formats.tiff_directory import PREFIXES, Directory
from pyloader._formats.tiff_layout import (
    BIT_REVERSED,
    FILL_ORDER,
    PHOTOMETRIC,
    Layout,
    find_layout,
    unpack,
)
from pyloader._formats.tiff_unpack import DEFLATES, FAX, JPEG, LZMA, LZW, PACKBITS, Tags

__all__ = ["accepts", "decode", "read_size"]

_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION, _PREDICTOR, _COLOR_MAP = 256, 257, 259, 274, 317, 320
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_SIZES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 322, 323, 324, 325
_PLANAR, _XMP, _MEDIA_PHOTO = 284, 700, 0xBC01
_JPEG_TABLES, _SUBSAMPLING, _T4_OPTIONS, _T6_OPTIONS = 347, 530, 292, 293
_PLAIN = 1
_SHORT, _LONG, _UNDEFINED = 3, 4, 7


class _Block(NamedTuple):
    """A plain strip or tile, and where its pixels go."""

    left: int
    top: int
    right: int
    bottom: int
    stride: int
    plane: int
    offset: int


def accepts(content: bytes) -> bool:
    """True when the content starts like a TIFF."""
    return content.startswith(PREFIXES)


def decode(content: bytes) -> Raster:
    """Decodes a TIFF's first image, turned as its orientation says.

    Raises:
        ValueError: Pillow would refuse it, or a case that `_native.other_formats` lists.
    """
    directory = Directory(content)
    if _MEDIA_PHOTO in directory:
        raise ValueError("the TIFF is a Windows Media Photo")
    width, height = directory.integer(_WIDTH, 0), directory.integer(_HEIGHT, 0)
    layout = find_layout(directory)
    check_size(width, height)
    compression = directory.integer(_COMPRESSION, _PLAIN)
    palette = None
    if layout.mode in ("P", "PA"):
        palette = _palette(directory)
    if compression == _PLAIN:
        pixels = _decode_plain(content, directory, layout, width, height)
    elif compression in (*FAX, JPEG):
        pixels = _decode_picture(content, directory, layout, width, height, compression)
    else:
        pixels = _decode_packed(content, directory, layout, width, height, compression)
    mode = layout.mode
    if mode == "YCbCr" and compression == JPEG:
        mode = "RGB"
    return Raster(mode, _turn(pixels, directory), palette)


def read_size(content: bytes) -> tuple[int, int]:
    """The size that the first image's tags state, before it is turned.

    Args:
        content: The whole file: the tags may stand at its end.

    Returns:
        (height, width) in pixels, 0 for what is not stated.

    Raises:
        ValueError: The tags cannot be read.
    """
    directory = Directory(content)
    return directory.integer(_HEIGHT, 0), directory.integer(_WIDTH, 0)


def _palette(directory: Directory) -> NDArray[np.uint8]:
    """16-bit reds, then greens, then blues."""
    values = directory.integers(_COLOR_MAP)
    count = len(values) // 3
    if not values:
        raise ValueError("the TIFF has no colour map")
    channels = (np.array(values[: 3 * count], np.int64) // 256).astype(np.uint8)
    return make_palette(channels.reshape(3, count).T.tobytes())


def _turn(pixels: NDArray[Any], directory: Directory) -> NDArray[Any]:
    if _ORIENTATION in directory:
        orientation = directory.integer(_ORIENTATION, 1)
    else:
        match = re.search(rb'tiff:Orientation(="|>)([0-9])', directory.data(_XMP))
        orientation = int(match[2]) if match else 1
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _decode_plain(
    content: bytes, directory: Directory, layout: Layout, width: int, height: int
) -> NDArray[Any]:
    """Pillow reads these itself: block after block in the file's order, each from its offset."""
    planes = layout.channels if layout.planar and layout.samples > 1 else 0
    reading = _as_pillow_reads_planes(layout) if layout.planar else layout
    is_narrow_palette = layout.mode == "P" and layout.bits < 8
    is_inverted_byte = layout.inverted and layout.bits == 8
    if layout.reversed and not layout.planar and (is_narrow_palette or is_inverted_byte):
        raise ValueError("the TIFF's samples are of an unknown kind")
    blocks = sorted(_plain_blocks(directory, layout, width, height), key=lambda block: block.offset)
    pixels: NDArray[Any] | None = None
    # Of neighbours that differ in the offset alone Pillow takes the last.
    for _, group in groupby(blocks, key=lambda block: block[:-1]):
        *_, block = group
        columns, row_count = block.right - block.left, block.bottom - block.top
        if row_count < 1 or (layout.planar and block.plane >= max(1, planes)):
            raise ValueError("the TIFF is damaged: strips that do not fit the image")
        row_bytes = reading.row_bytes(columns)
        rows = take_rows(content, block.offset, row_bytes, row_count, block.stride)
        part = unpack(rows, columns, reading)
        if len(blocks) == 1 and part.shape[:2] == (height, width) and not planes:
            return part
        if pixels is None:
            shape = (planes,) if planes else part.shape[2:]
            pixels = np.zeros((height, width, *shape), part.dtype)
        target = pixels[block.top : block.bottom, block.left : block.right]
        (target[:, :, block.plane] if planes else target)[...] = part
    if pixels is None:
        raise ValueError("the TIFF has no image data")
    return pixels


def _as_pillow_reads_planes(layout: Layout) -> Layout:
    """The layout of one plane; Pillow forgets all about it but the letter of its channel."""
    if layout.samples > 1:
        if layout.mode not in ("RGB", "RGBA", "CMYK") or layout.premultiplied:
            raise ValueError("the TIFF's planes are of an unknown kind")
        return replace(layout, mode="L", bits=8, samples=1, reversed=False)
    if layout.mode in ("I;16", "I;16B"):
        raise ValueError("the TIFF's planes are of an unknown kind")
    bits = {"1": 1, "I": 32, "F": 32}.get(layout.mode, 8)
    return replace(layout, bits=bits, inverted=False, reversed=False, big_endian=False)


def _plane_count(layout: Layout) -> int:
    """How many planes Pillow expects, from the meaning of the samples instead of their number."""
    return {2: 3, 5: 4, 6: 3}.get(layout.photometric, 1) + len(layout.extra)


def _plain_blocks(
    directory: Directory, layout: Layout, width: int, height: int
) -> Iterator[_Block]:
    if _STRIP_OFFSETS in directory:
        offsets = directory.integers(_STRIP_OFFSETS)
        block_width, block_height = width, directory.integer(_ROWS_PER_STRIP, height)
    else:
        offsets = directory.integers(_TILE_OFFSETS)
        block_width, block_height = (
            directory.integer(_TILE_WIDTH, 0),
            directory.integer(_TILE_HEIGHT, 0),
        )
    if block_width < 1 or block_height < 1:
        raise ValueError("the TIFF is damaged: empty strips or tiles")
    if (block_width, block_height) == (width, height) and not layout.planar:
        offsets = offsets[-1:]
    left = top = plane = 0
    for offset in offsets:
        right, bottom = min(left + block_width, width), min(top + block_height, height)
        stride = 0
        if left + block_width > width:
            stride = block_width * layout.bits * layout.samples // 8
            if layout.planar:
                stride = int(block_width * layout.bits * layout.samples / 8 / _plane_count(layout))
        yield _Block(left, top, right, bottom, stride, plane, offset)
        left += block_width
        if left >= width:
            left, top = 0, top + block_height
            if top >= height:
                top, plane = 0, plane + 1


class _Grid(NamedTuple):
    """The strips or tiles of a compressed image."""

    is_tiled: bool
    width: int
    height: int
    blocks: list[bytes]


def _read_grid(content: bytes, directory: Directory, width: int, height: int, planes: int) -> _Grid:
    """The compressed blocks in order: left to right, top to bottom, plane by plane."""
    directory.check_strictly()
    if directory.integer(_PLANAR, 1) not in (1, 2):
        raise ValueError("the TIFF is damaged: planes of an unknown kind")
    is_tiled = _TILE_WIDTH in directory
    if is_tiled:
        block_width = directory.integer(_TILE_WIDTH, 0)
        block_height = directory.integer(_TILE_HEIGHT, 0)
        check_size(block_width, block_height)
    else:
        block_width = width
        block_height = min(directory.integer(_ROWS_PER_STRIP, height), height)
        check_size(block_width, block_height)
    count = -(-width // block_width) * -(-height // block_height) * planes
    offsets = directory.integers(_TILE_OFFSETS if is_tiled else _STRIP_OFFSETS)
    sizes = directory.integers(_TILE_SIZES if is_tiled else _STRIP_SIZES)
    if not sizes and len(offsets) == 1:
        sizes = (max(0, len(content) - offsets[0]),)
    if min(len(offsets), len(sizes)) < count:
        raise ValueError("the TIFF is damaged: too few strips or tiles")
    blocks = []
    for offset, size in zip(offsets[:count], sizes[:count], strict=True):
        if offset < 0 or size < 1 or offset + size > len(content):
            raise ValueError("the TIFF is truncated")
        blocks.append(content[offset : offset + size])
    return _Grid(is_tiled, block_width, block_height, blocks)


def _decode_packed(
    content: bytes,
    directory: Directory,
    layout: Layout,
    width: int,
    height: int,
    compression: int,
) -> NDArray[Any]:
    """Compressions that know nothing of pixels: libtiff hands rows to Pillow, in little endian."""
    if compression not in (*DEFLATES, LZW, PACKBITS, LZMA):
        raise ValueError(f"the TIFF's compression {compression} is not supported")
    planes = layout.channels if layout.planar and layout.samples > 1 else 1
    if layout.photometric == 6 or (planes > 1 and layout.mode in ("LA", "PA")):
        raise ValueError(f"a compressed TIFF of mode {layout.mode} is not supported")
    # Pillow takes deep gray of the big-endian kind for swapped, although libtiff swapped it.
    is_swapped = layout.big_endian and layout.mode in ("I", "F")
    reading = replace(layout, reversed=False, big_endian=is_swapped)
    if planes > 1:
        if layout.bits not in (8, 16) or layout.samples != planes:
            raise ValueError("the TIFF's planes are of an unknown kind")
        reading = replace(reading, mode="L", samples=1, premultiplied=False)
    predictor = directory.integer(_PREDICTOR, 1) if compression != PACKBITS else 1
    grid = _read_grid(content, directory, width, height, planes)
    row_bytes = reading.row_bytes(grid.width)
    places = [
        (left, top, plane)
        for plane in range(planes)
        for top in range(0, height, grid.height)
        for left in range(0, width, grid.width)
    ]
    pixels: NDArray[Any] | None = None
    for (left, top, plane), data in zip(places, grid.blocks, strict=True):
        row_count = grid.height if grid.is_tiled else min(grid.height, height - top)
        if layout.reversed:
            data = BIT_REVERSED[np.frombuffer(data, np.uint8)].tobytes()
        rows = tiff_unpack.inflate(compression, data, row_bytes, row_count)
        rows = tiff_unpack.undo_predictor(
            rows,
            predictor,
            layout.bits,
            reading.samples,
            big_endian=layout.big_endian,
            is_float=layout.is_float,
        )
        part = unpack(rows, grid.width, reading)[: height - top, : width - left]
        if len(places) == 1:
            return part
        if pixels is None:
            shape = (planes,) if planes > 1 else part.shape[2:]
            pixels = np.zeros((height, width, *shape), part.dtype)
        target = pixels[top : top + len(part), left : left + part.shape[1]]
        (target[:, :, plane] if planes > 1 else target)[...] = part
    assert pixels is not None
    # libtiff takes a fourth plane without a meaning for alpha that the colours are multiplied by.
    is_premultiplied = layout.mode == "RGBA" and planes > 1 and layout.extra[:1] in ((), (1,))
    return unpremultiply(pixels) if is_premultiplied else pixels


def _decode_picture(
    content: bytes,
    directory: Directory,
    layout: Layout,
    width: int,
    height: int,
    compression: int,
) -> NDArray[np.uint8]:
    """Compressions of whole pictures, fax and JPEG, by OpenCV's libtiff."""
    kind = (layout.mode, layout.samples, layout.photometric)
    photometric = layout.photometric if layout.samples == 3 else 1
    tags: Tags = {
        258: (_SHORT, (layout.bits,) * layout.samples),
        _COMPRESSION: (_SHORT, (compression,)),
        PHOTOMETRIC: (_SHORT, (photometric,)),
        277: (_SHORT, (layout.samples,)),
    }
    if compression == JPEG:
        is_known = kind in (("L", 1, 0), ("L", 1, 1), ("RGB", 3, 2), ("YCbCr", 3, 6))
        if not is_known or (layout.planar and layout.samples > 1):
            raise ValueError(f"a JPEG-compressed TIFF of mode {layout.mode} is not supported")
        if _JPEG_TABLES in directory:
            tags[_JPEG_TABLES] = (_UNDEFINED, directory.data(_JPEG_TABLES))
        if _SUBSAMPLING in directory and layout.photometric == 6:
            tags[_SUBSAMPLING] = (_SHORT, directory.integers(_SUBSAMPLING))
    else:
        if (layout.bits, layout.samples) != (1, 1):
            raise ValueError("a fax-compressed TIFF must have 1 bit per pixel")
        tags[FILL_ORDER] = (_SHORT, (2 if layout.reversed else 1,))
        for tag in (_T4_OPTIONS, _T6_OPTIONS):
            if tag in directory:
                tags[tag] = (_LONG, (directory.integer(tag, 0),))
    grid = _read_grid(content, directory, width, height, 1)
    if grid.is_tiled:
        tags |= {_TILE_WIDTH: (_LONG, (grid.width,)), _TILE_HEIGHT: (_LONG, (grid.height,))}
    else:
        tags[_ROWS_PER_STRIP] = (_LONG, (grid.height,))
    picture = tiff_unpack.read_picture(tags, width, height, grid.blocks, is_tiled=grid.is_tiled)
    if picture.ndim != (3 if layout.samples == 3 else 2):
        raise ValueError("the TIFF is damaged: broken image data")
    if layout.mode == "P":
        return picture // 255
    return 255 - picture if layout.inverted else picture
