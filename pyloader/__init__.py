"""pyloader: Keras' image loading API over a native JPEG pipeline."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyloader._native.load_img import load_img
from pyloader._pyloader import build_info
from pyloader.errors import ImageError, MemoryLimitError
from pyloader.generator import ImageDataGenerator
from pyloader.iterators.array import NumpyArrayIterator
from pyloader.iterators.dataframe import DataFrameIterator
from pyloader.iterators.directory import DirectoryIterator

if TYPE_CHECKING:
    from pyloader.integrations.keras2.patch import patch_keras, unpatch_keras
    from pyloader.iterators.dataset import image_dataset_from_directory
    from pyloader.iterators.pair import pair

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "ImageError",
    "MemoryLimitError",
    "NumpyArrayIterator",
    "__version__",
    "image_dataset_from_directory",
    "load_img",
    "pair",
    "patch_keras",
    "unpatch_keras",
]

__version__: str = build_info()["version"]
"""The version of the package."""

_LAZY = {
    "image_dataset_from_directory": "pyloader.iterators.dataset",
    "pair": "pyloader.iterators.pair",
    "patch_keras": "pyloader.integrations.keras2.patch",
    "unpatch_keras": "pyloader.integrations.keras2.patch",
}
"""Names that are imported when they are asked for, and where they are."""


def __getattr__(name: str) -> Any:
    """Imports what not every script needs."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """All names, lazy ones too."""
    return sorted({*globals(), *_LAZY})
