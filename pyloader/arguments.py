"""Checks of arguments that several modules take."""

from __future__ import annotations

import operator
import re
from typing import Any, TypeGuard

import numpy as np

__all__ = [
    "CHANNELS",
    "INTERPOLATIONS",
    "MAX_PIXELS",
    "MAX_SCANS",
    "check_bytes",
    "check_count",
    "check_fidelity",
    "check_interpolation",
    "check_last_batch",
    "check_limit",
    "check_on_error",
    "check_target_size",
    "is_integer",
]

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
"""Colour modes and their numbers of channels."""

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
"""Names of Pillow's filters, in the order of Keras' error text."""

MAX_PIXELS = 178_956_970
"""Where Pillow raises a DecompressionBombError: twice its `MAX_IMAGE_PIXELS`."""

MAX_SCANS = 500
"""Scans of a JPEG. Progressive files have 3 to 15; each costs a pass over the whole image."""


_UNITS = ("", "k", "m", "g", "t")


def check_bytes(name: str, value: int | str | None) -> int | None:
    """Checks an optional amount of memory.

    Args:
        name: The argument's name, for the message.
        value: Bytes, as a number or as text: "512MB", "1.5 GB"; a kilobyte is 1,000 bytes, a
            "KiB" 1,024, and so on. None for an automatic one.

    Returns:
        Bytes, or None.

    Raises:
        TypeError: It is neither a number nor text.
        ValueError: It is less than 1, or text of another form.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer, str)):
        raise TypeError(f'`{name}` should be bytes, text like "2GB" or None. Received: {value!r}')
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", value.lower())
        if found is None or (found[3] and not found[2]):
            raise ValueError(
                f'`{name}` should be bytes, text like "2GB" or None. Received: {value!r}'
            )
        power = _UNITS.index(found[2])
        amount = float(found[1]) * (1024**power if found[3] else 1000**power)
    else:
        amount = int(value)
    if not 1 <= amount < 2**63:
        raise ValueError(f"`{name}` should be at least one byte. Received: {value!r}")
    return int(amount)


def check_target_size(target_size: tuple[int, ...]) -> tuple[int, int]:
    """Checks a size.

    Args:
        target_size: (height, width) in pixels.

    Returns:
        Height and width as ints.

    Raises:
        TypeError: One of them is not an integer.
        ValueError: There are not two of them, or one is less than 1 or beyond 2**31 - 1.
    """
    sizes = [operator.index(size) for size in target_size]
    if len(sizes) != 2 or min(sizes) < 1 or max(sizes) >= 2**31:
        raise ValueError(
            "`target_size` should be two positive integers, (height, width). "
            f"Received: {target_size}"
        )
    return sizes[0], sizes[1]


def check_fidelity(fidelity: str) -> str:
    """Checks which pixels are asked for.

    Args:
        fidelity: "exact" or "fast".

    Returns:
        The same.

    Raises:
        ValueError: It is something else.
    """
    if fidelity not in ("exact", "fast"):
        raise ValueError(f'`fidelity` should be "exact" or "fast". Received: {fidelity!r}')
    return fidelity


def check_interpolation(interpolation: str) -> None:
    """Checks a filter's name.

    Args:
        interpolation: The name.

    Raises:
        ValueError: There is no such filter.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"Invalid interpolation method {interpolation} specified. "
            f"Supported methods are {', '.join(INTERPOLATIONS)}"
        )


def check_last_batch(last_batch: str, n: int, batch_size: int) -> str:
    """Checks what becomes of the ragged end of a pass.

    Args:
        last_batch: "keep", "pad" or "drop".
        n: Number of samples.
        batch_size: Samples of a batch.

    Returns:
        The value.

    Raises:
        ValueError: It is something else, or would leave nothing of a pass.
    """
    if last_batch not in {"keep", "pad", "drop"}:
        raise ValueError(
            f'`last_batch` should be "keep", "pad" or "drop". Received: {last_batch!r}'
        )
    if last_batch == "drop" and 0 < n < batch_size:
        raise ValueError(
            f'`last_batch="drop"` would leave nothing of {n} samples in batches of {batch_size}. '
            "Use a smaller `batch_size`."
        )
    return last_batch


def is_integer(value: Any) -> TypeGuard[int | np.integer[Any]]:
    """Tells integers, NumPy's too, from bools and the rest.

    Args:
        value: Anything.

    Returns:
        True for an integer.
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_count(name: str, value: int | None) -> int | None:
    """Checks an optional number of something.

    Args:
        name: The argument's name, for the message.
        value: The number, or None for an automatic one.

    Returns:
        The value as an int, or None.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is less than 1.
    """
    if value is None:
        return None
    if not is_integer(value):
        raise TypeError(f"`{name}` should be an integer or None. Received: {value!r}")
    if value < 1:
        raise ValueError(f"`{name}` should be at least 1. Received: {value!r}")
    return int(value)


_MOST = {"max_pixels": 2**63 - 1, "max_scans": 2**31 - 1}
"""What the core can count to; no file has as many."""


def check_limit(name: str, value: int) -> int:
    """Checks a limit that is always set.

    Args:
        name: The argument's name, for the message.
        value: The limit.

    Returns:
        The value as an int, or the most that the core can count to.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is less than 1.
    """
    if not is_integer(value):
        raise TypeError(f"`{name}` should be an integer. Received: {value!r}")
    check_count(name, value)
    return min(int(value), _MOST[name])


def check_on_error(on_error: str) -> str:
    """Checks what becomes of bad images.

    Args:
        on_error: "raise", "drop" or "replace".

    Returns:
        The same.

    Raises:
        ValueError: It is something else.
    """
    if on_error not in ("raise", "drop", "replace"):
        raise ValueError(
            f'`on_error` should be "raise", "drop" or "replace". Received: {on_error!r}'
        )
    return on_error
