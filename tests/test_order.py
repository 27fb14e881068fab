"""The order of batches and the random stream are Keras', call for call."""

from __future__ import annotations

import json
import random
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyloader import ImageDataGenerator
from pyloader._augment.sampling import ParamSampler, ranges_of
from pyloader._order.cursor import Cursor
from pyloader._order.random_stream import Stream

_FLIPS_ONLY = ParamSampler(ranges_of(ImageDataGenerator()))
_NOTHING = ParamSampler(None)


def _random() -> np.random.RandomState:
    """A generator that a plan reseeds."""
    return np.random.RandomState(99)


def _keras_order(keras_image: ModuleType, n: int, batch_size: int, shuffle: bool, seed: Any) -> Any:
    """Keras' own Iterator, delivering indices and consuming what images without augmentation do."""

    class Indices(keras_image.Iterator):  # type: ignore[misc,name-defined]
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            for _ in index_array:
                np.random.random()
                np.random.random()
            return index_array

    return Indices(n, batch_size, shuffle, seed)


class _Ours:
    """A cursor with the same four calls."""

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: Any) -> None:
        self.cursor = Cursor(n=n, batch_size=batch_size, shuffle=shuffle, seed=seed)

    def __next__(self) -> NDArray[np.int64]:
        plan = self.cursor.next(_FLIPS_ONLY, _random())
        self.cursor = plan.after
        return plan.ids

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        plan = self.cursor.item(index, _FLIPS_ONLY, _random())
        self.cursor = plan.after
        return plan.ids

    def on_epoch_end(self) -> None:
        self.cursor = self.cursor.epoch_end()

    def reset(self) -> None:
        self.cursor = self.cursor._replace(batch_index=0)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (7, 3), (8, 4), (10, 32), (23, 5)])
@pytest.mark.parametrize("seed", [0, 42, np.int64(7), True])
def test_any_mix_of_calls_gives_keras_order(
    keras_image: ModuleType, n: int, batch_size: int, shuffle: bool, seed: Any
) -> None:
    choose = random.Random(n + batch_size)
    for _ in range(4):
        ours = _Ours(n, batch_size, shuffle, seed)
        theirs = _keras_order(keras_image, n, batch_size, shuffle, seed)
        for _ in range(25):
            call = choose.choice(["next", "next", "next", "item", "reset", "epoch_end"])
            if call == "next":
                np.testing.assert_array_equal(next(ours), next(theirs))
            elif call == "item":
                index = choose.randrange(len(theirs))
                np.testing.assert_array_equal(ours[index], theirs[index])
            elif call == "reset":
                ours.reset()
                theirs.reset()
            elif theirs.index_array is not None:  # else Keras draws from whatever is global
                ours.on_epoch_end()
                theirs.on_epoch_end()
            assert ours.cursor.batch_index == theirs.batch_index
            assert ours.cursor.total_batches_seen == theirs.total_batches_seen
            np.testing.assert_array_equal(ours.cursor.index_array, theirs.index_array)


@pytest.mark.usefixtures("global_random_untouched")
def test_an_epoch_end_before_the_first_batch_follows_the_seed_alone() -> None:
    for _ in range(2):
        ours = _Ours(9, 2, True, 1)
        ours.on_epoch_end()
        expected = np.random.RandomState(1).permutation(9)
        np.testing.assert_array_equal(ours.cursor.index_array, expected)
        ours.on_epoch_end()  # told twice, as before Keras' first epoch: another order
        assert not np.array_equal(ours.cursor.index_array, expected)


def test_first_epoch_end_without_a_seed_follows_the_fallback_seed() -> None:
    cursor = Cursor(n=9, batch_size=2, shuffle=True, seed=None, fallback_seed=5)
    order = cursor.epoch_end().index_array
    np.testing.assert_array_equal(order, np.random.RandomState(5).permutation(9))


