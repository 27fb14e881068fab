"""Keras 3's models fit our iterators, with the methods and arguments of Keras 2 when patched."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyloader import DirectoryIterator, ImageDataGenerator, patch_keras, unpatch_keras
from pyloader.integrations.keras2.methods import old_methods

keras = pytest.importorskip("keras")

METHODS = ["fit_generator", "evaluate_generator", "predict_generator"]


@pytest.fixture
def patched() -> Iterator[None]:
    patch_keras()
    yield
    unpatch_keras()


@pytest.fixture
def iterator(class_folders: Path) -> DirectoryIterator:
    """23 images in 6 batches of 4, the last one of 3; labels are sparse."""
    return ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        class_folders, target_size=(8, 8), batch_size=4, class_mode="sparse", verbose=False, seed=1
    )


@pytest.fixture
def model() -> Any:
    """A tiny model for `iterator`, patched or not."""
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Recorder(keras.callbacks.Callback):
    """Counts the steps of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.steps.append(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps[-1] += 1


def test_a_model_has_the_old_methods_only_while_patched(model: Any) -> None:
    assert not any(hasattr(model, name) for name in METHODS)
    patch_keras()
    assert all(hasattr(model, name) for name in METHODS)
    unpatch_keras()
    assert not any(hasattr(model, name) for name in METHODS)


OLD_WORDS = {"max_queue_size": 16, "workers": 4, "use_multiprocessing": True}


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("word", OLD_WORDS)
def test_fit_evaluate_and_predict_take_old_words_without_effect(
    model: Any, iterator: DirectoryIterator, word: str
) -> None:
    old = {word: OLD_WORDS[word]}
    assert model.fit(iterator, epochs=2, verbose=0, **old).epoch == [0, 1]
    assert len(model.evaluate(iterator, None, 4, 0, **old)) == 2
    images, _ = next(iterator)
    np.testing.assert_array_equal(
        model.predict(images, verbose=0, **old), model.predict(images, verbose=0)
    )
    for method in (model.fit, model.evaluate, model.predict):
        with pytest.raises((TypeError, ValueError), match="worker"):
            method(iterator, worker=2)


def test_old_words_are_refused_again_without_the_patch(
    model: Any, iterator: DirectoryIterator
) -> None:
    signature = inspect.signature(keras.Model.fit)
    patch_keras()
    assert inspect.signature(keras.Model.fit) == signature
    assert keras.Model.fit.__doc__ == inspect.unwrap(keras.Model.fit).__doc__
    unpatch_keras()
    assert "fit" not in vars(keras.Model)
    with pytest.raises(TypeError, match="workers"):
        model.fit(iterator, workers=4)


@pytest.mark.usefixtures("patched")
def test_a_model_with_a_fit_of_its_own_keeps_it(iterator: DirectoryIterator) -> None:
    class Mine(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3, "softmax")

        def call(self, images: Any) -> Any:
            return self.dense(keras.ops.reshape(images, (-1, 192)))

        def fit(self, *args: Any, mine: int, **options: Any) -> Any:
            return mine, super().fit(*args, **options)

    model = Mine()
    model.compile("sgd", "sparse_categorical_crossentropy")
    mine, history = model.fit(iterator, mine=7, workers=4, verbose=0)
    assert (mine, history.epoch) == (7, [0])


def test_methods_that_take_the_old_words_stay_as_they_are() -> None:
    class Keras2:
        def fit(self, x: Any, workers: int = 1) -> None: ...

        def evaluate(self, x: Any, workers: int = 1) -> None: ...

        def predict(self, x: Any) -> None: ...

        def fit_generator(self, x: Any) -> None: ...

    assert set(old_methods(Keras2)) == {"predict", "evaluate_generator", "predict_generator"}


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("steps", [2, 6, 9, 4.5, None, 0])
def test_epochs_have_the_steps_they_were_told(
    model: Any, iterator: DirectoryIterator, steps: float | None
) -> None:
    recorder = Recorder()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit_generator(
            iterator, steps_per_epoch=steps, epochs=3, verbose=0, callbacks=[recorder]
        )
    assert recorder.steps == [{4.5: 5, None: 6, 0: 6}.get(steps, steps)] * 3
    assert [str(warning.message) for warning in caught] == [
        "`Model.fit_generator` is deprecated and will be removed in a future version. "
        "Please use `Model.fit`, which supports generators."
    ]
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("patched")
@pytest.mark.filterwarnings("ignore:`Model")
def test_passes_follow_each_other_unbroken(model: Any, iterator: DirectoryIterator) -> None:
    seen: list[Any] = []
    collate = iterator._collate

    def spy(batch: Any) -> Any:
        seen.append(batch.ids)
        return collate(batch)

    iterator._collate = spy  # type: ignore[method-assign]
    model.fit_generator(iterator, steps_per_epoch=4, epochs=3, verbose=0)
    for start in (0, 6):
        assert sorted(np.concatenate(seen[start : start + 6])) == list(range(23))


@pytest.mark.usefixtures("patched")
@pytest.mark.filterwarnings("ignore:`Model")
def test_every_old_argument_is_understood(model: Any, iterator: DirectoryIterator) -> None:
    history = model.fit_generator(
        generator=iterator,
        steps_per_epoch=3,
        epochs=4,
        verbose=0,
        callbacks=[],
        validation_data=iter([next(iterator)] * 4),
        validation_steps=2,
        validation_freq=2,
        class_weight={0: 1.0, 1: 2.0, 2: 0.5},
        max_queue_size=3,
        workers=2,
        use_multiprocessing=False,
        shuffle=False,
        initial_epoch=1,
    )
    assert history.epoch == [1, 2, 3]
    assert len(history.history["val_loss"]) == 2
    scores = model.evaluate_generator(
        iterator, 8, callbacks=None, max_queue_size=1, workers=0, use_multiprocessing=True
    )
    assert len(scores) == 2
    model.fit_generator(iterator, 1, 1, 0, None, next(iterator), 1)
    once = model.evaluate_generator(iterator, steps=0)  # no steps are one pass
    assert once == pytest.approx(model.evaluate_generator(iterator))
    model.fit_generator(iterator, 1, verbose=0, validation_data=iterator, validation_steps=0)


@pytest.mark.usefixtures("patched")
@pytest.mark.filterwarnings("ignore:`Model")
def test_predictions_are_in_the_order_of_the_files(model: Any, class_folders: Path) -> None:
    flow = {"target_size": (8, 8), "batch_size": 4, "verbose": False, "shuffle": False}
    generator = ImageDataGenerator(rescale=1 / 255)
    inputs = generator.flow_from_directory(class_folders, class_mode=None, **flow)
    next(inputs)  # a pass begun does not matter
    images = np.concatenate([inputs[place] for place in range(6)])
    expected = model.predict(images, verbose=0)
    for steps in (None, 0):
        np.testing.assert_allclose(model.predict_generator(inputs, steps), expected, rtol=1e-5)
    np.testing.assert_allclose(model.predict_generator(inputs, 3), expected[:12], rtol=1e-5)
    twice = model.predict_generator(inputs, steps=12, workers=3)
    np.testing.assert_allclose(twice, np.concatenate([expected, expected]), rtol=1e-5)
    with_labels = generator.flow_from_directory(class_folders, **flow)
    np.testing.assert_allclose(model.predict_generator(with_labels), expected, rtol=1e-5)


@pytest.mark.usefixtures("patched")
@pytest.mark.filterwarnings("ignore:`Model")
def test_no_batch_of_a_generator_is_lost_or_repeated(iterator: DirectoryIterator) -> None:
    batches = list(iterator.epoch())
    unbuilt = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    unbuilt.compile("sgd", "sparse_categorical_crossentropy")
    taken = []

    def generate() -> Any:
        for number in range(9):
            taken.append(number)
            yield batches[number % 6]

    unbuilt.fit_generator(generate(), steps_per_epoch=3, epochs=3, verbose=0)
    assert taken == list(range(9))
    with pytest.raises(RuntimeError, match="ran out of data at batch 2"):
        unbuilt.evaluate_generator(iter(batches[:1]), steps=3)


@pytest.mark.usefixtures("patched")
@pytest.mark.filterwarnings("ignore:`Model")
def test_an_unshuffled_sequence_comes_in_shuffled_batches(model: Any) -> None:
    asked: list[Any] = []

    class Numbers(keras.utils.Sequence):
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Any:
            asked.append(index)
            return np.zeros((1, 8, 8, 3)), np.zeros(1)

        def on_epoch_end(self) -> None:
            asked.append("end")

    model.fit_generator(Numbers(), steps_per_epoch=4, epochs=2, verbose=0, shuffle=False)
    assert asked == [0, 1, 2, 3, 4, "end", 0, 1, 2]
    asked.clear()
    model.fit_generator(Numbers(), epochs=3, verbose=0)
    passes = [asked[start : start + 5] for start in (0, 6, 12)]
    assert all(sorted(numbers) == list(range(5)) for numbers in passes)
    assert passes[0] != passes[1] or passes[1] != passes[2]


@pytest.mark.usefixtures("patched")
@pytest.mark.filterwarnings("ignore:`Model")
@pytest.mark.parametrize(
    ("method", "arguments", "name"),
    [
        ("fit_generator", {}, "steps_per_epoch"),
        ("evaluate_generator", {}, "steps"),
        ("predict_generator", {}, "steps"),
        (
            "fit_generator",
            {"steps_per_epoch": 1, "validation_data": iter([])},
            "validation_steps",
        ),
    ],
)
def test_a_generator_needs_a_number_of_steps(
    model: Any, method: str, arguments: dict[str, Any], name: str
) -> None:
    with pytest.raises(ValueError, match=f"^`{name}=None` is only valid for a generator based on"):
        getattr(model, method)(iter([]), **arguments)
    with pytest.raises(TypeError, match=r"^`generator` should be a generator"):
        getattr(model, method)(3, 1)


def test_keras_fits_an_iterator_as_it_is(model: Any, iterator: DirectoryIterator) -> None:
    history = model.fit(iterator, validation_data=iterator, epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert model.predict(iterator, verbose=0).shape == (23, 3)


def test_the_look_of_a_pydataset_keeps_python_sane(iterator: DirectoryIterator) -> None:
    assert isinstance(iterator, keras.utils.PyDataset)
    assert isinstance(iterator, DirectoryIterator)
    assert type(iterator) is DirectoryIterator
    assert iterator.__class__ is iterator.__class__
    assert issubclass(iterator.__class__, DirectoryIterator)
    assert iterator.__class__.__qualname__ == "DirectoryIterator"
    assert not isinstance(iterator, (list, np.ndarray))
    for twin in (copy.copy(iterator), pickle.loads(pickle.dumps(iterator))):
        assert type(twin) is DirectoryIterator
        np.testing.assert_array_equal(next(twin)[0], next(copy.copy(iterator))[0])
