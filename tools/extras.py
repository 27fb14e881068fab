"""Prints what an extra of pyproject.toml requires, for `pip install -r`: nothing is built again.

python tools/extras.py EXTRA [EXTRA ...]
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def requirements(extra: str) -> list[str]:
    """The requirements of an extra, with those of the project's extras that it names."""
    found: list[str] = []
    for requirement in PROJECT["optional-dependencies"][extra]:
        own = re.fullmatch(rf"{PROJECT['name']}\[(.+)\]", requirement)
        found += requirements(own[1]) if own else [requirement]
    return found


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print("\n".join(requirements(name)))
