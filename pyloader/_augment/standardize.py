"""What happens to the values of an image after its transform: Keras' steps in Keras' order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PreprocessingFunction = Callable[[NDArray[np.float32]], Any]
"""The user's function: one image of rank 3, float32, in; an array of the same shape out."""

_EPSILON = 1e-6


class Standardization:
    """The steps that an ImageDataGenerator asks for, frozen; equal where the steps are the same.

    `function` is the preprocessing_function, `mean`, `std` and `whitening` are fitted statistics;
    None for none.
    """

    def __init__(
        self,
        function: PreprocessingFunction | None = None,
        rescale: float | Sequence[float] | None = None,
        samplewise_center: bool = False,
        samplewise_std: bool = False,
        mean: NDArray[Any] | None = None,
        std: NDArray[Any] | None = None,
        whitening: NDArray[Any] | None = None,
    ) -> None:
        self.function = function
        self.rescale = rescale
        self.samplewise_center = samplewise_center
        self.samplewise_std = samplewise_std
        self.mean = mean
        self.std = std
        self.whitening = whitening

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Standardization) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]

    def _key(self) -> tuple[Any, ...]:
        """Comparable: statistics by identity, which is safe while both are alive."""
        own = (self.function, self.rescale, self.samplewise_center, self.samplewise_std)
        return (*own, id(self.mean), id(self.std), id(self.whitening))

    @property
    def divisor(self) -> Any:
        """What to divide by for `std`; None for nothing."""
        return None if self.std is None else self.std + _EPSILON

    @property
    def only_rescales(self) -> bool:
        """Whether every value's result depends on that value alone and needs no Python."""
        return not (
            self.function
            or self.samplewise_center
            or self.samplewise_std
            or self.mean is not None
            or self.std is not None
            or self.whitening is not None
        )

    def apply(self, image: Any) -> Any:
        """Standardizes one image, or a batch of them, in place where NumPy can."""
        return self.normalize(self.function(image) if self.function else image)

    def normalize(self, image: Any) -> Any:
        """Applies all steps but the function."""
        if self.rescale:
            image *= self.rescale
        if self.samplewise_center:
            image -= np.mean(image, keepdims=True)
        if self.samplewise_std:
            image /= np.std(image, keepdims=True) + _EPSILON
        if self.mean is not None:
            image -= self.mean
        if self.std is not None:
            image /= self.divisor
        if self.whitening is not None:
            flat = image.reshape(-1, math.prod(image.shape[-3:]))
            image = np.reshape(flat @ self.whitening, image.shape)
        return image


def standardization_of(generator: Any) -> Standardization:
    """The steps of an ImageDataGenerator, as they are now; statistics count where fitted."""
    return Standardization(
        function=generator.preprocessing_function,
        rescale=generator.rescale,
        samplewise_center=bool(generator.samplewise_center),
        samplewise_std=bool(generator.samplewise_std_normalization),
        mean=generator.mean if generator.featurewise_center else None,
        std=generator.std if generator.featurewise_std_normalization else None,
        whitening=generator.zca_whitening_matrix if generator.zca_whitening else None,
    )


def unfitted_statistics(generator: Any) -> list[str]:
    """Texts of Keras' warnings about statistics that are asked for and were never fitted."""
    wanted = (
        ("featurewise_center", generator.featurewise_center, generator.mean),
        ("featurewise_std_normalization", generator.featurewise_std_normalization, generator.std),
        ("zca_whitening", generator.zca_whitening, generator.zca_whitening_matrix),
    )
    return [
        f"This ImageDataGenerator specifies `{name}`, but it hasn't been fit on any training "
        "data. Fit it first by calling `.fit(numpy_data)`."
        for name, asked_for, fitted in wanted
        if asked_for and fitted is None
    ]


class Statistics(NamedTuple):
    """What `fit_statistics` found; None for what was not asked for."""

    mean: NDArray[Any] | None  #: (1, 1, C), or (C, 1, 1) for channels first
    std: NDArray[Any] | None  #: Like `mean`
    whitening: NDArray[Any] | None  #: (H * W * C, H * W * C)


def fit_statistics(
    images: NDArray[Any],
    *,
    channel_axis: int,
    center: bool,
    std: bool,
    whitening: bool,
    zca_epsilon: float,
) -> Statistics:
    """Computes the statistics of images in place, each after the one before was applied."""
    axes = tuple(axis for axis in range(4) if axis != channel_axis)
    shape = [1, 1, 1]
    shape[channel_axis - 1] = images.shape[channel_axis]
    means, deviations, matrix = None, None, None
    if center:
        means = np.reshape(np.mean(images, axis=axes), shape)
        images -= means
    if std:
        deviations = np.reshape(np.std(images, axis=axes), shape)
        images /= deviations + _EPSILON
    if whitening:
        count = len(images)
        flat = np.reshape(images, (count, -1))
        left, singular, _ = np.linalg.svd(flat.T, full_matrices=False)
        matrix = (left * (np.sqrt(count) / (singular + zca_epsilon))).dot(left.T)
    return Statistics(means, deviations, matrix)
