"""Batch iterators with Keras' `Iterator` API."""

from pyloader.iterators.array import NumpyArrayIterator
from pyloader.iterators.base import Iterator
from pyloader.iterators.dataframe import DataFrameIterator
from pyloader.iterators.dataset import ImageDataset
from pyloader.iterators.directory import DirectoryIterator

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataset",
    "Iterator",
    "NumpyArrayIterator",
]
