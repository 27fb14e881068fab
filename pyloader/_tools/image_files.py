"""Every file below a folder that a loader would take for an image, whatever else lies there.

Paths are strings here, as in `discovery`: names may hold bytes that are no UTF-8.
"""
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["FoundFiles", "find_image_files"]


@dataclass(slots=True, eq=False)
class FoundFiles:
    """What a walk over a folder found. Paths are relative to the folder."""

    sizes: dict[str, int] = field(default_factory=dict)
    """Every file with an accepted ending, in the order of the paths, and its size in bytes; -1
    for what is no regular file, or has no size that could be read."""

    ignored: int = 0
    """How many other files there are."""

    unlisted: dict[str, str] = field(default_factory=dict)
    """Folders that could not be listed, and why."""

    skipped_links: int = 0
    """Links to folders that were not entered."""


def find_image_files(
    folder: str | os.PathLike[str], extensions: Iterable[str], *, follow_links: bool
) -> FoundFiles:
    """Walks a folder to its full depth.

    Links to folders are entered where they lie in the folder itself, where they may be class
    folders, and with `follow_links` everywhere; but no folder is entered twice, so that loops
    end. Pipes, devices and broken links are listed like files, and not opened.

    Args:
        folder: The folder.
        extensions: Accepted endings of file names, lower case.
        follow_links: Whether to enter links to folders at any depth.

    Returns:
        What is there.

    Raises:
        OSError: The folder itself cannot be listed.
    """
    os.listdir(folder)  # noqa: PTH208 - of this one folder, an error is the caller's
    walk = _Walk(os.fspath(folder), tuple(extensions), follow_links)
    walk.run()
    walk.found.sizes = dict(sorted(walk.found.sizes.items()))
    return walk.found


class _Walk:
    """One walk: folders before links, so that what lies in the folder keeps its own name."""

    def __init__(self, root: str, endings: tuple[str, ...], follow_links: bool) -> None:
        self.found = FoundFiles()
        self._root = root
        self._endings = endings
        self._follow_links = follow_links
        self._folders = [""]
        self._links: list[str] = []  # a heap
        self._seen: set[tuple[int, int]] = set()

    def run(self) -> None:
        """Walks until nothing is left to enter."""
        while self._folders or self._links:
            if self._folders:
                below, is_link = self._folders.pop(), False
            else:
                below, is_link = heapq.heappop(self._links), True
            try:
                info = os.stat(os.path.join(self._root, below))
                if (info.st_dev, info.st_ino) in self._seen:
                    self.found.skipped_links += is_link
                    continue
                self._seen.add((info.st_dev, info.st_ino))
                with os.scandir(os.path.join(self._root, below)) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name, reverse=True)
            except OSError as error:
                self.found.unlisted[below] = error.strerror or str(error)
                continue
            for entry in listed:
                self._note(below, entry)

    def _note(self, below: str, entry: os.DirEntry[str]) -> None:
        path = os.path.join(below, entry.name)
        if _is_folder(entry):
            if not entry.is_symlink():
                self._folders.append(path)
            elif self._follow_links or not below:
                heapq.heappush(self._links, path)
            else:
                self.found.skipped_links += 1
        elif entry.name.lower().endswith(self._endings):
            self.found.sizes[path] = _size(entry)
        else:
            self.found.ignored += 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _size(entry: os.DirEntry[str]) -> int:
    try:
        info = entry.stat()
    except OSError:
        return -1
    return info.st_size if stat.S_ISREG(info.st_mode) else -1
