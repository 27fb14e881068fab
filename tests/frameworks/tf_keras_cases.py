"""Keras 2 on TensorFlow (the package tf_keras): our iterators are Sequences to it.

test_keras_fit.py runs these cases in a process of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras
from conftest import write_class_folders

from pyloader import DirectoryIterator, ImageDataGenerator

SIZE = 12
BATCH = 4
COUNTS = {"blue": 7, "green": 5, "red": 7}
SAMPLES = 19
STEPS = 5

pytestmark = pytest.mark.filterwarnings("ignore:`Model.*_generator` is deprecated:UserWarning")


class Recorder(tf_keras.callbacks.Callback):
    """Notes the number of steps of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.steps.append(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps[-1] += 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """19 pictures in three classes."""
    return write_class_folders(tmp_path_factory.mktemp("keras2"), COUNTS, seed=3)


@pytest.fixture
def model() -> Any:
    """A small model, its weights the same every time."""
    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((SIZE, SIZE, 3)),
            layers.Conv2D(2, 3, strides=3),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def flow(folder: Path, **others: Any) -> DirectoryIterator:
    """An iterator over the folder's pictures."""
    options = {"target_size": (SIZE, SIZE), "batch_size": BATCH, "class_mode": "sparse"}
    return ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        folder, seed=5, verbose=False, **(options | others)
    )


def test_an_iterator_is_a_sequence(folder: Path) -> None:
    assert isinstance(flow(folder), tf_keras.utils.Sequence)
    assert isinstance(flow(folder), DirectoryIterator)


@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_goes_over_every_picture(model: Any, folder: Path, shuffle: bool) -> None:
    iterator = flow(folder)
    recorder = Recorder()
    history = model.fit(
        iterator,
        validation_data=flow(folder, shuffle=False),
        shuffle=shuffle,
        class_weight={0: 1.0, 1: 2.0, 2: 0.5},
        epochs=3,
        verbose=0,
        callbacks=[recorder],
    )
    assert recorder.steps == [STEPS] * 3
    assert len(set(history.history["val_loss"])) == 3
    evaluated = model.evaluate(flow(folder), verbose=0)
    np.testing.assert_allclose(evaluated, history.history["val_loss"][-1], rtol=1e-4)


def test_threads_of_keras_2_may_ask_for_batches(model: Any, folder: Path) -> None:
    """One epoch: Keras 2 takes five seconds to stop its threads, whatever they did."""
    recorder = Recorder()
    model.fit(flow(folder), workers=2, verbose=0, callbacks=[recorder])
    assert recorder.steps == [STEPS]


def test_predictions_come_in_the_order_of_the_files(model: Any, folder: Path) -> None:
    iterator = flow(folder, shuffle=False)
    images = np.concatenate([images for images, _ in iterator.epoch()])
    expected = model.predict_on_batch(images)
    assert len(np.unique(expected, axis=0)) == SAMPLES
    for method in (model.predict, model.predict_generator):
        predicted = method(iterator, verbose=0)
        np.testing.assert_allclose(predicted, expected, rtol=1e-4)


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_same_losses_as_with_keras_own_iterator(
    model: Any, folder: Path, shuffle: bool
) -> None:
    generators = (tf_keras.preprocessing.image.ImageDataGenerator, ImageDataGenerator)
    weights = model.get_weights()
    losses = []
    for generator in generators:
        tf_keras.utils.set_random_seed(3)  # `random` for batches, NumPy for the first order
        model.set_weights(weights)
        iterator = generator(rescale=1 / 255).flow_from_directory(
            folder, target_size=(SIZE, SIZE), batch_size=BATCH, class_mode="sparse", seed=5
        )
        history = model.fit(iterator, shuffle=shuffle, epochs=2, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@pytest.mark.parametrize("steps", [3, STEPS])
def test_old_methods_take_it(model: Any, folder: Path, steps: int) -> None:
    recorder = Recorder()
    history = model.fit_generator(
        flow(folder),
        steps_per_epoch=steps,
        epochs=3,
        verbose=0,
        callbacks=[recorder],
        validation_data=flow(folder, shuffle=False),
        validation_steps=steps,
    )
    assert recorder.steps == [steps] * 3
    evaluated = model.evaluate_generator(flow(folder, shuffle=False), steps=steps)
    np.testing.assert_allclose(evaluated, history.history["val_loss"][-1], rtol=1e-4)
    predicted = model.predict_generator(flow(folder), steps=steps)
    assert len(predicted) == min(SAMPLES, steps * BATCH)


@pytest.mark.parametrize("steps", [3, STEPS, 8])
def test_a_generator_gives_epochs_of_any_length(model: Any, folder: Path, steps: int) -> None:
    recorder = Recorder()
    model.fit(
        flow(folder).as_generator(),
        steps_per_epoch=steps,
        validation_data=flow(folder).as_generator(),
        validation_steps=2,
        epochs=3,
        verbose=0,
        callbacks=[recorder],
    )
    assert recorder.steps == [steps] * 3


def test_a_broken_picture_ends_the_fit_and_the_next_fit_works(model: Any, tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, COUNTS, seed=3)
    broken = folder / "green" / "green03.jpg"
    content = broken.read_bytes()
    iterator = flow(folder)
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(Exception, match=r"cannot load image '.*green03\.jpg': "):
        model.fit(iterator, verbose=0)
    broken.write_bytes(content)
    recorder = Recorder()
    model.fit(iterator, verbose=0, callbacks=[recorder])
    assert recorder.steps == [STEPS]
