"""Targets of a batch: from class modes and class indices to what Keras hands out beside images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["class_targets", "dataset_targets", "weighted"]

_INT32 = np.iinfo(np.int32)
_INT64 = np.iinfo(np.int64)


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


def dataset_targets(labels: Any, label_mode: str | None, num_classes: int) -> NDArray[Any] | None:
    """Makes the targets of all samples of a dataset, as Keras makes tensors of a list of labels.

    Args:
        labels: Class indices as an array, or a list of labels of one kind; None for none.
        label_mode: "int", "categorical", "binary" or None.
        num_classes: Columns of a one-hot row.

    Returns:
        "int": (n,) int32, int64 where one does not fit, or what other labels than integers are:
        float32 (float64 for NumPy's), bool, and objects that are bytes for text; "binary": (n, 1)
        float32; "categorical": (n, num_classes) float32, a row of zeros for a label that is no
        class index; None: None, as without labels.

    Raises:
        TypeError: Labels of a kind that the mode does not take.
        ValueError: A number that is too large, or bools and numbers in one list.
    """
    if labels is None or label_mode is None:
        return None
    values = _label_values(labels)
    if label_mode == "int":
        return values
    if values.dtype.kind not in ("biuf" if label_mode == "binary" else "iu"):
        wanted = "numbers" if label_mode == "binary" else "integers"
        raise TypeError(
            f'`labels` should be {wanted} for `label_mode="{label_mode}"`. '
            f"Received: {labels[0]!r}, ... ({values.dtype})"
        )
    if label_mode == "binary":
        return values.astype(np.float32)[:, np.newaxis]
    one_hot: NDArray[Any] = values[:, np.newaxis] == np.arange(num_classes)
    return one_hot.astype(np.float32)


def _label_values(labels: Any) -> NDArray[Any]:
    """Labels in the dtype of the tensor that TensorFlow makes of them."""
    if isinstance(labels, np.ndarray):
        return labels
    kinds = {_kind_of(label) for label in labels}
    first = _kind_of(labels[0]) if len(labels) else "number"
    if first == "bool" and kinds == {"bool"}:
        return np.array(labels, dtype=np.bool_)
    if first == "text" and kinds == {"text"}:
        encoded = [label.encode() if isinstance(label, str) else bytes(label) for label in labels]
        return np.array(encoded, dtype=object)
    if first == "bool" or not kinds <= {"bool", "int", "float"}:
        raise (ValueError if kinds <= {"bool", "int", "float", "text"} else TypeError)(
            "`labels` should be integers, or all of another kind: numbers, bools or text. "
            f"Received: {labels[0]!r}, ... ({', '.join(sorted(kinds))})"
        )
    if "float" not in kinds:
        least, most = (min(labels), max(labels)) if len(labels) else (0, 0)
        if least < _INT64.min or most > _INT64.max:
            raise ValueError(f"`labels` should fit int64. Received: {least} to {most}")
        fits = least >= _INT32.min and most <= _INT32.max
        return np.array(labels, dtype=np.int32 if fits else np.int64)
    dtype = labels[0].dtype if isinstance(labels[0], np.floating) else np.dtype(np.float32)
    numbers = np.array(labels, dtype=np.float64)
    with np.errstate(over="ignore"):
        values: NDArray[Any] = numbers.astype(dtype)
    if np.any(np.isfinite(numbers) & ~np.isfinite(values)):
        raise ValueError(f"`labels` should fit {dtype}. Received: up to {np.abs(numbers).max()}")
    return values


def _kind_of(label: Any) -> str:
    """What a label is."""
    if isinstance(label, (bool, np.bool_)):
        return "bool"
    if isinstance(label, (int, np.integer)):
        return "int"
    if isinstance(label, (float, np.floating)):
        return "float"
    return "text" if isinstance(label, (str, bytes)) else type(label).__name__


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
