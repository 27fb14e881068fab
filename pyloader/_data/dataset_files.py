"""Which files and labels `image_dataset_from_directory` finds, in Keras' order, and its splits.

Paths are strings here, as in `discovery`.
"""
# ruff: noqa: PTH112, PTH118, PTH208

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyloader._data.folders import list_images

ALLOWED_FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
"""Endings of accepted file names, in any case; here with the dot."""


def find_files(
    directory: str | os.PathLike[str],
    labels: Any,
    class_names: Sequence[str] | None,
    *,
    shuffle: bool,
    seed: int,
    follow_links: bool,
    verbose: bool,
) -> tuple[list[str], Any, Sequence[str] | None]:
    """Lists the image files below a folder and their labels; prints how many there are."""
    folders = _class_folders(directory, labels, class_names)
    paths: list[str] = []
    counts = []
    for folder in folders:
        parent = os.path.join(directory, folder)
        found = list_images(parent, follow_links, ALLOWED_FORMATS)
        paths += [os.path.join(parent, file) for file in found]
        counts.append(len(found))
    names: Sequence[str] | None = folders
    if isinstance(labels, str):  # inferred
        indices = {name: index for index, name in enumerate(folders)}
        labels = np.repeat(np.array([indices[name] for name in folders], dtype=np.int32), counts)
    elif labels is None:
        names = None
    else:
        if len(labels) != len(paths):
            raise ValueError(
                "Expected the lengths of `labels` to match the number of files in the target "
                f"directory. len(labels) is {len(labels)} while we found {len(paths)} files "
                f"in directory {directory}."
            )
        names = [str(label) for label in sorted(set(labels))]
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(paths)} files{classes}.", flush=True)
    if shuffle:
        np.random.RandomState(seed).shuffle(paths)
        if labels is not None:
            np.random.RandomState(seed).shuffle(labels)
    return paths, labels, names


def check_split(
    validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None
) -> None:
    """Raises Keras' ValueError for arguments that do not go together."""
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(
            f"`validation_split` must be between 0 and 1, received: {validation_split}"
        )
    if (validation_split or subset) and not (validation_split and subset):
        raise ValueError("If `subset` is set, `validation_split` must be set, and inversely.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            f'`subset` must be either "training", "validation" or "both", received: {subset}'
        )
    if validation_split and shuffle and seed is None:
        raise ValueError(
            "If using `validation_split` and shuffling the data, you must provide a `seed` "
            "argument, to make sure that there is no overlap between the training and validation "
            "subset."
        )


def split_files(
    paths: list[str], labels: Any, validation_split: float | None, subset: str | None
) -> tuple[list[str], Any]:
    """The part of files and labels that a subset stands for; prints its size."""
    if not validation_split:
        return paths, labels
    count = int(validation_split * len(paths))
    if subset == "training":
        print(f"Using {len(paths) - count} files for training.", flush=True)
        part = slice(None, -count)  # with a count of 0: nothing, as in Keras
    else:
        print(f"Using {count} files for validation.", flush=True)
        part = slice(-count, None)
    return paths[part], None if labels is None else labels[part]


def _class_folders(
    directory: str | os.PathLike[str],
    labels: str | Sequence[Any] | None,
    class_names: Sequence[str] | None,
) -> Sequence[str]:
    """The subfolders to look into; "" stands for the directory itself."""
    if not isinstance(labels, str):
        if class_names is None:
            return [""]
        if labels is None:
            raise ValueError(
                "When `labels=None` (no labels), argument `class_names` cannot be specified."
            )
        raise ValueError(
            "When argument `labels` is specified, argument `class_names` cannot be specified "
            "(the `class_names` will be the sorted list of labels)."
        )
    folders = [
        name
        for name in sorted(os.listdir(directory))
        if os.path.isdir(os.path.join(directory, name)) and not name.startswith(".")
    ]
    if class_names is None:
        return folders
    if not set(class_names).issubset(set(folders)):
        raise ValueError(
            "The `class_names` passed did not match the names of the subdirectories of the target "
            f"directory. Expected: {folders} (or a subset of it), "
            f"but received: class_names={class_names}"
        )
    return class_names
