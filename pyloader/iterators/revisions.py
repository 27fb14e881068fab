"""Objects whose settings may change at any time, and a cheap way to see that none did."""

from __future__ import annotations

from typing import Any

__all__ = ["Revised"]


class Revised:
    """Counts assignments to its public attributes.

    What depends on many of them compares one number before each batch instead of all of them. The
    number is kept in a slot: `vars` shows the settings alone.
    """

    __slots__ = ("_revision",)

    _revision: int

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_"):
            super().__setattr__("_revision", getattr(self, "_revision", 0) + 1)
