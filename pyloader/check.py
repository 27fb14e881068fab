"""Checks the images of a folder: `check_folder`, which `python -m pyloader check` runs.

Every image is read and decoded once, on all cores. The verdict is that of `load_img`, and so of
Pillow: an image that loads here loads in training.
"""
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import hashlib
import heapq
import io
import os
import stat
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

from pyloader._data.folders import IMAGE_EXTENSIONS
from pyloader._native.cores import usable_cores
from pyloader._native.load_img import load_img
from pyloader._native.pillow import Switches
from pyloader.errors import ImageError
from pyloader.options import check_count

__all__ = ["EXTENSIONS", "KINDS", "Finding", "FolderCheck", "Report", "check_folder"]

KINDS = ("unreadable", "damaged", "oversized", "mislabelled", "tiny", "duplicate")
"""Kinds of findings, in the order of a report."""

EXTENSIONS = tuple(sorted({*IMAGE_EXTENSIONS, "gif"}))
"""Endings of the names that `flow_from_directory` or `image_dataset_from_directory` takes."""

_HEAD = 4096  # bytes, enough to recognize a format
_MAX_FILE = 1 << 31  # bytes, the limit of load_img

# Upper bounds of the memory to check a file: its content in Python, in the binding and in the core;
# per pixel the coefficients of a progressive JPEG, or an image of Pillow's and its conversion.
_CONTENT_COPIES, _JPEG_PIXEL_BYTES, _OTHER_PIXEL_BYTES = 4, 8, 16
_CONTENT_MEMORY, _PIXEL_MEMORY = 64 << 20, 256 << 20  # a file that needs more is checked alone

_VARIANTS = {"MPO": "JPEG", "DIB": "BMP"}
"""Pillow's names of formats that go by the file names of another one."""

