"""Imports on the pool's threads, of modules that most folders never need."""

from __future__ import annotations

import functools
import importlib
import os
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["keep_forks_out", "late_import"]

_lock = threading.RLock()
_imported: dict[str, Any] = {}


def late_import(name: str, prepare: Callable[[Any], object] | None = None) -> Any:
    """Imports a module, in a way that a fork does not interrupt.

    A child of `os.fork` has none of the other threads, so it would wait for ever for a module that
    one of them was importing.

    Args:
        name: The module's full name.
        prepare: Called with the module before anyone gets it, for what it makes on first use.

    Returns:
        The module.

    Raises:
        ImportError: It cannot be imported.
    """
    module = _imported.get(name)  # `sys.modules` has modules that are not ready yet, too
    if module is None:
        with _lock:
            module = importlib.import_module(name)
            if prepare is not None:
                prepare(module)
            _imported[name] = module
    return module


@functools.cache
def keep_forks_out() -> None:
    """Has forks wait until no late import is under way; to be called before there are threads."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
        )
