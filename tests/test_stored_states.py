"""States that were stored by earlier releases are read: the next batch is the one that came next.

A file is made once, by `python tests/test_stored_states.py`, and never again: later releases have
to read it as it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_class_folders

from pyloader import ImageDataGenerator

STATES = Path(__file__).parent / "states"
_AUGMENT = {"rotation_range": 20, "zoom_range": 0.2, "horizontal_flip": True, "rescale": 1 / 255}


def _array_iterator(seed: int | None) -> Any:
    x = np.arange(23 * 4 * 4, dtype=np.float32).reshape(23, 4, 4, 1)
    return ImageDataGenerator(**_AUGMENT).flow(x, np.arange(23), batch_size=5, seed=seed)


def _file_iterator(folder: Path) -> Any:
    write_class_folders(folder, {"a": 7, "b": 6}, seed=1)
    return ImageDataGenerator(**_AUGMENT).flow_from_directory(
        folder, target_size=(8, 8), batch_size=4, seed=3, class_mode="sparse", verbose=False
    )


def _subjects(folder: Path) -> dict[str, Any]:
    return {
        "arrays": _array_iterator(4),
        "arrays-without-a-seed": _array_iterator(None),
        "folder": _file_iterator(folder),
    }


@pytest.mark.parametrize("name", ["arrays", "arrays-without-a-seed", "folder"])
def test_a_stored_state_is_read(tmp_path: Path, name: str) -> None:
    stored = json.loads((STATES / f"{name}.json").read_text())
    iterator = _subjects(tmp_path)[name]
    iterator.load_state_dict(stored["state"])
    for expected in stored["next"]:
        next(iterator)
        assert iterator.batch_indices.tolist() == expected


def test_a_state_is_small_plain_and_readable(tmp_path: Path) -> None:
    for name, iterator in _subjects(tmp_path).items():
        for move in (lambda it: None, next, lambda it: it[1], lambda it: it.on_epoch_end()):
            move(iterator)
            state = iterator.state_dict()
            text = json.dumps(state)
            assert json.loads(text) == state
            assert len(text) < 2000, name
            assert state["version"] == 2
            assert state["settings"]["rotation_range"] == 20
            assert state["seen"] == iterator.total_batches_seen


def test_what_decides_nothing_is_not_in_a_state() -> None:
    first, second = _array_iterator(4), _array_iterator(4)
    state = first.state_dict()
    second.image_data_generator.note = "mine"
    second.image_data_generator.zca_epsilon = 1.0
    second.note = np.zeros(3)
    second.load_state_dict(state)
    assert second.state_dict() == state


def test_what_differs_is_named_with_both_values() -> None:
    state = _array_iterator(4).state_dict()
    other = _array_iterator(4)
    other.image_data_generator.rotation_range = 30
    with pytest.raises(ValueError, match=r"another `rotation_range` \(was 20, is 30\)"):
        other.load_state_dict(state)
    other = _array_iterator(4)
    other.image_data_generator.horizontal_flip = False
    with pytest.raises(ValueError, match=r"`horizontal_flip` \(was true, is the default\)"):
        other.load_state_dict(state)


@pytest.mark.parametrize(
    "state", [{}, {"version": 1}, {"v": 1, "n": 23}, {"version": 3}, [], None, {"version": 2}]
)
def test_no_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match="state"):
        _array_iterator(4).load_state_dict(state)


if __name__ == "__main__":
    STATES.mkdir(exist_ok=True)
    for name, iterator in _subjects(Path(sys.argv[1])).items():
        file = STATES / f"{name}.json"
        if file.exists():
            continue
        for _ in range(7):
            next(iterator)
        state, following = iterator.state_dict(), []
        for _ in range(6):
            next(iterator)
            following.append(iterator.batch_indices.tolist())
        file.write_text(json.dumps({"state": state, "next": following}, indent=1) + "\n")
