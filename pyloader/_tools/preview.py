"""A contact sheet: the images of one batch in a grid, each above the name of its class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader.iterators.directory import DirectoryIterator

# Pixels, for images less than twice _UNIT_WIDTH wide; multiples of it for wider ones.
_MARGIN = 16
_LABEL_HEIGHT = 28
_LABEL_PADDING = 8
_BASELINE = 19
_UNIT_WIDTH = 256
_MIN_WIDTH = 112  # smaller images are enlarged, so that names of classes fit below them
_BACKGROUND, _LABEL_BACKGROUND, _TEXT = 232, 255, 40  # gray levels
_ASPECT = 1.5  # width to height of the sheet


class Layout(NamedTuple):
    """A grid of equal cells, an image with its label below; sizes in pixels."""

    columns: int
    rows: int
    scale: int  #: Every pixel of an image is a square of this side
    height: int  #: Of an image on the sheet
    width: int
    label: int  #: Height of a label
    margin: int  #: Between cells and around them

    @property
    def sheet_size(self) -> tuple[int, int]:
        """(height, width) of the sheet."""
        height = self.margin + self.rows * (self.height + self.label + self.margin)
        return height, self.margin + self.columns * (self.width + self.margin)

    def corner(self, index: int) -> tuple[int, int]:
        """Returns the (top, left) pixel of an image on the sheet."""
        row, column = divmod(index, self.columns)
        top = self.margin + row * (self.height + self.label + self.margin)
        return top, self.margin + column * (self.width + self.margin)


def plan_layout(count: int, height: int, width: int) -> Layout:
    """Plans the grid for so many images of a size."""
    scale = max(1, -(-_MIN_WIDTH // width))
    height, width = scale * height, scale * width
    unit = max(1, width // _UNIT_WIDTH)
    label, margin = unit * _LABEL_HEIGHT, unit * _MARGIN
    ideal = round(math.sqrt(count * (height + label + margin) / (width + margin) * _ASPECT))
    candidates = range(max(1, ideal - 1), min(count, ideal + 1) + 1) or [count]
    columns = min(candidates, key=lambda columns: (-count % columns, abs(columns - ideal)))
    return Layout(columns, -(-count // columns), scale, height, width, label, margin)


def draw_sheet(images: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.uint8]:
    """Draws RGB images (n, h, w, 3) and the name below each of them; returns (H, W, 3) RGB."""
    layout = plan_layout(*images.shape[:3])
    sheet = np.full((*layout.sheet_size, 3), _BACKGROUND, np.uint8)
    for index, (image, name) in enumerate(zip(images, names, strict=True)):
        top, left = layout.corner(index)
        bottom, right = top + layout.height, left + layout.width
        sheet[top:bottom, left:right] = image.repeat(layout.scale, 0).repeat(layout.scale, 1)
        _draw_label(sheet[bottom : bottom + layout.label, left:right], name)
    return sheet


def write_preview(batches: DirectoryIterator, path: Path) -> int:
    """Writes the next batch, with sparse labels, as a PNG; returns its number of images.

    Raises:
        ImageError: An image cannot be loaded.
        OSError: The file cannot be written.
    """
    import cv2

    images, labels = next(batches)
    pixels = np.rint(np.clip(images, 0, 255)).astype(np.uint8)
    names = list(batches.class_indices)  # in the order of their indices
    sheet = draw_sheet(pixels, [names[int(label)] for label in labels])
    path.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())
    return len(pixels)


def _draw_label(strip: NDArray[np.uint8], name: str) -> None:
    """Draws a name into a strip of the sheet, shortened where it is too long."""
    import cv2

    unit = strip.shape[0] // _LABEL_HEIGHT
    font = (cv2.FONT_HERSHEY_SIMPLEX, 0.5 * unit)
    name = name.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
    text, room = name, strip.shape[1] - 2 * unit * _LABEL_PADDING
    while name and cv2.getTextSize(text, *font, unit)[0][0] > room:
        name = name[:-1]
        text = name.rstrip() + "..."
    label = np.full(strip.shape, _LABEL_BACKGROUND, np.uint8)
    origin = (unit * _LABEL_PADDING, unit * _BASELINE)
    cv2.putText(label, text, origin, *font, (_TEXT, _TEXT, _TEXT), unit, cv2.LINE_AA)
    strip[:] = label
