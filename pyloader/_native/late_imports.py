"""Imports on the pool's threads, of modules that most folders never need."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from pyloader._native.forks import no_fork

__all__ = ["late_import"]

_lock = threading.RLock()
_imported: dict[str, Any] = {}


def late_import(name: str) -> Any:
    """Imports a module, in a way that a fork does not interrupt.

    A child of `os.fork` has none of the other threads, so it would wait for ever for a module that
    one of them was importing.

    Args:
        name: The module's full name.

    Returns:
        The module.

    Raises:
        ImportError: It cannot be imported.
    """
    module = _imported.get(name)  # `sys.modules` has modules that are not ready yet, too
    if module is None:
        with no_fork, _lock:
            module = _imported[name] = importlib.import_module(name)
    return module
