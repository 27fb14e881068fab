"""Targets of a batch: from class modes and class indices to what Keras hands out beside images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["class_targets", "weighted"]


def class_targets(
    class_mode: str | None,
    images: NDArray[Any],
    labels: Sequence[Any] | NDArray[Any],
    num_columns: int,
    dtype: DTypeLike,
) -> NDArray[Any] | None:
    """Makes the targets of one batch.

    Args:
        class_mode: "categorical", "binary", "sparse", "input" or None.
        images: The batch's images, (k, ...).
        labels: Class indices of its samples, (k,); for "categorical" an entry may be a list of
            them.
        num_columns: Columns of a one-hot row: the number of distinct class names.
        dtype: The dtype of the targets; Keras uses the images' dtype.

    Returns:
        "categorical": (k, num_columns), 1 at the class or classes; "binary" and "sparse": (k,)
        class indices, all in `dtype`; "input": a copy of `images`; None: None, there are no
        targets.
    """
    if class_mode == "input":
        return images.copy()
    if class_mode in {"binary", "sparse"}:
        return np.asarray(labels).astype(dtype)
    if class_mode == "categorical":
        targets = np.zeros((len(labels), num_columns), dtype=dtype)
        if isinstance(labels, np.ndarray):
            targets[np.arange(len(labels)), labels] = 1.0
        else:
            for target, label in zip(targets, labels, strict=True):
                target[label] = 1.0
        return targets
    return None


def weighted(batch: Any, samples: int) -> Any:
    """Gives a batch sample weights that are 0 for the rows behind its samples.

    Args:
        batch: Inputs; or (inputs, targets), or with weights as third.
        samples: How many of its rows are samples.

    Returns:
        (inputs, targets, weights); inputs alone as they are, which have no weights.
    """
    if not isinstance(batch, tuple):
        return batch
    if len(batch) == 3:
        images, targets, weights = batch
        weights = np.array(weights)
    else:
        images, targets = batch
        rows = len(images[0] if isinstance(images, list) else images)
        weights = np.ones(rows, dtype=np.float32)
    weights[samples:] = 0
    return images, targets, weights
