"""image_dataset_from_directory: Keras' files, labels, splits, texts and lines; Pillow's pixels."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import write_jpeg
from numpy.typing import NDArray
from pictures import with_pillow
from PIL import Image

from pyloader import ImageError, image_dataset_from_directory


@pytest.fixture(scope="module")
def keras_dataset() -> ModuleType:
    """Keras' module with the function; its own tests of arguments need no TensorFlow."""
    pytest.importorskip("keras")
    return importlib.import_module("keras.src.utils.image_dataset_utils")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 5, 4 and 6 images, and what must not be found beside them."""
    root = tmp_path_factory.mktemp("dataset")
    for name, count in {"b": 5, "a": 4, "c b": 6}.items():
        for number in range(count):
            deeper = ["", "x", "x-y", "x/y"][number % 4]
            size = 20 + 7 * number, 40 - 5 * number
            write_jpeg(root / name / deeper / f"{name}{number}.JPG", *size, seed=number)
    pixels = np.arange(23 * 9 * 3, dtype=np.uint8).reshape(23, 9, 3)
    Image.fromarray(pixels).save(root / "a" / "z.png")
    Image.fromarray(pixels).save(root / "a" / ".hidden.bmp")
    Image.fromarray(pixels).save(root / "a" / "first.gif")
    Image.fromarray(pixels).save(root / "a" / "not.tif")
    for name in (".git/x.jpg", "a/notajpg", "top.jpg", "empty/readme.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((root / "b" / "b0.JPG").read_bytes())
    (root / "c b" / "link").symlink_to(root / "b")
    return root


class _Seen:
    """What Keras' function hands to the part that needs TensorFlow."""

    def __init__(self, **arguments: Any) -> None:
        self.__dict__.update(arguments)

    def batch(self, size: int, batch_fn: Any = None) -> _Seen:
        return self

    prefetch = batch

    def to_iter_dataset(self) -> _Seen:
        return self


class _Pool:
    """Stands in for Keras' thread pool, which it leaves open when it raises."""

    def apply_async(self, function: Callable[..., Any], arguments: Any) -> _Pool:
        self.get = functools.partial(function, *arguments)
        return copy.copy(self)

    def close(self) -> None:
        pass

    join = close


