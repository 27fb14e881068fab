"""Gray images deeper than 8 bits, which Keras keeps deep, and Pillow's way to resize them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Interval = tuple[np.float32, np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class DeepImage:
    """A gray image of 16 or 32 bits at its natural size.

    Attributes:
        pixels: (H, W) uint16 (Pillow's mode I;16) or int32 (mode I).
    """

    pixels: NDArray[np.uint16] | NDArray[np.int32]

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def values(self) -> NDArray[np.float32]:
        """(height, width, 1), the true values, neither scaled nor clipped."""
        return self.pixels.astype(np.float32)[:, :, None]

    def resize(
        self, height: int, width: int, interpolation: str, keep_aspect_ratio: bool
    ) -> NDArray[np.float32]:
        """The image at another size, as `keras.utils.load_img` makes it through Pillow 13.

        Args:
            height: Rows wanted, 1 or more.
            width: Columns wanted, 1 or more.
            interpolation: nearest, bilinear, bicubic, box, hamming or lanczos; ignored when the
                image has the size already.
            keep_aspect_ratio: Cut the largest centred part of the wanted shape out first.

        Returns:
            (height, width, 1).

        Raises:
            ValueError: The interpolation is none of the six.
        """
        resized = self.resized(height, width, interpolation, keep_aspect_ratio)
        return resized.astype(np.float32)[:, :, None]

    def resized(
        self, height: int, width: int, interpolation: str, keep_aspect_ratio: bool
    ) -> NDArray[Any]:
        """As `resize`, (height, width) in the pixels' dtype: float32 does not hold all int32."""
        if (self.height, self.width) == (height, width):
            return self.pixels
        if interpolation != "nearest" and interpolation not in _FILTERS:
            raise ValueError(
                f"interpolation must be one of nearest, {', '.join(_FILTERS)}; "
                f"received {interpolation!r}"
            )
        cut_height, cut_width = self.height, self.width
        if keep_aspect_ratio:
            cut_height = min(self.height, self.width * height // width)
            cut_width = min(self.width, self.height * width // height)
        top, left = (self.height - cut_height) // 2, (self.width - cut_width) // 2
        if (cut_height, cut_width) == (height, width):
            return self.pixels[top : top + height, left : left + width]
        rows = (np.float32(top), np.float32(top + cut_height))
        columns = (np.float32(left), np.float32(left + cut_width))
        if interpolation == "nearest":
            return self._pick(height, width, rows, columns)
        return self._filter(height, width, rows, columns, interpolation)

    def _pick(self, height: int, width: int, rows: Interval, columns: Interval) -> NDArray[Any]:
        """Nearest neighbour. Pillow steps through mode I and multiplies for mode I;16."""
        positions = _multiplied if self.pixels.dtype == np.uint16 else _stepped
        at_rows = positions(rows, height)
        at_columns = positions(columns, width)
        inside_rows, inside_columns = at_rows < self.height, at_columns < self.width
        picked = np.zeros((height, width), self.pixels.dtype)
        picked[np.ix_(inside_rows, inside_columns)] = self.pixels[
            np.ix_(at_rows[inside_rows], at_columns[inside_columns])
        ]
        return picked

    def _filter(
        self,
        height: int,
        width: int,
        rows: Interval,
        columns: Interval,
        interpolation: str,
    ) -> NDArray[Any]:
        """The two passes, each rounded to the image's type, in the order that Pillow 13 takes."""
        down, across = self.height - height, self.width - width
        rows_first = down > 0 and down > across * 2
        pixels: NDArray[Any] = self.pixels
        for is_rows in (rows_first, not rows_first):
            size, interval = (height, rows) if is_rows else (width, columns)
            axis = 0 if is_rows else 1
            if size == self.pixels.shape[axis] and interval[0] == 0 and interval[1] == size:
                continue
            lines = pixels if is_rows else pixels.T
            lines = _pass(np.ascontiguousarray(lines), interval, size, _FILTERS[interpolation])
            pixels = lines if is_rows else lines.T
        return pixels


def _multiplied(interval: Interval, size: int) -> NDArray[np.intp]:
    step = float(interval[1] - interval[0]) / size
    places = step * (np.arange(size) + 0.5) + float(interval[0])
    return places.astype(np.intp)


def _stepped(interval: Interval, size: int) -> NDArray[np.intp]:
    step = float(interval[1] - interval[0]) / size
    steps = np.full(size, step)
    steps[0] = float(interval[0]) + step * 0.5
    return np.add.accumulate(steps).astype(np.intp)


def _pass(
    lines: NDArray[Any],
    interval: Interval,
    size: int,
    kernel: tuple[Callable[[float], float], float],
) -> NDArray[Any]:
    """Resizes the first axis to `size`: a weighted sum of lines for every new one.

    The sum runs in double precision from the first line to the last, as Pillow's does, so that
    the rounding agrees.
    """
    function, reach = kernel
    available = lines.shape[0]
    scale = float(interval[1] - interval[0]) / size
    stretch = max(scale, 1.0)
    support = reach * stretch
    inverse = 1.0 / stretch
    resized = np.empty((size, lines.shape[1]), lines.dtype)
    for place in range(size):
        center = float(interval[0]) + (place + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        last = min(int(center + support + 0.5), available)
        weights = [function((line - center + 0.5) * inverse) for line in range(first, last)]
        total = 0.0
        for weight in weights:
            total += weight
        if total != 0.0:
            weights = [weight / total for weight in weights]
        sums = np.zeros(lines.shape[1])
        for line, weight in zip(range(first, last), weights, strict=True):
            sums += lines[line] * weight
        sums += np.copysign(0.5, sums)
        if lines.dtype == np.uint16:
            resized[place] = np.clip(np.trunc(sums), 0, 65535)
        else:
            resized[place] = _to_int32(sums)
    return resized


def _to_int32(sums: NDArray[np.float64]) -> NDArray[np.int32]:
    """C's conversion on the machines that Pillow runs on: what does not fit becomes -2**31."""
    whole = np.trunc(sums)
    fits = (whole >= -(2.0**31)) & (whole < 2.0**31)
    return np.where(fits, whole, -(2.0**31)).astype(np.int32)


def _box(x: float) -> float:
    return 1.0 if -0.5 < x <= 0.5 else 0.0


def _bilinear(x: float) -> float:
    x = abs(x)
    return 1.0 - x if x < 1.0 else 0.0


def _hamming(x: float) -> float:
    x = abs(x)
    if x == 0.0:
        return 1.0
    if x >= 1.0:
        return 0.0
    x *= math.pi
    return math.sin(x) / x * (_HAMMING_MEAN + _HAMMING_SWING * math.cos(x))


_HAMMING_MEAN, _HAMMING_SWING = float(np.float32(0.54)), float(np.float32(0.46))


def _bicubic(x: float) -> float:
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1
    if x < 2.0:
        return (((x - 5) * x + 8) * x - 4) * -0.5
    return 0.0


def _sinc(x: float) -> float:
    if x == 0.0:
        return 1.0
    x *= math.pi
    return math.sin(x) / x


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -3.0 <= x < 3.0 else 0.0


_FILTERS: dict[str, tuple[Callable[[float], float], float]] = {
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
    "box": (_box, 0.5),
    "hamming": (_hamming, 1.0),
    "lanczos": (_lanczos, 3.0),
}
