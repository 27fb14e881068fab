"""An environment for Python processes, children included, in which TensorFlow is not installed."""

from __future__ import annotations

import os
from pathlib import Path

_HIDE = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == "tensorflow" else find(name, path, target)
PathFinder.find_spec = find_spec
"""


def without_tensorflow(folder: Path) -> dict[str, str]:
    """Writes what hides it into a folder; the environment that runs it at the start of Python."""
    (folder / "sitecustomize.py").write_text(_HIDE)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"KERAS_BACKEND": "numpy", "PYTHONPATH": os.pathsep.join(paths)}
