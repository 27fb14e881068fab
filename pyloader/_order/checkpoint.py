"""Checkpoints: a position as plain, readable JSON, and back.

A state holds how the order and the random stream come about, not what they are, so it is as small
after a million batches as before the first one. Its format has a version: later releases read it.
Settings are stored by name where they differ from their defaults, so a parameter that a later
release adds does not invalidate older states.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import operator
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._order.cursor import Cursor
from pyloader._order.random_stream import Stream

VERSION = 2
_POSITION = ("n", "batch_size", "shuffle", "seed")
_MAX_VALUES = 16
"""Values of a list or an array that a state spells out; longer ones are told by their digest."""


class OrderCheck:
    """Tells whether an order still is as it was drawn; users may write into it.

    It is drawn again to compare, once; later its checksum is enough.
    """

    def __init__(self) -> None:
        self._order: NDArray[np.int64] | None = None
        self._checksum = 0

    def is_as_drawn(self, cursor: Cursor, stream: Stream) -> bool:
        """Returns whether the cursor's order is the permutation that a stream gives next."""
        order = np.ascontiguousarray(cursor.index_array)
        checksum = zlib.crc32(order.data)
        if self._order is cursor.index_array:
            return checksum == self._checksum
        if not np.array_equal(order, stream.realize().permutation(cursor.n)):
            return False
        self._order, self._checksum = cursor.index_array, checksum
        return True


def state_at(
    cursor: Cursor,
    iterator: str,
    dataset: Mapping[str, str],
    settings: Mapping[str, Any],
    check: OrderCheck,
) -> dict[str, Any]:
    """Describes a position."""
    stream = cursor.stream
    return {
        "version": VERSION,
        "iterator": iterator,
        "seen": int(cursor.total_batches_seen),
        "next": int(cursor.batch_index) if cursor.started else None,
        "n": int(cursor.n),
        "batch_size": int(cursor.batch_size),
        "shuffle": bool(cursor.shuffle),
        "seed": None if cursor.seed is None else int(cursor.seed),
        **({"fallback_seed": int(cursor.fallback_seed)} if cursor.seed is None else {}),
        "order": _describe_order(cursor, check),
        "stream": None if stream is None else stream.to_json(),
        "dataset": dict(dataset),
        "settings": dict(settings),
    }


def cursor_from_state(
    state: Mapping[str, Any],
    cursor: Cursor,
    iterator: str,
    dataset: Mapping[str, str],
    settings: Mapping[str, Any],
) -> Cursor:
    """Returns the position that a state describes."""
    try:
        version = state["v"] if "v" in state else state["version"]
        if version != VERSION:
            raise ValueError(
                f"this state has format {version!r}, and this version of pyloader reads format "
                f"{VERSION}"
            )
        _check_same(state, cursor, iterator, dataset, settings)
        return _read_position(state, cursor)
    except (KeyError, TypeError, AttributeError, OverflowError, zlib.error) as error:
        raise ValueError(f"this is no state of an iterator of pyloader: {error!r}") from error


def _check_same(
    state: Mapping[str, Any],
    cursor: Cursor,
    iterator: str,
    dataset: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    """Raises a ValueError that names all that differs."""
    found = [
        f"`{name}` was {state[name]!r} and is {getattr(cursor, name)!r}"
        for name in _POSITION
        if state[name] != getattr(cursor, name)
    ]
    found += [f"other {name}" for name, mark in dataset.items() if state["dataset"][name] != mark]
    before = state["settings"]
    for name in sorted({*before, *settings}):
        then, now = (_text_of(values, name) for values in (before, settings))
        if then != now:
            found.append(f"another `{name}` (was {then}, is {now})")
    if found:
        raise ValueError(
            f"this state was saved from another {iterator}: {', '.join(found)}. "
            "Make the iterator as it was, or begin without the state."
        )


def _text_of(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings[name], sort_keys=True) if name in settings else "the default"


def _read_position(state: Mapping[str, Any], cursor: Cursor) -> Cursor:
    following, order, stream = state["next"], state["order"], state["stream"]
    if following is not None and order is None:
        raise ValueError("this state lies within an epoch, but has no order")
    cursor = cursor._replace(
        batch_index=0 if following is None else _count(following, cursor.n + 1),
        started=following is not None,
        total_batches_seen=_count(state["seen"]),
        fallback_seed=_count(state.get("fallback_seed", 0)),
        index_array=None,
        order=None,
        stream=None if stream is None else Stream.from_json(stream),
    )
    if order is None:
        return cursor
    if order == "sequential":
        return cursor._replace(index_array=np.arange(cursor.n))
    if "indices" in order:
        packed = zlib.decompress(base64.b64decode(order["indices"], validate=True))
        return cursor._replace(index_array=np.frombuffer(packed, dtype="<i8").astype(np.int64))
    drawn_from = Stream.from_json(order)
    index_array = drawn_from.realize().permutation(cursor.n)
    return cursor._replace(index_array=index_array, order=drawn_from)


def _describe_order(cursor: Cursor, check: OrderCheck) -> Any:
    """Describes how the order of the epoch comes about, or the order where a user changed it."""
    if cursor.index_array is None:
        return None
    if cursor.order is not None and check.is_as_drawn(cursor, cursor.order):
        return cursor.order.to_json()
    order = np.asarray(cursor.index_array)
    if np.array_equal(order, np.arange(cursor.n)):
        return "sequential"
    return {"indices": base64.b64encode(zlib.compress(order.astype("<i8").tobytes())).decode()}


def _count(value: Any, end: int = 1 << 63) -> int:
    """Returns a number from a state, at least 0 and below `end`."""
    count = operator.index(value)
    if not 0 <= count < end:
        raise ValueError(f"this is no state of an iterator of pyloader: {count} is out of range")
    return count


def plain(value: Any) -> Any:
    """Returns a setting as plain data for JSON: numbers and names as they are, the rest by digest.

    Functions and classes count by module and name; their code is not looked at.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (os.PathLike, bytes)):
        return os.fsdecode(value)
    if isinstance(value, np.dtype):
        return value.str
    if isinstance(value, np.ndarray):
        if value.size <= _MAX_VALUES:
            return plain(value.tolist())
        return f"{value.dtype.str} {value.shape} {digest(value)}"
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value] if len(value) <= _MAX_VALUES else digest(value)
    if isinstance(value, type) or callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    return f"{type(value).__module__}.{type(value).__qualname__}"


def digest(*values: Any) -> str:
    """Returns a digest of arrays, numbers, texts and containers of them: 12 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=6)
    for value in values:
        _feed(state, value)
    return state.hexdigest()


def digest_paths(paths: Sequence[str]) -> str:
    """Returns a digest of files by their names, wherever the folder lies that holds all of them."""
    first, last = (min(paths), max(paths)) if paths else ("", "")
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    shared = first[: len(list(same))].rfind(os.sep) + 1  # all lie between the two
    return digest("\0".join(path[shared:] for path in paths))


def _feed(state: Any, value: Any) -> None:
    """Adds one value, with its kind, so that "1", 1 and [1] differ."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        state.update(f"{value.dtype.str}{value.shape}".encode())
        state.update(np.ascontiguousarray(value).data)
    elif isinstance(value, (list, tuple, np.ndarray)):
        state.update(f"[{len(value)}".encode())
        for entry in value:
            _feed(state, entry)
    else:
        kind, value = type(value).__name__, plain(value)
        state.update(f"{kind}:{value!s}\0".encode("utf-8", "surrogateescape"))
