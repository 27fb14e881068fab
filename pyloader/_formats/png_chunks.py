"""The chunks of a PNG file, walked and judged as Pillow does.

Pillow checks checksums before the image data only, reads past a missing end, and looks at chunks
behind the data too. What it accepts is more than libpng accepts here and less there, so the walk
is done here and OpenCV gets to see nothing but the image data.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from pyloader._formats.raster import Transparency

MODES = {
    (1, 0): "1",
    (2, 0): "L",
    (4, 0): "L",
    (8, 0): "L",
    (16, 0): "I;16",
    (8, 2): "RGB",
    (16, 2): "RGB",
    (1, 3): "P",
    (2, 3): "P",
    (4, 3): "P",
    (8, 3): "P",
    (8, 4): "LA",
    (16, 4): "RGBA",
    (8, 6): "RGBA",
    (16, 6): "RGBA",
}
"""Pillow's mode of every (bits per sample, colour type)."""

_LEAST_LENGTHS = {
    b"IHDR": 13,
    b"gAMA": 4,
    b"cHRM": 32,
    b"sRGB": 1,
    b"pHYs": 9,
    b"acTL": 8,
    b"fcTL": 26,
    b"fdAT": 4,
}
_MAX_TEXT = 1 << 20
_MAX_ALL_TEXT = 64 * _MAX_TEXT
_BLOCK = 65536

_is_kind = re.compile(rb"\w{4}").match
_one_transparent_entry = re.compile(rb"^\xff*\x00\xff*$").match


class NoMoreChunks(ValueError):
    """The file ends, or something that is no chunk follows."""


