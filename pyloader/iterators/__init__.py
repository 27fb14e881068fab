"""Batch iterators with Keras' `Iterator` API."""

from pyloader.iterators.array import NumpyArrayIterator
from pyloader.iterators.base import Iterator
from pyloader.iterators.dataframe import DataFrameIterator
from pyloader.iterators.directory import DirectoryIterator

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "Iterator",
    "NumpyArrayIterator",
]
