"""Where in the user's code a warning belongs."""

from __future__ import annotations

import sys

__all__ = ["level_of_caller"]


def level_of_caller() -> int:
    """The `stacklevel` that makes a warning of the calling function point at the user's line.

    Returns:
        The number of frames to the first one outside pyloader.
    """
    level, frame = 0, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("pyloader."):
        level, frame = level + 1, frame.f_back
    return level + 1
