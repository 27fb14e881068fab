"""Checks what is inside a wheel: the extension, libjpeg-turbo, types and licenses, and no more."""

from __future__ import annotations

import sys
import zipfile
from pathlib import PurePosixPath

NEEDED = {
    "the extension": lambda name: name.startswith("pyloader/_pyloader.") and name.endswith(".so"),
    "libjpeg-turbo": lambda name: name.startswith("pyloader.libs/libjpeg"),
    "the types": lambda name: name == "pyloader/py.typed",
    "the stub": lambda name: name == "pyloader/_pyloader.pyi",
    "pyloader's license": lambda name: name.endswith(".dist-info/licenses/LICENSE"),
    "libjpeg-turbo's license": lambda name: name.endswith("licenses/libjpeg-turbo.txt"),
    "pybind11's license": lambda name: name.endswith("licenses/pybind11.txt"),
}


def problems(wheel: str) -> list[str]:
    """What is missing from a wheel, and what should not be in it."""
    names = zipfile.ZipFile(wheel).namelist()
    found = [f"{what} is missing" for what, is_it in NEEDED.items() if not any(map(is_it, names))]
    for name in names:
        top = PurePosixPath(name).parts[0]
        if not top.startswith("pyloader"):
            found.append(f"{name} does not belong there")
    return found


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(found) or f"{sys.argv[1]}: complete")
    sys.exit(bool(found))
