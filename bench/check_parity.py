"""Compares whole shuffled epochs over a class folder with Keras' own iterator, byte for byte.

    python bench/check_parity.py --data FOLDER [--size 256] [--threads 1 2 7]

Every filter, color mode and crop; needs Keras. Exits with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import sys
from typing import Any

import numpy as np
from tqdm import tqdm

import pyloader

os.environ.setdefault("KERAS_BACKEND", "jax")

FILTERS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
COLOR_MODES = ("rgb", "rgba", "grayscale")
SEED = 20261


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder with one folder per class")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 7])
    return parser.parse_args()


def flow(module: Any, data: str, options: dict[str, Any], **extras: Any) -> Any:
    """One iterator over the folder, by pyloader or by Keras."""
    return module.ImageDataGenerator().flow_from_directory(
        data, class_mode="sparse", batch_size=32, seed=SEED, **options, **extras
    )


def main() -> int:
    """Runs every combination; returns the exit status."""
    arguments = parse_arguments()
    keras = importlib.import_module("keras.src.legacy.preprocessing.image")
    combinations = list(itertools.product(FILTERS, COLOR_MODES, (False, True)))
    images = 0
    for interpolation, color_mode, keep_aspect_ratio in tqdm(combinations, unit="epoch"):
        options = {
            "target_size": (arguments.size, arguments.size),
            "interpolation": interpolation,
            "color_mode": color_mode,
            "keep_aspect_ratio": keep_aspect_ratio,
        }
        theirs = flow(keras, arguments.data, options)
        ours = [
            flow(pyloader, arguments.data, options, num_threads=count, verbose=False)
            for count in arguments.threads
        ]
        for _ in range(len(theirs)):
            x, y = next(theirs)
            images += len(x)
            for count, iterator in zip(arguments.threads, ours, strict=True):
                our_x, our_y = next(iterator)
                if not (np.array_equal(our_x, x) and np.array_equal(our_y, y)):
                    print(
                        f"DIFFERENT: {options}, {count} threads, samples {iterator.batch_indices}"
                    )
                    return 1
        for iterator in ours:
            iterator.close()
    print(
        f"{images} images in {len(combinations)} epochs: every byte and label equals Keras', "
        f"with {', '.join(map(str, arguments.threads))} threads"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
