"""A position in the order of batches as plain data: small, and the same for every way to read it.

What is kept is how the order and the random stream come about, not what they are, so that a state
is as small after a million batches as before the first one.
"""

from __future__ import annotations

import base64
import operator
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import Drawing
from pyloader._order.cursor import Cursor
from pyloader._order.random_stream import Stream
from pyloader._order.twister import Recipe, Twister

__all__ = ["DrawnOrder", "cursor_of", "position_of"]

_IN_ORDER = "in order"


class DrawnOrder:
    """Tells whether an order still is as it was drawn; users may write into it.

    It is drawn again to compare, once; later its checksum is enough.
    """

    def __init__(self) -> None:
        self._order: NDArray[np.int64] | None = None
        self._checksum = 0

    def is_as_drawn(self, cursor: Cursor, stream: Stream) -> bool:
        """Whether the order of a pass is the permutation that a stream gives next.

        Args:
            cursor: A position in the pass.
            stream: The stream.

        Returns:
            False where somebody changed it.
        """
        order = np.ascontiguousarray(cursor.index_array)
        checksum = zlib.crc32(order.data)
        if self._order is cursor.index_array:
            return checksum == self._checksum
        if not np.array_equal(order, stream.realise().permutation(cursor.n)):
            return False
        self._order, self._checksum = cursor.index_array, checksum
        return True


def position_of(cursor: Cursor, drawing: Drawing, drawn_order: DrawnOrder) -> dict[str, Any]:
    """Describes a position.

    Args:
        cursor: The position.
        drawing: What is drawn for images now.
        drawn_order: The same object for all positions of an iterator.

    Returns:
        For JSON. Below 200 bytes, unless the order was assigned by hand or drawn from a generator
        that was not seeded with an integer.
    """
    position: dict[str, Any] = {
        "next": int(cursor.batch_index) if cursor.started else None,
        "seen": int(cursor.total_batches_seen),
    }
    if cursor.seed is None:
        position["hidden_seed"] = int(cursor.hidden_seed)
    writer = _Writer(cursor, drawing, drawn_order)
    if cursor.index_array is not None:
        position["order"] = writer.order()
    if cursor.stream is not None:
        position["stream"] = writer.stream(cursor.stream)
    return position


def cursor_of(position: Mapping[str, Any], cursor: Cursor, drawing: Drawing) -> Cursor:
    """Finds a described position.

    Args:
        position: From `position_of`.
        cursor: Any position under the same settings.
        drawing: What is drawn for images.

    Returns:
        The position.

    Raises:
        KeyError: Something is missing in the description.
        TypeError: Something in it is not what it should be.
        ValueError: Likewise.
    """
    following = position["next"]
    if following is not None and position.get("order") is None:
        raise ValueError("this state stands in a pass, but does not tell its order")
    cursor = cursor._replace(
        batch_index=0 if following is None else _count(following, cursor.n + 1),
        started=following is not None,
        total_batches_seen=_count(position["seen"]),
        hidden_seed=_count(position.get("hidden_seed", 0)),
    )
    reader = _Reader(cursor, drawing)
    index_array, order = reader.order(position.get("order"))
    stream = reader.stream(position["stream"]) if "stream" in position else None
    return cursor._replace(index_array=index_array, order=order, stream=stream)


