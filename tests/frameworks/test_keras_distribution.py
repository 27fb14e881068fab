"""Keras' fit and evaluate over several JAX processes are those of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import free_port, run_world_of

pytest.importorskip("jax")
pytest.importorskip("keras")

pytestmark = pytest.mark.slow

TRAINING = """
import json, sys
folder, port, count, rank, last_batch, epochs = json.loads(sys.argv[1])
import keras
if count > 1:
    keras.distribution.initialize(f"127.0.0.1:{port}", count, rank)
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    )
from pyloader import ImageDataGenerator

generator = ImageDataGenerator(rescale=1 / 255, rotation_range=20, horizontal_flip=True)
iterator = generator.flow_from_directory(
    folder, target_size=(16, 16), batch_size=6, class_mode="sparse", seed=1, shard="auto",
    last_batch=last_batch, verbose=False,
)
assert iterator.shard == (rank, count)
keras.utils.set_random_seed(1)
model = keras.Sequential([
    keras.layers.Input((16, 16, 3)), keras.layers.Conv2D(4, 3),
    keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1),
])
model.compile("sgd", "mse", weighted_metrics=["mae"])
history = model.fit(iterator, epochs=epochs, shuffle=False, verbose=0).history
print(json.dumps([history.get("loss"), model.evaluate(iterator, verbose=0)]), flush=True)
"""


def _train(folder: Path, count: int, last_batch: str, epochs: int = 2) -> list[Any]:
    """What each of `count` processes says."""
    port = free_port()
    arguments = [[str(folder), port, count, rank, last_batch, epochs] for rank in range(count)]
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    return run_world_of(TRAINING, arguments, [environment] * count)


@pytest.mark.parametrize("last_batch", ["pad", "drop"])
def test_two_processes_train_and_evaluate_as_one(class_folders: Path, last_batch: str) -> None:
    (one,) = _train(class_folders, 1, last_batch)
    for rank in _train(class_folders, 2, last_batch):
        np.testing.assert_allclose(rank[0], one[0], rtol=1e-4)
        np.testing.assert_allclose(rank[1], one[1], rtol=1e-4)


def test_a_padded_evaluation_counts_every_sample_once(class_folders: Path) -> None:
    """In weighted metrics. Keras' loss divides by the rows of a batch, padding included."""
    (ragged,) = _train(class_folders, 1, "keep", epochs=0)
    for rank in [*_train(class_folders, 1, "pad", epochs=0), *_train(class_folders, 2, "pad", 0)]:
        np.testing.assert_allclose(rank[1][1], ragged[1][1], rtol=1e-5)
        assert rank[1][0] < ragged[1][0]
