"""Integrations with PyTorch, JAX and Keras; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Imports the module of one framework."""
    if name not in {"jax", "keras", "torch"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
