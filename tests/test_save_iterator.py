"""`repeat()` under Keras' fit, and the callback that saves where an iterator stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch

from pyloader import ImageDataGenerator, pair

keras = pytest.importorskip("keras")


def _flow(directory: Path, **options: Any) -> Any:
    arguments: dict[str, Any] = {
        "target_size": (8, 8),
        "batch_size": 5,
        "class_mode": "sparse",
        "seed": 6,
        "verbose": False,
    }
    generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
    return generator.flow_from_directory(directory, **{**arguments, **options})


def _model() -> Any:
    model = keras.Sequential(
        [keras.layers.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse", jit_compile=False, run_eagerly=True)
    return model


class _Record(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes the samples of every batch trained on; may break the run off."""

    def __init__(self, iterator: Any, break_after: int = -1) -> None:
        super().__init__()
        self.batches: list[tuple[int, ...]] = []
        self._iterator = iterator
        self._break_after = break_after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(tuple(self._iterator.batch_indices))
        if len(self.batches) == self._break_after:
            raise KeyboardInterrupt


def _expected(directory: Path, batches: int) -> list[tuple[int, ...]]:
    iterator = _flow(directory)
    found = []
    for _ in range(batches):
        next(iterator)
        found.append(tuple(iterator.batch_indices))
    return found


@pytest.mark.parametrize("steps", [1, 3, 5, 7, 12])
def test_epochs_of_any_length_are_unbroken_passes(class_folders: Path, steps: int) -> None:
    iterator = _flow(class_folders)
    record = _Record(iterator)
    history = _model().fit(
        iterator.repeat(), steps_per_epoch=steps, epochs=4, verbose=0, callbacks=[record]
    )
    assert len(history.history["loss"]) == 4
    assert record.batches == _expected(class_folders, 4 * steps)


@pytest.mark.parametrize("same_view", [True, False])
def test_a_second_fit_begins_a_new_pass_unless_a_state_was_loaded(
    class_folders: Path, same_view: bool
) -> None:
    iterator, model = _flow(class_folders), _model()
    expected = _flow(class_folders)
    repeated = iterator.repeat()
    for call in ("begin", "reset", "load", "load", "reset"):
        if call == "reset":
            expected.reset()
        if call == "load":
            iterator.load_state_dict(iterator.state_dict())
        record = _Record(iterator)
        view = repeated if same_view else iterator.repeat()
        model.fit(view, steps_per_epoch=7, verbose=0, callbacks=[record])
        for batch in record.batches:
            next(expected)
            assert batch == tuple(expected.batch_indices)


