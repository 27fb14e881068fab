"""`python -m pyloader run`: a script as Python would run it, with pyloader behind Keras."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from pyloader.integrations.keras2.patch import patch_keras

__all__ = ["run_script"]


def run_script(script: str, arguments: Sequence[str]) -> None:
    """Runs a script as `__main__`, with `sys.argv` and `sys.path` as Python sets them.

    Keras stays patched afterwards, for what the script leaves to the interpreter's end.

    Args:
        script: The file.
        arguments: What the script finds in `sys.argv[1:]`.

    Raises:
        FileNotFoundError: There is no such file.
        BaseException: Whatever the script raises, SystemExit included.
    """
    path = Path(script)
    if not path.exists():
        raise FileNotFoundError(2, "no such script", script)
    patch_keras()
    sys.argv[:] = [script, *arguments]
    if not sys.flags.safe_path:  # else Python adds no folder of its own
        sys.path[0] = str(path.parent.absolute())
    runpy.run_path(script, run_name="__main__")
