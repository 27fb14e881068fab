"""One image at a time: `load_img`."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._native.hooks import SampleHooks
from pyloader._pyloader import load_image
from pyloader.arguments import (
    CHANNELS,
    MAX_PIXELS,
    MAX_SCANS,
    check_fidelity,
    check_interpolation,
    check_limit,
    check_target_size,
)
from pyloader.errors import ImageError

__all__ = ["load_img"]


def load_img(
    source: str | os.PathLike[str] | bytes | io.BytesIO,
    color_mode: str = "rgb",
    target_size: Iterable[int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
    *,
    fidelity: str = "exact",
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
) -> NDArray[Any]:
    """Loads one image, with the pixels that Keras' `load_img` gives, as an array.

    Args:
        source: A path (str or path-like), or encoded content (bytes or BytesIO).
        color_mode: "rgb" (default), "rgba" or "grayscale".
        target_size: (height, width) in pixels; None (default): the image's own size.
        interpolation: "nearest" (default), "bilinear", "bicubic", "hamming", "box" or "lanczos";
            used where the size differs.
        keep_aspect_ratio: Whether to crop the centre to the target's shape before resizing,
            instead of distorting. Default False.
        fidelity: "exact" (default), Pillow's very bytes; or "fast": JPEGs are resized before their
            colour conversion. Against Pillow, over photographs: mean PSNR 48 dB at least, mean
            absolute error 0.6 levels of 255 at most. "nearest" and images whose size stays are
            exact anyway.
        max_pixels: Pixels at most; a larger image is refused before memory is taken for it. Default
            178,956,970, as in Pillow.
        max_scans: Scans of a JPEG at most; more are refused. Default 500.

    Returns:
        (height, width, channels) uint8, channels 3, 4 or 1 by colour mode; the array is yours.
        Grayscale images deeper than 8 bits keep their values: uint16 where these fit, else int32.

    Raises:
        ImageError: The image cannot be read or decoded.
        TypeError: `source` is none of the above.
        ValueError: A value that is not among the possible ones.

    Example:
        `load_img("car.jpg", target_size=(224, 224))` is (224, 224, 3) uint8.
    """
    if isinstance(source, io.BytesIO):
        content, is_path = source.getvalue(), False
    elif isinstance(source, bytes):
        content, is_path = source, False
    elif isinstance(source, (str, os.PathLike)):
        content, is_path = os.fsencode(source), True
        if b"\0" in content:
            raise ValueError(f"a path has no null bytes. Received: {os.fspath(source)!r}")
    else:
        raise TypeError(f"path should be path-like or io.BytesIO, not {type(source)}")
    if color_mode not in CHANNELS:
        raise ValueError('color_mode must be "grayscale", "rgb", or "rgba"')
    max_pixels = check_limit("max_pixels", max_pixels)
    height, width = 0, 0
    if target_size is not None:
        height, width = check_target_size(tuple(target_size))
        check_interpolation(interpolation)
    image = load_image(
        content,
        is_path,
        _hooks(color_mode, max_pixels),
        color_mode=color_mode,
        height=height,
        width=width,
        interpolation=interpolation if height else "nearest",
        keep_aspect_ratio=bool(keep_aspect_ratio),
        fidelity=check_fidelity(fidelity),
        max_pixels=max_pixels,
        max_scans=check_limit("max_scans", max_scans),
    )
    if image is not None:
        return image
    crop = bool(keep_aspect_ratio)
    return _load_deep(content, is_path, height, width, interpolation, crop, max_pixels)


def _hooks(color_mode: str, max_pixels: int) -> SampleHooks:
    from pyloader._native.settings import LoaderSettings

    return SampleHooks(
        LoaderSettings(
            0, 0, 0, color_mode, "nearest", False, False, np.dtype("uint8"), max_pixels=max_pixels
        )
    )


def _load_deep(
    content: bytes,
    is_path: bool,
    height: int,
    width: int,
    interpolation: str,
    keep_aspect_ratio: bool,
    max_pixels: int,
) -> NDArray[Any]:
    """A grayscale image of more than 8 bits, (H, W, 1) uint16 or int32."""
    from pyloader._native import other_formats  # brings in OpenCV, which only such files need

    path = os.fsdecode(content) if is_path else None
    try:
        encoded = content if path is None else Path(path).read_bytes()
        image = other_formats.decode(encoded, "grayscale", max_pixels)
        if isinstance(image, np.ndarray):
            raise ImageError(path, "the file changed while it was read")
        values = (
            image.resized(height, width, interpolation, keep_aspect_ratio)
            if height
            else image.pixels
        )
    except ValueError as error:
        raise ImageError(path, str(error)) from error
    limits = np.iinfo(np.uint16)
    fits = values.size == 0 or (values.min() >= limits.min and values.max() <= limits.max)
    return values.astype(np.uint16 if fits else np.int32)[:, :, np.newaxis]
