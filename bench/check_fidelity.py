"""Measures the error of fidelity="fast" against Pillow on a folder, and checks its bound.

    python bench/check_fidelity.py --data FOLDER [--sizes 64 128 224 256] [--images 200]

Prints a line per filter and size: PSNR (mean and minimum of the images) and absolute error (mean
and maximum of the images' means, maximum of all values). Exits with 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import pyloader

FILTERS = ("bilinear", "bicubic", "hamming", "lanczos", "box", "nearest")
LEAST_PSNR, MOST_ERROR = 48.0, 0.6


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="a folder with JPEGs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 224, 256])
    parser.add_argument("--images", type=int, default=200, help="how many, evenly from all")
    return parser.parse_args()


def main() -> int:
    """Compares every filter and size; returns the exit status."""
    arguments = parse_arguments()
    files = sorted(p for p in arguments.data.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    files = files[:: max(1, len(files) // arguments.images)][: arguments.images]
    if not files:
        print(f"no JPEGs in {arguments.data}", file=sys.stderr)
        return 2
    figures: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
    for path in tqdm(files, unit="image"):
        content = path.read_bytes()
        image = Image.open(io.BytesIO(content)).convert("RGB")
        for name in FILTERS:
            resampling = Image.Resampling[name.upper()]
            for size in arguments.sizes:
                exact = np.asarray(image.resize((size, size), resampling), dtype=np.int16)
                fast = pyloader.load_img(
                    content, target_size=(size, size), interpolation=name, fidelity="fast"
                )
                errors = np.abs(fast - exact)
                mean_square = max(float((errors.astype(np.float64) ** 2).mean()), 1e-3)
                ratio = 10 * np.log10(255**2 / mean_square)
                figures.setdefault((name, size), []).append(
                    (ratio, float(errors.mean()), int(errors.max()))
                )
    missed = False
    print(f"{len(files)} images; the bound: {LEAST_PSNR} dB at least, {MOST_ERROR} levels at most")
    for (name, size), rows in figures.items():
        ratios, errors, largest = (np.array(column) for column in zip(*rows, strict=True))
        kept = ratios.mean() >= LEAST_PSNR and errors.mean() <= MOST_ERROR
        missed |= not kept
        print(
            f"{name:9} {size:5}  PSNR {ratios.mean():5.1f} (least {ratios.min():4.1f}) dB,"
            f" error {errors.mean():.3f} (largest mean {errors.max():.2f}, value {largest.max()})"
            f"{'' if kept else '  MISSED'}"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
