"""Makes a folder of pictures as the tutorial lays it out: train, validation, test x red, blue.

python examples/make_data.py FOLDER
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from picture import TINTS, Bank, make_bank, paint

VERSION = 1
"""Raise it when the same arguments make other pictures; folders of another version are remade."""

MARKER = ".made-by-pyloader.json"
"""A file in each complete folder; a folder without it was not made here."""

SETS = {"train": 360, "validation": 80, "test": 80}
"""Pictures in each set, both classes together."""

DEMO_DATA = Path(__file__).resolve().parent.parent / "demo-data"
"""Where the demo and the other examples keep their pictures."""

_SUBSAMPLINGS = ("444", "422", "420", "Gray")
_SUBSAMPLING_SHARES = (0.35, 0.12, 0.50, 0.03)


@dataclass(frozen=True, slots=True)
class _Picture:
    path: Path
    tint: str
    seed: tuple[int, ...]
    camera: bool
    """True for 12 megapixels, as from a camera; else of web size."""


def make_dataset(
    root: Path,
    *,
    sets: dict[str, int] | None = None,
    seed: int = 1,
    progress: Callable[[int], object] | None = None,
) -> bool:
    """Makes the folder, unless it is there already and complete.

    It is made under another name and then renamed, so it is complete or absent at any moment.

    Args:
        root: The folder to make.
        sets: Number of pictures by name of the set; default SETS.
        seed: The same seed makes the same files.
        progress: Called with 1 after each picture, from the calling thread.

    Returns:
        True when it was made, False when it was there.

    Raises:
        FileExistsError: Something else has that name; it is left alone.
    """
    counts = SETS if sets is None else sets
    if is_made(root, sets=counts, seed=seed):
        return False
    if root.exists() and not (root / MARKER).is_file():
        raise FileExistsError(
            f"{root} exists and holds something else. Name another folder, or move it away."
        )
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    pictures = _plan(partial, counts, seed)
    for folder in {picture.path.parent for picture in pictures}:
        folder.mkdir(parents=True)
    bank = make_bank(seed)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(lambda picture: _write(picture, bank), pictures):
            if progress is not None:
                progress(1)
    (partial / MARKER).write_text(json.dumps(_description(counts, seed)))
    shutil.rmtree(root, ignore_errors=True)
    partial.rename(root)
    return True


def demo_data() -> Path:
    """Returns the folder of the demo's pictures; makes it in a few seconds if it does not exist."""
    if not is_made(DEMO_DATA):
        print(f"Making sample pictures in {DEMO_DATA.name}/ (only this once)", flush=True)
        make_dataset(DEMO_DATA)
    return DEMO_DATA


def is_made(root: Path, *, sets: dict[str, int] | None = None, seed: int = 1) -> bool:
    """Returns True if the folder exists, is complete, and of this version."""
    counts = SETS if sets is None else sets
    try:
        description = json.loads((root / MARKER).read_text())
    except (OSError, ValueError):
        return False
    there = {name: len(list((root / name).glob("*/*.jpg"))) for name in counts}
    return description == _description(counts, seed) and there == counts


def _description(counts: dict[str, int], seed: int) -> dict[str, object]:
    return {"version": VERSION, "seed": seed, "sets": counts}


def _plan(root: Path, counts: dict[str, int], seed: int) -> list[_Picture]:
    pictures = []
    for set_number, (name, count) in enumerate(counts.items()):
        for number in range(count):
            tint = tuple(TINTS)[number % len(TINTS)]
            path = root / name / tint / f"car{number // len(TINTS) + 1:04d}.jpg"
            pictures.append(_Picture(path, tint, (seed, set_number, number), number % 120 == 60))
    return pictures


def _write(picture: _Picture, bank: Bank) -> None:
    rng = np.random.default_rng(picture.seed)
    long_side, short_side = _size(rng, picture.camera)
    upright = rng.random() < 0.35
    height, width = (long_side, short_side) if upright else (short_side, long_side)
    image = paint(rng, bank, height, width, picture.tint)
    subsampling = str(rng.choice(_SUBSAMPLINGS, p=_SUBSAMPLING_SHARES))
    quality = int(rng.integers(60, 98))
    if subsampling == "Gray":
        image = np.ascontiguousarray(image[:, :, 1:2])
        content = simplejpeg.encode_jpeg(image, quality, "GRAY", "Gray")
    else:
        content = simplejpeg.encode_jpeg(image, quality, "RGB", subsampling)
    picture.path.write_bytes(content)


def _size(rng: np.random.Generator, camera: bool) -> tuple[int, int]:
    """Long and short side: mostly 300 to 700 pixels, a few large, the camera's 4000 x 3000."""
    if camera:
        return 4000, 3000
    long_side = (
        int(rng.integers(1000, 1800)) if rng.random() < 0.06 else int(rng.integers(300, 701))
    )
    return long_side, int(long_side * rng.uniform(0.6, 0.95))


def main() -> int:
    """Makes a folder from the command line."""
    parser = argparse.ArgumentParser(description="Makes the folder of pictures for the demo.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    made = make_dataset(options.folder, seed=options.seed)
    print("made" if made else "there already:", options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
