"""pyloader: Keras' image loading API over a native JPEG pipeline."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyloader._monitor.stats import Stats
from pyloader._native.load_img import load_img
from pyloader._pyloader import build_info as _build_info
from pyloader.errors import BadImage, ImageError, MemoryLimitError
from pyloader.generator import ImageDataGenerator
from pyloader.iterators import (
    DataFrameIterator,
    DirectoryIterator,
    Iterator,
    NumpyArrayIterator,
)
from pyloader.options import LoaderOptions

if TYPE_CHECKING:
    from pyloader.check import Report, check_folder
    from pyloader.integrations.keras2.patch import patch_keras, unpatch_keras
    from pyloader.iterators.dataset import ImageDataset, image_dataset_from_directory
    from pyloader.iterators.pair import PairIterator, pair

__all__ = [
    "BadImage",
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "ImageDataset",
    "ImageError",
    "Iterator",
    "LoaderOptions",
    "MemoryLimitError",
    "NumpyArrayIterator",
    "PairIterator",
    "Report",
    "Stats",
    "__version__",
    "check_folder",
    "image_dataset_from_directory",
    "load_img",
    "pair",
    "patch_keras",
    "unpatch_keras",
]

__version__: str = _build_info()["version"]
"""The version of the package."""

_LAZY = {
    "ImageDataset": "pyloader.iterators.dataset",
    "PairIterator": "pyloader.iterators.pair",
    "Report": "pyloader.check",
    "check_folder": "pyloader.check",
    "image_dataset_from_directory": "pyloader.iterators.dataset",
    "pair": "pyloader.iterators.pair",
    "patch_keras": "pyloader.integrations.keras2.patch",
    "unpatch_keras": "pyloader.integrations.keras2.patch",
}
"""Names that are imported when they are asked for, and where they are."""


def __getattr__(name: str) -> Any:
    """Imports what not every script needs."""
    if name in {"check", "integrations"}:  # public modules
        return importlib.import_module(f"pyloader.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """The public API."""
    return sorted({*__all__, "integrations"})
