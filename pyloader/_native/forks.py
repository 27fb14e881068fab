"""What a fork must not interrupt: the child has none of the threads that were at it."""

from __future__ import annotations

import functools
import os
import threading

__all__ = ["no_fork", "watch_forks"]


class _NoFork:
    """To be entered with `with`, by any number of threads at once, again by those inside.

    A fork waits until nobody is inside, and nobody enters until it is done. Whoever is inside must
    not wait for a thread that may be forking. A thread that forks while it is inside itself waits
    for the others.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._forks = 0
        self._own = threading.local()

    def __enter__(self) -> None:
        own = self._count_own()
        with self._changed:
            while self._forks and not own:
                self._changed.wait()
            self._inside += 1
        self._own.count = own + 1

    def __exit__(self, *exc_info: object) -> None:
        self._own.count -= 1
        with self._changed:
            self._inside -= 1
            if self._forks:
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Keeps others out, and waits until they have left."""
        with self._changed:
            self._forks += 1
            while self._inside > self._count_own():
                self._changed.wait()

    def after_in_parent(self) -> None:
        """Lets them in again."""
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()

    def after_in_child(self) -> None:
        """Forgets the parent's threads, one of which may just have looked whether it may enter."""
        self._changed = threading.Condition()
        self._inside = self._count_own()
        self._forks = 0

    def _count_own(self) -> int:
        count: int = getattr(self._own, "count", 0)
        return count


no_fork = _NoFork()


@functools.cache
def watch_forks() -> None:
    """Has forks wait for who is in `no_fork`; to be called before there are threads."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=no_fork.before_fork,
            after_in_parent=no_fork.after_in_parent,
            after_in_child=no_fork.after_in_child,
        )
