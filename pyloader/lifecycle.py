"""What the end of the interpreter, a fork and a copy mean for iterators."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import weakref
from typing import Any, Protocol

__all__ = ["Tracked", "rebuild", "track"]


class Tracked(Protocol):
    """Something that owns native threads."""

    def close(self) -> None:
        """Stops the threads."""

    def _after_fork(self) -> None:
        """Forgets threads and locks of the parent process; called in the child."""


_alive: weakref.WeakSet[Tracked] = weakref.WeakSet()


def track(owner: Tracked) -> None:
    """Has `owner` closed at interpreter exit, and told in the child of a fork.

    Args:
        owner: Kept by a weak reference only.
    """
    _install_handlers()
    _alive.add(owner)


@functools.cache
def _install_handlers() -> None:
    """Registers the handlers, once, when there is a first owner."""
    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_tell_all_of_fork)


def _close_all() -> None:
    for owner in list(_alive):
        with contextlib.suppress(Exception):
            owner.close()


def _tell_all_of_fork() -> None:
    for owner in list(_alive):
        owner._after_fork()


def rebuild(cls: type[Any], arguments: dict[str, Any]) -> Any:
    """Makes a pickled iterator again, without printing: it starts at the beginning.

    Args:
        cls: Its class.
        arguments: What its constructor was called with, apart from `verbose`.

    Returns:
        The new iterator.
    """
    return cls(**arguments, verbose=False)
