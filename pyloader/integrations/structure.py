"""The nested structure of a batch: arrays in tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def map_arrays(function: Callable[[NDArray[Any]], Any], batch: Any) -> Any:
    """Makes the same structure with other leaves."""
    if isinstance(batch, np.ndarray):
        return function(batch)
    if isinstance(batch, np.generic):
        return function(np.asarray(batch))
    if isinstance(batch, tuple):
        return tuple(map_arrays(function, part) for part in batch)
    if isinstance(batch, list):
        return [map_arrays(function, part) for part in batch]
    if isinstance(batch, dict):
        return {key: map_arrays(function, part) for key, part in batch.items()}
    raise TypeError(
        "A batch must be a NumPy array, or a tuple, list or dict of such. "
        f"Received: {batch!r} (of type {type(batch)})"
    )
