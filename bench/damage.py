"""Damages JPEG files, as accidents and as forgers do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

__all__ = ["KINDS", "damage", "segments"]

START_OF_SCAN = 0xDA


def segments(content: bytes) -> list[tuple[int, int]]:
    """The marker segments of the header.

    Args:
        content: A JPEG file, sound or not.

    Returns:
        The positions of each segment's 0xFF marker and of its end; in a sound file, the last
        segment is the header of the first scan.
    """
    found = []
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        found.append((at, min(end, len(content))))
        if content[at + 1] == START_OF_SCAN:
            break
        at = end
    return found


def _run(random: Random, content: bytes, longest: int = 200) -> tuple[int, int]:
    """Returns the start and the end of a random piece of the content."""
    begin = random.randrange(len(content))
    return begin, min(begin + random.randint(1, longest), len(content))


def _cut_short(random: Random, content: bytes, other: bytes) -> bytes:
    # Near the end as often as anywhere: the last bytes decide much.
    if random.random() < 0.5:
        return content[: random.randrange(len(content))]
    return content[: -random.randint(1, min(64, len(content)))]


def _flip_bits(random: Random, content: bytes, other: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(random.randint(1, 8)):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def _change_bytes(random: Random, content: bytes, other: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(random.randint(1, 8)):
        damaged[random.randrange(len(damaged))] = random.randrange(256)
    return bytes(damaged)


def _overwrite(random: Random, content: bytes, other: bytes) -> bytes:
    begin, end = _run(random, content, 5000)
    filling = random.choice([bytes(1), b"\xff", random.randbytes(end - begin)])
    return content[:begin] + (filling * (end - begin))[: end - begin] + content[end:]


def _delete(random: Random, content: bytes, other: bytes) -> bytes:
    begin, end = _run(random, content)
    return content[:begin] + content[end:]


def _insert(random: Random, content: bytes, other: bytes) -> bytes:
    at = random.randrange(len(content) + 1)
    begin, end = _run(random, content)
    piece = random.choice([content[begin:end], random.randbytes(end - begin)])
    return content[:at] + piece + content[at:]


def _splice(random: Random, content: bytes, other: bytes) -> bytes:
    return content[: random.randrange(len(content))] + other[random.randrange(len(other)) :]


def _change_markers(random: Random, content: bytes, other: bytes) -> bytes:
    """Inserts, removes or changes a marker."""
    marker = bytes([0xFF, random.choice([*range(0xC0, 0x100), 0x00, 0x01])])
    way = random.randrange(3)
    if way == 0:
        at = random.randrange(len(content))
        return content[:at] + marker + content[at + random.choice([0, 2]) :]
    places = [at for at, _ in segments(content)]
    if not places:
        return content + marker
    at = random.choice(places)
    return content[:at] + (b"" if way == 1 else marker) + content[at + 2 :]


def _change_header(random: Random, content: bytes, other: bytes) -> bytes:
    places = segments(content)
    if not places:
        return _change_bytes(random, content, other)
    damaged = bytearray(content)
    for _ in range(random.randint(1, 3)):
        begin, end = random.choice(places)
        at = min(random.randrange(begin, end), len(damaged) - 1)
        damaged[at] = random.choice([0, 1, 0xFF, random.randrange(256), damaged[at] ^ 1])
    return bytes(damaged)


def _move_segments(random: Random, content: bytes, other: bytes) -> bytes:
    """Doubles a segment of the header, removes it, or replaces it by another file's."""
    places, others = segments(content), segments(other)
    if not places or not others:
        return _splice(random, content, other)
    begin, end = random.choice(places)
    piece = content[begin:end]
    other_begin, other_end = random.choice(others)
    replacement = random.choice([piece + piece, b"", other[other_begin:other_end]])
    return content[:begin] + replacement + content[end:]


Damage = Callable[[Random, bytes, bytes], bytes]

_WAYS: dict[str, Damage] = {
    "cut short": _cut_short,
    "bits flipped": _flip_bits,
    "bytes changed": _change_bytes,
    "run overwritten": _overwrite,
    "bytes deleted": _delete,
    "bytes inserted": _insert,
    "two files spliced": _splice,
    "markers changed": _change_markers,
    "header changed": _change_header,
    "segments moved": _move_segments,
}

KINDS: Sequence[str] = (*_WAYS, "several of these")
"""The kinds of damage."""


def damage(random: Random, kind: str, content: bytes, other: bytes) -> bytes:
    """Damages a file.

    Args:
        random: The source of randomness.
        kind: One of KINDS.
        content: The file; not empty.
        other: Another file, for kinds that take two.

    Returns:
        The damaged file, which may be empty or, rarely, unchanged.
    """
    if kind in _WAYS:
        return _WAYS[kind](random, content, other)
    for _ in range(random.randint(2, 5)):
        content = random.choice(list(_WAYS.values()))(random, content, other) or other
    return content
