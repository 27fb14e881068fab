"""Attributes of an iterator that are fields of its position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import numpy as np

if TYPE_CHECKING:
    from pyloader.iterators.base import Iterator

__all__ = ["Position"]

_T = TypeVar("_T")


class Position(Generic[_T]):
    """An attribute that lives in the iterator's cursor.

    Assigning makes a new cursor; the batches prepared for the old one are dropped, so that the
    next batch already follows the new value.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type[Iterator], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, iterator: None, owner: type[Iterator]) -> Position[_T]: ...
    @overload
    def __get__(self, iterator: Iterator, owner: type[Iterator]) -> _T: ...
    def __get__(self, iterator: Iterator | None, owner: type[Iterator]) -> Position[_T] | _T:
        if iterator is None:
            return self
        return cast(_T, getattr(iterator._cursor, self._name))

    def __set__(self, iterator: Iterator, value: _T) -> None:
        with iterator._mutex:
            change: dict[str, Any] = {self._name: value}
            if self._name == "index_array":
                change["order"] = None  # nobody knows how it came about
                change[self._name] = None if value is None else np.asarray(value)
            iterator._move(iterator._cursor._replace(**change))
