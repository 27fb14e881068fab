"""Keras' global settings, where Keras is imported; Keras is not imported for them."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["floatx", "image_data_format"]

_KERASES = ("keras", "tf_keras")


def image_data_format() -> str:
    """What `data_format=None` stands for.

    Returns:
        Keras' `image_data_format()`; "channels_last" where no Keras is imported.
    """
    return _setting("image_data_format", "channels_last")


def floatx() -> str:
    """What `dtype=None` stands for.

    Returns:
        Keras' `floatx()`; "float32" where no Keras is imported.
    """
    return _setting("floatx", "float32")


def _setting(name: str, otherwise: str) -> str:
    """A setting of the first Keras that is wholly imported."""
    for keras in _KERASES:
        module = sys.modules.get(keras)
        spec: Any = getattr(module, "__spec__", None)
        if module is None or getattr(spec, "_initializing", False):
            continue
        read = getattr(getattr(module, "backend", None), name, None)
        if callable(read):
            return str(read())
    return otherwise
