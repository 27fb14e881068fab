"""pyloader: Keras' image loading API over a native JPEG pipeline."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pyloader._pyloader import build_info
from pyloader.array_iterator import NumpyArrayIterator
from pyloader.dataframe_iterator import DataFrameIterator
from pyloader.directory_iterator import DirectoryIterator
from pyloader.errors import ImageError, MemoryLimitError
from pyloader.generator import ImageDataGenerator
from pyloader.images import load_img

if TYPE_CHECKING:
    from pyloader.dataset import image_dataset_from_directory
    from pyloader.integrations.keras_patch import patch_keras, unpatch_keras
    from pyloader.pairs import pair

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
    "image_dataset_from_directory": "pyloader.dataset",
    "pair": "pyloader.pairs",
    "patch_keras": "pyloader.integrations.keras_patch",
    "unpatch_keras": "pyloader.integrations.keras_patch",
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
