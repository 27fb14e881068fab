"""One image at a time: `load_img`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyloader import _pyloader
from pyloader._native import pillow
from pyloader._native.hooks import SampleHooks
from pyloader._native.settings import LoaderSettings
from pyloader.errors import ImageError
from pyloader.options import (
    CHANNELS,
    ColorMode,
    Fidelity,
    Interpolation,
    check_choice,
    check_count,
    check_interpolation,
    check_target_size,
)

_MAX_PATH = 4096
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*", b"MM\0*", b"8BPS")
"""How encoded images begin; a path that begins so has to be given as text."""


def load_img(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    color_mode: ColorMode = "rgb",
    target_size: Iterable[int] | None = None,
    interpolation: Interpolation = "nearest",
    keep_aspect_ratio: bool = False,
    *,
    fidelity: Fidelity = "exact",
    max_pixels: int | None = None,
) -> NDArray[Any]:
    """Loads one image as an array, with the pixels that Keras' `load_img` gives.

    Args:
        source: A path (str, path-like, or bytes as Keras takes them), a binary file object, or
            encoded content: bytes that cannot be a path, as they begin like an image or hold a NUL
            byte.
        color_mode: "rgb" (default), "rgba" or "grayscale".
        target_size: (height, width) in pixels; None (default): the image's own size.
        interpolation: "nearest" (default), "bilinear", "bicubic", "hamming", "box" or "lanczos";
            used where the size differs.
        keep_aspect_ratio: Whether to crop the center to the target's shape before resizing,
            instead of distorting. Default False.
        fidelity: "exact" (default) or "fast"; see `LoaderOptions`.
        max_pixels: Images with more pixels are refused by their header; None (default): twice
            Pillow's `Image.MAX_IMAGE_PIXELS`.

    Returns:
        (height, width, channels) uint8, channels 3, 4 or 1 by color mode; the array is yours.
        Grayscale images deeper than 8 bits keep their values: uint16 where these fit, else int32.

    Raises:
        ImageError: The image cannot be read or decoded.
        TypeError: `source` is none of the above.
        ValueError: A value that is not one of the possible ones.

    Example:
        `load_img("car.jpg", target_size=(224, 224))` is (224, 224, 3) uint8.
    """
    content, is_path = _content_of(source)
    if color_mode not in CHANNELS:
        raise ValueError('color_mode must be "grayscale", "rgb", or "rgba"')
    check_choice("fidelity", fidelity, ("exact", "fast"))
    switches = pillow.Switches.read()
    limit = check_count("max_pixels", max_pixels) or switches.max_pixels
    size = (0, 0)
    if target_size is not None:
        size = check_target_size(target_size)
        check_interpolation(interpolation)
    settings = LoaderSettings(
        height=size[0],
        width=size[1],
        channels=CHANNELS[color_mode],
        color_mode=color_mode,
        interpolation=interpolation if target_size is not None else "nearest",
        keep_aspect_ratio=bool(keep_aspect_ratio),
        channels_first=False,
        dtype=np.dtype("uint8"),
        max_pixels=limit,
    )
    image = _pyloader.load_image(
        content,
        is_path,
        SampleHooks(settings),
        color_mode=color_mode,
        height=size[0],
        width=size[1],
        interpolation=settings.interpolation,
        keep_aspect_ratio=settings.keep_aspect_ratio,
        fidelity=fidelity,
        max_pixels=limit,
        load_truncated=switches.load_truncated,
    )
    return _load_deep(content, is_path, settings) if image is None else image


def _content_of(source: Any) -> tuple[bytes, bool]:
    """Returns a path or encoded content as bytes, and whether it is a path."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        is_path = len(content) <= _MAX_PATH and b"\0" not in content
        return content, is_path and not content.startswith(_SIGNATURES) and bool(content)
    if isinstance(source, (str, os.PathLike)):
        content = os.fsencode(source)
        if b"\0" in content:
            raise ValueError(f"a path has no null bytes. Received: {os.fspath(source)!r}")
        return content, True
    if hasattr(source, "getvalue"):  # BytesIO, whatever its position, as in Keras
        return source.getvalue(), False
    if hasattr(source, "read"):
        content = source.read()
        if isinstance(content, bytes):
            return content, False
    raise TypeError(f"path should be path-like or io.BytesIO, not {type(source)}")


def _load_deep(content: bytes, is_path: bool, settings: LoaderSettings) -> NDArray[Any]:
    """Returns a grayscale image of more than 8 bits, (H, W, 1) uint16 or int32."""
    path = os.fsdecode(content) if is_path else None
    try:
        encoded = content if path is None else Path(path).read_bytes()
        image = pillow.decode(memoryview(encoded), "grayscale", settings.max_pixels)
    except OSError as error:
        raise ImageError(path, str(error)) from error
    if image.mode not in pillow.DEEP_MODES:
        raise ImageError(path, "the file changed while it was read")
    if settings.height:
        image = pillow.resize(
            image,
            settings.height,
            settings.width,
            settings.interpolation,
            settings.keep_aspect_ratio,
        )
    values = pillow.pixels_of(image)
    limits = np.iinfo(np.uint16)
    fits = values.size == 0 or (values.min() >= limits.min and values.max() <= limits.max)
    return values.astype(np.uint16 if fits else np.int32)
