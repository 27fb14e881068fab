"""Batches asked for by position are prefetched along the order in which Keras asks for them."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import assert_same_batch, write_class_folders

from pyloader import ImageDataGenerator
from pyloader._order.keras_order import KerasOrder


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class_folders(tmp_path_factory.mktemp("many"), {"a": 20, "b": 17}, seed=5)


def _flow(directory: Path, **options: Any) -> Any:
    arguments: dict[str, Any] = {"target_size": (8, 8), "batch_size": 2, "verbose": False}
    return ImageDataGenerator(horizontal_flip=True).flow_from_directory(
        directory, **{**arguments, **options}
    )


def _keras_loop(dataset: Any, shuffle: bool) -> Iterator[Any]:
    """The loop of the installed Keras over one epoch."""
    adapters = pytest.importorskip("keras.src.trainers.data_adapters.py_dataset_adapter")
    loop: Iterator[Any] = adapters.PyDatasetAdapter(dataset, shuffle=shuffle)._finite_generator()
    return loop


class _Requests:
    """A dataset that notes what is predicted after each request."""

    workers, use_multiprocessing, max_queue_size = 1, False, 10

    def __init__(self, length: int) -> None:
        self.num_batches = length
        self.order = KerasOrder()
        self.asked: list[int] = []
        self.predicted: list[list[int]] = []

    def __getitem__(self, index: int) -> tuple[int]:
        caller = sys._getframe(1)
        self.asked.append(index)
        self.predicted.append(list(self.order.requested(index, self.num_batches, caller, 5)))
        return (index,)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("length", [1, 2, 3, 10, 100])
def test_every_request_of_keras_but_the_first_is_predicted(shuffle: bool, length: int) -> None:
    dataset = _Requests(length)
    for _ in range(3):
        dataset.asked, dataset.predicted = [], []
        assert len(list(_keras_loop(dataset, shuffle))) == length
        for done, predicted in enumerate(dataset.predicted, start=1):
            assert predicted == dataset.asked[done : done + 5]
        following = dataset.order.epoch_ended(length, 5)
        assert dataset.order.epoch_ended(length, 5) == following  # told twice, as by Keras


def test_epochs_in_order_lead_to_the_next_one_from_the_second_on() -> None:
    dataset = _Requests(8)
    for epoch in range(4):
        list(_keras_loop(dataset, False))
        expected = range(5) if epoch else ()
        assert dataset.order.epoch_ended(8, 5) == expected
    list(_keras_loop(dataset, True))
    assert dataset.order.epoch_ended(8, 5) == ()


def test_another_loop_is_followed_once_it_goes_on_in_order() -> None:
    order, frame = KerasOrder(), sys._getframe()
    assert order.requested(0, 50, frame, 3) == ()  # a look at the first batch
    assert order.requested(7, 50, frame, 3) == ()
    assert list(order.requested(8, 50, frame, 3)) == [9, 10, 11]
    assert order.requested(30, 50, frame, 3) == ()
    assert list(order.requested(31, 50, frame, 30)) == list(range(32, 50))


def test_neither_the_length_nor_a_request_touches_the_random_module(many_files: Path) -> None:
    iterator = _flow(many_files, seed=4)
    before = random.getstate()
    for position in (4, 2, 0):
        assert len(iterator) == 19
        iterator[position]
    iterator.on_epoch_end()
    assert random.getstate() == before


def test_reading_the_length_leaves_the_queue_alone(many_files: Path) -> None:
    iterator = _flow(many_files, seed=4, prefetch=3)
    iterator[0], iterator[1]
    queued = list(iterator._queue._queue)
    assert queued
    assert (len(iterator), iterator.num_batches, repr(iterator), iterator.stats().batches)[:2] == (
        19,
        19,
    )
    assert list(iterator._queue._queue) == queued


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("keras_shuffle", [True, False])
def test_batches_are_prefetched_and_the_same_as_without(
    many_files: Path, keras_shuffle: bool, shuffle: bool
) -> None:
    ahead = _flow(many_files, seed=4, shuffle=shuffle, prefetch=3)
    plain = _flow(many_files, seed=4, shuffle=shuffle)
    random.seed(3)
    for _ in range(3):
        found = []
        loop = _keras_loop(ahead, keras_shuffle)
        for done in range(len(ahead)):
            queue = ahead._queue
            front = queue._queue[0].item if queue is not None and queue._queue else None
            batch = next(loop)
            position = loop.gi_frame.f_locals["i"]  # type: ignore[attr-defined]
            assert done == 0 or front == position
            found.append(position)
            plain._keras_order = KerasOrder()  # predicts nothing
            assert_same_batch(batch, plain[position])
            assert not plain._queue._queue
        assert sorted(found) == list(range(len(ahead)))
        ahead.on_epoch_end()
        plain.on_epoch_end()
    ahead.close()
    plain.close()


def test_the_looks_before_fit_prefetch_nothing(many_files: Path) -> None:
    iterator = _flow(many_files, seed=4)
    iterator[0]
    assert not iterator._queue._queue
    iterator.on_epoch_end()
    iterator.on_epoch_end()
    assert not iterator._queue._queue


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
            plain._keras_order = KerasOrder()
            assert_same_batch(batch, plain[call])
