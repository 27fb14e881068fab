"""Saving where an iterator stands, and going on from there in another process."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from pyloader._augment.sampling import Drawing
from pyloader._monitor.error_log import BadImages
from pyloader._order.checkpoint import DrawnOrder, cursor_of, position_of
from pyloader._order.cursor import Cursor
from pyloader._order.fingerprint import differences, mark, marks_of_settings
from pyloader.options import Options

__all__ = ["Resumable"]

_VERSION = 1
_PLAIN = ("n", "batch_size", "shuffle", "seed")


class Resumable(ABC):
    """What iterators can tell about themselves: their position, and what they deliver from."""

    _mutex: threading.RLock
    _cursor: Cursor
    _options: Options
    _bad_images: BadImages
    _loaded: Cursor | None = None
    _drawn_order: DrawnOrder | None = None
    _marks: tuple[Any, dict[str, str]] = (None, {})

    def _settings(self) -> dict[str, Any]:
        """All that decides about the content of batches, apart from the dataset, by name."""
        return {}

    def _dataset(self) -> dict[str, str]:
        """Marks of the dataset: of its files or arrays, and of the labels."""
        return {}

    def _dataset_key(self) -> Any:
        """Something that is equal as long as the dataset is the same."""
        return ()

    @abstractmethod
    def _drawing(self) -> Drawing:
        """What is drawn for the images of a batch."""

    @abstractmethod
    def _move(self, cursor: Cursor) -> None:
        """Stands elsewhere from now on."""

    def state_dict(self) -> dict[str, Any]:
        """The position, for `load_state_dict`: all batches delivered so far lie before it.

        Returns:
            Plain data for JSON, less than 300 bytes of it. It is the same on all ranks, and fits
            any number of threads, processes and batches prepared ahead.
        """
        return self._state_at(self._cursor)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from a saved position: the next batch is the one that came next there.

        Takes the same time wherever the position is. An iterator without a seed takes over the
        random order of the saved one.

        Args:
            state_dict: From `state_dict` of an iterator over the same dataset with the same
                settings; `num_threads`, `prefetch`, `shard` and `on_error` may be others.

        Raises:
            ValueError: It is of another dataset or of other settings, and the message says which;
                or it is no such state.
        """
        with self._mutex:
            self._go_on_at(self._cursor_of(state_dict))

    def _position(self) -> Cursor:
        """Where the iterator stands, for `_state_at`."""
        return self._cursor

    def _go_on_at(self, cursor: Cursor) -> None:
        """Moves to a position that was loaded."""
        self._move(cursor)
        self._loaded = cursor
        self._bad_images.stand(cursor.total_batches_seen // max(1, cursor.batches))

    def _stands_where_loaded(self) -> bool:
        """Whether a position was loaded and nothing was delivered since."""
        return self._loaded is self._cursor

    def _cursor_of(self, state: Mapping[str, Any]) -> Cursor:
        """The position of a state that was saved from the same iterator."""
        try:
            self._check_same(state)
            return cursor_of(state, self._cursor, self._drawing())
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"this is no state of an iterator of pyloader: {error!r}") from error

    def _state_at(self, cursor: Cursor) -> dict[str, Any]:
        """The state with the iterator at some position."""
        return {
            "v": _VERSION,
            "n": int(cursor.n),
            "batch_size": int(cursor.batch_size),
            "shuffle": bool(cursor.shuffle),
            **({} if cursor.seed is None else {"seed": int(cursor.seed)}),
            **self._describe(cursor),
            **self._dataset_marks(),
            "settings": marks_of_settings(self._all_settings()),
        }

    def _describe(self, cursor: Cursor) -> dict[str, Any]:
        """A position as plain data."""
        if self._drawn_order is None:
            self._drawn_order = DrawnOrder()
        return position_of(cursor, self._drawing(), self._drawn_order)

    def _fingerprint(self) -> dict[str, str]:
        """What must be the same on all ranks, by name."""
        cursor = self._cursor
        settings = {
            **{name: getattr(cursor, name) for name in _PLAIN},
            "order (give every rank the same `seed`)": cursor.hidden_seed,
            "position": self._describe(cursor),
            **self._all_settings(),
            "on_error": self._options.on_error,
        }
        return {**self._dataset_marks(), **{name: mark(settings[name]) for name in settings}}

    def _all_settings(self) -> dict[str, Any]:
        return {**self._settings(), "last_batch": self._options.last_batch}

    def _dataset_marks(self) -> dict[str, str]:
        """The dataset's marks, made again only if it may have changed."""
        key = self._dataset_key()
        if self._marks[0] != key:
            self._marks = key, self._dataset()
        return self._marks[1]

    def _check_same(self, state: Mapping[str, Any]) -> None:
        """Raises a ValueError that names all that differs."""
        if state["v"] != _VERSION:
            raise ValueError(
                f"this state has format {state['v']!r}, and this version of pyloader reads "
                f"format {_VERSION}"
            )
        now = self._state_at(self._cursor)
        found = [
            f"`{name}` was {state.get(name)!r} and is {now.get(name)!r}"
            for name in _PLAIN
            if state.get(name) != now.get(name)
        ]
        found += [f"other {name}" for name in self._dataset_marks() if state.get(name) != now[name]]
        found += [
            f"another `{name}`" if name != "settings" else "other settings"
            for name in differences(state["settings"], self._all_settings())
        ]
        if found:
            raise ValueError(
                f"this state was saved from another {type(self).__name__}: {', '.join(found)}. "
                "Make the iterator as it was, or begin without the state."
            )
