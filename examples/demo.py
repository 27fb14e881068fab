"""The demo: makes a folder of pictures once, loads it as the tutorial does, and prints the speed.

    python examples/demo.py [--data FOLDER]

`--data` takes your own pictures: a folder with train/, validation/ and test/ inside, each with one
folder per class, or a folder with the class folders directly.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from make_data import DEMO_DATA, SETS, is_made, make_dataset
from tqdm import tqdm

from pyloader import ImageDataGenerator, ImageError

BATCH_SIZE = 64
HOW_TO_LAY_OUT = """\
The demo needs one folder per class with pictures (.jpg, .png, ...) inside:
    FOLDER/train/red/car01.jpg    and the like in FOLDER/validation and FOLDER/test
or  FOLDER/red/car01.jpg"""


def main() -> int:
    """Runs the demo; returns the exit status."""
    options = parse_arguments()
    folder = options.data or make_demo_data()
    iterators = make_iterators(folder)
    if not iterators:
        print(f"\nNo pictures found in {folder}\n{HOW_TO_LAY_OUT}", file=sys.stderr)
        return 2
    train_it = next(iter(iterators.values()))
    try:
        stream(train_it, options.epochs)
    except ImageError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    tell_where_time_went(train_it)
    batchX, _ = train_it.next()
    print("\nThe next batch, pixels as they are in the files, not scaled:")
    print(f"Batch shape={batchX.shape}, min={batchX.min():.3f}, max={batchX.max():.3f}")
    for iterator in iterators.values():
        iterator.close()
    return 0


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Loads a folder of pictures and prints the speed.")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="your own pictures instead of made ones"
    )
    parser.add_argument("--epochs", type=int, default=4, help="epochs over the pictures (4)")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be 1 or more. Received: {options.epochs}")
    if options.data is not None and not options.data.is_dir():
        parser.error(f"--data must be a folder. Received: {options.data}\n{HOW_TO_LAY_OUT}")
    return options


def make_demo_data() -> Path:
    """Makes the demo's own pictures if they do not exist; returns their folder."""
    if not is_made(DEMO_DATA):
        print(f"Making sample pictures in {DEMO_DATA.name}/ (only this once)")
        with tqdm(total=sum(SETS.values()), unit=" pictures", leave=False) as bar:
            make_dataset(DEMO_DATA, progress=bar.update)
    return DEMO_DATA


def make_iterators(folder: Path) -> dict[str, Any]:
    """Returns the tutorial's three iterators, or one for a folder with the class folders directly.

    Empty if there is no picture to train with.
    """
    datagen = ImageDataGenerator()
    names = [name for name in SETS if (folder / name).is_dir()]
    places = {name: folder / name for name in names} if "train" in names else {"train": folder}
    iterators = {}
    for name, place in places.items():
        classes = sum(entry.is_dir() for entry in place.iterdir())
        class_mode = "binary" if classes == 2 else "categorical"
        iterators[name] = datagen.flow_from_directory(
            str(place), class_mode=class_mode, batch_size=BATCH_SIZE
        )
    return iterators if iterators["train"].samples else {}


def stream(iterator: Any, epochs: int) -> None:
    """Reads all pictures `epochs` times, with a progress bar and the speed of each."""
    forgotten = drop_page_cache(iterator.filepaths)
    print(
        f"\nLoading {iterator.samples} pictures, resized to "
        f"{iterator.target_size[0]} x {iterator.target_size[1]}, {BATCH_SIZE} at a time"
    )
    for epoch in range(epochs):
        started = time.perf_counter()
        with tqdm(total=iterator.samples, unit=" images", leave=False) as bar:
            for batch, _ in iterator.epoch():
                bar.update(len(batch))
        seconds = time.perf_counter() - started
        note = "  (files fresh from the disk)" if epoch == 0 and forgotten else ""
        print(f"  epoch {epoch + 1}: {iterator.samples / seconds:7.0f} images/s{note}", flush=True)


def drop_page_cache(paths: list[str]) -> bool:
    """Asks the system to forget the files' content, so that the first epoch reads the disk."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.sync()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return True


def tell_where_time_went(iterator: Any) -> None:
    """Prints how the loading threads spent their time."""
    stats = iterator.stats()
    parts = {
        "reading files": stats.read_seconds,
        "decoding JPEG": stats.decode_seconds,
        "decoding other formats": stats.other_seconds,
        "resizing": stats.resize_seconds,
        "nothing to do": stats.idle_seconds,
    }
    total = sum(parts.values()) or 1.0
    print(f"\nWhat the {stats.num_threads} loading threads did with their time")
    for name, seconds in parts.items():
        if seconds:
            print(f"  {name:<24}{seconds / total:6.1%}")
    print(f"  your loop waited {1000 * stats.wait_per_batch:.1f} ms for a batch, on average")


if __name__ == "__main__":
    sys.exit(main())
