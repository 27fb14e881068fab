"""Class folders are searched as Keras searches them."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pyloader._data.folders import find_class_names, scan_class_folders


def _tree(root: Path, files: Sequence[str]) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


@pytest.fixture
def tangled(tmp_path: Path) -> Path:
    """A tree with everything that has an opinion about order, names and links."""
    root = _tree(
        tmp_path / "data",
        [
            "b/A.JPG", "b/a.jpg", "b/B.png", "b/10.jpeg", "b/9.jpeg",
            "b/sub/1.jpg", "b/sub b/1.jpg", "b/sub-b/1.jpg", "b/sub/deep/1.jpg", "b/sub/deep/0.bmp",
            "a/notajpg", "a/._mac.jpg", "a/.hidden.jpg", "a/x.gif", "a/x.webp", "a/x.PPM",
            "a/x.tif", "a/no", "a/x.jpg.txt", "a/.h/in.jpg",
            ".ipynb_checkpoints/c.jpg", "empty/readme.txt", "stray.jpg", "Z z/ü.jpg",
        ],
    )  # fmt: skip
    outside = _tree(tmp_path / "outside", ["1.jpg", "under/2.jpg"])
    (root / "linked class").symlink_to(outside)
    (root / "a" / "linked folder").symlink_to(outside)
    (root / "a" / "linked.jpg").symlink_to(outside / "1.jpg")
    (root / "a" / "broken.jpg").symlink_to(tmp_path / "nowhere")
    return root


def _both(keras_image: ModuleType, directory: Any, **options: Any) -> tuple[Any, Any]:
    """What we find and Keras' iterator."""
    split = options.pop("split", None)
    generator = keras_image.ImageDataGenerator(validation_split=split or 0.0)
    subset = options.pop("subset", None)
    theirs = keras_image.DirectoryIterator(directory, generator, subset=subset, **options)
    ours = scan_class_folders(
        directory,
        options.get("classes"),
        split=theirs.split,
        follow_links=options.get("follow_links", False),
    )
    return ours, theirs


def _assert_same(ours: Any, theirs: Any) -> None:
    assert ours.filenames == theirs.filenames
    assert ours.class_indices == theirs.class_indices
    assert ours.num_classes == theirs.num_classes
    assert ours.classes.dtype == theirs.classes.dtype == np.int32
    np.testing.assert_array_equal(ours.classes, theirs.classes)


@pytest.mark.parametrize("follow_links", [False, True])
def test_a_tangled_tree_gives_keras_list(
    keras_image: ModuleType, tangled: Path, follow_links: bool
) -> None:
    ours, theirs = _both(keras_image, tangled, follow_links=follow_links)
    _assert_same(ours, theirs)
    assert len(ours.filenames) > 15


@pytest.mark.parametrize(
    "classes",
    [["b", "a"], ["a", "missing"], ["a", "b", "a"], ("b",), [], ["linked class", "a"]],
)
def test_given_classes_give_keras_labels(
    keras_image: ModuleType, tangled: Path, classes: Sequence[str]
) -> None:
    _assert_same(*_both(keras_image, tangled, classes=classes))


@pytest.mark.parametrize(("name", "key"), [("b/sub", "sub"), ("b/", "")])
def test_a_class_given_as_a_path_is_a_key_error_as_in_keras(
    tangled: Path, name: str, key: str
) -> None:
    with pytest.raises(KeyError) as caught:  # Keras would leave a thread pool running behind it
        scan_class_folders(tangled, [name], split=None, follow_links=False)
    assert caught.value.args == (key,)


@pytest.mark.parametrize("subset", ["training", "validation"])
@pytest.mark.parametrize("split", [0.1, 0.29, 0.5, 0.999])
def test_splits_cut_every_class_where_keras_does(
    keras_image: ModuleType, tmp_path: Path, split: float, subset: str
) -> None:
    files = [f"a/{i:03}.jpg" for i in range(100)] + [f"b/{i}.png" for i in range(7)]
    _tree(tmp_path, [*files, "c/1.jpg"])
    _assert_same(*_both(keras_image, tmp_path, split=split, subset=subset))


@pytest.mark.parametrize("spelling", ["str", "slash", "Path", "relative", "dotted"])
def test_the_folder_may_be_spelled_in_many_ways(
    keras_image: ModuleType, tangled: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tangled.parent)
    directory: Any = {
        "str": str(tangled),
        "slash": f"{tangled}/",
        "Path": tangled,
        "relative": "data",
        "dotted": "./data/../data",
    }[spelling]
    _assert_same(*_both(keras_image, directory))


def test_names_that_are_not_utf8_survive(keras_image: ModuleType, tmp_path: Path) -> None:
    name = b"caf\xe9.jpg"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / os.fsdecode(name)).touch()
    ours, theirs = _both(keras_image, tmp_path)
    _assert_same(ours, theirs)
    assert os.fsencode(ours.filenames[0]) == b"a/" + name


def test_tiff_names_warn_once_each(tmp_path: Path) -> None:
    _tree(tmp_path, ["a/1.tiff", "a/2.TIFF", "a/3.tif"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = scan_class_folders(tmp_path, None, split=None, follow_links=False)
    assert len(found.filenames) == 3
    assert [str(warning.message) for warning in caught] == 2 * [
        'Using ".tiff" files with multiple bands will cause distortion. Please verify your output.'
    ]
    assert {warning.category for warning in caught} == {UserWarning}


def test_a_missing_folder_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\[Errno 2\]"):
        find_class_names(tmp_path / "nowhere")


def test_an_empty_folder_has_no_classes(tmp_path: Path) -> None:
    found = scan_class_folders(tmp_path, None, split=None, follow_links=False)
    assert (found.filenames, found.num_classes, found.classes.shape) == ([], 0, (0,))


def test_many_files_are_found_fast(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(2500):
            os.close(os.open(tmp_path / name / f"{index}.jpg", os.O_CREAT))
    start = time.perf_counter()
    found = scan_class_folders(tmp_path, None, split=None, follow_links=False)
    assert len(found.filenames) == 5000
    assert time.perf_counter() - start < 1.0
