"""Image files of a folder with one subfolder per class, in Keras' order, with Keras' labels.

Paths are strings here: `pathlib` is slow for many files and would rewrite what Keras leaves alone.
"""
# ruff: noqa: PTH112, PTH118, PTH119, PTH208

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader.errors import user_stacklevel

IMAGE_EXTENSIONS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
"""Endings of accepted file names, in any case. As in Keras without a dot: `notajpg` is accepted."""

_TIFF_WARNING = (
    'Using ".tiff" files with multiple bands will cause distortion. Please verify your output.'
)


@dataclass(frozen=True, slots=True, eq=False)
class ClassFolders:
    """What a scan of class folders found."""

    class_indices: dict[str, int]  #: Class name to label

    num_classes: int  #: Number of class folders asked for; repeated names count.

    filenames: list[str]  #: Files relative to the scanned directory, class after class

    classes: NDArray[np.int32]  #: The label of each file, (len(filenames),)


def find_class_names(directory: str | os.PathLike[str]) -> list[str]:
    """Returns the subdirectories sorted by code point, hidden ones and links too, as in Keras."""
    names = sorted(os.listdir(directory))
    return [name for name in names if os.path.isdir(os.path.join(directory, name))]


def scan_class_folders(
    directory: str | os.PathLike[str],
    classes: Iterable[str] | None,
    *,
    split: tuple[float, float] | None,
    follow_links: bool,
    extensions: tuple[str, ...] = IMAGE_EXTENSIONS,
) -> ClassFolders:
    """Lists the image files of all class folders, walking each to its full depth.

    Folders come in the order of their path strings, files of one folder in the order of their
    names. A class folder that does not exist has no files; that is no error.
    """
    names = list(classes) if classes else find_class_names(directory)
    class_indices = {name: index for index, name in enumerate(names)}
    filenames: list[str] = []
    labels: list[NDArray[np.int32]] = []
    for name in names:
        folder = os.path.join(directory, name)
        found = list_images(folder, follow_links, extensions)
        if split is not None:
            found = found[int(split[0] * len(found)) : int(split[1] * len(found))]
        if not found:
            continue
        key = os.path.basename(folder)
        labels.append(np.full(len(found), class_indices[key], dtype=np.int32))
        filenames += [os.path.join(key, file) for file in found]
    return ClassFolders(
        class_indices=class_indices,
        num_classes=len(names),
        filenames=filenames,
        classes=np.concatenate(labels) if labels else np.zeros(0, dtype=np.int32),
    )


def list_images(folder: str, follow_links: bool, extensions: Sequence[str]) -> list[str]:
    """Returns the accepted files below a folder, relative to it, in Keras' order."""
    endings = tuple(extensions)
    prefix = len(folder.rstrip(os.sep)) + 1
    walk: list[tuple[str, Any, list[str]]] = sorted(
        os.walk(folder, followlinks=follow_links), key=lambda entry: entry[0]
    )
    found = []
    for root, _, files in walk:
        below = root[prefix:]
        for file in sorted(files):
            ending = file.lower()
            if ending.endswith(endings):
                if ending.endswith(".tiff"):
                    warnings.warn(_TIFF_WARNING, UserWarning, stacklevel=user_stacklevel())
                found.append(os.path.join(below, file))
    return found
