"""Batches for Keras on PyTorch without a copy.

Keras copies NumPy arrays before PyTorch may have them, and passes tensors on as they are.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import numpy as np

__all__ = ["for_caller"]

_ADAPTER = "keras.src.trainers.data_adapters.py_dataset_adapter"


def for_caller(batch: Any, caller: FrameType) -> Any:
    """Makes tensors of a batch's arrays if it is Keras on PyTorch that asks.

    Args:
        batch: An array, or a tuple or list of such.
        caller: Who gets it.

    Returns:
        The batch for anyone else; for Keras on PyTorch the same with tensors that share the
        arrays' memory, wherever PyTorch knows the dtype.
    """
    if caller.f_globals.get("__name__") != _ADAPTER:
        return batch
    if sys.modules["keras.src.backend"].backend() != "torch":
        return batch
    if isinstance(batch, np.ndarray):  # Keras takes arrays alone for inputs, but no tensors alone
        return (_tensors(batch),)
    return _tensors(batch)


def _tensors(values: Any) -> Any:
    if isinstance(values, (tuple, list)):
        return type(values)(_tensors(entry) for entry in values)
    if isinstance(values, np.ndarray):
        try:
            return sys.modules["torch"].from_numpy(values)
        except TypeError:  # Keras converts what PyTorch has no dtype for
            return values
    return values
