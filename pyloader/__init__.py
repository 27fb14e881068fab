"""pyloader: Keras' image loading API over a native JPEG pipeline."""

from pyloader._pyloader import build_info
from pyloader.array_iterator import NumpyArrayIterator
from pyloader.dataframe_iterator import DataFrameIterator
from pyloader.directory_iterator import DirectoryIterator
from pyloader.errors import ImageError
from pyloader.generator import ImageDataGenerator
from pyloader.images import load_img

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "ImageError",
    "NumpyArrayIterator",
    "__version__",
    "load_img",
]

__version__: str = build_info()["version"]
"""The version of the package."""
