"""flow_from_dataframe delivers what Keras' delivers: targets, checks, texts, subsets."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch
from test_transforms import TUTORIAL

from pyloader import DataFrameIterator, ImageDataGenerator

pd = pytest.importorskip("pandas")

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")


@pytest.fixture
def table(class_folders: Path) -> Any:
    """All files of the folders, with columns of every kind."""
    files = sorted(
        str(path.relative_to(class_folders)) for path in class_folders.rglob("*") if path.is_file()
    )
    colors = [file.split("/")[0] for file in files]
    return pd.DataFrame(
        {
            "filename": files,
            "class": colors,
            "two": ["odd" if index % 2 else "even" for index in range(len(files))],
            "many": [
                [color] if index % 3 else (color, "third") for index, color in enumerate(colors)
            ],
            "number": np.arange(len(files)) * 0.5,
            "whole": np.arange(len(files)),
            "path": [str(class_folders / file) for file in files],
        },
        index=range(100, 100 + len(files)),
    )


def _pair(
    keras_image: ModuleType,
    table: Any,
    directory: Path | None,
    generator_options: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Any, Any]:
    generator_options = generator_options or {}
    options = {"target_size": (8, 10), "batch_size": 4, "seed": 5, **options}
    directory_name = None if directory is None else str(directory)
    ours = ImageDataGenerator(**generator_options).flow_from_dataframe(
        table, directory_name, verbose=False, num_threads=2, **options
    )
    theirs = keras_image.ImageDataGenerator(**generator_options).flow_from_dataframe(
        table, directory_name, **options
    )
    return ours, theirs


_MODES: list[dict[str, Any]] = [
    {},
    {"class_mode": "binary", "y_col": "two"},
    {"class_mode": "sparse"},
    {"class_mode": "categorical", "y_col": "many"},
    {"class_mode": "categorical", "y_col": "many", "classes": ["third", "red"]},
    {"class_mode": "sparse", "classes": ["red", "blue", "red"]},
    {"class_mode": "binary", "classes": ["red", "blue"]},
    {"class_mode": "input"},
    {"class_mode": "raw", "y_col": "number"},
    {"class_mode": "raw", "y_col": ["number", "whole"]},
    {"class_mode": "multi_output", "y_col": ["number", "class"]},
    {"class_mode": None},
]


@pytest.mark.parametrize("options", _MODES, ids=str)
@pytest.mark.parametrize("weight_col", [None, "number"])
def test_targets_of_every_mode(
    keras_image: ModuleType,
    table: Any,
    class_folders: Path,
    options: dict[str, Any],
    weight_col: str | None,
) -> None:
    before = table.copy()
    ours, theirs = _pair(keras_image, table, class_folders, weight_col=weight_col, **options)
    for name in ("filenames", "filepaths", "samples", "n", "class_mode", "directory", "dtype"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("class_indices", "classes", "num_classes"):
        assert getattr(ours, name, None) == getattr(theirs, name, None), name
    for _ in range(7):
        assert_same_batch(ours.next(), next(theirs))
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("class_mode", ["input", None])
def test_without_labels_asking_for_them_is_an_attribute_error(
    keras_image: ModuleType, table: Any, class_folders: Path, class_mode: str | None
) -> None:
    for iterator in _pair(keras_image, table, class_folders, class_mode=class_mode):
        with pytest.raises(AttributeError):
            _ = iterator.labels


@pytest.mark.parametrize("class_mode", ["raw", "sparse"])
def test_labels_are_keras(
    keras_image: ModuleType, table: Any, class_folders: Path, class_mode: str
) -> None:
    ours, theirs = _pair(keras_image, table, class_folders, class_mode=class_mode)
    assert type(ours.labels) is type(theirs.labels)
    assert list(ours.labels) == list(theirs.labels)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64"])
def test_augmented_batches_are_keras(
    keras_image: ModuleType, table: Any, class_folders: Path, dtype: str
) -> None:
    options = {**TUTORIAL, "interpolation_order": 0, "dtype": dtype}
    ours, theirs = _pair(keras_image, table, class_folders, options)
    for index in (None, 1, None, 0, None):
        if index is None:
            assert_same_batch(next(ours), next(theirs))
        else:
            assert_same_batch(ours[index], theirs[index])
            ours.on_epoch_end()
            theirs.on_epoch_end()


@pytest.mark.parametrize("subset", ["training", "validation"])
@pytest.mark.parametrize("class_mode", ["categorical", "raw"])
def test_subsets(
    keras_image: ModuleType, table: Any, class_folders: Path, subset: str, class_mode: str
) -> None:
    y_col = "class" if class_mode == "categorical" else "number"
    ours, theirs = _pair(
        keras_image, table, class_folders, {"validation_split": 0.3}, subset=subset,
        class_mode=class_mode, y_col=y_col, weight_col="whole",
    )  # fmt: skip
    assert ours.filenames == theirs.filenames
    for _ in range(3):
        assert_same_batch(next(ours), next(theirs))


def test_paths_without_a_directory(keras_image: ModuleType, table: Any) -> None:
    ours, theirs = _pair(keras_image, table, None, x_col="path")
    assert ours.directory == theirs.directory == ""
    assert_same_batch(next(ours), next(theirs))


def _warnings_and_result(call: Any) -> tuple[list[str], Any]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = call()
    return [f"{one.category.__name__}: {one.message}" for one in found], result


@pytest.mark.parametrize(
    "options",
    [
        {"has_ext": True},
        {"sort": False, "drop_duplicates": True},
        {"class_mode": "other", "y_col": "number"},
        {"class_mode": "input", "classes": ["a"]},
        {"class_mode": None, "classes": ["a"]},
    ],
    ids=str,
)
def test_warnings_are_keras(
    keras_image: ModuleType, table: Any, class_folders: Path, options: dict[str, Any]
) -> None:
    found = []
    for module in (None, keras_image):
        generator = (module or sys.modules["pyloader"]).ImageDataGenerator()
        found.append(
            _warnings_and_result(
                lambda generator=generator: generator.flow_from_dataframe(
                    table, str(class_folders), **options
                )
            )
        )
    assert found[0][0] == found[1][0]
    assert found[0][1].class_mode == found[1][1].class_mode


def test_an_argument_that_does_not_exist_is_ignored_as_in_keras_but_with_a_warning(
    keras_image: ModuleType, table: Any, class_folders: Path
) -> None:
    options: dict[str, Any] = {"shuffle": False, "num_workers": 2}
    theirs = keras_image.ImageDataGenerator().flow_from_dataframe(
        table, str(class_folders), **options
    )
    with pytest.warns(UserWarning, match="`num_workers`"):
        ours = ImageDataGenerator().flow_from_dataframe(table, str(class_folders), **options)
    assert_same_batch(next(ours), next(theirs))


@pytest.mark.parametrize("validate", [True, False])
def test_files_that_are_none_are_left_out_with_a_warning(
    keras_image: ModuleType,
    table: Any,
    class_folders: Path,
    validate: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = table.copy()
    table.iloc[2, 0] = "no_such.jpg"
    table.iloc[5, 0] = "red"
    (class_folders / "notes.txt").write_text("no image")
    table.iloc[7, 0] = "notes.txt"
    seen = []
    for generator in (ImageDataGenerator(), keras_image.ImageDataGenerator()):
        texts, iterator = _warnings_and_result(
            lambda generator=generator: generator.flow_from_dataframe(
                table, str(class_folders), validate_filenames=validate
            )
        )
        seen.append((texts, iterator.filenames, capsys.readouterr().out))
    (class_folders / "notes.txt").unlink()
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == (20 if validate else 23)


@pytest.mark.parametrize("class_mode", ["categorical", "raw", None])
@pytest.mark.parametrize("validate", [True, False])
def test_the_printed_line_is_keras(
    keras_image: ModuleType,
    table: Any,
    class_folders: Path,
    class_mode: str | None,
    validate: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = []
    for generator in (ImageDataGenerator(), keras_image.ImageDataGenerator()):
        generator.flow_from_dataframe(
            table, str(class_folders), class_mode=class_mode, validate_filenames=validate
        )
        lines.append(capsys.readouterr().out)
    assert lines[0] == lines[1] != ""


@pytest.mark.parametrize(
    "options",
    [
        {"class_mode": "multi_output"},
        {"x_col": "number"},
        {"x_col": "missing"},
        {"y_col": "missing"},
        {"class_mode": "binary", "y_col": "number"},
        {"class_mode": "sparse", "y_col": "many"},
        {"class_mode": "binary"},
        {"class_mode": "binary", "classes": ["red", "blue", "green"]},
        {"class_mode": "categorical", "y_col": "number"},
        *({"class_mode": mode, "y_col": ["class"]} for mode in ("categorical", "sparse", "binary")),
        {"x_col": ["filename"]},
        {"weight_col": "class"},
        {"weight_col": "missing"},
        {"color_mode": "bgr"},
        {"subset": "test"},
    ],
    ids=str,
)
def test_refusals_are_keras(
    keras_image: ModuleType, table: Any, class_folders: Path, options: dict[str, Any]
) -> None:
    errors = (ValueError, TypeError, KeyError)
    with pytest.raises(errors) as theirs:
        keras_image.ImageDataGenerator().flow_from_dataframe(table, class_folders, **options)
    with pytest.raises(theirs.type) as ours:
        ImageDataGenerator().flow_from_dataframe(table, class_folders, **options)
    assert str(ours.value) == str(theirs.value)


def test_a_bad_class_mode_is_refused_as_in_keras(table: Any, class_folders: Path) -> None:
    with pytest.raises(ValueError, match=r"^Invalid class_mode: x; expected one of: \{"):
        ImageDataGenerator().flow_from_dataframe(table, class_folders, class_mode="x")


def test_no_rows_make_empty_batches(
    keras_image: ModuleType, table: Any, class_folders: Path
) -> None:
    ours, theirs = _pair(keras_image, table.iloc[:0], class_folders, validate_filenames=False)
    assert_same_batch(next(ours), next(theirs))


def test_the_aspect_ratio_is_kept_when_asked_for(
    keras_image: ModuleType, table: Any, class_folders: Path
) -> None:
    options: dict[str, Any] = {"target_size": (8, 10), "shuffle": False, "class_mode": None}
    ours = ImageDataGenerator().flow_from_dataframe(
        table, class_folders, keep_aspect_ratio=True, verbose=False, **options
    )
    theirs = keras_image.DataFrameIterator(
        table, str(class_folders), keras_image.ImageDataGenerator(), keep_aspect_ratio=True,
        **options,
    )  # fmt: skip
    assert_same_batch(next(ours), next(theirs))


def test_an_iterator_without_a_generator(
    keras_image: ModuleType, table: Any, class_folders: Path
) -> None:
    options: dict[str, Any] = {"target_size": (8, 8), "batch_size": 5, "seed": 3}
    ours = DataFrameIterator(table, class_folders, verbose=False, **options)
    theirs = keras_image.DataFrameIterator(table, str(class_folders), **options)
    for _ in range(3):
        assert_same_batch(next(ours), next(theirs))
    ours.on_epoch_end()
    theirs.on_epoch_end()
    np.testing.assert_array_equal(ours.index_array, theirs.index_array)


def test_a_copy_starts_at_the_beginning(table: Any, class_folders: Path) -> None:
    batches = ImageDataGenerator().flow_from_dataframe(table, class_folders, seed=2, verbose=False)
    first = next(batches)
    for other in (pickle.loads(pickle.dumps(batches)), copy.deepcopy(batches)):
        assert type(other) is DataFrameIterator
        assert_same_batch(next(other), first)


def test_pandas_is_not_imported_by_pyloader() -> None:
    code = "import sys, pyloader; print('pandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout == "False\n"
