"""Keras' hooks that public code replaces are called, on a class, in a subclass or on one object."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, photo
from numpy.typing import NDArray
from test_transforms import TUTORIAL

import pyloader
from pyloader import ImageDataGenerator

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

_EXACT = {**TUTORIAL, "channel_shift_range": 20.0, "interpolation_order": 0}
_LABELS = np.arange(12) // 10  # ten of one class, two of the other


def _images() -> NDArray[np.float32]:
    return np.stack([photo(9, 9, seed) for seed in range(12)]).astype(np.float32)


def _balanced(self: Any) -> None:
    """Draws as many samples of each class, with NumPy's global generator."""
    groups = [np.flatnonzero(label == _LABELS) for label in (0, 1)]
    chosen = [np.random.choice(group, self.n // 2) for group in groups]
    self.index_array = np.random.permutation(np.concatenate(chosen))


def _pairs(self: Any) -> Any:
    """Yields batches of its own choice, as generators of triplets do."""
    while True:
        yield np.random.choice(self.n, 3)


def _seeded_pairs(self: Any) -> Any:
    while True:
        np.random.seed(self.seed + self.total_batches_seen)
        self.total_batches_seen += 1
        yield np.random.permutation(self.n)[:3]


def _only_even(self: Any) -> None:
    type(self).__mro__[1]._set_index_array(self)
    self.index_array = self.index_array[self.index_array % 2 == 0]


def _make(module: Any, where: str, hook: str, function: Any, **options: Any) -> Any:
    kind = module.NumpyArrayIterator
    if where == "subclass":
        kind = type("Own", (kind,), {hook: function})
    arguments = {"batch_size": 5, "shuffle": True, "seed": 3, **options}
    iterator = kind(_images(), _LABELS, module.ImageDataGenerator(**_EXACT), **arguments)
    if where == "object":
        setattr(iterator, hook, function.__get__(iterator))
    return iterator


@pytest.mark.parametrize("where", ["subclass", "object", "class"])
@pytest.mark.parametrize(
    ("hook", "function"),
    [("_set_index_array", _balanced), ("_flow_index", _seeded_pairs)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_batches_are_keras_in_the_order_of_the_hook(
    keras_image: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    hook: str,
    function: Any,
) -> None:
    if where == "class":
        monkeypatch.setattr(pyloader.NumpyArrayIterator, hook, function)
        monkeypatch.setattr(keras_image.NumpyArrayIterator, hook, function, raising=False)
    ours, theirs = (_make(module, where, hook, function) for module in (pyloader, keras_image))
    if where == "object" and hook == "_flow_index":
        theirs.index_generator = theirs._flow_index()  # Keras asks in its constructor only
    for _ in range(9):
        assert_same_batch(next(ours), next(theirs))
        np.testing.assert_equal(ours.index_array, theirs.index_array)
    if hook == "_set_index_array":
        assert_same_batch(ours[1], theirs[1])


def test_a_replaced_index_generator_is_followed(keras_image: ModuleType) -> None:
    made = []
    for module in (pyloader, keras_image):
        iterator = _make(module, "", "", None)
        iterator.index_generator = _seeded_pairs(iterator)
        made.append([next(iterator) for _ in range(6)])
    for ours, theirs in zip(*made, strict=True):
        assert_same_batch(ours, theirs)


def test_an_index_generator_that_ends_ends_the_iterator() -> None:
    iterator = _make(pyloader, "", "", None)
    iterator.index_generator = iter([np.array([1, 2]), np.array([3])])  # type: ignore[assignment]
    assert [len(labels) for _, labels in iterator] == [2, 1]


def test_an_order_of_its_own_without_a_seed_goes_on_drawing() -> None:
    iterator = _make(pyloader, "subclass", "_flow_index", _pairs)
    batches = [next(iterator) for _ in range(4)]
    assert len({images.tobytes() for images, _ in batches}) == 4
    assert all(images.shape == (3, 9, 9, 3) for images, _ in batches)


def test_an_order_with_fewer_samples_has_shorter_batches(keras_image: ModuleType) -> None:
    ours, theirs = (
        _make(module, "subclass", "_set_index_array", _only_even)
        for module in (pyloader, keras_image)
    )
    for _ in range(8):
        assert_same_batch(next(ours), next(theirs))


def test_the_order_of_a_hook_is_in_the_state_and_divided_among_shards() -> None:
    whole = _make(pyloader, "subclass", "_set_index_array", _balanced)
    next(whole)
    state = whole.state_dict()
    expected = [next(whole) for _ in range(4)]
    again = _make(pyloader, "subclass", "_set_index_array", _balanced)
    again.load_state_dict(state)
    for batch in expected:
        assert_same_batch(next(again), batch)
    shards = [
        _make(pyloader, "subclass", "_set_index_array", _balanced, shard=(index, 2))
        for index in range(2)
    ]
    plain = _make(pyloader, "subclass", "_set_index_array", _balanced)
    for _ in range(5):
        parts = [next(shard) for shard in shards]
        for element, together in enumerate(next(plain)):
            found = np.concatenate([part[element] for part in parts])
            np.testing.assert_array_equal(found, together)


def test_a_hook_that_appears_later_holds_from_the_next_batch_on() -> None:
    iterator = _make(pyloader, "", "", None, shuffle=False, batch_size=12)
    assert next(iterator)[1].tolist() == _LABELS.tolist()
    iterator._set_index_array = lambda: setattr(iterator, "index_array", np.array([11, 0]))
    assert next(iterator)[1].tolist() == [1, 0]


@pytest.mark.parametrize("where", ["subclass", "object", "class"])
@pytest.mark.parametrize("method", ["standardize", "apply_transform", "get_random_transform"])
def test_methods_of_the_generator_are_called_wherever_they_are_replaced(
    keras_image: ModuleType,
    class_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    method: str,
) -> None:
    replacements: dict[str, Any] = {
        "standardize": lambda self, x: 255 - x,
        "apply_transform": lambda self, x, parameters: x[::-1] + parameters["theta"],
        "get_random_transform": lambda self, shape, seed=None: {
            "theta": 0,
            "flip_horizontal": np.random.random() < 0.5,
        },
    }
    function = replacements[method]
    batches = []
    for module in (pyloader, keras_image):
        kind = module.ImageDataGenerator
        with monkeypatch.context() as patch:
            if where == "class":
                patch.setattr(kind, method, function)
            elif where == "subclass":
                kind = type("Own", (kind,), {method: function})
            generator = kind(rotation_range=5, interpolation_order=0)
            if where == "object":
                setattr(generator, method, function.__get__(generator))
            it = generator.flow_from_directory(
                str(class_folders), target_size=(9, 8), batch_size=4, seed=1
            )
            batches.append([next(it) for _ in range(3)])
    for ours, theirs in zip(*batches, strict=True):
        assert_same_batch(ours, theirs)


def test_parameters_changed_in_place_hold_from_the_next_batch_on(class_folders: Path) -> None:
    generator = ImageDataGenerator(rescale=[1.0, 2.0, 3.0], featurewise_center=True)  # type: ignore[arg-type]
    generator.mean = np.zeros((1, 1, 3))
    it = generator.flow_from_directory(
        class_folders, target_size=(8, 8), shuffle=False, class_mode=None, verbose=False
    )
    before = next(it)
    it.reset()
    generator.rescale[0] = 0.0  # type: ignore[index]
    generator.mean[..., 1] = 7
    after = next(it)
    assert not after[..., 0].any()
    np.testing.assert_allclose(after[..., 1], before[..., 1] - 7)


_CALLS: list[Any] = [
    lambda it: next(it),
    lambda it: it[0],
    lambda it: it.on_epoch_end(),
    lambda it: setattr(it, "shuffle", False),
    lambda it: setattr(it, "batch_size", 2),
    lambda it: it.load_state_dict({}),
]


@pytest.mark.parametrize("call", range(len(_CALLS)))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", ["preprocessing_function", "get_random_transform"])
def test_user_code_that_calls_back_gets_an_error_and_never_waits(
    call: int, dtype: str, place: str
) -> None:
    box: dict[str, Any] = {}

    def use(value: Any) -> Any:
        _CALLS[call](box["it"])
        return value

    class Own(ImageDataGenerator):
        def get_random_transform(self, img_shape: Any, seed: Any = None) -> Any:
            return use(super().get_random_transform(img_shape, seed))

    kind = Own if place == "get_random_transform" else ImageDataGenerator
    function = None if place == "get_random_transform" else use
    box["it"] = kind(preprocessing_function=function, dtype=dtype).flow(
        _images(), batch_size=4, seed=1
    )
    failed: list[BaseException] = []

    def take() -> None:
        try:
            next(box["it"])
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert isinstance(failed[0], RuntimeError)
    assert "preprocessing_function" in str(failed[0])


def test_user_code_may_use_another_iterator() -> None:
    other = ImageDataGenerator().flow(_images(), batch_size=1, seed=1)
    it = ImageDataGenerator(preprocessing_function=lambda image: image + next(other)[0]).flow(
        _images(), batch_size=4, seed=2
    )
    assert next(it).shape == (4, 9, 9, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.__setitem__(slice(None), files[:1]),
        lambda files: files.append("x"),
        lambda files: files.sort(),
        lambda files: files.clear(),
        lambda files: files.__iadd__(["x"]),
        lambda files: files.__delitem__(0),
    ],
)
def test_a_list_of_files_is_not_changed_in_place(class_folders: Path, change: Any) -> None:
    it = ImageDataGenerator().flow_from_directory(class_folders, verbose=False)
    before = list(it.filepaths)
    with pytest.raises(TypeError, match="Assign a new list"):
        change(it.filepaths)
    assert it.filepaths == before
    assert isinstance(it.filepaths, list)


def test_a_new_list_of_files_holds_from_the_next_batch_on(class_folders: Path) -> None:
    options: dict[str, Any] = {"shuffle": False, "class_mode": None, "verbose": False}
    it = ImageDataGenerator().flow_from_directory(class_folders, target_size=(8, 8), **options)
    first = next(it)[0]
    it._filepaths = [it.filepaths[3]] * it.n
    for _ in range(3):
        batch = next(it)
        np.testing.assert_array_equal(batch, np.broadcast_to(batch[:1], batch.shape))
    assert not np.array_equal(batch[0], first)
    with pytest.raises(TypeError):
        it.filepaths.append("x")


def test_images_in_memory_refuse_writes_once_they_are_prefetched() -> None:
    images = _images()
    it = ImageDataGenerator().flow(images, batch_size=4, seed=1)
    it.x[0] = 0
    next(it)
    with pytest.raises(ValueError, match="read-only"):
        it.x[0] = 1
    images[0] = 5  # the user's own array stays writable
    it.x = np.ones_like(images)
    assert next(it).min() == 1


@pytest.mark.parametrize("seed", [None, 4])
def test_copies_have_one_order(class_folders: Path, seed: int | None) -> None:
    for it in (
        ImageDataGenerator().flow(_images(), _LABELS, batch_size=5, seed=seed),
        ImageDataGenerator(horizontal_flip=True).flow_from_directory(
            class_folders, target_size=(8, 8), batch_size=5, seed=seed, verbose=False
        ),
    ):
        copies = [pickle.loads(pickle.dumps(it)), copy.deepcopy(it)]
        expected = [next(it) for _ in range(4)]
        copies += [pickle.loads(pickle.dumps(it)), copy.deepcopy(it)]  # starts at the beginning
        for other in copies:
            assert type(other) is type(it)
            for batch in expected:
                assert_same_batch(next(other), batch)


def test_a_copy_of_a_subclass_keeps_its_attributes() -> None:
    it = _Tagged(_images(), tag="mine")
    next(it)
    other = copy.deepcopy(it)
    assert (other.tag, other.total_batches_seen) == ("mine", 0)
    assert other.x is not it.x


class _Tagged(pyloader.NumpyArrayIterator):
    def __init__(self, x: Any, *, tag: str) -> None:
        super().__init__(x, None, None, batch_size=3)
        self.tag = tag
