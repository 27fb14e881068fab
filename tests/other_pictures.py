"""Seeded files in the formats other than JPEG, by Pillow and by hand, for the tests to sweep."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

SIZES = ((1, 1), (2, 1), (1, 3), (17, 5), (8, 8), (5, 17), (33, 3))

PNG_LAYOUTS = (
    (1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2),
    (1, 3), (2, 3), (4, 3), (8, 3), (8, 4), (16, 4), (8, 6), (16, 6),
)  # fmt: skip
"""(bits per sample, color type): all that PNG allows."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
    (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip


def noise(rng: np.random.Generator, count: int) -> bytes:
    """Random bytes, at times of few values."""
    data = rng.integers(0, 256, count).astype(np.uint8)
    return bytes(data // 64 * 64 if rng.random() < 0.4 else data)


def picture(rng: np.random.Generator, mode: str, width: int, height: int) -> Image.Image:
    """A random image in one of Pillow's modes."""
    if mode == "1":
        return picture(rng, "L", width, height).convert("1")
    if mode == "P":
        indices = picture(rng, "L", width, height).convert("P")
        indices.putpalette(noise(rng, 768))
        return indices
    if mode == "PA":
        return picture(rng, "P", width, height).convert("PA")
    if mode in ("I", "F"):
        values = rng.normal(120, 200, (height, width))
        return Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32))
    pixel = {"L": 1, "LA": 2, "RGB": 3, "YCbCr": 3, "I;16": 2, "I;16B": 2}.get(mode, 4)
    return Image.frombytes(mode, (width, height), noise(rng, width * height * pixel))


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """The image as Pillow's file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    rng: np.random.Generator,
    width: int,
    height: int,
    bits: int,
    color: int,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    transparency: bytes | None = None,
    split: int = 10**9,
    keep_rows: float = 1,
) -> bytes:
    """A PNG of noise with all filters; `before` and `after` are chunks around the data.

    `keep_rows` is the part of the rows, in whole rows, that the data has.
    """
    rows = []
    for left, top, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns = len(range(left, width, across))
        size = (columns * bits * _SAMPLES[color] + 7) // 8
        if columns:
            rows += [
                bytes([rng.integers(0, 5)]) + noise(rng, size) for _ in range(top, height, down)
            ]
    data = zlib.compress(b"".join(rows[: int(len(rows) * keep_rows)]))
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    file = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + before
    if color == 3:
        file += png_chunk(b"PLTE", noise(rng, 3 * min(1 << bits, 200)))
    if transparency is not None:
        file += png_chunk(b"tRNS", transparency)
    for start in range(0, len(data), split):
        file += png_chunk(b"IDAT", data[start : start + split])
    return file + after + png_chunk(b"IEND", b"")


def bmp(
    rng: np.random.Generator,
    width: int,
    height: int,
    bits: int,
    *,
    compression: int = 0,
    header_size: int = 40,
    palette: bytes | None = None,
    masks: tuple[int, ...] = (),
    data: bytes | None = None,
    top_down: bool = False,
) -> bytes:
    """A BMP of noise, or with the given pixel data."""
    if data is None:
        data = noise(rng, (width * bits + 31) // 32 * 4 * height)
    entry = 3 if header_size == 12 else 4
    if palette is None:
        palette = noise(rng, entry << bits) if bits <= 8 else b""
    if header_size == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        header = struct.pack("<IiiHHI", header_size, width, signed, 1, bits, compression)
        header += struct.pack("<IiiII", len(data), 2835, 2835, 0, 0)
        header += struct.pack(f"<{len(masks)}I", *masks)
        header = header.ljust(header_size, b"\0")
    offset = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, offset) + header + palette + data


def tiff(tags: dict[int, tuple[int, ...] | bytes], blocks: list[bytes], order: str = "<") -> bytes:
    """A TIFF; the tag 273 or 324 with the value () gets the places of the blocks.

    Values above 65535 and places are LONG, bytes are UNDEFINED, everything else is SHORT.
    """
    places = np.cumsum([8, *map(len, blocks)]).tolist()
    start = places.pop()
    beyond = start + 2 + 12 * len(tags) + 4
    entries = struct.pack(order + "H", len(tags))
    values = b""
    for tag, value in sorted(tags.items()):
        value = value if value != () else tuple(places)
        if isinstance(value, bytes):
            kind, data = 7, value
        else:
            is_long = tag in (273, 279, 324, 325) or max(value) > 65535
            kind = 4 if is_long else 3
            data = struct.pack(f"{order}{len(value)}{'L' if is_long else 'H'}", *value)
        entries += struct.pack(order + "HHL", tag, kind, len(value))
        if len(data) > 4:
            entries += struct.pack(order + "L", beyond + len(values))
            values += data
        else:
            entries += data.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "L", start)
    return head + b"".join(blocks) + entries + bytes(4) + values


def tiff_of(
    rng: np.random.Generator,
    photometric: int,
    kind: int,
    bits: int,
    samples: int,
    extra: tuple[int, ...],
    *,
    order: str,
    deflated: bool,
    planar: bool,
    tiled: bool,
    predictor: int,
    fill_order: int,
) -> bytes:
    """A TIFF of noise with the given layout; `kind` is 1 unsigned, 2 signed, 3 floating point."""
    width, height = (int(side) for side in rng.integers(1, 40, 2))
    across, down = (16, 32) if tiled else (width, int(rng.integers(1, height + 1)))
    row = (across * bits * (1 if planar else samples) + 7) // 8
    blocks = []
    for _ in range(samples if planar else 1):
        for top in range(0, height, down):
            for _ in range(0, width, across):
                data = noise(rng, row * (down if tiled else min(down, height - top)))
                if kind == 3:
                    data = rng.normal(100, 120, len(data) // 4).astype(f"{order}f4").tobytes()
                data = zlib.compress(data) if deflated else data
                if deflated and fill_order == 2:
                    data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
                blocks.append(data)
    tags: dict[int, tuple[int, ...] | bytes] = {
        256: (width,), 257: (height,), 258: (bits,) * samples, 259: (8 if deflated else 1,),
        262: (photometric,), 266: (fill_order,), 277: (samples,), 284: (1 + planar,),
        317: (predictor,), 339: (kind,) * samples,
    }  # fmt: skip
    if extra:
        tags[338] = extra
    if photometric == 3:
        tags[320] = tuple(rng.integers(0, 65536, 3 << min(bits, 8)).tolist())
    if tiled:
        tags |= {322: (across,), 323: (down,), 324: (), 325: tuple(map(len, blocks))}
    else:
        tags |= {278: (down,), 273: (), 279: tuple(map(len, blocks))}
    return tiff(tags, blocks, order)


def runs(rng: np.random.Generator, total: int, narrow: bool) -> bytes:
    """Run-length coded BMP data of all kinds for about `total` pixels."""
    data, done = b"", 0
    while done < total * 1.3:
        kind = rng.integers(0, 12)
        if kind < 6:
            count = int(rng.integers(1, 20))
            data += bytes([count]) + noise(rng, 1)
        elif kind < 9:
            count = int(rng.integers(3, 30))
            size = (count + 1) // 2 if narrow else count
            data += bytes([0, count]) + noise(rng, size + size % 2)
        elif kind == 9:
            count, data = 3, data + b"\0\0"
        else:
            count, data = 8, data + bytes([0, 2, *rng.integers(0, 5, 2).tolist()])
        done += count
    return data + b"\0\1"


def one_of_each() -> Iterator[tuple[str, bytes]]:
    """Small sound files of every format, with their names: what the damage tests start from."""
    rng = np.random.default_rng(31)
    for bits, color in PNG_LAYOUTS:
        text = png_chunk(b"tEXt", b"key\0value")
        yield f"png {bits} {color}", png(rng, 23, 9, bits, color, before=text, split=60)
        yield f"png interlaced {bits} {color}", png(rng, 9, 11, bits, color, interlaced=True)
    for bits in (1, 4, 8, 16, 24, 32):
        yield f"bmp {bits}", bmp(rng, 13, 7, bits)
    yield "bmp runs", bmp(rng, 13, 7, 8, compression=1, data=runs(rng, 91, False))
    for mode in ("1", "L", "RGB", "I", "F"):
        yield f"ppm {mode}", saved(picture(rng, mode, 9, 7), "PPM")
    yield "ppm plain", b"P3 2 2 #two\n 100\n" + b"0 1 2 3 4 5 6 7 8 90 100 11\n"
    for mode in ("L", "P"):
        yield f"gif {mode}", saved(picture(rng, mode, 19, 13), "GIF", transparency=3)
    for mode in ("1", "L", "P", "RGB", "RGBA", "I;16", "F", "CMYK"):
        for compression in (None, "tiff_lzw", "tiff_deflate", "packbits"):
            image = picture(rng, mode, 23, 17)
            yield f"tiff {mode} {compression}", saved(image, "TIFF", compression=compression)
