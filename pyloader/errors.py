"""Errors about one image: ours, and how an error of the user's code learns which image it is."""

from __future__ import annotations

__all__ = ["ImageError", "MemoryLimitError", "attach_path", "passes_batch_over"]


class ImageError(OSError):
    """An image that cannot be read or decoded.

    Args:
        path: The file, as the user would write it (undecodable bytes as surrogate escapes); None
            for an image that came as bytes.
        reason: What was found, in a few plain words without a final stop.

    Example:
        >>> print(ImageError("cats/7.jpg", "the file is truncated"))
        cannot load image 'cats/7.jpg': the file is truncated. Remove or replace the file.
    """

    path: str | None
    """The file that cannot be loaded; None for an image that came as bytes."""

    reason: str
    """Why it cannot be loaded."""

    def __init__(self, path: str | None, reason: str) -> None:
        if path is None:
            super().__init__(f"cannot load an image from bytes: {reason}. Pass another one.")
        else:
            super().__init__(f"cannot load image {path!r}: {reason}. Remove or replace the file.")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str | None, str]]:
        """Pickles what the error was made from; OSError's own way would lose the reason."""
        return type(self), (self.path, self.reason)


class MemoryLimitError(MemoryError):
    """What is needed does not fit into the `memory_limit`; the message says who holds it."""


def passes_batch_over(error: BaseException) -> bool:
    """Whether a batch that fails with an error is lost: the next call delivers the next one.

    Not for an interrupt (KeyboardInterrupt, SystemExit), nor where only memory was lacking while
    the caller holds other batches: the next call delivers the same batch.

    Args:
        error: What a call of `next()` or `it[i]` fails with.

    Returns:
        True where the iterator moves on.
    """
    return isinstance(error, Exception) and not isinstance(error, MemoryLimitError)


def attach_path(error: BaseException, path: str | None) -> None:
    """Tells an exception of user code which image it was working on, keeping object and type.

    The path is added as a note and, where the exception's only argument is its message, at the
    message's end.

    Args:
        error: The exception that a preprocessing_function raised; changed in place.
        path: The image's file; None leaves the exception as it is.
    """
    if path is None:
        return
    where = f"[image: {path!r}]"
    error.add_note(where)
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]} {where}",)
