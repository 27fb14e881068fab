"""Targets of a batch: from class modes and class indices to what Keras hands out beside images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["class_targets"]


def class_targets(
    class_mode: str | None,
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    num_columns: int,
    dtype: DTypeLike,
) -> NDArray[Any] | None:
    """Makes the targets of one batch.

    Args:
        class_mode: "categorical", "binary", "sparse", "input" or None.
        images: The batch's images, (k, ...).
        labels: Class indices of its samples, (k,).
        num_columns: Columns of a one-hot row: the number of distinct class names.
        dtype: The dtype of the targets; Keras uses the images' dtype.

    Returns:
        "categorical": (k, num_columns), 1 at the class; "binary" and "sparse": (k,) class
        indices, both in `dtype`; "input": a copy of `images`; None: None, there are no targets.
    """
    if class_mode == "input":
        return images.copy()
    if class_mode in {"binary", "sparse"}:
        return labels.astype(dtype)
    if class_mode == "categorical":
        targets = np.zeros((len(labels), num_columns), dtype=dtype)
        targets[np.arange(len(labels)), labels] = 1.0
        return targets
    return None
