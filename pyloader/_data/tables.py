"""What a table of image files must look like, and which of its rows count: Keras' rules."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pyloader.errors import user_stacklevel

if TYPE_CHECKING:
    from pandas import DataFrame, Series  # type: ignore[import-untyped]


def check_table(
    table: DataFrame,
    class_mode: str | None,
    x_col: str,
    y_col: str | list[str],
    weight_col: str | None,
    classes: list[str] | None,
) -> None:
    """Raises Keras' errors for columns that do not fit the class mode."""
    mode = f'If class_mode="{class_mode}"'
    if class_mode == "multi_output" and not isinstance(y_col, list):
        raise TypeError(f"{mode}, y_col must be a list. Received {type(y_col).__name__}.")
    if not _all_are(table[x_col], str):
        raise TypeError(f"All values in column x_col={x_col} must be strings.")
    if class_mode in {"binary", "sparse"} and not _all_are(table[y_col], str):
        raise TypeError(f'{mode}, y_col="{y_col}" column values must be strings.')
    if class_mode == "binary":
        _check_two_classes(table[y_col], mode, classes)
    if class_mode == "categorical" and not _all_are(table[y_col], (str, list, tuple)):
        raise TypeError(
            f'{mode}, y_col="{y_col}" column values must be type string, list or tuple.'
        )
    if classes and class_mode in {"input", "multi_output", "raw", None}:
        warnings.warn(
            f'`classes` will be ignored given the class_mode="{class_mode}"',
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    if weight_col and not issubclass(table[weight_col].dtype.type, np.number):
        raise TypeError(f"Column weight_col={weight_col} must be numeric.")


def _all_are(column: Series | DataFrame, types: type | tuple[type, ...]) -> bool:
    """Whether all values of a column are of some types; never where it is several columns."""
    return not hasattr(column, "columns") and all(isinstance(value, types) for value in column)


def _check_two_classes(column: Series, mode: str, classes: list[str] | None) -> None:
    if classes:
        count, found = len(set(classes)), "{} class/es were given."
    else:
        count, found = column.nunique(), "Found {} classes."
    if count != 2:
        raise ValueError(f"{mode} there must be 2 classes. {found.format(count)}")


def keep_valid_files(
    table: DataFrame, x_col: str, directory: str | os.PathLike[str], extensions: tuple[str, ...]
) -> DataFrame:
    """Returns the rows whose file exists and ends like an image; warns of the others."""
    paths = (os.path.join(directory, name) for name in table[x_col])  # noqa: PTH118
    valid = [path.lower().endswith(extensions) and os.path.isfile(path) for path in paths]  # noqa: PTH113
    invalid = len(valid) - sum(valid)
    if invalid:
        warnings.warn(
            f'Found {invalid} invalid image filename(s) in x_col="{x_col}". '
            "These filename(s) will be ignored.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return table[np.array(valid, dtype=bool)]


def keep_known_classes(
    table: DataFrame, y_col: Any, classes: list[str] | None
) -> tuple[DataFrame, list[Any]]:
    """Returns the rows with labels that are classes, and the classes in label order."""
    if classes:
        names = list(dict.fromkeys(classes))
        table = table.copy()
        table[y_col] = table[y_col].apply(lambda labels: _known(labels, names, y_col))
    else:
        found: set[Any] = set()
        for labels in table[y_col]:
            found.update(labels if isinstance(labels, (list, tuple)) else [labels])
        names = sorted(found)
    return table.dropna(subset=[y_col]), names


def _known(labels: Any, names: list[str], y_col: Any) -> Any:
    """The labels of one row that are classes; None if there are none."""
    if isinstance(labels, (list, tuple)):
        return [label for label in labels if label in names] or None
    if isinstance(labels, str):
        return labels if labels in names else None
    raise TypeError(f"Expect string, list or tuple but found {type(labels)} in {y_col} column ")


def label_indices(column: Series, class_indices: dict[Any, int]) -> list[Any]:
    """Returns the label of every row, or the list of its labels."""
    return [
        [class_indices[name] for name in names]
        if isinstance(names, (list, tuple))
        else class_indices[names]
        for names in column
    ]
