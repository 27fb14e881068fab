"""What is wrong with the images of a folder: `check_folder`, which `python -m pyloader check` runs.

Every image is read and decoded once, on all cores. The verdict is that of `load_img`, and so of
Pillow: what loads here loads in training.
"""
# ruff: noqa: PTH118

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from pyloader._data.dataset_files import ALLOWED_FORMATS
from pyloader._data.folders import IMAGE_EXTENSIONS
from pyloader._native.cores import usable_cores
from pyloader._tools.file_check import FileChecker, Verdict
from pyloader._tools.image_files import FoundFiles, find_image_files
from pyloader.arguments import MAX_PIXELS, check_count, check_limit

__all__ = ["EXTENSIONS", "KINDS", "Finding", "FolderCheck", "Report", "check_folder"]

KINDS = ("unreadable", "damaged", "oversized", "mislabelled", "tiny", "duplicate")
"""Kinds of findings, in the order of a report."""

EXTENSIONS = tuple(sorted({*IMAGE_EXTENSIONS, *(name.lstrip(".") for name in ALLOWED_FORMATS)}))
"""Endings of the names that `flow_from_directory` or `image_dataset_from_directory` takes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one file that its user would want to know."""

    kind: str
    """`"unreadable"`: the file cannot be opened or read, is empty or no image that pyloader knows,
    or a folder cannot be listed. `"damaged"`: `load_img` refuses it: it is truncated, damaged or of
    a variant that is not supported. `"oversized"`: more pixels than the limit, or more than 2 GiB.
    `"mislabelled"`: of another format than its name says; it loads. `"tiny"`: a side of a single
    pixel; it loads. `"duplicate"`: other files have the very same content; it loads."""

    path: str
    """The file, relative to the folder; undecodable bytes as surrogate escapes."""

    reason: str
    """What was found, in a few plain words."""

    group: int | None = None
    """The number of the group of equal files that a duplicate belongs to, from 1."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    folder: str
    """The folder, as it was given."""

    findings: tuple[Finding, ...]
    """In the order of `KINDS`, of groups and of paths: the same for any number of threads."""

    images: int
    """Files that were there to be checked: those with an accepted ending."""

    checked: int
    """How many of them were checked."""

    ignored: int
    """Files with other endings, which were not opened."""

    skipped_links: int
    """Links to folders that were not entered."""

    complete: bool
    """Whether every image was checked."""

    def count(self, kind: str) -> int:
        """How many findings are of one kind.

        Args:
            kind: One of `KINDS`.

        Returns:
            Their number.
        """
        return sum(finding.kind == kind for finding in self.findings)


def check_folder(
    folder: str | os.PathLike[str],
    *,
    duplicates: bool = True,
    max_pixels: int = MAX_PIXELS,
    extensions: Iterable[str] = EXTENSIONS,
    follow_links: bool = False,
    num_threads: int | None = None,
) -> Report:
    """Checks every image below a folder.

    Memory is bounded whatever the files are: about 320 MB for each thread or, if that is more, what
    the largest image takes, up to 4 times its file's size and 16 bytes for each of its pixels.

    Args:
        folder: The folder, searched to its full depth.
        duplicates: Whether to look for files of equal content. Default True.
        max_pixels: Images of more pixels are oversized, and not decoded. Default:
            178,956,970, where Pillow refuses an image as a decompression bomb.
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
        `check_folder("data/train").findings` is empty where all is well.
    """
    check = FolderCheck(
        folder,
        duplicates=duplicates,
        max_pixels=max_pixels,
        extensions=extensions,
        follow_links=follow_links,
        num_threads=num_threads,
    )
    check.run()
    return check.report()


class FolderCheck:
    """A check that can be watched, and reported on when it was interrupted.

    Args:
        folder: See `check_folder`, for the others too.
        duplicates: Whether to look for files of equal content.
        max_pixels: Images of more pixels are oversized.
        extensions: Endings of the names that are checked.
        follow_links: Whether to enter links to folders at any depth.
        num_threads: None for one for each usable core.

    Raises:
        TypeError: `max_pixels` or `num_threads` is no integer.
        ValueError: One of them is less than 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        duplicates: bool = True,
        max_pixels: int = MAX_PIXELS,
        extensions: Iterable[str] = EXTENSIONS,
        follow_links: bool = False,
        num_threads: int | None = None,
    ) -> None:
        self._folder = os.fspath(folder)
        self._duplicates = duplicates
        self._extensions = [extension.lower() for extension in extensions]
        self._follow_links = follow_links
        self._num_threads = check_count("num_threads", num_threads) or usable_cores()
        self._checker = FileChecker(check_limit("max_pixels", max_pixels), self._num_threads)
        self._found = FoundFiles()
        self._checked = 0
        self._complete = False
        self._findings: list[Finding] = []
        self._equal: dict[bytes, list[str]] = {}

    def run(self, on_progress: Callable[[int, int], object] | None = None) -> None:
        """Checks; once only.

        Args:
            on_progress: Called on this thread after every file, with the numbers of files checked
                and of all files.

        Raises:
            OSError: The folder cannot be listed.
            KeyboardInterrupt: Ctrl-C; what has been checked can be reported.
        """
        self._found = find_image_files(
            self._folder, self._extensions, follow_links=self._follow_links
        )
        self._findings += [
            Finding("unreadable", os.path.join(below, ""), f"the folder cannot be listed: {why}")
            for below, why in self._found.unlisted.items()
        ]
        total = len(self._found.sizes)
        crew = _Crew(self._folder, self._checker, self._found.sizes if self._duplicates else {})
        for path in self._found.sizes:
            crew.paths.put(path)
        with ThreadPoolExecutor(min(self._num_threads, total) or 1) as pool:
            try:
                _start(pool, crew, min(self._num_threads, total))
                while self._checked < total:
                    outcome = crew.outcomes.get()
                    if isinstance(outcome, BaseException):
                        raise outcome
                    self._note(*outcome)
                    if on_progress is not None:
                        on_progress(self._checked, total)
            finally:
                crew.stop.set()
        self._complete = True

    def report(self) -> Report:
        """What has been found so far.

        Returns:
            The report.
        """
        findings = [*self._findings, *self._duplicate_findings()]
        order = {kind: place for place, kind in enumerate(KINDS)}
        findings.sort(key=lambda found: (order[found.kind], found.group or 0, found.path))
        return Report(
            folder=self._folder,
            findings=tuple(findings),
            images=len(self._found.sizes),
            checked=self._checked,
            ignored=self._found.ignored,
            skipped_links=self._found.skipped_links,
            complete=self._complete,
        )

    def _note(self, path: str, verdict: Verdict) -> None:
        self._checked += 1
        self._findings += [Finding(kind, path, reason) for kind, reason in verdict.problems]
        if verdict.digest is not None:
            self._equal.setdefault(verdict.digest, []).append(path)

    def _duplicate_findings(self) -> Iterator[Finding]:
        groups = sorted(sorted(paths) for paths in self._equal.values() if len(paths) > 1)
        for number, paths in enumerate(groups, 1):
            folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120
            where = f", in {len(folders)} folders" if len(folders) > 1 else ""
            for path in paths:
                reason = f"{len(paths)} files of equal content{where}"
                yield Finding("duplicate", path, reason, number)