class Chunks:
    """A reader over the chunks that remembers what they say about the image.

    Attributes:
        width: Columns of the whole image, 0 before the header was seen.
        height: Rows of the whole image.
        layout: (bits per sample, colour type), None before a valid header was seen.
        interlaced: Adam7.
        palette: The PLTE entries of a palette image, None without.
        transparency: What tRNS says.
        box: (left, top, right, bottom) of the data within the image, for animations.
        animated: More than one frame.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 8
        self._frames: int | None = None
        self._sequence: int | None = None
        self._text = 0
        self.width = 0
        self.height = 0
        self.layout: tuple[int, int] | None = None
        self.interlaced = False
        self.palette: bytes | None = None
        self.transparency: Transparency = None
        self.box: tuple[int, int, int, int] | None = None
        self.animated = False

    def read_to_data(self) -> tuple[int, int]:
        """Reads everything before the image data.

        Returns:
            (start, length) of the first data chunk's body.

        Raises:
            ValueError: A chunk is broken, or there is no image data.
        """
        while True:
            kind, start, length = self._next()
            if kind == b"IEND":
                raise ValueError("the PNG has no image data")
            if kind in (b"IDAT", b"fdAT") and self.layout is not None:
                if kind == b"fdAT":
                    start, length = self._skip_sequence_number(start, length)
                default_image = self._frames is not None and self.box is None
                self.animated = (self._frames or 1) + default_image > 1
                return start, length
            body = self._body(start, length)
            self._note(kind, body)
            end = start + length
            if self._content[end : end + 4] != zlib.crc32(body, zlib.crc32(kind)).to_bytes(
                4, "big"
            ):
                raise ValueError(f"the PNG is damaged: wrong checksum in chunk {kind.decode()}")
            self._position = end + 4

    def data_chunks(self, start: int, length: int) -> list[bytes] | None:
        """The bodies of the consecutive data chunks from the first on.

        Moves on to what follows them. None when the last of them is cut short.
        """
        bodies = []
        while True:
            body = self._content[start : start + length]
            if len(body) < length:
                return None
            bodies.append(body)
            self._position = start + length + 4
            try:
                following = self._next_data()
            except NoMoreChunks:
                return bodies
            if following is None:
                return bodies
            start, length = following

    def data_blocks(self, start: int, length: int) -> Iterator[bytes]:
        """The image data in the portions in which Pillow gives it to its decoder.

        After a portion was taken, `finish` goes on behind its chunk.

        Raises:
            ValueError: More was asked for than there is.
        """
        while True:
            while length == 0:
                self._position = start + 4
                following = self._next_data()
                if following is None:
                    raise ValueError("the PNG is truncated")
                start, length = following
            block = self._content[start : start + min(length, _BLOCK)]
            if not block:
                raise ValueError("the PNG is truncated")
            self._position = start + length + 4
            yield block
            step = min(length, _BLOCK)
            start, length = start + step, length - step

    def finish(self) -> None:
        """Reads what follows the image data, as tolerantly as Pillow.

        Raises:
            ValueError: A chunk that Pillow looks into is broken or cut short.
        """
        while True:
            try:
                kind, start, length = self._next()
            except NoMoreChunks:
                return
            if kind == b"IEND" or (kind == b"fcTL" and self.animated):
                return
            if kind == b"fdAT":
                self._skip_sequence_number(start, length)
            self._note(kind, self._body(start, length))
            self._position = start + length + 4

    def _next(self) -> tuple[bytes, int, int]:
        head = self._content[self._position : self._position + 8]
        if len(head) < 4:
            raise NoMoreChunks("the PNG is truncated")
        kind = head[4:]
        if not _is_kind(kind):
            raise NoMoreChunks("the PNG is damaged: something that is no chunk")
        return kind, self._position + 8, int.from_bytes(head[:4], "big")

    def _next_data(self) -> tuple[int, int] | None:
        kind, start, length = self._next()
        if kind == b"fdAT":
            return self._skip_sequence_number(start, length)
        return (start, length) if kind in (b"IDAT", b"DDAT") else None

    def _body(self, start: int, length: int) -> bytes:
        body = self._content[start : start + length]
        if len(body) < length:
            raise ValueError("the PNG is truncated")
        return body

    def _skip_sequence_number(self, start: int, length: int) -> tuple[int, int]:
        if length < 4:
            raise ValueError("the PNG is damaged: chunk fdAT is too short")
        number = int.from_bytes(self._body(start, 4), "big")
        if self._sequence is None or self._sequence != number - 1:
            raise ValueError("the PNG is damaged: animation frames out of order")
        self._sequence = number
        return start + 4, length - 4

    def _note(self, kind: bytes, body: bytes) -> None:
        """Takes in what a chunk says; the kinds that Pillow ignores are ignored."""
        if len(body) < _LEAST_LENGTHS.get(kind, 0):
            raise ValueError(f"the PNG is damaged: chunk {kind.decode()} is too short")
        if kind == b"IHDR":
            self._note_header(body)
        elif kind == b"PLTE":
            if self.layout is not None and MODES[self.layout] == "P":
                self.palette = body
        elif kind == b"tRNS":
            self._note_transparency(body)
        elif kind in (b"iCCP", b"tEXt", b"zTXt", b"iTXt"):
            self._text += _text_length(kind, body)
            if self._text > _MAX_ALL_TEXT:
                raise ValueError("the PNG has too much text in it")
        elif kind == b"acTL":
            frames = int.from_bytes(body[:4], "big")
            if self._frames is not None:
                self._frames = None
            elif 0 < frames <= 0x80000000:
                self._frames = frames
        elif kind == b"fcTL":
            self._note_frame(body)

    def _note_header(self, body: bytes) -> None:
        self.width, self.height = (
            int.from_bytes(body[:4], "big"),
            int.from_bytes(body[4:8], "big"),
        )
        if (body[8], body[9]) in MODES:
            self.layout = (body[8], body[9])
        if body[12]:
            self.interlaced = True
        if body[11]:
            raise ValueError("the PNG is damaged: unknown filter category")

    def _note_transparency(self, body: bytes) -> None:
        mode = MODES[self.layout] if self.layout is not None else ""
        if mode == "P":
            self.transparency = body
            if _one_transparent_entry(body):
                self.transparency = body.find(b"\0")
        elif mode in ("1", "L", "I;16", "RGB"):
            values = [int.from_bytes(body[place : place + 2], "big") for place in (0, 2, 4)]
            if len(body) < (6 if mode == "RGB" else 2):
                raise ValueError("the PNG is damaged: chunk tRNS is too short")
            if mode == "RGB":
                self.transparency = (values[0], values[1], values[2])
            else:
                self.transparency = values[0] if mode != "1" else 255 * bool(values[0])

    def _note_frame(self, body: bytes) -> None:
        number, width, height, left, top = (
            int.from_bytes(body[place : place + 4], "big") for place in range(0, 20, 4)
        )
        if number != (0 if self._sequence is None else self._sequence + 1):
            raise ValueError("the PNG is damaged: animation frames out of order")
        self._sequence = number
        if left + width > self.width or top + height > self.height:
            raise ValueError("the PNG is damaged: an animation frame outside the image")
        self.box = (left, top, left + width, top + height)


def _text_length(kind: bytes, body: bytes) -> int:
    """How much text Pillow counts for a chunk; refuses what it refuses, bombs above all."""
    keyword, separator, rest = body.partition(b"\0")
    if kind == b"iCCP":
        method = rest[:1] if separator else body[:1]
        if method != b"\0":
            raise ValueError("the PNG is damaged: unknown compression in chunk iCCP")
        _inflate_text(rest[1:] if separator else body[1:])
        return 0
    if kind == b"tEXt":
        return len(rest) if keyword else 0
    if kind == b"zTXt":
        if rest[:1] not in (b"", b"\0"):
            raise ValueError("the PNG is damaged: unknown compression in chunk zTXt")
        text = _inflate_text(rest[1:])
        return len(text or b"") if keyword else 0
    parts = rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return 0
    text = parts[2]
    if rest[0]:
        text = _inflate_text(text) if rest[1] == 0 else None
    try:
        return 0 if text is None else len(text.decode()) if parts[0].decode() is not None else 0
    except UnicodeDecodeError:
        return 0


def _inflate_text(data: bytes) -> bytes | None:
    """None for broken data, which Pillow does not mind."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, _MAX_TEXT)
    except zlib.error:
        return None
    if stream.unconsumed_tail:
        raise ValueError("the PNG has too much text in it")
    return text
