"""A fit over many epochs of a small set: nothing grows, nothing is said.

A case for the backend that KERAS_BACKEND names; test_keras_fit.py runs it for one of them.
"""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import keras
import pytest
from conftest import write_class_folders

from pyloader import ImageDataGenerator

EPOCHS = 200
SETTLED = 50
"""The epoch after which nothing may grow any more."""

SIZE = 48
COUNTS = {"a": 10, "b": 9}

# A pass is 19 x 48 x 48 x 3 floats: if its batches were kept, the epochs would add 75 MB.
GROWTH_BYTES = 12 * 2**20


def status(name: str) -> int:
    """A figure of /proc/self/status, kilobytes or a count."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


class Gauge(keras.callbacks.Callback):
    """Notes resident bytes and threads after the epochs that are compared.

    Keras calls callbacks from a pool of threads that it fills by and by; these do not count. Nor
    do the loader's own that read ahead: they come when files are slow, as on a busy machine.
    """

    def __init__(self, *iterators: Any) -> None:
        super().__init__()
        self.iterators = iterators
        self.resident: dict[int, int] = {}
        self.threads: dict[int, tuple[int, int]] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch + 1 in (SETTLED, EPOCHS):
            gc.collect()
            self.resident[epoch + 1] = status("VmRSS") * 1024
            keras_own = sum(t.name.startswith("ThreadPoolExecutor") for t in threading.enumerate())
            reading = sum(iterator.stats().reading_threads for iterator in self.iterators)
            python, all_of_them = threading.active_count(), status("Threads")
            self.threads[epoch + 1] = (python - keras_own, all_of_them - keras_own - reading)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to look into")
def test_two_hundred_epochs_leave_memory_and_threads_as_they_are(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, COUNTS, seed=3)
    generator = ImageDataGenerator(rescale=1 / 255, rotation_range=20, horizontal_flip=True)
    flow = {"target_size": (SIZE, SIZE), "batch_size": 4, "verbose": False}
    training = generator.flow_from_directory(folder, seed=1, **flow)
    validation = ImageDataGenerator().flow_from_directory(folder, shuffle=False, **flow)
    layers = keras.layers
    model = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(2)])
    model.compile("sgd", "mse")
    gauge = Gauge(training, validation)
    model.fit(training, validation_data=validation, epochs=EPOCHS, verbose=0, callbacks=[gauge])
    growth = gauge.resident[EPOCHS] - gauge.resident[SETTLED]
    print(f"\nresident {gauge.resident[SETTLED] / 2**20:.1f} MB, {growth / 2**20:+.2f} MB", end="")
    print(f"; (Python's, all) threads {gauge.threads[SETTLED]}, {gauge.threads[EPOCHS]}")
    assert growth < GROWTH_BYTES
    assert gauge.threads[EPOCHS] == gauge.threads[SETTLED]
    before = status("Threads")
    training.close()
    validation.close()
    assert status("Threads") < before