def _start(pool: ThreadPoolExecutor, crew: _Crew, count: int) -> None:
    """Starts the threads, or as many as the system grants."""
    for number in range(count):
        try:
            pool.submit(crew.work)
        except RuntimeError:
            if number == 0:
                raise
            return


class _Crew:
    """The threads of a check, and what passes between them and the one that waits for them.

    Args:
        folder: Where the paths start.
        checker: Judges files.
        sizes: The size of every file, to tell which may have an equal; empty where none is wanted.
    """

    def __init__(self, folder: str, checker: FileChecker, sizes: Mapping[str, int]) -> None:
        self.paths: SimpleQueue[str] = SimpleQueue()
        self.outcomes: SimpleQueue[tuple[str, Verdict] | BaseException] = SimpleQueue()
        self.stop = threading.Event()
        self._folder = folder
        self._checker = checker
        self._sizes = sizes
        self._counts = Counter(sizes.values())

    def work(self) -> None:
        """Judges files until none is left, or it is told to stop."""
        try:
            while not self.stop.is_set():
                path = self.paths.get_nowait()
                may_have_equal = self._counts[self._sizes.get(path, -1)] > 1
                file = os.path.join(self._folder, path)
                self.outcomes.put((path, self._checker.check(file, with_digest=may_have_equal)))
        except Empty:
            pass
        except BaseException as error:
            self.outcomes.put(error)
