"""Folders of images to check, and what is looked for in a report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import other_pictures as zoo
from pictures import jpeg, picture

from pyloader.check import Report


def photo(seed: int, height: int = 30, width: int = 40) -> bytes:
    """A sound JPEG."""
    return jpeg(picture(np.random.default_rng(seed), height, width))


def png(seed: int, height: int = 9, width: int = 12) -> bytes:
    """A sound PNG."""
    return zoo.saved(zoo.picture(np.random.default_rng(seed), "RGB", width, height), "PNG")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes files by their names below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def kinds(report: Report) -> dict[str, list[str]]:
    """The kinds of findings of every path."""
    found: dict[str, list[str]] = {}
    for finding in report.findings:
        found.setdefault(finding.path, []).append(finding.kind)
    return found


def reasons(report: Report) -> dict[str, str]:
    """The reason of the last finding of every path."""
    return {finding.path: finding.reason for finding in report.findings}
