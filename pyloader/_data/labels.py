"""Targets of a batch: from class modes and class indices to what Keras hands out beside images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_INT32 = np.iinfo(np.int32)
_INT64 = np.iinfo(np.int64)


def class_targets(
    class_mode: str | None,
    images: NDArray[Any],
    labels: Sequence[Any] | NDArray[Any],
    num_columns: int,
    dtype: DTypeLike,
) -> NDArray[Any] | None:
    """Returns the targets of one batch in `dtype`; None for class_mode None.

    "categorical": (k, num_columns), 1 at the class or classes; "binary" and "sparse": (k,) class
    indices; "input": a copy of the images.
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
    """Returns the targets of all samples, as Keras makes tensors of a list of labels.

    "int": (n,) in int32, int64 where one does not fit, or what other labels are: float32, bool,
    objects that are bytes for text. "binary": (n, 1) float32. "categorical": (n, num_classes)
    float32, a row of zeros for a label that is no class index.
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
    """Returns a batch with sample weights that are 0 for the rows behind its samples."""
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
