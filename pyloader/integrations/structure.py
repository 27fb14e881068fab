"""The nested structure of a batch: arrays in tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_arrays"]


def map_arrays(function: Callable[[NDArray[Any]], Any], batch: Any) -> Any:
    """Makes the same structure with other leaves.

    Args:
        function: Called with each array, in order; with an array without axes for a NumPy scalar,
            such as the label of a dataset that delivers samples singly.
        batch: An array, or a tuple, list or dict of what a batch may be.

    Returns:
        The structure with the function's results in the arrays' places.

    Raises:
        TypeError: There is something else in it.
    """
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
