"""What the cases of this folder share: small models, a recorder of steps, tables of pictures."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pyloader import ImageDataGenerator

SIZE = 12
BATCH = 4
COUNTS = {"blue": 7, "green": 5, "red": 7}
SAMPLES = sum(COUNTS.values())
STEPS = -(-SAMPLES // BATCH)


def options(**others: Any) -> dict[str, Any]:
    """What every flow of these cases is told: 19 pictures in batches of 4, the last one of 3."""
    return {"target_size": (SIZE, SIZE), "batch_size": BATCH, "seed": 5} | others


def make_model(*ending: Any, loss: Any = "mse", built: bool = True, **compiled: Any) -> Any:
    """A small compiled model.

    Args:
        ending: Its last layers; none: three classes.
        loss: As for `compile`.
        built: Whether it knows the shape of its input before `fit`.
        compiled: More for `compile`.
    """
    layers = keras.layers
    beginning = [layers.Input((SIZE, SIZE, 3))] if built else []
    middle = [layers.Conv2D(2, 3, strides=3), layers.Flatten()]
    end = ending or [layers.Dense(3, activation="softmax")]
    model = keras.Sequential([*beginning, *middle, *end])
    model.compile(keras.optimizers.SGD(0.05), loss, **compiled)
    return model


class Recorder(keras.callbacks.Callback):
    """Notes the loss after each step and the targets that the step was given.

    Targets are seen by its `metric`, in a model that runs eagerly: whatever stands between the
    iterator and the step, these are the numbers that the step has learnt from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[list[float]] = []
        self.targets: list[NDArray[Any]] = []
        self._training = False

    def on_train_begin(self, logs: Any = None) -> None:
        self._training = True

    def on_train_end(self, logs: Any = None) -> None:
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.losses.append([])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses[-1].append(float(logs["loss"]))

    def on_test_begin(self, logs: Any = None) -> None:
        self._training = False

    def on_test_end(self, logs: Any = None) -> None:
        self._training = True

    def metric(self, y_true: Any, y_pred: Any) -> Any:
        """Notes the targets of a training step; as a metric it means nothing."""
        if self._training:
            self.targets.append(np.array(keras.ops.convert_to_numpy(y_true)).ravel())
        return keras.ops.mean(y_pred)

    @property
    def steps(self) -> list[int]:
        """The number of steps of each epoch."""
        return [len(losses) for losses in self.losses]


def picture_table(folder: Path) -> Any:
    """A DataFrame with a row for each picture: its file, its number, a weight, two targets."""
    import pandas as pd

    files = sorted(str(path) for path in folder.rglob("*.jpg"))
    numbers = np.arange(len(files), dtype=np.float64)
    return pd.DataFrame(
        {
            "filename": files,
            "number": numbers,
            "weight": 0.5 + numbers / 10,
            "left": np.sin(numbers),
            "right": np.cos(numbers),
        }
    )


def seed_everything(seed: int) -> None:
    """Sets all generators that Keras draws from, `random` and NumPy's global one among them."""
    keras.utils.set_random_seed(seed)
    random.seed(seed + 1)  # Keras orders batches with it; not the order of the weights' seeds


def flow(folder: Path, **others: Any) -> Any:
    """An iterator over the folder's pictures."""
    return ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        folder, **options(verbose=False, **others)
    )


def flow_table(folder: Path, **others: Any) -> Any:
    """An iterator over the folder's pictures in a table; its target is a picture's number."""
    arguments = {"y_col": "number", "class_mode": "raw", "verbose": False} | others
    return ImageDataGenerator(rescale=1 / 255).flow_from_dataframe(
        picture_table(folder), **options(**arguments)
    )


def numbered_model(recorder: Recorder) -> Any:
    """A model for `flow_table` whose steps tell the recorder which pictures they were given."""
    return make_model(keras.layers.Dense(1), run_eagerly=True, metrics=[recorder.metric])
