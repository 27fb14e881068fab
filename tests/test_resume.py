"""A saved position leads on to the very next batch, in another process and with other threads."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch

from pyloader import ImageDataGenerator, image_dataset_from_directory, pair

_AUGMENTED = {"rotation_range": 20, "horizontal_flip": True, "zoom_range": 0.2}


def _flow(directory: Path, augment: dict[str, Any] | None = None, **options: Any) -> Any:
    arguments: dict[str, Any] = {"target_size": (16, 12), "batch_size": 4, "verbose": False}
    return ImageDataGenerator(**(augment or {})).flow_from_directory(
        directory, **{**arguments, **options}
    )


def _call(iterator: Any, call: Any) -> Any:
    """One of the calls that move an iterator on; what it delivers."""
    if call == "next":
        return next(iterator)
    if isinstance(call, int):
        return iterator[call % len(iterator)]
    getattr(iterator, call)()
    return np.zeros(0)


_CALLS = ["next", "next", "next", "reset", "on_epoch_end", 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("seed", [None, 0, 4294960000])
@pytest.mark.parametrize("augment", [{}, _AUGMENTED], ids=["plain", "augmented"])
def test_any_mix_of_calls_can_be_interrupted_anywhere(
    class_folders: Path, shuffle: bool, seed: int | None, augment: dict[str, Any]
) -> None:
    choose = random.Random(f"{shuffle} {seed} {bool(augment)}")
    np.random.seed(12345)
    for trial in range(6):
        first = _flow(class_folders, augment, shuffle=shuffle, seed=seed)
        for _ in range(choose.randrange(12)):
            _call(first, choose.choice(_CALLS))
        state = json.dumps(first.state_dict())
        assert len(state) < 1000
        second = _flow(
            class_folders,
            augment,
            shuffle=shuffle,
            seed=seed,
            num_threads=1 + trial,
            prefetch=1 + trial % 3,
        )
        for _ in range(trial):
            next(second)  # wherever it stands
        second.load_state_dict(json.loads(state))
        assert json.dumps(second.state_dict()) == state
        for _ in range(14):
            call = choose.choice(_CALLS)
            assert_same_batch(_call(second, call), _call(first, call))
        first.close()
        second.close()


def test_the_state_counts_delivered_batches_only(class_folders: Path) -> None:
    deep = _flow(class_folders, seed=3, prefetch=9)
    shallow = _flow(class_folders, seed=3, prefetch=1)
    for _ in range(7):
        assert deep.state_dict() == shallow.state_dict()
        next(deep)
        next(shallow)


def test_the_first_order_of_keras_fit_can_be_saved_however_numpy_was_seeded(
    class_folders: Path,
) -> None:
    """Keras calls `on_epoch_end` first."""
    for seed in (7, [1, 2, 3]):
        np.random.seed(seed)
        np.random.permutation(1000)
        first = _flow(class_folders, seed=1)
        first.on_epoch_end()
        expected = [first[index] for index in range(3)]
        state = json.dumps(first.state_dict())
        assert len(state) < 1000
        second = _flow(class_folders, seed=1)
        second.load_state_dict(json.loads(state))
        assert_same_batch(second[3], first[3])
        second.load_state_dict(json.loads(state))
        np.testing.assert_array_equal(second.index_array, first.index_array)
        assert second.total_batches_seen == len(expected)


def test_an_order_changed_by_hand_is_kept(class_folders: Path) -> None:
    first = _flow(class_folders, shuffle=False)
    next(first)
    first.index_array[[5, 9]] = first.index_array[[9, 5]]
    second = _flow(class_folders, shuffle=False)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for _ in range(8):
        assert_same_batch(next(second), next(first))


def test_a_drawn_order_that_is_written_to_is_kept_as_it_is(class_folders: Path) -> None:
    first = _flow(class_folders, seed=2)
    for written in (False, True, False, True):
        next(first)
        first.state_dict()  # has seen it as it was drawn
        if written:
            first.index_array[:] = first.index_array[::-1].copy()
        second = _flow(class_folders, seed=2)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        np.testing.assert_array_equal(second.index_array, first.index_array)
        assert_same_batch(second[3], first[3])


def test_settings_changed_in_mid_run_are_told_from_the_old_draws(class_folders: Path) -> None:
    first = _flow(class_folders, _AUGMENTED, seed=5)
    next(first)
    first.image_data_generator.rotation_range = 0
    first.on_epoch_end()  # continues from draws with the old range
    second = _flow(class_folders, {**_AUGMENTED, "rotation_range": 0}, seed=5)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for index in range(4):
        assert_same_batch(second[index], first[index])
    first.on_epoch_end()
    second.on_epoch_end()
    np.testing.assert_array_equal(second.index_array, first.index_array)


def test_another_process_goes_on(class_folders: Path) -> None:
    first = _flow(class_folders, _AUGMENTED, seed=5)
    for _ in range(8):
        next(first)
    code = (
        "import json, sys, hashlib; from pathlib import Path\n"
        "from test_resume import _AUGMENTED, _flow\n"
        "it = _flow(Path(sys.argv[1]), _AUGMENTED, seed=5, num_threads=3)\n"
        "it.load_state_dict(json.loads(sys.argv[2]))\n"
        "for x, y in it.remaining(): print(hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest())"
    )
    arguments = [sys.executable, "-c", code, str(class_folders), json.dumps(first.state_dict())]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    expected = [hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest() for x, y in first.remaining()]
    assert len(expected) == 2 * len(first) - 8
    assert done.stdout.split() == expected


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"batch_size": 5}, "`batch_size` was 4 and is 5"),
        ({"shuffle": False}, "`shuffle` was True and is False"),
        ({"seed": 2}, "`seed` was 1 and is 2"),
        ({"seed": None}, "`seed` was 1 and is None"),
        ({"target_size": (16, 13)}, "another `target_size`"),
        ({"color_mode": "grayscale"}, "another `color_mode`"),
        ({"interpolation": "bicubic"}, "another `interpolation`"),
        ({"class_mode": "binary"}, "another `class_mode`"),
        ({"keep_aspect_ratio": True}, "another `keep_aspect_ratio`"),
        ({"last_batch": "drop"}, "another `last_batch`"),
        ({"classes": ["red", "green", "blue"]}, "other files, other labels"),
        ({"classes": ["red", "green"]}, "`n` was 23 and is 16"),
    ],
)
def test_a_state_of_another_run_is_refused_with_what_differs(
    class_folders: Path, other: dict[str, Any], named: str
) -> None:
    state = _flow(class_folders, seed=1).state_dict()
    iterator = _flow(class_folders, **{"seed": 1, **other})
    before = iterator.state_dict()
    with pytest.raises(ValueError, match=r"saved from another DirectoryIterator") as caught:
        iterator.load_state_dict(state)
    assert named in str(caught.value)
    assert iterator.state_dict() == before


def test_every_parameter_of_the_generator_counts(class_folders: Path) -> None:
    state = _flow(class_folders, seed=1).state_dict()
    others: list[dict[str, Any]] = [
        {"rotation_range": 20},
        {"rescale": 1 / 255},
        {"fill_mode": "wrap"},
        {"brightness_range": [0.5, 1.5]},
        {"shift_axes": "corrected"},
        {"preprocessing_function": np.negative},
    ]
    for other in others:
        with pytest.raises(ValueError, match=f"another `{next(iter(other))}`"):
            _flow(class_folders, other, seed=1).load_state_dict(state)


def test_the_folder_may_have_moved_but_not_changed(class_folders: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(class_folders, tmp_path / "elsewhere" / "images"))
    state = _flow(class_folders, seed=1).state_dict()
    _flow(moved, seed=1).load_state_dict(state)
    (moved / "red" / "red00.jpg").rename(moved / "red" / "red00x.jpg")
    with pytest.raises(ValueError, match="other files"):
        _flow(moved, seed=1).load_state_dict(state)


@pytest.mark.parametrize("nonsense", [{}, [], None, 3, {"v": 1}, {"v": 2}, {"v": 1, "n": 23}])
def test_what_is_no_state_is_refused(class_folders: Path, nonsense: Any) -> None:
    iterator = _flow(class_folders, seed=1)
    with pytest.raises(ValueError, match="state"):
        iterator.load_state_dict(nonsense)
    expected = _flow(class_folders, seed=1)
    assert_same_batch(next(iterator), next(expected))


@pytest.mark.parametrize(
    "damage",
    [
        {"order": "aaaa"},
        {"order": None},
        {"next": -5},
        {"next": 10**30},
        {"next": 1.5},
        {"seen": -5},
        {"seen": 10**30},
        {"seen": "many"},
        {"stream": 7},
    ],
    ids=str,
)
def test_a_damaged_state_is_refused(class_folders: Path, damage: dict[str, Any]) -> None:
    options = {"target_size": (8, 8), "batch_size": 4, "seed": 6, "verbose": False}
    it = ImageDataGenerator().flow_from_directory(class_folders, **options)
    next(it)
    expected = it.state_dict()
    with pytest.raises(ValueError, match="state"):
        it.load_state_dict({**expected, **damage})
    assert it.state_dict() == expected


def test_a_position_beyond_a_pass_of_larger_batches_is_one(class_folders: Path) -> None:
    it = _flow(class_folders, seed=3, batch_size=3)
    for _ in range(6):
        next(it)
    it.batch_size = 12  # two batches to a pass, and this is the seventh
    other = _flow(class_folders, seed=3, batch_size=12)
    other.load_state_dict(it.state_dict())
    for _ in range(4):
        assert_same_batch(next(other), next(it))


def test_a_loop_over_a_dataset_goes_on_where_it_was_loaded(class_folders: Path) -> None:
    def make() -> Any:
        return image_dataset_from_directory(
            class_folders, image_size=(8, 8), batch_size=4, seed=3, verbose=False
        )

    first, second = make(), make()
    whole = [images for images, _ in first]
    first = make()
    for _, _batch in zip(range(2), first, strict=False):
        pass
    second.load_state_dict(first.state_dict())
    rest = [images for images, _ in second]
    assert len(rest) == len(whole) - 2
    for images, expected in zip(rest, whole[2:], strict=True):
        np.testing.assert_array_equal(images, expected)
    assert len(list(second)) == len(whole)


def test_arrays_tables_datasets_and_pairs_resume_too(class_folders: Path) -> None:
    pandas = pytest.importorskip("pandas")
    images = np.random.RandomState(1).uniform(0, 255, (11, 8, 8, 3))
    files = sorted(str(path) for path in class_folders.rglob("*.jpg"))
    table = pandas.DataFrame({"filename": files, "class": [f"c{i % 3}" for i in range(len(files))]})

    def array(dtype: str) -> Any:
        return ImageDataGenerator(**_AUGMENTED, dtype=dtype).flow(
            images, np.arange(11), batch_size=3, seed=2
        )

    def frame() -> Any:
        return ImageDataGenerator().flow_from_dataframe(table, batch_size=3, seed=2, verbose=False)

    def dataset() -> Any:
        return image_dataset_from_directory(
            class_folders, image_size=(9, 9), batch_size=3, seed=2, verbose=False
        )

    for make in (lambda: array("float32"), lambda: array("float64"), frame, dataset):
        first, second = make(), make()
        for _ in range(5):
            first.next()
        first.on_epoch_end()
        first[2]
        state = json.dumps(first.state_dict())
        assert len(state) < 1000
        second.load_state_dict(json.loads(state))
        for _ in range(9):
            assert_same_batch(second.next(), first.next())
    with pytest.warns(UserWarning, match="masks"):  # warped at order 1
        first, second = _pair(class_folders), _pair(class_folders)
    for _ in range(5):
        first.next()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for _ in range(9):
        assert_same_batch(second.next(), first.next())
    with pytest.raises(ValueError, match="pair"):
        second.load_state_dict(first.images.state_dict())


def _pair(folder: Path) -> Any:
    options = {"class_mode": None, "seed": None}
    return pair(_flow(folder, _AUGMENTED, **options), _flow(folder, _AUGMENTED, **options))


def test_a_changed_array_is_noticed() -> None:
    images = np.random.RandomState(1).uniform(0, 255, (11, 8, 8, 3)).astype(np.float32)
    state = ImageDataGenerator().flow(images, seed=1).state_dict()
    changed = images.copy()
    changed[7, 3, 2, 1] += 1
    with pytest.raises(ValueError, match="other arrays"):
        ImageDataGenerator().flow(changed, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="other labels"):
        ImageDataGenerator().flow(images, np.arange(11), seed=1).load_state_dict(state)


@pytest.mark.parametrize("seed", [None, 4_194_967_295])
def test_the_state_stays_small_whatever_the_numbers(seed: int | None) -> None:
    images = np.zeros((1_281_167, 1, 1, 1), dtype=np.float32)
    iterator = ImageDataGenerator(**_AUGMENTED).flow(images, batch_size=1024, seed=seed)
    iterator.total_batches_seen = 99_000_000
    iterator.batch_index = 1200
    next(iterator)
    iterator.total_batches_seen = 99_999_990
    next(iterator)
    iterator.on_epoch_end()
    assert len(json.dumps(iterator.state_dict())) < 1000
