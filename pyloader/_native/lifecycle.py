"""What the end of the interpreter, a fork and a copy mean for iterators."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import weakref
from typing import Protocol


class Closable(Protocol):
    """Something that owns native threads."""

    def close(self) -> None:
        """Stops the threads."""

    def _after_fork(self) -> None:
        """Forgets threads and locks of the parent process; called in the child."""


_alive: weakref.WeakSet[Closable] = weakref.WeakSet()
_ending = threading.Event()


def is_shutting_down() -> bool:
    """Whether the interpreter's end has begun.

    Exit handlers may still make iterators, which nobody will close. Python code must not be under
    way on other threads once the interpreter goes down: the C++ code of other packages (OpenCV)
    ends the process there. So such iterators prepare nothing ahead.
    """
    return _ending.is_set()


def register_for_shutdown(owner: Closable) -> None:
    """Has `owner` closed at interpreter exit, and told in the child of a fork."""
    _install_handlers()
    _alive.add(owner)
    if is_shutting_down() and threading.current_thread() is not threading.main_thread():
        owner.close()
        raise RuntimeError("this thread can load no more: the interpreter is shutting down")


@functools.cache
def _install_handlers() -> None:
    """Registers the handlers, once, when there is a first owner."""
    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_reset_after_fork)


def _close_all() -> None:
    _ending.set()  # first: who was not in the list will see it
    for owner in list(_alive):
        with contextlib.suppress(Exception):
            owner.close()


def _reset_after_fork() -> None:
    for owner in list(_alive):
        owner._after_fork()
