"""User code in place of ours: overridden generator methods, and guards around their calls."""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import BatchParams, ParamSampler
from pyloader._augment.transforms import ROW_LENGTH, table_of, transform_rows

_Function = TypeVar("_Function", bound=Callable[..., Any])

_originals: dict[str, list[Callable[..., Any]]] = {}


def overridable(function: _Function) -> _Function:
    """Registers a method that iterators look up again in case that a user has replaced it."""
    _originals.setdefault(function.__name__, []).append(function)
    return function


def is_overridden(owner: Any, method: str) -> bool:
    """Returns whether a method is the user's own: by subclass, on the class or on the instance."""
    own = getattr(owner, method)
    return getattr(own, "__func__", own) not in _originals[method]


class MethodSet:
    """Overridable methods that are looked up together, for every batch: this costs little."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._find = operator.attrgetter(*names)
        self._originals: Any = None  # the methods of a class that overrides none

    def find(self, owner: Any) -> tuple[Any, ...]:
        """Returns the methods of an object's class."""
        methods: tuple[Any, ...] = self._find(type(owner))
        return methods

    def any_overridden(self, owner: Any) -> bool:
        """Returns whether one of the methods is the user's own."""
        methods = self._find(type(owner))
        if methods == self._originals and owner.__dict__.keys().isdisjoint(self._names):
            return False
        if any(is_overridden(owner, name) for name in self._names):
            return True
        self._originals = methods
        return False


class ChangeCounter:
    """Counts assignments to its public attributes, so that one number tells whether any changed.

    The number is kept in a slot: `vars` shows the attributes alone.
    """

    __slots__ = ("_changes",)

    _changes: int

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):
            super().__setattr__("_changes", getattr(self, "_changes", 0) + 1)


class _Running(threading.local):
    """The iterators whose user code runs on the present thread."""

    owners: tuple[object, ...] = ()


_running = _Running()


@contextmanager
def user_code(owner: object) -> Iterator[None]:
    """Marks that user code of an iterator runs on this thread."""
    before = _running.owners
    _running.owners = (*before, owner)
    try:
        yield
    finally:
        _running.owners = before


def refuse_reentry(owner: object) -> None:
    """Raises a RuntimeError in user code that calls back into its own iterator.

    The iterator waits for that code to return, so it would wait forever.
    """
    if owner in _running.owners:
        raise RuntimeError(
            "an iterator cannot be used or changed from its own preprocessing_function (or "
            "get_random_transform, apply_transform, standardize): it is waiting for that function "
            "to return. Change the iterator between two batches, or use another iterator there."
        )


class _Parameters(dict[str, Any]):
    """Transform parameters of one image, with support for weak references."""


class CustomTransforms:
    """Applies a generator's own `apply_transform` to samples on their way through the pool.

    The pool knows numbers only: a sample's row holds the number under which its parameters are
    kept here, as long as the batch's `BatchParams` lives.
    """

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self._kept: WeakValueDictionary[int, _Parameters] = WeakValueDictionary()
        self._numbers = itertools.count(1)

    def keep(
        self, parameters: list[Mapping[str, Any]]
    ) -> tuple[NDArray[np.float64], list[_Parameters]]:
        """Returns a row for each image, and what must stay alive until the batch is delivered."""
        kept = [_Parameters(entry) for entry in parameters]
        rows = np.zeros((len(kept), ROW_LENGTH))
        for row, entry in zip(rows, kept, strict=True):
            row[0] = number = next(self._numbers)
            self._kept[number] = entry
        return rows, kept

    def __call__(self, image: NDArray[Any], row: NDArray[np.float64]) -> Any:
        """Transforms one image by the parameters of its row."""
        return self._generator.apply_transform(image, self._kept[int(row[0])])


class CustomSampler(ParamSampler):
    """Calls `get_random_transform` for each image, as Keras does.

    Such a method draws from NumPy's global generator, which stands where the iterator's random
    stream does while it runs, and where it stood before afterwards.
    """

    def __init__(
        self,
        generator: Any,
        shape: tuple[int, ...],
        transforms: CustomTransforms | None,
        number_limit: int,
        owner: object,
    ) -> None:
        super().__init__(None, number_limit=number_limit)
        self.used = True
        self._generator = generator
        self._shape = shape
        self._transforms = transforms
        self._owner = owner

    def __call__(self, random: np.random.RandomState, images: int) -> BatchParams:
        with as_global_generator(random), user_code(self._owner):
            sampled = [self._generator.get_random_transform(self._shape) for _ in range(images)]
        numbers = super().__call__(random, images).numbers
        if self._transforms is not None:
            rows, kept = self._transforms.keep(sampled)
            return BatchParams(rows, numbers, kept)
        height = self._shape[self._generator.row_axis - 1]
        width = self._shape[self._generator.col_axis - 1]
        return BatchParams(transform_rows(table_of(sampled), height, width), numbers)


@contextmanager
def as_global_generator(random: np.random.RandomState) -> Iterator[None]:
    """Lends another generator's state to NumPy's global one, and moves that generator along."""
    before = np.random.get_state(legacy=False)
    np.random.set_state(random.get_state(legacy=False))
    try:
        yield
    finally:
        random.set_state(np.random.get_state(legacy=False))
        np.random.set_state(before)
