"""Compares a peer's images with Pillow's exact result."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COARSE_BLOCK = 16
COARSE_LIMIT = 6.0
"""Maximum mean difference of block averages (levels) that counts as the same picture.

A resize without antialiasing differs much in single pixels and little in averages over 16x16
blocks; another picture, swapped channels or a shifted copy differ in both.
"""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Differences of some images from Pillow's, in levels of 0..255."""

    images: int
    max_difference: float
    mean_difference: float
    mean_square: float
    worst_coarse_difference: float
    """The worst image's mean difference of block averages."""

    def problem(self, *, exact: bool) -> str | None:
        """Returns the problem, or None. An exact peer must not differ at all."""
        if exact and self.max_difference > 0:
            return f"promises Pillow's pixels but differs by up to {self.max_difference:g} levels"
        if self.worst_coarse_difference > COARSE_LIMIT:
            return (
                "delivered a picture that is not the file's: block averages are "
                f"{self.worst_coarse_difference:.1f} levels away (limit {COARSE_LIMIT:g})"
            )
        return None


def psnr(mean_square: float) -> float | None:
    """Returns the peak signal to noise ratio in dB of a mean squared difference; None for 0."""
    return 10 * math.log10(255**2 / mean_square) if mean_square else None


def pillow_result(path: str, height: int, width: int, interpolation: str) -> NDArray[np.uint8]:
    """Returns Keras' `load_img` in RGB: decode, convert, resize, (height, width, 3)."""
    with Image.open(path) as image:
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), Image.Resampling[interpolation.upper()])
        return np.asarray(rgb)


def compare(delivered: Sequence[NDArray[Any]], exact: Sequence[NDArray[np.uint8]]) -> Fidelity:
    """Compares images one by one; both sequences are of the same length, one or more."""
    maxima, means, squares, coarse = [], [], [], []
    for got, want in zip(delivered, exact, strict=True):
        difference = got.astype(np.float64) - want
        maxima.append(float(np.abs(difference).max()))
        means.append(float(np.abs(difference).mean()))
        squares.append(float(np.square(difference).mean()))
        coarse.append(float(np.abs(_block_means(difference)).mean()))
    averages = (float(np.mean(means)), float(np.mean(squares)))
    return Fidelity(len(maxima), max(maxima), *averages, max(coarse))


def _block_means(image: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = np.arange(0, image.shape[0], COARSE_BLOCK)
    columns = np.arange(0, image.shape[1], COARSE_BLOCK)
    sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0), columns, axis=1)
    heights = np.diff(np.append(rows, image.shape[0]))
    widths = np.diff(np.append(columns, image.shape[1]))
    means: NDArray[np.float64] = sums / (heights[:, None] * widths[None, :])[:, :, None]
    return means
