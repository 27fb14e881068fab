"""What Keras' fit, evaluate and predict take, and what they make of it.

Cases for the backend that KERAS_BACKEND names; test_keras_fit.py runs them for each. Warnings are
errors here too, so each case also says that Keras has nothing to complain about.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from conftest import photo, write_class_folders
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
    options,
    picture_table,
)

import pyloader
from pyloader import ImageDataGenerator

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


# What predict and evaluate say.


def test_predictions_come_in_the_order_of_the_files(folder: Path) -> None:
    iterator = flow(folder, class_mode=None, shuffle=False)
    model = keras.Sequential(
        [keras.layers.Input((SIZE, SIZE, 3)), keras.layers.GlobalAveragePooling2D()]
    )
    expected = []
    for name in iterator.filenames:
        picture = keras.utils.load_img(folder / name, target_size=(SIZE, SIZE))
        expected.append(np.asarray(picture, np.float32).mean((0, 1)) / 255)
    assert len(np.unique(expected, axis=0)) == SAMPLES
    for _ in range(2):
        predicted = model.predict(iterator, verbose=0)
        np.testing.assert_allclose(predicted, expected, rtol=1e-5)
    next(iterator)  # a pass begun does not matter
    np.testing.assert_allclose(model.predict(iterator, verbose=0), expected, rtol=1e-5)
    with_targets = flow(folder, shuffle=False)
    np.testing.assert_allclose(model.predict(with_targets, verbose=0), expected, rtol=1e-5)


def test_evaluate_says_what_a_plain_loop_says(folder: Path) -> None:
    iterator = flow(folder, class_mode="sparse", shuffle=True)
    model = make_model(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, right = 0.0, 0
    for images, labels in iterator.epoch():
        chances = np.asarray(model.predict_on_batch(images))
        loss -= np.log(chances[np.arange(len(labels)), labels.astype(int)]).sum()
        right += (chances.argmax(1) == labels).sum()
    for _ in range(2):
        evaluated = model.evaluate(iterator, verbose=0, return_dict=True)
        np.testing.assert_allclose(evaluated["loss"], loss / SAMPLES, rtol=1e-4)
        np.testing.assert_allclose(evaluated["accuracy"], right / SAMPLES, rtol=1e-5)


# What they take.


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("class_mode", ["categorical", "sparse"])
def test_classes(folder: Path, class_mode: str, workers: int) -> None:
    sparse = "sparse_" * (class_mode == "sparse")
    model = make_model(loss=f"{sparse}categorical_crossentropy")
    training = flow(folder, class_mode=class_mode)
    validation = flow(folder, class_mode=class_mode, shuffle=False)
    training.workers = validation.workers = workers
    recorder = Recorder()
    history = model.fit(
        training,
        validation_data=validation,
        validation_steps=2,
        steps_per_epoch=STEPS,
        epochs=3,
        verbose=0,
        callbacks=[recorder],
    )
    assert recorder.steps == [STEPS] * 3
    assert len(set(history.history["val_loss"])) == 3  # it learns, so each is another one
    predicted = model.predict(validation, verbose=0)
    assert predicted.shape == (SAMPLES, 3)
    losses = -np.log(predicted[np.arange(SAMPLES), validation.classes])
    np.testing.assert_allclose(model.evaluate(validation, verbose=0), losses.mean(), rtol=1e-4)
    first = losses[: 3 * BATCH].mean()
    np.testing.assert_allclose(model.evaluate(validation, steps=3, verbose=0), first, rtol=1e-4)


def test_two_classes(folder: Path) -> None:
    two = {"classes": ["blue", "green"], "class_mode": "binary"}
    model = make_model(Dense(1, activation="sigmoid"), loss="binary_crossentropy")
    history = model.fit(flow(folder, **two), validation_data=flow(folder, **two), verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()
    assert model.predict(flow(folder, **two), verbose=0).shape == (12, 1)


def test_pictures_as_their_own_targets(folder: Path) -> None:
    model = make_model(Dense(SIZE * SIZE * 3), keras.layers.Reshape((SIZE, SIZE, 3)))
    history = model.fit(flow(folder, class_mode="input"), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]


def test_pictures_without_targets(folder: Path) -> None:
    class SizeOfOutput(keras.Model):
        def compute_loss(
            self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True
        ) -> Any:
            assert y is None
            return keras.ops.mean(keras.ops.square(y_pred))

    inner = make_model(Dense(1))
    model = SizeOfOutput(inner.inputs, inner.outputs)
    model.compile(keras.optimizers.SGD(0.001))
    history = model.fit(flow(folder, class_mode=None), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]


def test_class_weights(folder: Path) -> None:
    model = make_model(loss="categorical_crossentropy")
    model.optimizer.learning_rate = 0.0
    iterator = flow(folder)
    plain = model.evaluate(iterator, verbose=0)
    history = model.fit(iterator, class_weight={0: 3.0, 1: 3.0, 2: 3.0}, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [3 * plain], rtol=1e-4)


def test_sample_weights_of_a_table(folder: Path) -> None:
    model = make_model(Dense(1))
    model.optimizer.learning_rate = 0.0
    table = picture_table(folder)
    predicted = model.predict(flow_table(folder, class_mode=None, shuffle=False), verbose=0)
    errors = (predicted[:, 0] - table["number"].to_numpy()) ** 2
    expected = (errors * table["weight"].to_numpy()).mean()
    iterator = flow_table(folder, weight_col="weight")
    np.testing.assert_allclose(model.evaluate(iterator, verbose=0), expected, rtol=1e-4)
    history = model.fit(iterator, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [expected], rtol=1e-4)


@pytest.mark.parametrize("class_mode", ["multi_output", "raw"])
def test_two_targets_of_a_table(keras_image: ModuleType, folder: Path, class_mode: str) -> None:
    inputs = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.Flatten()(inputs)
    heads = [Dense(1, name="left")(features), Dense(1, name="right")(features)]
    one_array = class_mode == "raw"
    model = keras.Model(inputs, keras.layers.Concatenate()(heads) if one_array else heads)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    two = {"y_col": ["left", "right"], "class_mode": class_mode}
    ordered, shuffled = flow_table(folder, shuffle=False, **two), flow_table(folder, **two)
    if keras.backend.backend() == "tensorflow" and not one_array:
        theirs = keras_image.ImageDataGenerator().flow_from_dataframe(
            picture_table(folder), **options(**two)
        )
        for iterator in (theirs, shuffled):  # lists of targets are beyond Keras on tf.data
            with pytest.raises(TypeError, match="`output_signature` must contain objects"):
                model.fit(iterator, verbose=0)
        return
    predicted = model.predict(ordered, verbose=0)
    errors = (
        np.hstack([predicted] if one_array else predicted) - picture_table(folder)[two["y_col"]]
    ) ** 2
    loss = errors.to_numpy().mean() * (1 if one_array else 2)  # the heads' losses are added
    evaluated = model.evaluate(shuffled, verbose=0, return_dict=True)
    np.testing.assert_allclose(evaluated["loss"], loss, rtol=1e-4)
    history = model.fit(shuffled, verbose=0)
    np.testing.assert_allclose(history.history["loss"], [loss], rtol=1e-4)


def test_arrays() -> None:
    images = np.stack([photo(SIZE, SIZE, seed) for seed in range(SAMPLES)])
    numbers = np.arange(SAMPLES, dtype=np.float32)
    recorder = Recorder()
    model = numbered_model(recorder)
    generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
    iterator = generator.flow(images, numbers, batch_size=BATCH, seed=5)
    model.fit(iterator, epochs=2, verbose=0, callbacks=[recorder])
    for start in (0, STEPS):
        assert sorted(np.concatenate(recorder.targets[start : start + STEPS])) == list(numbers)
    ordered = generator.flow(images, batch_size=BATCH, shuffle=False)
    assert model.predict(ordered, verbose=0).shape == (SAMPLES, 1)


def test_pairs(folder: Path) -> None:
    masks = flow(folder, class_mode=None, color_mode="grayscale")
    iterator = pyloader.pair(flow(folder, class_mode=None), masks)
    model = make_model(Dense(SIZE * SIZE), keras.layers.Reshape((SIZE, SIZE, 1)))
    recorder = Recorder()
    history = model.fit(
        iterator, validation_data=iterator, epochs=2, verbose=0, callbacks=[recorder]
    )
    assert recorder.steps == [STEPS, STEPS]
    assert history.history["loss"][1] < history.history["loss"][0]
    evaluated = model.evaluate(iterator, verbose=0)
    np.testing.assert_allclose(evaluated, history.history["val_loss"][1], rtol=1e-4)


def test_a_dataset_of_a_folder(folder: Path) -> None:
    def dataset(**others: Any) -> Any:
        return pyloader.image_dataset_from_directory(
            folder, image_size=(SIZE, SIZE), batch_size=BATCH, seed=5, verbose=False, **others
        )

    parts = {"validation_split": 0.4}
    training = dataset(subset="training", **parts)
    validation = dataset(subset="validation", **parts)
    model = make_model(loss="sparse_categorical_crossentropy")
    recorder = Recorder()
    history = model.fit(
        training, validation_data=validation, epochs=2, verbose=0, callbacks=[recorder]
    )
    assert recorder.steps == [3, 3]
    evaluated = model.evaluate(validation, verbose=0)
    np.testing.assert_allclose(evaluated, history.history["val_loss"][1], rtol=1e-4)
    assert model.predict(dataset(shuffle=False), verbose=0).shape == (SAMPLES, 3)


def test_an_iterator_made_before_keras_was_imported(folder: Path) -> None:
    code = f"""
import sys, pyloader
it = pyloader.ImageDataGenerator().flow_from_directory({str(folder)!r}, target_size=(8, 8))
next(it), it[0]
assert not {{"keras", "torch", "jax", "tensorflow"}} & set(sys.modules)
import keras
model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
model.compile("sgd", "mse")
model.fit(it, validation_data=it, epochs=2, verbose=0)
assert model.predict(it, verbose=0).shape == ({SAMPLES}, 3)
"""
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], check=True)