def test_building_the_model_costs_no_batch(class_folders: Path) -> None:
    iterator = _flow(class_folders)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False, run_eagerly=True)
    losses = model.fit(iterator.repeat(), steps_per_epoch=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert iterator.total_batches_seen == 3


def test_evaluate_and_predict_take_what_they_are_told(class_folders: Path) -> None:
    iterator = _flow(class_folders, class_mode=None, shuffle=False)
    model = _model()
    assert model.predict(iterator.repeat(), steps=7, verbose=0).shape == (23 + 2 * 5, 1)
    labelled = _flow(class_folders, shuffle=False)
    assert np.isfinite(model.evaluate(labelled.repeat(), steps=9, verbose=0))


def test_looping_over_it_is_looping_over_its_source(class_folders: Path) -> None:
    iterator = _flow(class_folders)
    repeated = iterator.repeat()
    assert repeated.num_batches is None
    assert iter(repeated) is repeated
    expected = _flow(class_folders)
    for _ in range(7):
        assert_same_batch(next(repeated), next(expected))
    assert repeated.state_dict() == expected.state_dict()


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("broken_off", [1, 4, 8, 11])
def test_a_run_broken_off_anywhere_goes_on_where_it_was_saved(
    class_folders: Path, tmp_path: Path, every: int, broken_off: int
) -> None:
    from pyloader.integrations.keras import SaveIterator

    path = tmp_path / "iterator.json"
    expected = _expected(class_folders, 24)
    first = _flow(class_folders)
    repeated = first.repeat()
    record = _Record(first, break_after=broken_off)
    callbacks = [SaveIterator(repeated, path, every=every), record]
    with pytest.raises(KeyboardInterrupt):
        _model().fit(repeated, steps_per_epoch=6, epochs=4, verbose=0, callbacks=callbacks)
    assert record.batches == expected[:broken_off]
    in_epoch = broken_off % 6
    saved = broken_off - in_epoch + in_epoch // every * every
    assert path.exists() == (saved > 0)
    second = _flow(class_folders, num_threads=1, prefetch=1)
    again = second.repeat()
    record = _Record(second)
    callbacks = [SaveIterator(again, path, every=every), record]
    _model().fit(again, steps_per_epoch=5, epochs=2, verbose=0, callbacks=callbacks)
    assert record.batches == expected[saved : saved + 10]
    assert not path.exists()


def test_epochs_of_the_iterator_itself_are_saved_at_their_end(
    class_folders: Path, tmp_path: Path
) -> None:
    from pyloader.integrations.keras import SaveIterator

    path = tmp_path / "iterator.json"
    whole = _flow(class_folders)
    record = _Record(whole)
    np.random.seed(3)
    _model().fit(whole, epochs=3, shuffle=False, verbose=0, callbacks=[record])
    first = _flow(class_folders)
    keep = SaveIterator(first, path, delete_at_end=False)
    np.random.seed(3)
    _model().fit(first, epochs=2, shuffle=False, verbose=0, callbacks=[keep])
    assert len(json.dumps(json.loads(path.read_text()))) < 1000
    second = _flow(class_folders)
    rest = _Record(second)
    np.random.seed(99)
    saves = SaveIterator(second, path)
    _model().fit(second, epochs=1, shuffle=False, verbose=0, callbacks=[saves, rest])
    assert rest.batches == record.batches[2 * len(whole) :]


def test_positions_are_those_of_the_training_not_of_what_was_asked_ahead(
    class_folders: Path,
) -> None:
    """TensorFlow asks for batches before they are trained on."""
    repeated = _flow(class_folders).repeat()
    expected = _flow(class_folders)
    for index in (0, 1, 0, 1, 2, 3, 4, 5, 6):  # a look, then the training's own requests
        repeated[index]
    for batches in range(1, 8):
        next(expected)
        assert repeated.state_after(batches) == expected.state_dict()
    for wrong in (0, 8):
        with pytest.raises(ValueError, match=f"after {wrong} batches"):
            repeated.state_after(wrong)


def test_a_state_loaded_after_a_look_makes_the_look_worthless(class_folders: Path) -> None:
    source, expected = _flow(class_folders), _flow(class_folders)
    repeated = source.repeat()
    repeated[0]
    repeated[1]
    for _ in range(4):
        next(expected)
    source.load_state_dict(expected.state_dict())
    for index in range(4):
        assert_same_batch(repeated[index], next(expected))


def test_pairs_repeat_and_are_saved(class_folders: Path) -> None:
    def make() -> Any:
        options = {"class_mode": None, "shuffle": True}
        return pair(_flow(class_folders, **options), _flow(class_folders, **options))

    repeated, expected = make().repeat(), make()
    for index in range(4):
        assert_same_batch(repeated[index], expected.next())
    assert repeated.state_after(4) == expected.state_dict()


def test_what_cannot_be_saved_is_refused(class_folders: Path, tmp_path: Path) -> None:
    from pyloader.integrations.keras import SaveIterator

    iterator = _flow(class_folders)
    with pytest.raises(TypeError, match="repeat"):
        SaveIterator(np.zeros(3), tmp_path / "x")
    with pytest.raises(ValueError, match="at least 1"):
        SaveIterator(iterator.repeat(), tmp_path / "x", every=0)
    with pytest.raises(ValueError, match="repeat"):
        SaveIterator(iterator, tmp_path / "x", every=3)
    other = _flow(class_folders, batch_size=7)
    path = tmp_path / "iterator.json"
    path.write_text(json.dumps(other.state_dict()))
    with pytest.raises(ValueError, match="batch_size"):
        _model().fit(iterator, verbose=0, callbacks=[SaveIterator(iterator, path)])