def theirs(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Keras' function up to where files become TensorFlow datasets."""

    class Data:
        AUTOTUNE = 1

    class TensorFlow:
        data = Data

    monkeypatch.setattr(module, "tf", TensorFlow)
    monkeypatch.setattr(module.dataset_utils, "ThreadPool", _Pool)
    monkeypatch.setattr(module, "paths_and_labels_to_dataset", _Seen)
    return module.image_dataset_from_directory


def outcome(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call returns, or its exception as type and text."""
    try:
        return function(*arguments, **options)
    except Exception as error:
        return type(error), str(error)


def assert_same_dataset(ours: Any, keras: Any) -> None:
    assert ours.file_paths == keras.file_paths == keras.image_paths
    assert ours.class_names == keras.class_names
    assert ours.shuffle == keras.shuffle
    if keras.labels is None:
        assert ours._targets is None
        return
    labels = np.asarray(keras.labels)
    if keras.label_mode == "int":
        expected = labels.astype(np.int32)
    elif keras.label_mode == "binary":
        expected = labels.astype(np.float32)[:, None]
    else:
        expected = np.eye(keras.num_classes, dtype=np.float32)[labels]
    assert ours._targets.dtype == expected.dtype
    np.testing.assert_array_equal(ours._targets, expected)


_CALLS: list[dict[str, Any]] = [
    {},
    {"seed": 3},
    {"shuffle": False},
    {"label_mode": "categorical", "seed": 3},
    {"label_mode": "binary", "class_names": ["c b", "a"], "seed": 0},
    {"label_mode": "binary"},
    {"label_mode": None, "seed": 3},
    {"labels": None, "seed": 3, "verbose": False},
    {"labels": None, "class_names": ["a"]},
    {"class_names": ("b", "a"), "shuffle": False, "verbose": False},
    {"class_names": ["b", "d"]},
    {"labels": [1, 2]},
    {"labels": (1, 2)},
    {"labels": [1], "class_names": ["a"]},
    {"labels": "given"},
    {"labels": 3},
    {"label_mode": "float"},
    {"color_mode": "bgr"},
    {"image_size": (1, 2, 3)},
    {"image_size": "ab c"},
    {"image_size": 7, "seed": 1},
    {"interpolation": "box"},
    {"interpolation": "BiLinear", "seed": 1},
    {"format": "numpy"},
    {"format": "grain", "seed": 1, "batch_size": None},
    {"data_format": "first", "seed": 1},
    {"validation_split": 2, "subset": "training"},
    {"validation_split": 0.2},
    {"subset": "training"},
    {"validation_split": 0.2, "subset": "test"},
    {"validation_split": 0.2, "subset": "training"},
    {"validation_split": 0.25, "subset": "training", "seed": 5},
    {"validation_split": 0.25, "subset": "validation", "seed": 5},
    {"validation_split": 0.25, "subset": "validation", "shuffle": False},
    {"validation_split": 0.25, "subset": "both", "seed": 5, "label_mode": "categorical"},
    {"validation_split": 0.25, "subset": "both", "shuffle": False, "labels": None},
    {"validation_split": 0.01, "subset": "both", "seed": 5},
    {"validation_split": 0.01, "subset": "training", "seed": 5},
    {"follow_links": True, "seed": 5},
]


@pytest.mark.parametrize("options", _CALLS, ids=str)
def test_files_labels_splits_texts_and_lines_are_keras(
    keras_dataset: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, Any],
) -> None:
    np.random.seed(11)
    keras = outcome(theirs(keras_dataset, monkeypatch), str(folder), **options)
    line = capsys.readouterr().out
    np.random.seed(11)
    ours = outcome(image_dataset_from_directory, str(folder), **options)
    assert capsys.readouterr().out == line
    if isinstance(keras, tuple):
        assert ours == keras
    elif isinstance(keras, list):
        assert isinstance(ours, list)
        for our, their in zip(ours, keras, strict=True):
            assert_same_dataset(our, their)
    else:
        assert_same_dataset(ours, keras)


@pytest.mark.parametrize("kind", [list, tuple])
def test_labels_of_ones_own_are_shuffled_as_keras_shuffles_them(
    keras_dataset: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path, kind: type
) -> None:
    labels = [5, 3] * 10
    ours, keras = kind(labels), kind(labels)
    options = {"seed": 4, "verbose": False}
    theirs_made = outcome(theirs(keras_dataset, monkeypatch), folder, labels=keras, **options)
    made = outcome(image_dataset_from_directory, folder, labels=ours, **options)
    assert ours == keras
    if kind is tuple:
        assert made == theirs_made
        assert made[0] is TypeError
    else:
        assert ours != labels
        assert_same_dataset(made, theirs_made)
        assert made.class_names == ["3", "5"]


def test_a_label_that_is_no_class_index_is_a_row_of_zeros(folder: Path) -> None:
    options: dict[str, Any] = {"shuffle": False, "label_mode": "categorical", "image_size": 4}
    dataset: Any = image_dataset_from_directory(folder, labels=[5, 1, 0, 0] * 5, **options)
    np.testing.assert_array_equal(dataset[0][1][:3], [[0, 0, 0], [0, 1, 0], [1, 0, 0]])


def test_no_folder_and_no_images(
    keras_dataset: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keras = theirs(keras_dataset, monkeypatch)
    for place in (tmp_path, tmp_path / "none"):
        for labels in ("inferred", None):
            arguments = {"directory": place, "labels": labels, "seed": 1}
            assert outcome(image_dataset_from_directory, **arguments) == outcome(keras, **arguments)


def test_parameters_are_keras_and_ours_are_keyword_only(keras_dataset: ModuleType) -> None:
    ours = inspect.signature(image_dataset_from_directory).parameters
    keras = inspect.signature(keras_dataset.image_dataset_from_directory).parameters
    positional = {
        name: value.default for name, value in ours.items() if value.kind is not value.KEYWORD_ONLY
    }
    assert list(positional.items()) == [(name, value.default) for name, value in keras.items()]
    assert list(ours)[len(keras) :] == [
        "num_threads",
        "prefetch",
        "fidelity",
        "cache",
        "cache_limit",
        "on_error",
        "pin_memory",
        "shard",
        "last_batch",
        "memory_limit",
        "max_pixels",
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"interpolation": "gaussian"},
            r"knows \"bilinear\", .* Received: interpolation=gaussian$",
        ),
        ({"batch_size": 0}, "`batch_size` should be at least 1. Received: 0$"),
        ({"image_size": (0, 4)}, r"Received: image_size=\(0, 4\)$"),
        (
            {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True},
            r"^Only one of `pad_to_aspect_ratio`, `crop_to_aspect_ratio` can be set to `True`\.$",
        ),
    ],
    ids=str,
)
def test_what_keras_would_say_later_or_never(
    folder: Path, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        image_dataset_from_directory(folder, **options)


def load(path: str, **options: Any) -> NDArray[np.float32]:
    return with_pillow(Path(path).read_bytes(), **options).astype(np.float32)


_FILTERS = {"bilinear": "bilinear", "nearest": "nearest", "area": "box", "lanczos3": "lanczos"}


@pytest.mark.parametrize(("name", "pillow"), _FILTERS.items())
@pytest.mark.parametrize("crop", [False, True])
def test_pixels_are_pillows(folder: Path, name: str, pillow: str, crop: bool) -> None:
    dataset: Any = image_dataset_from_directory(
        folder,
        image_size=(14, 11),
        interpolation=name,
        crop_to_aspect_ratio=crop,
        batch_size=8,
        seed=2,
    )
    assert len(dataset) == 3
    for images, labels in dataset:
        assert images.dtype == np.float32
        assert labels.dtype == np.int32
        for image, index in zip(images, dataset.batch_indices, strict=True):
            options = {"target_size": (14, 11), "interpolation": pillow, "keep_aspect_ratio": crop}
            np.testing.assert_array_equal(image, load(dataset.file_paths[index], **options))
        names = [Path(dataset.file_paths[index]).parts for index in dataset.batch_indices]
        for parts, label in zip(names, labels, strict=True):
            assert dataset.class_names[label] in parts


@pytest.mark.parametrize("pad", [False, True])
def test_a_bad_file_costs_its_batch_and_nothing_else(tmp_path: Path, pad: bool) -> None:
    for number in range(6):
        write_jpeg(tmp_path / "a" / f"{number}.jpg", 12, 20, number)
    bad = tmp_path / "a" / "2.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    dataset: Any = image_dataset_from_directory(
        tmp_path, batch_size=2, image_size=5, shuffle=False, pad_to_aspect_ratio=pad
    )
    dataset.next()
    with pytest.raises(ImageError) as caught:
        dataset.next()
    assert caught.value.path == str(bad)
    dataset.next()
    np.testing.assert_array_equal(dataset.batch_indices, [4, 5])
    dataset.close()
    with pytest.raises(RuntimeError, match="closed"):
        dataset.next()


def order_of(dataset: Any) -> list[int]:
    return [index for _ in dataset for index in dataset.batch_indices]


@pytest.mark.usefixtures("global_random_untouched")
def test_each_loop_is_a_pass_in_a_new_order_fixed_by_the_seed(folder: Path) -> None:
    options: dict[str, Any] = {"image_size": 4, "batch_size": 4, "verbose": False}
    dataset, same, other = (
        image_dataset_from_directory(folder, seed=seed, **options) for seed in (1, 1, 2)
    )
    first, second = order_of(dataset), order_of(dataset)
    assert sorted(first) == sorted(second) == list(range(18))
    assert first != second
    assert [order_of(same), order_of(same)] == [first, second]
    assert order_of(other) != first
    unshuffled = image_dataset_from_directory(folder, shuffle=False, seed=1, **options)
    assert order_of(unshuffled) == order_of(unshuffled) == list(range(18))


def test_loops_may_be_broken_off_but_not_run_side_by_side(folder: Path) -> None:
    dataset: Any = image_dataset_from_directory(folder, image_size=4, batch_size=4, shuffle=False)
    first = next(iter(dataset))
    broken = iter(dataset)
    next(broken)
    next(broken)
    again = next(iter(dataset))
    np.testing.assert_array_equal(again[0], first[0])
    with pytest.raises(RuntimeError, match="Make a dataset for each loop"):
        next(broken)
    assert len(list(dataset)) == len(dataset) == 5


@pytest.mark.parametrize("label_mode", ["int", "binary", "categorical", None])
def test_without_a_batch_size_samples_come_singly(folder: Path, label_mode: str | None) -> None:
    options: dict[str, Any] = {"image_size": (4, 5), "seed": 1, "label_mode": label_mode}
    options["class_names"] = ["a", "b"] if label_mode else None
    batched: Any = image_dataset_from_directory(folder, batch_size=3, **options)
    single: Any = image_dataset_from_directory(folder, batch_size=None, **options)
    assert len(single) == single.n == batched.n
    samples = dict((single.batch_indices[0], sample) for sample in single)  # noqa: C402
    for batch in batched:
        for place, index in enumerate(batched.batch_indices):
            if label_mode is None:
                np.testing.assert_array_equal(samples[index], batch[place])
                continue
            image, label = samples[index]
            np.testing.assert_array_equal(image, batch[0][place])
            np.testing.assert_array_equal(label, batch[1][place])
            assert label.dtype == batch[1].dtype


def test_a_copy_begins_at_the_beginning(folder: Path) -> None:
    dataset: Any = image_dataset_from_directory(folder, image_size=4, seed=1, batch_size=4)
    first = next(iter(dataset))
    twin = pickle.loads(pickle.dumps(dataset))
    assert type(twin) is type(dataset)
    np.testing.assert_array_equal(next(iter(twin))[0], first[0])


def test_keras_fits_a_dataset(folder: Path) -> None:
    keras = pytest.importorskip("keras")
    train, validation = image_dataset_from_directory(
        folder, image_size=8, batch_size=4, validation_split=0.3, subset="both", seed=1
    )
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(4)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    history = model.fit(train, validation_data=validation, epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert model.predict(validation, verbose=0).shape == (5, 4)