class _Writer:
    """Describes streams and orders. Seeds are told as batches seen, and the length n as 1.

    (A permutation of a single element draws nothing, so that nobody else needs the 1.)
    """

    def __init__(self, cursor: Cursor, drawing: Drawing, drawn_order: DrawnOrder) -> None:
        self._cursor = cursor
        self._drawing = drawing
        self._drawn_order = drawn_order

    def order(self) -> Any:
        """How the order of the pass comes about; the order itself where somebody changed it."""
        cursor = self._cursor
        order = np.asarray(cursor.index_array)
        if cursor.order is not None:
            if self._drawn_order.is_as_drawn(cursor, cursor.order):
                return self.stream(cursor.order)
        elif np.array_equal(order, np.arange(cursor.n)):
            return _IN_ORDER
        return _pack(order.astype(np.int64))

    def stream(self, stream: Stream) -> list[Any]:
        """A stream as a list: its origin, then what was drawn, without zeros at the end."""
        drawing = stream.drawing
        if stream.images and drawing is not None and not drawing.draws_like(self._drawing):
            stream = Stream(Twister(stream.realise().get_state(legacy=False)))
        described = [self._origin(stream.origin), self._length(stream.permuted), stream.images]
        described += [self._length(length) for length in stream.shuffles]
        while described[-1] == 0 and len(described) > 1:
            described.pop()
        return described

    def _origin(self, origin: int | Recipe | Twister) -> Any:
        if isinstance(origin, (Recipe, Twister)):
            return _describe_state(origin)
        return int(origin) - _base_of(self._cursor)

    def _length(self, length: int) -> int:
        return 1 if length == self._cursor.n else int(length)


class _Reader:
    """Finds what a `_Writer` described."""

    def __init__(self, cursor: Cursor, drawing: Drawing) -> None:
        self._cursor = cursor
        self._drawing = drawing

    def order(self, described: Any) -> tuple[NDArray[np.int64] | None, Stream | None]:
        """The order of the pass and the stream that it was drawn from."""
        if described is None:
            return None, None
        if described == _IN_ORDER:
            return np.arange(self._cursor.n), None
        if isinstance(described, str):
            return np.frombuffer(_unpack(described), dtype="<i8").astype(np.int64), None
        stream = self.stream(described)
        return stream.realise().permutation(self._cursor.n), stream

    def stream(self, described: Any) -> Stream:
        """The stream that a list describes."""
        origin, permuted, images, *shuffles = [*described, 0, 0][: max(3, len(described))]
        return Stream(
            self._origin(origin),
            permuted=self._length(permuted),
            images=int(images),
            drawing=self._drawing if images else None,
            shuffles=tuple(self._length(length) for length in shuffles),
        )

    def _origin(self, described: Any) -> int | Recipe | Twister:
        if isinstance(described, list):
            return _find_state(described)
        return int(described) + _base_of(self._cursor)

    def _length(self, described: Any) -> int:
        return self._cursor.n if described == 1 else int(described)


def _base_of(cursor: Cursor) -> int:
    """The seed that batches seen are added to."""
    return int(cursor.hidden_seed if cursor.seed is None else cursor.seed)


def _describe_state(origin: Recipe | Twister) -> list[Any]:
    """[seed, words], or [position, key] where the key has no recipe."""
    recipe = origin.recipe if isinstance(origin, Twister) else origin
    if recipe is not None:
        return list(recipe)
    assert isinstance(origin, Twister)
    state = origin.state["state"]
    return [int(state["pos"]), _pack(np.asarray(state["key"], dtype=np.uint32))]


def _find_state(described: list[Any]) -> Recipe | Twister:
    """The state that a list describes."""
    first, second = described
    if not isinstance(second, str):
        return Recipe(int(first), int(second))
    state = np.random.RandomState(0).get_state(legacy=False)
    key = np.frombuffer(_unpack(second), dtype="<u4").astype(np.uint32)
    state["state"] = {"key": key, "pos": int(first)}
    return Twister(state)


def _count(value: Any, end: int = 1 << 63) -> int:
    """A number of a state, from 0 and below `end`."""
    count = operator.index(value)
    if not 0 <= count < end:
        raise ValueError(f"this is no state of an iterator of pyloader: {count} is out of range")
    return count


def _pack(values: NDArray[Any]) -> str:
    """Integers as text."""
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(data)).decode()


def _unpack(text: str) -> bytes:
    """The bytes of packed integers."""
    try:
        return zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(f"this is no state of an iterator of pyloader: {error}") from error
