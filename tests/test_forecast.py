"""Batches asked for by position are prepared along the order in which Keras will ask for them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import assert_same_batch, write_class_folders

from pyloader import ImageDataGenerator
from pyloader._order.keras_order import Forecast


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_folders(tmp_path_factory.mktemp("many"), {"a": 20, "b": 17}, seed=5)


def _flow(directory: Path, **options: Any) -> Any:
    arguments: dict[str, Any] = {"target_size": (8, 8), "batch_size": 2, "verbose": False}
    return ImageDataGenerator(horizontal_flip=True).flow_from_directory(
        directory, **{**arguments, **options}
    )


def _permutation(generator: random.Random, length: int) -> list[int]:
    order = list(range(length))
    generator.shuffle(order)
    return order


def _copy_of_random() -> random.Random:
    copy = random.Random()
    copy.setstate(random.getstate())
    return copy


def _requests(dataset: Any, manner: str, epoch: int) -> Iterator[int]:
    """The positions of an epoch as Keras' adapter goes through them."""
    order = list(range(dataset.num_batches))
    if manner == "3.15":
        random.shuffle(order)
    elif manner == "3.16":
        random.Random(epoch).shuffle(order)
    yield from order


@pytest.mark.parametrize("manner", ["in order", "3.15", "3.16"])
@pytest.mark.parametrize("length", [1, 2, 3, 10, 100])
def test_after_few_requests_every_position_is_foreseen(manner: str, length: int) -> None:
    class Dataset:
        forecast = Forecast()

        @property
        def num_batches(self) -> int:
            self.forecast.length_read()
            return length

    dataset = Dataset()
    forecast = dataset.forecast
    for epoch in (1, 2, 3):
        foreseen: list[int] = []
        missed = 0
        for made, position in enumerate(_requests(dataset, manner, epoch)):
            if made and (not foreseen or foreseen[0] != position):
                missed += 1
            forecast.requested(position, length)
            foreseen = forecast.upcoming(length)
        assert missed <= 1  # a first request may fit two orders
        if length > 3:  # shorter orders look like each other
            expected = list(range(length))
            if manner == "3.15":
                expected = _permutation(_copy_of_random(), length)
            elif manner == "3.16":
                expected = _permutation(random.Random(epoch + 1), length)
            elif epoch == 1:
                expected = []  # may be the only one
            assert forecast.upcoming(length) == ([None, *expected[:length]] if expected else [])
            forecast.epoch_ended(length)
            assert forecast.upcoming(length) == expected
            forecast.epoch_ended(length)  # as before an evaluation
            assert forecast.upcoming(length) == expected
        else:
            forecast.epoch_ended(length)


def test_the_next_epoch_of_keras_315_is_foreseen_as_long_as_nobody_else_shuffles() -> None:
    forecast = Forecast()
    for _ in range(2):
        forecast.length_read()
        for position in _permutation(random, 50):  # type: ignore[arg-type]
            forecast.requested(position, 50)
        forecast.epoch_ended(50)
        random.random()  # somebody else: the order is another one now
        forecast.epoch_ended(50)
        assert forecast.upcoming(50) == _permutation(_copy_of_random(), 50)


def test_a_look_at_one_batch_foresees_nothing_and_a_run_is_followed() -> None:
    forecast = Forecast()
    forecast.requested(7, 50)
    assert forecast.upcoming(3) == []
    forecast.requested(8, 50)
    assert forecast.upcoming(3) == [9, 10, 11]
    forecast.requested(30, 50)
    assert forecast.upcoming(3) == []


def test_the_order_of_keras_316_is_found_without_the_length_being_read() -> None:
    forecast = Forecast()
    for epoch in (1, 2):
        order = _permutation(random.Random(epoch), 50)
        for made, position in enumerate(order):
            forecast.requested(position, 50)
            if made:
                assert forecast.upcoming(5)[:1] == (order[made + 1 : made + 2] or [None])
        forecast.epoch_ended(50)


def test_an_abandoned_epoch_says_nothing_about_the_next_one() -> None:
    forecast = Forecast()
    forecast.length_read()
    forecast.requested(0, 50)
    forecast.requested(1, 50)
    forecast.epoch_ended(50)
    assert forecast.upcoming(3) == []


def test_the_generator_of_random_is_read_and_never_moved() -> None:
    before = random.getstate()
    forecast = Forecast()
    forecast.length_read()
    for position in (4, 2, 0):
        forecast.requested(position, 9)
    forecast.epoch_ended(9)
    assert random.getstate() == before


@pytest.mark.parametrize("manner", ["in order", "3.15", "3.16"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_prepared_ahead_and_the_same_as_without(
    many_files: Path, manner: str, shuffle: bool
) -> None:
    ahead = _flow(many_files, seed=4, shuffle=shuffle, prefetch=3)
    plain = _flow(many_files, seed=4, shuffle=shuffle)
    random.seed(3)
    for epoch in (1, 2, 3):
        prepared = 0
        for position in _requests(ahead, manner, epoch):
            lookahead = ahead._lookahead
            if lookahead is not None and lookahead._queue:
                prepared += lookahead._queue[0].item == position
            batch = ahead[position]
            plain._forecast = Forecast()  # foresees nothing
            assert_same_batch(batch, plain[position])
            assert not plain._lookahead._queue
        begins_prepared = epoch == 3 or (epoch == 2 and manner != "in order")
        assert prepared >= len(ahead) - (0 if begins_prepared else 2)
        ahead.on_epoch_end()
        plain.on_epoch_end()
    ahead.close()
    plain.close()


def test_the_peeks_before_fit_start_next_to_nothing(many_files: Path) -> None:
    iterator = _flow(many_files, seed=4)
    iterator[0]
    assert not iterator._lookahead._queue
    iterator.on_epoch_end()
    iterator.on_epoch_end()
    assert not iterator._lookahead._queue


def test_a_request_out_of_line_gets_its_own_batch(many_files: Path) -> None:
    ahead, plain = _flow(many_files, seed=4), _flow(many_files, seed=4)
    choose = random.Random(1)
    for _ in range(60):
        call = choose.choice(["next", "length", "end", 0, 1, 2, 3, 4, 5, 6, 7])
        if call == "next":
            assert_same_batch(next(ahead), next(plain))
        elif call == "length":
            len(ahead)
        elif call == "end":
            ahead.on_epoch_end()
            plain.on_epoch_end()
        else:
            batch = ahead[call]
            plain._forecast = Forecast()
            assert_same_batch(batch, plain[call])
