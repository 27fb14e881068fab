"""What the end of the interpreter, a fork and a copy mean for iterators."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import weakref
from typing import Any, Protocol

__all__ = ["Tracked", "is_ending", "rebuild", "reduced", "track"]


class Tracked(Protocol):
    """Something that owns native threads."""

    def close(self) -> None:
        """Stops the threads."""

    def _after_fork(self) -> None:
        """Forgets threads and locks of the parent process; called in the child."""


_alive: weakref.WeakSet[Tracked] = weakref.WeakSet()
_ending = threading.Event()


def is_ending() -> bool:
    """Whether the interpreter's end has begun.

    Exit handlers may still make iterators, which nobody will close. Python code must not be under
    way on other threads once the interpreter goes down: the C++ code of other packages (OpenCV)
    ends the process there. So such iterators prepare nothing ahead.
    """
    return _ending.is_set()


def track(owner: Tracked) -> None:
    """Has `owner` closed at interpreter exit, and told in the child of a fork.

    Args:
        owner: Kept by a weak reference only.

    Raises:
        RuntimeError: The interpreter is shutting down and this is a daemon thread, which may be
            ended at any moment from now on. The owner is closed.
    """
    _install_handlers()
    _alive.add(owner)
    if is_ending() and threading.current_thread() is not threading.main_thread():
        owner.close()
        raise RuntimeError("this thread can load no more: the interpreter is shutting down")


@functools.cache
def _install_handlers() -> None:
    """Registers the handlers, once, when there is a first owner."""
    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_tell_all_of_fork)


def _close_all() -> None:
    _ending.set()  # first: who was not in the list will see it
    for owner in list(_alive):
        with contextlib.suppress(Exception):
            owner.close()


def _tell_all_of_fork() -> None:
    for owner in list(_alive):
        owner._after_fork()


_MAY_BE_CHANGED = ("batch_size", "shuffle", "seed", "target_size")


def reduced(iterator: Any, arguments: dict[str, Any]) -> tuple[Any, ...]:
    """What `__reduce__` returns for an iterator: its configuration as it is now.

    Args:
        iterator: The iterator.
        arguments: What its constructor was called with, apart from `verbose`.

    Returns:
        `rebuild` and its arguments.
    """
    present = {name: getattr(iterator, name) for name in _MAY_BE_CHANGED if name in arguments}
    return rebuild, (type(iterator), {**arguments, **present})


def rebuild(cls: type[Any], arguments: dict[str, Any]) -> Any:
    """Makes a pickled iterator again, without printing: it starts at the beginning.

    Args:
        cls: Its class.
        arguments: What its constructor was called with, apart from `verbose`.

    Returns:
        The new iterator.
    """
    return cls(**arguments, verbose=False)
