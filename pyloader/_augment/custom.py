"""Subclasses of ImageDataGenerator that draw, transform or standardise in their own way."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import Drawing, Drawn
from pyloader._augment.transforms import ROW_LENGTH, table_of, transform_rows

__all__ = ["CustomDrawing", "CustomTransforms", "as_global_generator", "overrides"]


def overrides(generator: Any, method: str) -> bool:
    """Whether a generator has a method of its own instead of ImageDataGenerator's."""
    from pyloader.generator import ImageDataGenerator  # which needs the iterators, and so this

    own = getattr(generator, method)
    return getattr(own, "__func__", own) is not getattr(ImageDataGenerator, method)


class _Parameters(dict[str, Any]):
    """Transform parameters of one image that can be referred to weakly."""


class CustomTransforms:
    """Applies a generator's own `apply_transform` to samples on their way through the pool.

    The pool knows numbers only: a sample's row holds the number under which its parameters are
    kept here. They live as long as the batch's `Drawn` does.

    Args:
        generator: The generator.
    """

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self._kept: WeakValueDictionary[int, _Parameters] = WeakValueDictionary()
        self._numbers = itertools.count(1)

    def keep(self, drawn: list[Mapping[str, Any]]) -> tuple[NDArray[np.float64], list[_Parameters]]:
        """Takes the parameters of a batch's images.

        Args:
            drawn: The parameters, image by image.

        Returns:
            A row for each, and what must stay alive until the batch is delivered.
        """
        kept = [_Parameters(parameters) for parameters in drawn]
        rows = np.zeros((len(kept), ROW_LENGTH))
        for row, parameters in zip(rows, kept, strict=True):
            row[0] = number = next(self._numbers)
            self._kept[number] = parameters
        return rows, kept

    def __call__(self, image: NDArray[Any], row: NDArray[np.float64]) -> Any:
        """Transforms one image.

        Args:
            image: The image; may be changed.
            row: Its row from `keep`.

        Returns:
            What the generator makes of it.
        """
        return self._generator.apply_transform(image, self._kept[int(row[0])])


class CustomDrawing(Drawing):
    """Draws by calling `get_random_transform` for each image, as Keras does.

    Such a method draws from NumPy's global generator. While it runs, that generator stands where
    the iterator's random stream does; afterwards it stands where it stood before.

    Args:
        generator: The generator.
        shape: Shape of the images, in the data format.
        transforms: Keeps the parameters for the generator's own `apply_transform`; None where it
            has none.
        number_limit: As for `Drawing`.
    """

    def __init__(
        self,
        generator: Any,
        shape: tuple[int, ...],
        transforms: CustomTransforms | None,
        number_limit: int,
    ) -> None:
        super().__init__(None, number_limit=number_limit)
        self.used = True
        self._generator = generator
        self._shape = shape
        self._transforms = transforms

    def __call__(self, random: np.random.RandomState, images: int) -> Drawn:
        with as_global_generator(random):
            drawn = [self._generator.get_random_transform(self._shape) for _ in range(images)]
        numbers = super().__call__(random, images).numbers
        if self._transforms is not None:
            rows, kept = self._transforms.keep(drawn)
            return Drawn(rows, numbers, kept)
        height = self._shape[self._generator.row_axis - 1]
        width = self._shape[self._generator.col_axis - 1]
        return Drawn(transform_rows(table_of(drawn), height, width), numbers)


@contextmanager
def as_global_generator(random: np.random.RandomState) -> Iterator[None]:
    """Lets NumPy's global generator stand where another one does, and moves that one along.

    Args:
        random: The other generator.
    """
    before = np.random.get_state(legacy=False)
    np.random.set_state(random.get_state(legacy=False))
    try:
        yield
    finally:
        random.set_state(np.random.get_state(legacy=False))
        np.random.set_state(before)
