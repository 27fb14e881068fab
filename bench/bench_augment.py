"""Measures augmentation: the usual set of parameters, beside no augmentation and beside Keras.

    python bench/bench_augment.py --data FOLDER [--size 256] [--threads 2] [--rounds 5]

Rounds alternate between pyloader without augmentation, with it, and Keras' iterator with it
(a few batches of it: it is slow). Before the clock starts, one augmented batch of each is compared.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in {None, ""}:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyloader
from bench.machine import describe_machine, package_versions
from bench.report import format_table, median_and_spread, paired_ratio, write_json

os.environ.setdefault("KERAS_BACKEND", "jax")

USUAL_SET = {
    "rotation_range": 20,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "rescale": 1 / 255,
}
SEED = 7


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder with one folder per class")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--keras-batches", type=int, default=4, help="per round; 0 leaves Keras out"
    )
    parser.add_argument("--json", type=Path, help="where to write the raw figures")
    return parser.parse_args()


def flow(module: Any, arguments: argparse.Namespace, augmented: bool, **extras: Any) -> Any:
    """One iterator over the folder, by pyloader or by Keras."""
    options = USUAL_SET if augmented else {"rescale": USUAL_SET["rescale"]}
    return module.ImageDataGenerator(**options).flow_from_directory(
        arguments.data,
        target_size=(arguments.size, arguments.size),
        batch_size=32,
        class_mode="sparse",
        seed=SEED,
        **extras,
    )


def rate_of(iterator: Any, batches: int) -> float:
    """Images per second over some batches."""
    start = time.perf_counter()
    images = sum(len(next(iterator)[0]) for _ in range(batches))
    return images / (time.perf_counter() - start)


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference of one augmented batch, in levels of 255."""
    return float(np.abs(next(ours)[0] - next(theirs)[0]).max() * 255)


def main() -> int:
    """Runs the rounds; returns the exit status."""
    arguments = parse_arguments()
    native = {"num_threads": arguments.threads, "verbose": False}
    plain = flow(pyloader, arguments, augmented=False, **native)
    augmented = flow(pyloader, arguments, augmented=True, **native)
    contests: dict[str, Callable[[], float]] = {
        "plain": lambda: rate_of(plain, len(plain)),
        "augmented": lambda: rate_of(augmented, len(augmented)),
    }
    result: dict[str, Any] = {"arguments": {k: str(v) for k, v in vars(arguments).items()}}
    if arguments.keras_batches:
        keras_image = importlib.import_module("keras.src.legacy.preprocessing.image")
        keras = flow(keras_image, arguments, augmented=True)
        worst = difference(flow(pyloader, arguments, augmented=True, **native), keras)
        result["difference"] = worst
        print(f"largest difference of a batch from Keras': {worst:.6f} levels of 255")
        if worst > 1e-3:
            print("WRONG: the answers differ, so the times mean nothing")
            return 1
        contests["keras"] = lambda: rate_of(keras, arguments.keras_batches)
    rates: dict[str, list[float]] = {name: [] for name in contests}
    for run in contests.values():  # warm-up
        run()
    for _ in range(arguments.rounds):
        for name, run in contests.items():
            # Batches prefetched between the turns must not count.
            for iterator in (plain, augmented):
                iterator.batch_index = 0
            rates[name].append(run())
    machine = describe_machine()
    versions = package_versions(["pyloader", "numpy", "keras", "scipy", "pillow"])
    print(f"{machine['processor']}, {machine['usable_cores']} usable cores; {versions}")
    rows = []
    for name, figures in rates.items():
        spread = median_and_spread(figures)
        rows.append(
            [
                name,
                f"{spread['median']:.0f}",
                f"[{spread['min']:.0f} .. {spread['max']:.0f}]",
                f"{paired_ratio(rates['augmented'], figures):.2f}",
            ]
        )
    print(format_table(["", "images/s", "[min .. max]", "augmented is"], rows))
    if arguments.json:
        write_json(arguments.json, {**result, "machine": machine, "rates": rates})
    return 0


if __name__ == "__main__":
    sys.exit(main())
