"""The ranks of a world deliver exactly one process' epoch between them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch

from pyloader import ImageDataGenerator, image_dataset_from_directory, pair

_AUGMENTED = {"rotation_range": 20, "horizontal_flip": True, "brightness_range": [0.5, 1.5]}


def _flow(directory: Path, augment: dict[str, Any] | None = None, **options: Any) -> Any:
    arguments: dict[str, Any] = {
        "target_size": (12, 10),
        "batch_size": 5,
        "seed": 3,
        "verbose": False,
    }
    return ImageDataGenerator(**(augment or {})).flow_from_directory(
        directory, **{**arguments, **options}
    )


def _joined(batches: list[Any]) -> Any:
    """The slices of one batch, put together in the order of the ranks."""
    if isinstance(batches[0], (tuple, list)):
        kind = type(batches[0])
        return kind(_joined(list(parts)) for parts in zip(*batches, strict=True))
    return np.concatenate(batches)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("augment", [{}, _AUGMENTED], ids=["plain", "augmented"])
@pytest.mark.parametrize("class_mode", ["categorical", "sparse", "input", None])
def test_the_slices_make_up_every_batch(
    class_folders: Path, count: int, augment: dict[str, Any], class_mode: str | None
) -> None:
    whole = _flow(class_folders, augment, class_mode=class_mode)
    ranks = [
        _flow(class_folders, augment, class_mode=class_mode, shard=(rank, count), num_threads=1)
        for rank in range(count)
    ]
    assert {len(rank) for rank in ranks} == {len(whole)}
    calls: list[Any] = ["next"] * (len(whole) + 2) + [2, 4, 0, "end", 1, "next"]
    for call in calls:
        if call == "end":
            for iterator in (whole, *ranks):
                iterator.on_epoch_end()
            continue
        expected = next(whole) if call == "next" else whole[call]
        slices = [next(rank) if call == "next" else rank[call] for rank in ranks]
        assert_same_batch(_joined(slices), expected)
        indices = np.concatenate([rank.batch_indices for rank in ranks])
        np.testing.assert_array_equal(indices, whole.batch_indices)
        sizes = [len(rank.batch_indices) for rank in ranks]
        assert max(sizes) - min(sizes) <= 1
    for iterator in (whole, *ranks):
        iterator.close()


def test_every_kind_of_iterator_divides_its_batches(class_folders: Path) -> None:
    pandas = pytest.importorskip("pandas")
    images = np.random.RandomState(1).uniform(0, 255, (11, 8, 8, 3))
    files = sorted(str(path) for path in class_folders.rglob("*.jpg"))
    table = pandas.DataFrame({"filename": files, "class": "x", "weight": np.arange(len(files))})

    def array(**shard: Any) -> Any:
        return ImageDataGenerator(**_AUGMENTED).flow(
            (images, images[:, 0]), np.arange(11), batch_size=3, seed=2, **shard
        )

    def double(**shard: Any) -> Any:
        return ImageDataGenerator(dtype="float64").flow(images, batch_size=4, seed=2, **shard)

    def frame(**shard: Any) -> Any:
        return ImageDataGenerator().flow_from_dataframe(
            table, batch_size=3, seed=2, weight_col="weight", verbose=False, **shard
        )

    def dataset(**shard: Any) -> Any:
        return image_dataset_from_directory(
            class_folders, image_size=(9, 9), batch_size=3, seed=2, verbose=False, **shard
        )

    def both(**shard: Any) -> Any:
        options = {"class_mode": None, **shard}
        return pair(_flow(class_folders, **options), _flow(class_folders, **options))

    for make in (array, double, frame, dataset, both):
        whole, ranks = make(), [make(shard=(rank, 3)) for rank in range(3)]
        for _ in range(len(whole) + 1):
            assert_same_batch(_joined([rank.next() for rank in ranks]), whole.next())


def test_saved_copies_are_written_by_the_rank_that_has_the_sample(
    class_folders: Path, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "ranks").mkdir()
    whole = _flow(class_folders, save_to_dir=tmp_path / "whole")
    for _ in whole.epoch():
        pass
    for rank in range(2):
        part = _flow(
            class_folders, save_to_dir=tmp_path / "ranks", shard=(rank, 2), last_batch="pad"
        )
        for _ in part.epoch():
            pass
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "ranks").iterdir())
    assert len(names) == whole.n


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_padding_weighs_nothing_and_every_sample_once(class_folders: Path, count: int) -> None:
    whole = _flow(class_folders, _AUGMENTED)
    ranks = [
        _flow(class_folders, _AUGMENTED, shard=(rank, count), last_batch="pad")
        for rank in range(count)
    ]
    rows = -(-5 // count)
    for images, targets in whole.epoch():
        kept: list[Any] = []
        for rank in ranks:
            x, y, weights = next(rank)
            assert x.shape[0] == y.shape[0] == weights.shape[0] == rows
            assert weights.dtype == np.float32
            real = len(rank.batch_indices)
            np.testing.assert_array_equal(weights, np.arange(rows) < real)
            kept.append((x[:real], y[:real]))
        assert_same_batch(_joined(kept), (images, targets))


def test_padding_keeps_weights_of_samples_and_leaves_inputs_alone(class_folders: Path) -> None:
    images = np.ones((7, 4, 4, 3), dtype=np.float32)
    weights = np.arange(1, 8, dtype=np.float64)
    flow = ImageDataGenerator().flow
    padded = flow(
        images, np.arange(7), sample_weight=weights, batch_size=4, shuffle=False, last_batch="pad"
    )
    np.testing.assert_array_equal(next(padded)[2], [1, 2, 3, 4])
    np.testing.assert_array_equal(next(padded)[2], [5, 6, 7, 0])
    np.testing.assert_array_equal(weights, np.arange(1, 8))
    alone = flow(images, batch_size=4, shuffle=False, last_batch="pad")
    assert [len(batch) for batch in alone.epoch()] == [4, 4]
    assert len(alone.batch_indices) == 3


@pytest.mark.parametrize("shuffle", [True, False])
def test_dropping_ends_a_pass_with_its_last_whole_batch(class_folders: Path, shuffle: bool) -> None:
    dropped = _flow(class_folders, shuffle=shuffle, last_batch="drop")
    assert len(dropped) == 4
    seen = [[tuple(dropped.batch_indices) for _ in dropped.epoch()] for _ in range(2)]
    for number, batches in enumerate(seen):
        order = np.arange(23)
        if shuffle:  # drawn anew where a pass begins
            order = np.random.RandomState(3 + 4 * number).permutation(23)
        expected = [tuple(order[first : first + 5]) for first in range(0, 20, 5)]
        assert batches == expected
    with pytest.raises(ValueError, match="length 4"):
        dropped[4]
    exact = _flow(class_folders, batch_size=23, last_batch="drop")
    assert [len(x) for x, _ in exact.epoch()] == [23]


@pytest.mark.parametrize("count", [2, 3])
def test_a_state_of_one_world_goes_on_in_another(class_folders: Path, count: int) -> None:
    whole = _flow(class_folders, _AUGMENTED)
    before = [_flow(class_folders, _AUGMENTED, shard=(rank, count)) for rank in range(count)]
    for _ in range(3):
        next(whole)
        for rank in before:
            next(rank)
    states = [json.dumps(rank.state_dict()) for rank in before]
    assert set(states) == {json.dumps(whole.state_dict())}
    after = [_flow(class_folders, _AUGMENTED, shard=(rank, 4)) for rank in range(4)]
    for rank in after:
        rank.load_state_dict(json.loads(states[0]))
    for _ in range(6):
        assert_same_batch(_joined([next(rank) for rank in after]), next(whole))


@pytest.mark.parametrize(
    ("shard", "error"),
    [
        ((3, 3), ValueError),
        ((-1, 2), ValueError),
        ((0, 0), ValueError),
        ((0.0, 2), TypeError),
        ("rank", (TypeError, ValueError)),
        (3, TypeError),
        ((0, 1, 2), (TypeError, ValueError)),
    ],
)
def test_a_rank_outside_its_world_is_refused(class_folders: Path, shard: Any, error: Any) -> None:
    with pytest.raises(error, match="shard"):
        _flow(class_folders, shard=shard)


@pytest.mark.parametrize("last_batch", ["wrap", None, True])
def test_last_batch_is_one_of_three(class_folders: Path, last_batch: Any) -> None:
    with pytest.raises(ValueError, match="last_batch"):
        _flow(class_folders, last_batch=last_batch)


def test_what_would_leave_nothing_is_refused(class_folders: Path) -> None:
    with pytest.raises(ValueError, match="no batch of 23 samples"):
        _flow(class_folders, batch_size=24, last_batch="drop")
    with pytest.raises(ValueError, match="batch_size"):
        image_dataset_from_directory(class_folders, batch_size=None, shard=(0, 2), verbose=False)


def test_without_anything_to_find_auto_is_one_process(
    class_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_", "PMI_")) or name in {"RANK", "WORLD_SIZE"}:
            monkeypatch.delenv(name)
    alone = _flow(class_folders, shard="auto")
    assert alone.shard == (0, 1)
    assert_same_batch(next(alone), next(_flow(class_folders)))


def test_the_world_is_looked_for_at_the_first_batch(
    class_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterator = _flow(class_folders, shard="auto")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert_same_batch(next(iterator), next(_flow(class_folders, shard=(1, 3))))
    monkeypatch.setenv("RANK", "0")
    assert iterator.shard == (1, 3)


def test_a_random_order_without_a_seed_is_warned_about(class_folders: Path) -> None:
    with pytest.warns(UserWarning, match="part 1 of 2 of a random order without a `seed`"):
        next(_flow(class_folders, seed=None, shard=(1, 2)))
    next(_flow(class_folders, seed=None, shuffle=False, shard=(1, 2)))
    next(_flow(class_folders, seed=None, shard=(0, 1)))
