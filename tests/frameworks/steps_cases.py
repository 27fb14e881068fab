"""How many steps Keras' loops take, on which pictures, and how they end.

Cases for the backend that KERAS_BACKEND names; test_keras_fit.py runs them for each. Warnings are
errors here too, so each case also says that Keras has nothing to complain about.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import write_class_folders
from fit_tools import (
    BATCH,
    COUNTS,
    SAMPLES,
    SIZE,
    STEPS,
    Recorder,
    flow,
    flow_table,
    make_model,
    numbered_model,
)

import pyloader
from pyloader import ImageError

# Keras' torch backend and NumPy disagree about an argument of `__array__`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Dense = keras.layers.Dense


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """19 pictures in three classes."""
    return write_class_folders(tmp_path_factory.mktemp("fit"), COUNTS, seed=3)


@pytest.fixture(autouse=True)
def same_weights_every_time() -> None:
    keras.utils.set_random_seed(1)


def test_every_epoch_has_every_picture_once(folder: Path) -> None:
    recorder = Recorder()
    model = numbered_model(recorder)
    model.fit(
        flow_table(folder),
        steps_per_epoch=STEPS,
        validation_data=flow_table(folder),
        epochs=3,
        verbose=0,
        callbacks=[recorder],
    )
    assert recorder.steps == [STEPS] * 3
    passes = [np.concatenate(recorder.targets[STEPS * e : STEPS * (e + 1)]) for e in range(3)]
    for pictures in passes:
        assert sorted(pictures) == list(range(SAMPLES))
    assert not np.array_equal(passes[0], passes[1])


@pytest.mark.parametrize("steps", [3, STEPS, 8])
@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
def test_repeated_passes_are_unbroken_whatever_an_epoch_is(
    folder: Path, steps: int, shuffle: bool
) -> None:
    epochs = 4
    recorder = Recorder()
    model = numbered_model(recorder)
    endless = flow_table(folder, shuffle=shuffle).repeat()
    for _ in range(2):  # the second fit begins another pass
        recorder.targets.clear()
        recorder.losses.clear()
        model.fit(
            endless,
            shuffle=False,
            steps_per_epoch=steps,
            epochs=epochs,
            verbose=0,
            callbacks=[recorder],
        )
        assert recorder.steps == [steps] * epochs
        assert len(recorder.targets) == steps * epochs
        for start in range(0, steps * epochs - STEPS + 1, STEPS):
            pictures = np.concatenate(recorder.targets[start : start + STEPS])
            assert sorted(pictures) == list(range(SAMPLES))
            assert shuffle != np.array_equal(pictures, np.arange(SAMPLES))


def test_each_evaluation_of_repeated_passes_begins_anew(folder: Path) -> None:
    model = make_model(loss="categorical_crossentropy")
    ordered = flow(folder, shuffle=False)
    history = model.fit(
        flow(folder).repeat(),
        shuffle=False,
        steps_per_epoch=2,
        validation_data=ordered.repeat(),
        validation_steps=2,
        epochs=3,
        verbose=0,
    )
    expected = model.evaluate(flow(folder, shuffle=False), steps=2, verbose=0)
    np.testing.assert_allclose(history.history["val_loss"][-1], expected, rtol=1e-4)
    np.testing.assert_allclose(
        model.evaluate(ordered.repeat(), steps=2, verbose=0), expected, rtol=1e-4
    )
    once = model.predict(flow(folder, shuffle=False), verbose=0)
    more = model.predict(ordered.repeat(), steps=STEPS + 2, verbose=0)
    np.testing.assert_allclose(more, np.concatenate([once, once[: 2 * BATCH]]), rtol=1e-4)


def test_repeated_pairs(folder: Path) -> None:
    masks = flow(folder, class_mode=None, color_mode="grayscale")
    endless = pyloader.pair(flow(folder, class_mode=None), masks).repeat()
    model = make_model(Dense(SIZE * SIZE), keras.layers.Reshape((SIZE, SIZE, 1)))
    recorder = Recorder()
    model.fit(endless, shuffle=False, steps_per_epoch=7, epochs=3, verbose=0, callbacks=[recorder])
    assert recorder.steps == [7, 7, 7]


def test_a_generator_of_batches(folder: Path) -> None:
    recorder = Recorder()
    model = numbered_model(recorder)
    batches = flow_table(folder).as_generator()
    model.fit(batches, shuffle=False, steps_per_epoch=3, epochs=5, verbose=0, callbacks=[recorder])
    assert recorder.steps == [3] * 5
    for start in range(0, 15, STEPS):
        pictures = np.concatenate(recorder.targets[start : start + STEPS])
        assert sorted(pictures) == list(range(SAMPLES))


def test_keras_does_not_warn_that_it_leaves_the_shuffling_to_the_iterator(folder: Path) -> None:
    """Warnings are errors here, and `shuffle=True` is the default."""
    recorder = Recorder()
    numbered_model(recorder).fit(
        flow_table(folder).repeat(), steps_per_epoch=STEPS, verbose=0, callbacks=[recorder]
    )
    pictures = np.concatenate(recorder.targets)
    assert sorted(pictures) == list(range(SAMPLES)) != list(pictures)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_picture_ends_the_fit_and_the_next_fit_works(tmp_path: Path, workers: int) -> None:
    """The picture is in the third batch; before the first step, Keras on JAX loses the weights."""
    folder = write_class_folders(tmp_path, COUNTS, seed=3)
    broken = folder / "green" / "green03.jpg"
    content = broken.read_bytes()
    iterator = flow(folder, shuffle=False)
    iterator.workers = workers
    model = make_model(loss="categorical_crossentropy")
    for _ in range(2):
        broken.write_bytes(content[: len(content) // 2])
        recorder = Recorder()
        message = r"cannot load image '.*green03\.jpg': "
        with pytest.raises(Exception, match=message) as caught:
            model.fit(iterator, shuffle=False, epochs=2, verbose=0, callbacks=[recorder])
        if keras.backend.backend() != "tensorflow":  # which makes errors of its own of all others
            assert caught.type is ImageError
        if workers == 1:  # else some threads run ahead, and Keras says it when it stops them
            assert recorder.steps == [2]
        broken.write_bytes(content)
        recorder = Recorder()
        model.fit(iterator, epochs=2, verbose=0, callbacks=[recorder])
        assert recorder.steps == [STEPS, STEPS]


def test_a_fit_that_a_callback_stops_leaves_nothing_behind(folder: Path) -> None:
    class StopAtOnce(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    recorder = Recorder()
    model = numbered_model(recorder)
    iterator = flow_table(folder)
    model.fit(iterator, epochs=3, verbose=0, callbacks=[StopAtOnce(), recorder])
    assert recorder.steps == [1]
    recorder.targets.clear()
    model.fit(iterator, verbose=0, callbacks=[recorder])
    assert sorted(np.concatenate(recorder.targets)) == list(range(SAMPLES))
