"""Labels of one's own in image_dataset_from_directory keep their values, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_jpeg

from pyloader import image_dataset_from_directory


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("four")
    for number in range(4):
        write_jpeg(root / "a" / f"{number}.jpg", 20, 20, seed=number)
    return root


def _targets(folder: Path, labels: list[Any], label_mode: str) -> Any:
    options: dict[str, Any] = {"image_size": 8, "shuffle": False, "verbose": False}
    dataset = image_dataset_from_directory(folder, labels, label_mode, **options)
    return next(iter(dataset))[1]


@pytest.mark.parametrize(
    ("labels", "label_mode", "expected"),
    [
        ([2**31 - 1, 2], "int", np.array([2**31 - 1, 2], np.int32)),
        ([2**31, 2], "int", np.array([2**31, 2], np.int64)),
        ([2**40, np.int32(2)], "int", np.array([2**40, 2], np.int64)),
        ([True, False], "int", np.array([True, False])),
        ([1, True], "int", np.array([1, 1], np.int32)),
        ([0.5, 2], "int", np.array([0.5, 2], np.float32)),
        ([np.float64(0.1), 2.0], "int", np.array([0.1, 2])),
        (["x", "yy"], "int", np.array([b"x", b"yy"], object)),
        ([2**40, 2], "binary", np.array([[2.0**40], [2]], np.float32)),
        ([True, False], "binary", np.array([[1], [0]], np.float32)),
        ([2**40, 1], "categorical", np.array([[0, 0], [0, 1]], np.float32)),
        ([-1, 0], "categorical", np.array([[0, 0], [1, 0]], np.float32)),
    ],
    ids=str,
)
def test_labels_keep_their_values(
    four: Path, labels: list[Any], label_mode: str, expected: Any
) -> None:
    targets = _targets(four, labels * 2, label_mode)
    assert targets.dtype == expected.dtype
    np.testing.assert_array_equal(targets, np.concatenate([expected, expected]))


@pytest.mark.parametrize(
    ("labels", "label_mode", "error"),
    [
        ([2**63, 1], "int", ValueError),
        ([2**63, -1], "categorical", ValueError),
        ([2**70, 1], "binary", ValueError),
        ([1e300, 1.0], "int", ValueError),
        ([True, 2], "int", ValueError),
        ([0.5, 1.5], "categorical", TypeError),
        ([True, False], "categorical", TypeError),
        (["x", "y"], "categorical", TypeError),
        (["x", "y"], "binary", TypeError),
        ([(0, 1), (1, 0)], "int", TypeError),
    ],
    ids=str,
)
def test_labels_that_a_mode_does_not_take_are_refused(
    four: Path, labels: list[Any], label_mode: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match="`labels` should"):
        _targets(four, labels * 2, label_mode)


@pytest.mark.parametrize("seed", [-1, 2**40, 1.5, "a"])
def test_a_seed_without_use_does_not_matter(four: Path, seed: Any) -> None:
    files = []
    for one in (seed, 1):
        dataset = image_dataset_from_directory(
            four, image_size=8, shuffle=False, seed=one, batch_size=2, verbose=False
        )
        assert len(list(dataset)) == 2
        dataset.on_epoch_end()
        dataset.load_state_dict(dataset.state_dict())
        assert len(next(dataset)[0]) == 2
        files.append(dataset.file_paths)
    assert files[0] == files[1]
    with pytest.raises((ValueError, TypeError)):
        image_dataset_from_directory(four, shuffle=True, seed=seed, verbose=False)
