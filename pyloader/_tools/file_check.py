"""The verdict on one file: whether it loads, and what else its user would want to know."""
# ruff: noqa: PTH116

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from pyloader._native.image_size import find_format, find_size
from pyloader._native.load_img import load_img
from pyloader.errors import ImageError

__all__ = ["FileChecker", "Problem", "Verdict"]

_HEAD = 4096
_LARGEST_FILE = 1 << 31  # bytes, what load_img takes

# What a file may take while it is judged: its content in Python, in the binding and in the core;
# per pixel the coefficients of a progressive JPEG, or the rows of another format on their way.
_CONTENT_COPIES = 4
_JPEG_PIXEL_BYTES = 8
_OTHER_PIXEL_BYTES = 16
_CONTENT_ROOM = 64 << 20
_PIXEL_ROOM = 256 << 20

_ENDINGS = {
    "jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG",
    "png": "PNG", "apng": "PNG",
    "bmp": "BMP", "dib": "BMP",
    "ppm": "PPM", "pgm": "PPM", "pbm": "PPM", "pnm": "PPM", "pfm": "PPM",
    "tif": "TIFF", "tiff": "TIFF",
    "gif": "GIF",
    "webp": "WebP",
}  # fmt: skip

_STRANGERS = (
    (0, b"<!doctype html", "an HTML page"),
    (0, b"<html", "an HTML page"),
    (0, b"<?xml", "an XML document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file that it stands for"),
    (0, b"\x00\x05\x16\x07", "macOS' notes on another file"),
    (0, b"%pdf-", "a PDF document"),
    (0, b"pk\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"8bps", "a Photoshop document"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"\xff\x6f\xff\x71", "a JPEG 2000"),
    (4, b"jp  ", "a JPEG 2000"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (4, b"jxl ", "a JPEG XL"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphei", "a HEIC"),
    (4, b"ftypmif", "a HEIF"),
    (4, b"ftyp", "a video"),
)
"""Place, bytes in lower case and name of what is often found under the names of images."""


class Problem(NamedTuple):
    """Something about a file that its user would want to know."""

    kind: str
    reason: str


class Verdict(NamedTuple):
    """What is known about one file."""

    problems: tuple[Problem, ...]
    """In the order of their kinds; empty for a file without fault."""

    digest: bytes | None = None
    """SHA-256 of its content, where it loads and the digest was asked for."""


class FileChecker:
    """Judges files, on any number of threads at once, in bounded memory.

    What files take while they are judged is estimated before it is taken, from their size and
    their header. Where it exceeds what is left, a thread waits for the others; a file that exceeds
    all there is, is judged alone.

    Args:
        max_pixels: Images of more pixels are oversized.
        num_threads: How many threads will call, for the bound: 320 MiB for each.
    """

    def __init__(self, max_pixels: int, num_threads: int) -> None:
        self._max_pixels = max_pixels
        # Who has room for pixels never waits, and who waits for them has its content already: no
        # circle of threads can wait for each other.
        self._content_room = _Room(num_threads * _CONTENT_ROOM)
        self._pixel_room = _Room(num_threads * _PIXEL_ROOM)

    def check(self, path: str, *, with_digest: bool) -> Verdict:
        """Reads a file once, judges it, and never fails, whatever is there.

        Args:
            path: The file.
            with_digest: Whether to compute the digest of a file that loads.

        Returns:
            The verdict.
        """
        try:
            return self._check(path, with_digest)
        except OSError as error:
            return _only("unreadable", error.strerror or str(error))
        except MemoryError:
            return _only("unreadable", "there is not enough memory for it")

    def _check(self, path: str, with_digest: bool) -> Verdict:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a device may do something
            return _only("unreadable", "it is not a regular file")
        with open(path, "rb", opener=_open_without_waiting) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                return _only("unreadable", "it is not a regular file")
            head = file.read(_HEAD)
            if not head:
                return _only("unreadable", "the file is empty")
            if find_format(head) is None:
                return _only("unreadable", f"not an image that pyloader knows{_guess(head)}")
            if info.st_size > _LARGEST_FILE:
                return _only("oversized", f"{info.st_size:,} bytes, more than {_LARGEST_FILE:,}")
            with self._content_room.take(_CONTENT_COPIES * info.st_size):
                return self._check_content(path, _read(file, info.st_size), with_digest)

    def _check_content(self, path: str, content: bytes, with_digest: bool) -> Verdict:
        image_format, size = find_format(content), find_size(content)
        pixels = size[0] * size[1] if size else 0
        if size and pixels > self._max_pixels:
            reason = f"{size[1]} x {size[0]} pixels, more than {self._max_pixels:,}"
            return _only("oversized", reason)
        per_pixel = _JPEG_PIXEL_BYTES if image_format == "JPEG" else _OTHER_PIXEL_BYTES
        with self._pixel_room.take(pixels * per_pixel):
            refusal = _refusal(content, self._max_pixels)
        if refusal:
            return _only("damaged", refusal)
        problems = []
        promised = _promised_format(path)
        if promised and promised != image_format:
            problems.append(Problem("mislabelled", f"{image_format} under the name of {promised}"))
        if size and min(size) == 1:
            problems.append(Problem("tiny", f"{size[1]} x {size[0]} pixels"))
        return Verdict(tuple(problems), hashlib.sha256(content).digest() if with_digest else None)


class _Room:
    """An amount of memory that threads share. Who waits for much is not overtaken."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0  # guarded by _given_back's lock
        self._given_back = threading.Condition()
        self._turn = threading.Lock()  # held by who waits, so that nobody overtakes

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Waits for room; all of it for a size beyond the limit."""
        size = min(size, self._limit)
        with self._turn, self._given_back:
            self._given_back.wait_for(lambda: self._taken + size <= self._limit)
            self._taken += size
        try:
            yield
        finally:
            with self._given_back:
                self._taken -= size
                self._given_back.notify()


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe that has taken the file's place must not wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _read(file: IO[bytes], size: int) -> bytes:
    """The whole file, whose head has been read; of one that grows, what it was and a byte."""
    file.seek(0)
    return file.read(size + 1)


def _refusal(content: bytes, max_pixels: int) -> str | None:
    """Why `load_img` refuses the image; None for one that it loads."""
    try:
        load_img(
            content, target_size=(1, 1), max_pixels=max_pixels
        )  # all of it is read, few pixels are made
    except ImageError as error:
        return error.reason
    except MemoryError:
        raise
    except Exception as error:
        return f"pyloader fails on it, which is a bug: {type(error).__name__}: {error}"
    return None


def _promised_format(path: str) -> str | None:
    """The format that a name stands for; without a dot too, as Keras takes names."""
    name = path.lower()
    return next((known for ending, known in _ENDINGS.items() if name.endswith(ending)), None)


def _guess(head: bytes) -> str:
    """What else it seems to be, for the end of a reason."""
    if not any(head):
        return ": nothing but zeros"
    for place, start, name in _STRANGERS:
        if head[place:].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(start):
            return f": it looks like {name}"
    return ""


def _only(kind: str, reason: str) -> Verdict:
    return Verdict((Problem(kind, reason),))
