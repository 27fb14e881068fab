"""Images that are not JPEGs: decoded by Pillow, with its pixels and its verdict.

Pillow's process-wide switches hold here as in Keras: `Image.MAX_IMAGE_PIXELS`,
`ImageFile.LOAD_TRUNCATED_IMAGES`, plugins that a program registers, warnings that are errors.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyloader._pyloader import fitted_place

DEEP_MODES = ("I;16", "I")
"""Gray images of more than 8 bits, which Keras keeps unclipped with color_mode="grayscale"."""

_RUNS_PROGRAMS = frozenset({"EPS"})  # Ghostscript
_PIXEL_BYTES = 16  # of decoding: rows, the image, its conversion, the array
_CONTENT_COPIES = 2


class Switches(NamedTuple):
    """Pillow's switches as they are now; nothing is imported to read them."""

    max_pixels: int  #: Pixels of an image at most: where Pillow raises a DecompressionBombError
    load_truncated: bool  #: Whether what is missing in a file is ignored

    @classmethod
    def read(cls) -> Switches:
        image, file = sys.modules.get("PIL.Image"), sys.modules.get("PIL.ImageFile")
        limit = getattr(image, "MAX_IMAGE_PIXELS", 89_478_485)
        return cls(
            2**63 - 1 if limit is None else max(1, 2 * int(limit)),
            bool(getattr(file, "LOAD_TRUNCATED_IMAGES", False)),
        )


def load_pillow() -> Any:
    """Imports Pillow with all its plugins; returns `PIL.Image`.

    To be called when an iterator is made, before it has threads: the child of a fork would wait
    forever for a module that another thread was importing.
    """
    image = importlib.import_module("PIL.Image")
    importlib.import_module("PIL.ImageFile")
    image.preinit()  # the usual formats first, as `Image.open` tries them
    image.init()
    return image


class _MemoryFile(io.RawIOBase):
    """A file over memory that is not copied; the memory is let go when it is closed."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._position, len(self._content))[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        with self._content[self._position : self._position + len(buffer)] as part:
            buffer[: len(part)] = part
            self._position += len(part)
            return len(part)

    def close(self) -> None:
        self._content = memoryview(b"")
        super().close()


def decode(content: memoryview, color_mode: str, max_pixels: int) -> Any:
    """Decodes an image as Keras' `load_img` does."""
    with _file_over(content) as file:
        try:
            image = _open(file)
            _check_pixels(image, max_pixels)
            mode = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}[color_mode]
            if image.mode == mode or (mode == "L" and image.mode in DEEP_MODES):
                image.load()
            else:
                image = image.convert(mode)
            return image
        except MemoryError:
            raise
        except Exception as error:  # Pillow raises whatever comes up inside it
            raise OSError(_reason(error)) from error


def check_beginning(beginning: memoryview, max_pixels: int) -> None:
    """Raises an OSError where a file's first bytes tell that `decode` will refuse it."""
    image = _load_pillow()
    try:
        with _file_over(beginning) as file:
            opened = _open(file)
    except Exception as error:
        prefix = bytes(beginning[:16])
        accepts = (image.OPEN[name][1] for name in _formats(image))
        if not any(accept is not None and accept(prefix) is True for accept in accepts):
            raise OSError(_reason(error)) from error
    else:  # else more of the file is needed to tell
        _check_pixels(opened, max_pixels)


def memory_needed(beginning: memoryview, size: int, max_pixels: int) -> int:
    """Returns the bytes that `decode` takes at most; 0 where the beginning does not tell."""
    pixels = 0
    try:
        with _file_over(beginning) as file:
            width, height = _open(file).size
            pixels = min(width * height, max_pixels)
    except Exception:
        if len(beginning) < size:
            return 0
    return _CONTENT_COPIES * size + _PIXEL_BYTES * pixels


def resize(image: Any, height: int, width: int, interpolation: str, keep_aspect_ratio: bool) -> Any:
    """Resizes as Keras' `load_img` does, a center crop of the target's shape if asked for."""
    if image.size == (width, height):
        return image
    resample = getattr(_load_pillow().Resampling, interpolation.upper())
    box = None
    if keep_aspect_ratio:
        crop_width = min(image.width, image.height * width // height)
        crop_height = min(image.height, image.width * height // width)
        left, top = (image.width - crop_width) // 2, (image.height - crop_height) // 2
        box = (left, top, left + crop_width, top + crop_height)
    return image.resize((width, height), resample, box=box)


def resize_and_pad(image: Any, height: int, width: int, interpolation: str) -> Any:
    """Fits the whole image into the middle of a frame of zeros."""
    place = fitted_place((image.height, image.width), (height, width))
    top, left, inner_height, inner_width = place
    image = resize(image, inner_height, inner_width, interpolation, False)
    frame = _load_pillow().new(image.mode, (width, height))
    frame.paste(image, (left, top))
    return frame


def pixels_of(image: Any) -> NDArray[Any]:
    """Returns the pixels, (height, width, channels): uint8, or what a deep mode holds."""
    pixels: NDArray[Any] = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]


def _load_pillow() -> Any:
    loaded = sys.modules.get("PIL.Image")
    return load_pillow() if loaded is None or len(loaded.ID) < 10 else loaded


def _formats(image: Any) -> list[str]:
    return [name for name in image.ID if name not in _RUNS_PROGRAMS]


def _file_over(content: memoryview) -> Any:
    return io.BufferedReader(_MemoryFile(content), 1 << 16)  # small reads stay in C


def _open(file: Any) -> Any:
    image = _load_pillow()
    return image.open(file, formats=_formats(image))


def _check_pixels(image: Any, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise OSError(
            f"{image.width} x {image.height} pixels exceed the limit of {max_pixels} (max_pixels)"
        )


def _reason(error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image that Pillow can open"
    return str(error) or type(error).__name__
