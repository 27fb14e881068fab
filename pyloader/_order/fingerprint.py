"""Short marks of what batches are made from, to tell where two runs differ."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["differences", "mark", "mark_of_paths", "marks_of_settings", "settings_of"]

_CHARACTERS = 2  # of a single setting's mark: only says which one differs
_SURE = 6  # of the mark that says whether anything differs


def mark(*values: Any, characters: int = _SURE) -> str:
    """A mark of some values.

    Args:
        values: Numbers, texts, arrays, functions, and containers of them.
        characters: How long the mark is; each character holds 6 bits.

    Returns:
        The same text for the same values, in any process.
    """
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        _feed(digest, value)
    return base64.urlsafe_b64encode(digest.digest()).decode()[:characters]


def mark_of_paths(paths: Sequence[str]) -> str:
    """A mark of files by their names, wherever the folder lies that holds all of them.

    Args:
        paths: The files, in dataset order.

    Returns:
        The mark.
    """
    first, last = (min(paths), max(paths)) if paths else ("", "")
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = first[: len(list(same))].rfind(os.sep) + 1  # all lie between the two
    return mark("\0".join(path[shared:] for path in paths))


def settings_of(owner: Any) -> dict[str, Any]:
    """The public attributes of an object, by name."""
    settings = {name: value for name, value in vars(owner).items() if not name.startswith("_")}
    if "dtype" in settings:
        settings["dtype"] = np.dtype(settings["dtype"]).str
    return settings


def marks_of_settings(settings: Mapping[str, Any]) -> str:
    """One text for many settings; see `differences`.

    Args:
        settings: Name to value.

    Returns:
        A mark of all of them, and a very short one of each, in the order of their names.
    """
    names = sorted(settings)
    single = [mark(settings[name], characters=_CHARACTERS) for name in names]
    return mark(names, [settings[name] for name in names]) + "".join(single)


def differences(before: str, settings: Mapping[str, Any]) -> list[str]:
    """Which settings are not what they were.

    Args:
        before: What `marks_of_settings` gave then.
        settings: The settings now.

    Returns:
        Their names; none if all are the same. "settings" if it cannot be told which ones.
    """
    now = marks_of_settings(settings)
    if now == before:
        return []
    names = sorted(settings)
    if len(before) != len(now):
        return ["settings"]
    starts = range(_SURE, len(now), _CHARACTERS)
    differing = [
        name
        for name, start in zip(names, starts, strict=True)
        if now[start : start + _CHARACTERS] != before[start : start + _CHARACTERS]
    ]
    return differing or ["settings"]


def _feed(digest: Any, value: Any) -> None:
    """Adds one value, with its kind, so that "1", 1 and [1] differ."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        _feed_array(digest, value)
    elif isinstance(value, Mapping):
        digest.update(b"{")
        for key, entry in value.items():
            _feed(digest, key)
            _feed(digest, entry)
        digest.update(b"}")
    elif isinstance(value, (list, tuple)):
        digest.update(b"[")
        _feed_all(digest, value)
        digest.update(b"]")
    elif isinstance(value, (np.dtype, type)) or callable(value):
        digest.update(b"n" + _name_of(value).encode())
    elif value is None or isinstance(value, (bool, int, float, complex, str, bytes, os.PathLike)):
        text = f"{type(value).__name__}:{value!s}\0"
        digest.update(text.encode("utf-8", "surrogateescape"))
    else:  # whose text may be an address
        digest.update(type(value).__qualname__.encode())


def _feed_all(digest: Any, values: Iterable[Any]) -> None:
    for value in values:
        _feed(digest, value)


def _feed_array(digest: Any, array: NDArray[Any]) -> None:
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    if array.dtype.hasobject:
        _feed_all(digest, array.ravel().tolist())
    else:
        digest.update(np.ascontiguousarray(array).data)


def _name_of(value: type | np.dtype[Any] | Callable[..., Any]) -> str:
    """What a type or a function is called; its code is not looked at."""
    if isinstance(value, np.dtype):
        return value.str
    try:
        return np.dtype(value).str if isinstance(value, type) else value.__qualname__
    except (AttributeError, TypeError):
        return type(value).__qualname__ if not isinstance(value, type) else value.__qualname__
