"""The record of images that could not be loaded: what is in it, when, and what is said of it."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import write_class_folders
from damaged import (
    AUGMENT,
    BAD,
    COUNTS,
    assert_same,
    flow,
    loops,
    records,
    write_damaged,
)

from pyloader import (
    ImageError,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """37 images of three classes, four of them bad."""
    return write_damaged(tmp_path / "images")


def test_errors_are_recorded_when_they_are_raised(folder: Path) -> None:
    with flow(folder, shuffle=False) as it:
        reached, recorded = 0, []
        for _ in range(len(it)):
            known = len(it.errors)
            try:
                next(it)
                reached += 1
            except ImageError as error:
                recorded.append((it.errors[known:], error))
        assert reached == 5
        assert [(bad.path, bad.reason) for (bad,), _ in recorded] == [
            (error.path, error.reason) for _, error in recorded
        ]
        assert [bad.index for bad in it.errors] == [3, 17, 30]  # the first of each batch
        assert [bad.epoch for bad in it.errors] == [0, 0, 0]
        assert all(bad.replaced_by is None for bad in it.errors)


def test_only_delivered_batches_leave_records(folder: Path) -> None:
    with flow(folder, shuffle=False, on_error="drop", prefetch=8) as it:
        next(it)
        assert [bad.index for bad in it.errors] == [3, 4]
        assert Path(it.errors[0].path) == Path(it.filepaths[3])
        assert "truncated" in it.errors[0].reason


def test_a_pass_is_summed_up_once_with_its_number(folder: Path) -> None:
    with flow(folder, on_error="drop") as it:
        for epoch in range(3):
            with pytest.warns(UserWarning, match="epoch") as caught:
                list(it.epoch())
            assert len(caught) == 1
            text = str(caught[0].message)
            assert text.startswith(f"epoch {epoch}: 4 of 37 images could not be loaded")
            assert caught[0].filename == __file__
        next(it)
        it.reset()  # what was seen of this pass is summed up where the next one begins
        seen = len([bad for bad in it.errors if bad.epoch == 3])
        if seen:
            with pytest.warns(UserWarning, match=f"epoch 3: {seen} of 5 images"):
                next(it)
        else:
            next(it)


@pytest.mark.filterwarnings("ignore:epoch")
def test_a_look_ahead_as_keras_does_counts_nothing_twice(folder: Path) -> None:
    with flow(folder, shuffle=False, on_error="drop") as it:
        for epoch in range(2):
            it[0], it[0]
            for index in range(len(it)):
                it[index]
            it.on_epoch_end()
            assert [bad.index for bad in it.errors if bad.epoch == epoch] == list(BAD)
        assert len(it.errors) == 8


@pytest.mark.filterwarnings("ignore:epoch")
@pytest.mark.parametrize("on_error", ["drop", "replace"])
def test_a_resumed_run_goes_on_with_the_same_batches(folder: Path, on_error: str) -> None:
    with flow(folder, AUGMENT, on_error=on_error) as it:
        whole = loops(it, 2)
        errors = it.errors
    with flow(folder, AUGMENT, on_error=on_error) as it:
        for _ in range(11):
            next(it)
        state = it.state_dict()
        before = it.errors
    with flow(folder, AUGMENT, on_error=on_error) as it:
        it.load_state_dict(state)
        rest = [(np.array(it.batch_indices), *batch) for batch in it.remaining()]
        assert_same(rest, whole[11:])
        assert records(before + it.errors) == records(errors)


def test_a_run_that_met_a_bad_image_goes_on_with_another_on_error(folder: Path) -> None:
    with flow(folder, shuffle=False) as it:
        with pytest.raises(ImageError):
            next(it)
        state = it.state_dict()
    with flow(folder, shuffle=False, on_error="drop") as it:
        it.load_state_dict(state)
        next(it)
        assert it.batch_indices.tolist() == [5, 6, 7, 8, 9]


def test_a_file_that_is_mended_is_loaded_in_the_next_pass(folder: Path, tmp_path: Path) -> None:
    whole = write_class_folders(tmp_path / "whole", COUNTS, seed=8)
    with flow(folder, on_error="drop", shuffle=False, prefetch=1) as it:
        with pytest.warns(UserWarning, match="epoch 0"):
            list(it.epoch())
        for bad in it.errors:
            path = Path(bad.path)
            path.write_bytes((whole / path.relative_to(folder)).read_bytes())
        it.reset()
        state = it.state_dict()
        it.load_state_dict(state)  # forgets what is prepared
        assert sum(len(images) for images, _ in it.epoch()) == 37
        assert len(it.errors) == 4


def test_copies_know_what_to_do_and_start_with_a_clean_record(folder: Path) -> None:
    it = flow(folder, on_error="drop")
    with pytest.warns(UserWarning, match="epoch 0"):
        expected = loops(it)
    copy = pickle.loads(pickle.dumps(it))
    assert copy.errors == []
    with pytest.warns(UserWarning, match="epoch 0"):
        assert_same(loops(copy), expected)


def test_a_record_is_path_reason_and_epoch_and_knows_more(folder: Path) -> None:
    with flow(folder, on_error="replace", shuffle=False) as it, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        list(it.epoch())
    path, reason, epoch = it.errors[0]
    assert (path, reason, epoch) == (it.filepaths[3], it.errors[0].reason, 0)
    copy = pickle.loads(pickle.dumps(it.errors))
    assert records(copy) == records(it.errors)
    assert repr(copy[0]) == repr(it.errors[0])
    assert "index=3" in repr(copy[0])