_NON_IMAGE_SIGNATURES = (
    (0, b"<!doctype html", "an HTML page"),
    (0, b"<html", "an HTML page"),
    (0, b"<?xml", "an XML document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
    (0, b"\x00\x05\x16\x07", "a macOS resource fork of another file"),
    (0, b"%pdf-", "a PDF document"),
    (0, b"pk\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (4, b"jxl ", "a JPEG XL"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphei", "a HEIC"),
    (4, b"ftypmif", "a HEIF"),
    (4, b"ftyp", "a video"),
)
"""Offset, lower-case bytes and name of contents that are common under the names of images."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one file."""

    kind: str
    """`"unreadable"`: the file cannot be opened or read, is empty or no image that pyloader knows,
    or a folder cannot be listed. `"damaged"`: `load_img` refuses it: it is truncated, damaged or of
    a variant that is not supported. `"oversized"`: more pixels than the limit, or more than 2 GiB.
    `"mislabelled"`: of another format than its name says; it loads. `"tiny"`: a side of a single
    pixel; it loads. `"duplicate"`: other files have the same content; it loads."""
    path: str  #: The file, relative to the folder; undecodable bytes as surrogate escapes.
    reason: str  #: The problem in a few plain words
    group: int | None = None
    """The number of the group of equal files that a duplicate belongs to, from 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check."""

    folder: str  #: The folder, as it was given
    findings: tuple[Finding, ...]
    """In the order of `KINDS`, of groups and of paths: the same for any number of threads."""
    images: int  #: Number of files with an accepted ending
    checked: int  #: How many of them were checked
    ignored: int  #: Number of files with other endings, which were not opened
    skipped_links: int  #: Number of links to folders that were not entered
    complete: bool  #: Whether every image was checked

    def count(self, kind: str) -> int:
        """Returns the number of findings of one of `KINDS`."""
        return sum(finding.kind == kind for finding in self.findings)


def check_folder(
    folder: str | os.PathLike[str],
    *,
    duplicates: bool = True,
    max_pixels: int | None = None,
    extensions: Iterable[str] = EXTENSIONS,
    follow_links: bool = False,
    num_threads: int | None = None,
) -> Report:
    """Checks every image below a folder.

    Memory is bounded: about 320 MB for each thread, and the memory for the largest image, up to 4
    times its file's size and 16 bytes for each of its pixels.

    Args:
        folder: The folder, searched to its full depth.
        duplicates: Whether to look for files of equal content. Default True.
        max_pixels: Images of more pixels are oversized, and not decoded. None (default): where
            Pillow refuses an image as a decompression bomb, twice `Image.MAX_IMAGE_PIXELS`; that is
            178,956,970 unless the program has changed it.
        extensions: Endings of the names that are checked, in any case. Default: those that
            `flow_from_directory` or `image_dataset_from_directory` takes.
        follow_links: Whether to enter links to folders at any depth, not only in the folder itself.
            Default False. No folder is entered twice.
        num_threads: Default: one for each usable core.

    Returns:
        The report.

    Raises:
        OSError: The folder cannot be listed: there is none, for example.
        TypeError: `max_pixels` or `num_threads` is no integer.
        ValueError: One of them is less than 1.

    Example:
        `check_folder("data/train").findings` is empty for a folder without problems.
    """
    check = FolderCheck(folder, duplicates, max_pixels, extensions, follow_links, num_threads)
    check.run()
    return check.report()


class FolderCheck:
    """A check with progress, which can report what is known when it is interrupted.

    Takes the arguments of `check_folder`, and raises its TypeError and ValueError.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        duplicates: bool = True,
        max_pixels: int | None = None,
        extensions: Iterable[str] = EXTENSIONS,
        follow_links: bool = False,
        num_threads: int | None = None,
    ) -> None:
        self._folder = os.fsdecode(folder)
        self._duplicates = duplicates
        self._endings = tuple(extension.lower() for extension in extensions)
        self._follow_links = follow_links
        self._num_threads = check_count("num_threads", num_threads) or usable_cores()
        self._checker = _FileChecker(max_pixels)
        self._found = _FoundFiles()
        self._checked, self._complete = 0, False
        self._findings: list[Finding] = []
        self._paths_by_digest: dict[bytes, list[str]] = {}

    def run(self, on_progress: Callable[[int, int], object] | None = None) -> None:
        """Checks, once; `on_progress(checked, total)` is called on this thread after every file.

        Raises:
            OSError: The folder cannot be listed.
            KeyboardInterrupt: Ctrl-C; `report` returns what is known.
        """
        self._found = _find_files(self._folder, self._endings, self._follow_links)
        self._findings += [
            Finding("unreadable", os.path.join(below, ""), f"the folder cannot be listed: {why}")
            for below, why in self._found.unlisted.items()
        ]
        total = len(self._found.sizes)
        with closing(self._verdicts()) as verdicts:
            for path, verdict in verdicts:
                self._checked += 1
                self._findings += [Finding(kind, path, reason) for kind, reason in verdict.problems]
                if verdict.digest is not None:
                    self._paths_by_digest.setdefault(verdict.digest, []).append(path)
                if on_progress is not None:
                    on_progress(self._checked, total)
        self._complete = True

    def report(self) -> Report:
        """Returns what has been found so far."""
        findings = [*self._findings, *self._duplicate_findings()]
        findings.sort(key=lambda one: (KINDS.index(one.kind), one.group or 0, one.path))
        return Report(
            folder=self._folder,
            findings=tuple(findings),
            images=len(self._found.sizes),
            checked=self._checked,
            ignored=self._found.ignored,
            skipped_links=self._found.skipped_links,
            complete=self._complete,
        )

    def _verdicts(self) -> Generator[tuple[str, _Verdict]]:
        """Yields the verdict on every file, in order, from a pool of threads."""
        sizes = self._found.sizes
        counts = Counter(sizes.values()) if self._duplicates else Counter[int]()
        # A window, since a future for each of a million files takes a gigabyte.
        window: deque[tuple[str, Future[_Verdict]]] = deque()
        pool = ThreadPoolExecutor(min(self._num_threads, len(sizes)) or 1)
        try:
            for path, size in sizes.items():
                arguments = os.path.join(self._folder, path), counts[size] > 1
                try:
                    future = pool.submit(self._checker.check, *arguments)
                except RuntimeError:  # the system grants no further thread
                    future = Future()
                    future.set_result(self._checker.check(*arguments))
                window.append((path, future))
                if len(window) > 64 * self._num_threads:
                    path, future = window.popleft()
                    yield path, future.result()
            for path, future in window:
                yield path, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _duplicate_findings(self) -> Iterator[Finding]:
        groups = sorted(paths for paths in self._paths_by_digest.values() if len(paths) > 1)
        for number, paths in enumerate(groups, 1):
            folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120
            where = f", in {len(folders)} folders" if len(folders) > 1 else ""
            for path in paths:
                reason = f"{len(paths)} files of equal content{where}"
                yield Finding("duplicate", path, reason, number)


# Files below a folder.


@dataclass(slots=True, eq=False)
class _FoundFiles:
    """The result of a walk. Paths are strings, since names may hold bytes that are no UTF-8."""

    sizes: dict[str, int] = field(default_factory=dict)  # -1 for what is no regular file
    ignored: int = 0
    unlisted: dict[str, str] = field(default_factory=dict)  # folders, and why
    skipped_links: int = 0


def _find_files(root: str, endings: tuple[str, ...], follow_links: bool) -> _FoundFiles:
    """Walks a folder to its full depth; raises OSError if the folder itself cannot be listed.

    Links to folders are entered in the folder itself, where they may be class folders, and with
    `follow_links` everywhere; but no folder is entered twice, so that loops end. Pipes, devices and
    broken links are listed like files.
    """
    os.listdir(root)  # noqa: PTH208 - an error here is the caller's
    found = _FoundFiles()
    folders, links = [""], list[str]()  # folders before links, so that they keep their own names
    seen: set[tuple[int, int]] = set()
    while folders or links:
        is_link = not folders
        below = heapq.heappop(links) if is_link else folders.pop()
        try:
            info = os.stat(os.path.join(root, below))
            if (info.st_dev, info.st_ino) in seen:
                found.skipped_links += is_link
                continue
            seen.add((info.st_dev, info.st_ino))
            with os.scandir(os.path.join(root, below)) as entries:
                listed = list(entries)
        except OSError as error:
            found.unlisted[below] = error.strerror or str(error)
            continue
        for entry in listed:
            path = os.path.join(below, entry.name)
            is_folder, size = _examine(entry)
            if is_folder and not entry.is_symlink():
                folders.append(path)
            elif is_folder and (follow_links or not below):
                heapq.heappush(links, path)
            elif is_folder:
                found.skipped_links += 1
            elif entry.name.lower().endswith(endings):
                found.sizes[path] = size
            else:
                found.ignored += 1
    found.sizes = dict(sorted(found.sizes.items()))
    return found


def _examine(entry: os.DirEntry[str]) -> tuple[bool, int]:
    """Returns whether an entry is a folder, and a regular file's size, else -1."""
    try:
        if entry.is_dir():
            return True, -1
        info = entry.stat()
    except OSError:  # a broken link
        return False, -1
    return False, info.st_size if stat.S_ISREG(info.st_mode) else -1


# The verdict on one file.


class _Verdict(NamedTuple):
    problems: tuple[tuple[str, str], ...]  # kinds and reasons
    digest: bytes | None = None  # of the content, if it was asked for and the image loads


class _FileChecker:
    """Checks files on several threads, in bounded memory."""

    def __init__(self, max_pixels: int | None) -> None:
        from PIL import Image

        Image.preinit()  # the usual formats first, then all
        Image.init()
        self._max_pixels = check_count("max_pixels", max_pixels) or Switches.read().max_pixels
        self._large_file = threading.RLock()

    def check(self, path: str, with_digest: bool) -> _Verdict:
        """Reads and decodes a file; never raises because of its content."""
        try:
            return self._check(path, with_digest)
        except OSError as error:
            return _problem("unreadable", error.strerror or str(error))
        except MemoryError:
            return _problem("unreadable", "there is not enough memory for it")

    def _check(self, path: str, with_digest: bool) -> _Verdict:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a device may do something
            return _problem("unreadable", "it is not a regular file")
        with open(path, "rb", opener=_open_nonblocking) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                return _problem("unreadable", "it is not a regular file")
            head = file.read(_HEAD)
            if not head:
                return _problem("unreadable", "the file is empty")
            if _identify(head)[0] is None:
                return _problem("unreadable", f"not an image that pyloader knows{_guess(head)}")
            if info.st_size > _MAX_FILE:
                return _problem("oversized", f"{info.st_size:,} bytes, more than {_MAX_FILE:,}")
            needed = _CONTENT_COPIES * info.st_size
            with self._large_file if needed > _CONTENT_MEMORY else nullcontext():
                # One byte more than its size at most, since the file may grow.
                content = head + file.read(max(0, info.st_size + 1 - len(head)))
                return self._check_content(path, content, with_digest)

    def _check_content(self, path: str, content: bytes, with_digest: bool) -> _Verdict:
        image_format, (width, height) = _identify(content)
        if width * height > self._max_pixels:
            reason = f"{width} x {height} pixels, more than {self._max_pixels:,}"
            return _problem("oversized", reason)
        needed = _JPEG_PIXEL_BYTES if image_format == "JPEG" else _OTHER_PIXEL_BYTES
        needed *= width * height
        with self._large_file if needed > _PIXEL_MEMORY else nullcontext():
            try:  # all rows are decoded, but only one pixel is made of them
                load_img(io.BytesIO(content), target_size=(1, 1), max_pixels=self._max_pixels)
            except ImageError as error:
                return _problem("damaged", error.reason)
            except MemoryError:
                raise
            except Exception as error:
                reason = f"pyloader fails on it, which is a bug: {type(error).__name__}: {error}"
                return _problem("damaged", reason)
        problems = []
        promised = _promised_format(path)
        if promised is not None and promised != image_format:
            problems.append(("mislabelled", f"{image_format} under the name of {promised}"))
        if 1 in (width, height):
            problems.append(("tiny", f"{width} x {height} pixels"))
        return _Verdict(tuple(problems), hashlib.sha256(content).digest() if with_digest else None)


def _problem(kind: str, reason: str) -> _Verdict:
    return _Verdict(((kind, reason),))


def _open_nonblocking(path: str, flags: int) -> int:
    """Opens a file; does not wait for a writer if a pipe has replaced it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _identify(content: bytes) -> tuple[str | None, tuple[int, int]]:
    """Returns the format, None if unknown, and (width, height), zeros where no header tells.

    Like `Image.open`, but without its limit of pixels: the size is part of the report.
    """
    from PIL import Image

    known = None
    for name in Image.ID:
        factory, accept = Image.OPEN[name]
        matches: bool | str = False
        try:
            # accept returns a text for a file of its format that this Pillow cannot read.
            if accept is None or (matches := accept(content[:16])) is True:
                image = factory(io.BytesIO(content), "")
                name = image.format or name
                return _VARIANTS.get(name, name), image.size
        except MemoryError:
            raise
        except Exception:  # a damaged header, or without accept another format
            known = name if matches else known
    return known, (0, 0)


def _promised_format(path: str) -> str | None:
    """Returns the format that a name stands for; without a dot too, as Keras accepts names."""
    from PIL import Image

    name = path.lower()
    ending = next((one for one in EXTENSIONS if name.endswith(one)), name.rpartition(".")[2])
    promised = Image.registered_extensions().get(f".{ending}")
    return None if promised is None else _VARIANTS.get(promised, promised)


def _guess(head: bytes) -> str:
    """Returns the end of a reason: what the content looks like."""
    if not any(head):
        return ": nothing but zeros"
    for offset, signature, name in _NON_IMAGE_SIGNATURES:
        if head[offset:].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(signature):
            return f": it looks like {name}"
    return ""
