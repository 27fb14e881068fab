"""Errors and records about single images, and where warnings point to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["BadImage", "ImageError", "MemoryLimitError"]


class ImageError(OSError):
    """An image cannot be read or decoded.

    Args:
        path: The file, as the user would write it (undecodable bytes as surrogate escapes); None
            for an image that came as bytes.
        reason: What was found, in a few plain words without a final period.

    Example:
        >>> print(ImageError("cats/7.jpg", "the file is truncated"))
        cannot load image 'cats/7.jpg': the file is truncated. Remove or replace the file.
    """

    path: str | None  #: The file that cannot be loaded; None for an image that came as bytes.
    reason: str  #: Why it cannot be loaded

    def __init__(self, path: str | None, reason: str) -> None:
        if path is None:
            super().__init__(f"cannot load an image from bytes: {reason}. Pass another one.")
        else:
            super().__init__(f"cannot load image {path!r}: {reason}. Remove or replace the file.")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str | None, str]]:
        return type(self), (self.path, self.reason)  # OSError's own way would lose the reason


class MemoryLimitError(MemoryError):
    """Something does not fit into the `memory_limit`; the message says what holds the memory."""


@dataclass(frozen=True, slots=True)
class BadImage:
    """An image that could not be loaded when its batch was delivered.

    Unpacks as (path, reason, epoch).
    """

    path: str  #: Its file
    reason: str  #: What was found, in a few plain words
    epoch: int  #: The epoch, counted from 0
    index: int  #: Its dataset index
    replaced_by: int | None = None
    """The dataset index of the sample that was delivered in its place, or None."""

    def __iter__(self) -> Iterator[str | int]:
        return iter((self.path, self.reason, self.epoch))

    def __getitem__(self, position: int) -> str | int:
        return (self.path, self.reason, self.epoch)[position]


def skips_batch(error: BaseException) -> bool:
    """Returns whether the next call delivers the next batch after this error.

    It does not after an interrupt (KeyboardInterrupt, SystemExit), nor where only memory was
    lacking while the caller holds other batches: then the next call delivers the same batch.
    """
    return isinstance(error, Exception) and not isinstance(error, MemoryLimitError)


def attach_path(error: BaseException, path: str | None) -> None:
    """Adds the image's file to an exception of user code, in place, keeping object and type.

    The path is added as a note and, where the exception's only argument is its message, at the
    message's end.
    """
    if path is None:
        return
    where = f"[image: {path!r}]"
    error.add_note(where)
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]} {where}",)


def user_stacklevel() -> int:
    """Returns the `stacklevel` that makes the caller's warning point at the user's line."""
    level, frame = 0, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("pyloader."):
        level, frame = level + 1, frame.f_back
    return level + 1