def test_a_stream_with_nothing_drawn_for_images_differs_from_one_with_flips() -> None:
    with_flips = Stream(3, permuted=5, images=4, sampler=_FLIPS_ONLY).realize().random_sample()
    without = Stream(3, permuted=5, images=4, sampler=_NOTHING).realize().random_sample()
    expected = np.random.RandomState(3)
    expected.permutation(5)
    assert without == expected.random_sample()
    expected.random_sample(7)
    assert with_flips == expected.random_sample()


def test_the_first_next_begins_an_epoch_whatever_batch_index_said() -> None:
    cursor = Cursor(n=9, batch_size=2, shuffle=False, seed=None, batch_index=3)
    plan = cursor.next(_NOTHING, _random())
    np.testing.assert_array_equal(plan.ids, [0, 1])
    assert plan.after.batch_index == 1


def test_planning_leaves_the_cursor_alone_and_repeats_itself() -> None:
    cursor = Cursor(n=9, batch_size=2, shuffle=True, seed=8)
    first = cursor.next(_FLIPS_ONLY, _random())
    again = cursor.next(_FLIPS_ONLY, _random())
    np.testing.assert_array_equal(first.ids, again.ids)
    assert cursor.index_array is None
    assert cursor.total_batches_seen == 0


@pytest.mark.parametrize(
    ("seed", "error"),
    [(-1, ValueError), (2**32, ValueError), (1.5, TypeError), ("7", TypeError)],
)
def test_bad_seeds_raise_what_numpy_raises(seed: Any, error: type[Exception]) -> None:
    cursor = Cursor(n=9, batch_size=2, shuffle=True, seed=seed)
    with pytest.raises(error) as ours:
        cursor.next(_NOTHING, _random())
    with pytest.raises(error) as item:
        cursor.item(0, _NOTHING, _random())
    with pytest.raises(error) as theirs:
        np.random.RandomState(seed + 0)
    assert str(ours.value) == str(item.value) == str(theirs.value)


def test_the_seed_may_run_out_of_range_later() -> None:
    cursor = Cursor(n=4, batch_size=2, shuffle=True, seed=2**32 - 2)
    for _ in range(2):
        cursor = cursor.next(_NOTHING, _random()).after
    with pytest.raises(ValueError, match=r"^Seed must be between 0 and 2\*\*32 - 1$"):
        cursor.next(_NOTHING, _random())


def test_no_samples_make_empty_batches_forever() -> None:
    cursor = Cursor(n=0, batch_size=4, shuffle=True, seed=1)
    for count in range(1, 4):
        plan = cursor.next(_FLIPS_ONLY, _random())
        cursor = plan.after
        assert plan.ids.shape == (0,)
        assert cursor.batch_index == 0
        assert cursor.total_batches_seen == count


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_a_stream_is_told_as_seed_and_words_and_found_again(seed: int) -> None:
    choose = np.random.RandomState(seed % 1000)
    for trial in range(12):
        stream = Stream(seed, permuted=int(choose.randint(0, 3000)) * (trial % 2), images=trial)
        stream = stream._replace(sampler=_FLIPS_ONLY if trial % 3 else None)
        for _ in range(trial % 4):
            stream = stream.shuffled(int(choose.randint(1, 2000)))
        told = stream.to_json()
        assert set(told) == {"seed", "words"}
        found = Stream.from_json(told).realize()
        np.testing.assert_array_equal(found.permutation(99), stream.realize().permutation(99))


def test_a_stream_that_a_hook_reseeded_or_drew_normals_from_is_kept_whole() -> None:
    for prepare in (
        lambda random: random.seed([1, 2]),
        lambda random: random.normal(),
        lambda random: random.normal(size=2000),
    ):
        random_ = np.random.RandomState(3)
        prepare(random_)
        stream = Stream(3, state=random_.get_state(legacy=False))
        found = Stream.from_json(json.loads(json.dumps(stream.to_json()))).realize()
        np.testing.assert_array_equal(found.normal(size=5), stream.realize().normal(size=5))


@pytest.mark.parametrize(
    "described",
    [{"seed": -1, "words": 0}, {"seed": 1, "words": -1}, {"key": "AAAA", "position": 1}],
)
def test_no_stream_is_refused(described: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="random stream"):
        Stream.from_json(described)
