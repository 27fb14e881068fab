"""The tags of a TIFF's first image, read as forgivingly as Pillow reads them."""

from __future__ import annotations

import struct

PREFIXES = (
    b"MM\x00\x2a",
    b"II\x2a\x00",
    b"MM\x2a\x00",
    b"II\x00\x2a",
    b"MM\x00\x2b",
    b"II\x2b\x00",
)
"""How a TIFF starts; the third and fourth are wrong, but Pillow takes them."""

_UNIT_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
}
_SCALARS = (256, 257, 259, 277, 278, 284, 322, 323)
_ARRAYS = (258, 273, 279, 324, 325, 338, 339)
_INTEGERS = {3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 13: "L", 16: "Q"}


class Directory:
    """The tags of one image.

    Attributes:
        big_endian: The order of the file's bytes.
    """

    def __init__(self, content: bytes) -> None:
        """Reads the first directory.

        Raises:
            ValueError: There is none.
        """
        self.big_endian = content[:2] == b"MM"
        self._order = ">" if self.big_endian else "<"
        self._tags: dict[int, tuple[int, bytes]] = {}
        self._unread: set[int] = set()
        self._is_whole = False
        is_big = content[2:3] == b"\x2b"
        head = content[8:16] if is_big else content[4:8]
        if len(head) < (8 if is_big else 4):
            raise ValueError("the TIFF is truncated")
        (start,) = struct.unpack(self._order + ("Q" if is_big else "L"), head)
        if start == 0:
            raise ValueError("the TIFF has no image")
        self._read(content, start, is_big)

    def _read(self, content: bytes, place: int, is_big: bool) -> None:
        """Reads entries up to the first that cannot be read."""
        count_format, entry_format = ("Q", "HHQ8s") if is_big else ("H", "HHL4s")
        entry_size, inline_size = (20, 8) if is_big else (12, 4)
        count_size = 8 if is_big else 2
        if place + count_size > len(content):
            return
        (count,) = struct.unpack_from(self._order + count_format, content, place)
        place += count_size
        total = 0
        for _ in range(count):
            if place + entry_size > len(content):
                return
            tag, kind, number, data = struct.unpack_from(self._order + entry_format, content, place)
            place += entry_size
            if tag in self._tags:
                continue
            self._unread.add(tag)
            if kind not in _UNIT_SIZES:
                continue
            size = number * _UNIT_SIZES[kind]
            if size > inline_size:
                (start,) = struct.unpack(self._order + ("Q" if is_big else "L"), data)
                total += size
                if start >= 2**63 or total > len(content):
                    continue
                data = content[start : start + size]
                if len(data) < size:
                    return
            if size:
                self._tags[tag] = (kind, data[:size])
                self._unread.discard(tag)
        self._is_whole = True

    def __contains__(self, tag: int) -> bool:
        return tag in self._tags

    def check_strictly(self) -> None:
        """Asks of the tags that describe the pixels what libtiff asks, not what Pillow asks.

        Raises:
            ValueError: The directory is cut short, or one of them has no integers, or not a single
                one where there must be one.
        """
        if not self._is_whole:
            raise ValueError("the TIFF is truncated")
        for tag in (*_SCALARS, *_ARRAYS):
            count = len(self.integers(tag))
            if tag in self._unread or (tag in _SCALARS and count > 1):
                raise ValueError(f"the TIFF is damaged: tag {tag} makes no sense")

    def data(self, tag: int) -> bytes:
        """A tag's bytes as they are in the file, empty without the tag."""
        return self._tags.get(tag, (0, b""))[1]

    def integers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A tag's numbers.

        Raises:
            ValueError: They are no integers.
        """
        if tag not in self._tags:
            return default
        kind, data = self._tags[tag]
        if kind not in _INTEGERS:
            raise ValueError(f"the TIFF is damaged: tag {tag} has the wrong type")
        number = len(data) // _UNIT_SIZES[kind]
        return struct.unpack(f"{self._order}{number}{_INTEGERS[kind]}", data)

    def integer(self, tag: int, default: int) -> int:
        """A tag's first number.

        Raises:
            ValueError: It is no integer.
        """
        return self.integers(tag, (default,))[0]
