"""stats() measures a run, and names its bottleneck in one line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyloader import ImageDataGenerator
from pyloader._monitor.stats import Stats, make_stats

_S = 10**9


def _stats(**counters: float) -> Stats:
    counters = {"num_threads": 4, "samples": 320, **counters}
    nanoseconds = {
        name: int(value * _S) if name.endswith("_ns") else int(value)
        for name, value in counters.items()
    }
    return make_stats(nanoseconds, samples=320, batches=10, seconds=10.0, cores=4)


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({"idle_ns": 30.0, "cpu_ns": 9.5, "decode_ns": 9.0}, "the consumer, which waits 0%"),
        ({"idle_ns": 30.0, "cpu_ns": 9.5, "decode_ns": 9.0}, "up to 4.0x"),
        ({"wait_ns": 8.0, "cpu_ns": 39.0, "decode_ns": 35.0}, "waits 80% of its time; decoding"),
        ({"wait_ns": 8.0, "cpu_ns": 39.0, "decode_ns": 35.0}, 'cache="memory" for later epochs'),
        ({"wait_ns": 8.0, "cpu_ns": 39.0, "cache_ns": 35.0}, "copying images from the cache"),
        ({"wait_ns": 8.0, "cpu_ns": 15.0, "decode_ns": 35.0}, "share their cores"),
        ({"wait_ns": 8.0, "cpu_ns": 15.0, "read_ns": 35.0}, "a faster disk"),
        ({"wait_ns": 8.0, "read_ns": 35.0, "reading_threads": 64}, "all of 64 threads"),
        ({"wait_ns": 8.0, "hook_ns": 35.0}, "one at a time"),
        ({"wait_ns": 8.0, "other_ns": 35.0}, "convert the files"),
        ({"wait_ns": 8.0, "num_threads": 2, "decode_ns": 19.0, "cpu_ns": 19.0}, "num_threads=4"),
    ],
)
def test_the_limit_is_named(counters: dict[str, float], expected: str) -> None:
    stats = _stats(**counters)
    assert expected in stats.limit
    assert str(stats).splitlines()[-1].split(None, 1) == ["limit", stats.limit]
    assert stats.as_dict()["limit"] == stats.limit


@pytest.mark.parametrize(
    ("pin_memory", "counters", "expected"),
    [
        (False, {"slots": 3}, "off"),
        (None, {"slots": 3}, "nothing: no CUDA runtime is loaded"),
        (None, {"slots": 3, "slots_registered": 3}, "3 slots, by CUDA"),
        (True, {"slots": 3, "slots_locked": 2}, "2 slots, by the system: no CUDA"),
        (True, {"slots": 3}, "nothing: no CUDA runtime is loaded, and the system refused"),
        (True, {}, "nothing yet"),
    ],
)
def test_pinning_is_told_in_words(
    pin_memory: bool | None, counters: dict[str, int], expected: str
) -> None:
    stats = make_stats(counters, samples=0, batches=0, seconds=0.0, pin_memory=pin_memory)
    assert stats.pin_memory is pin_memory
    assert stats.pinning.startswith(expected)
    assert stats.as_dict()["pinning"] == stats.pinning
    rows = [line.split(None, 1) for line in str(stats).splitlines()]
    is_shown = pin_memory or stats.slots_registered
    assert (["pinned", stats.pinning] in rows) is bool(is_shown)


def test_every_counter_of_the_loader_is_a_field(class_folders: Path) -> None:
    with _flow(class_folders) as iterator:
        next(iterator)
        counters = iterator._queue.counters()
    values = {name: number for number, name in enumerate(counters, 1)}
    fields = make_stats(values, samples=0, batches=0, seconds=0.0).as_dict()
    for name, value in values.items():
        if name not in ("samples", "batches"):
            found = fields[name.replace("_ns", "_seconds")]
            assert found == pytest.approx(value * 1e-9 if name.endswith("_ns") else value)
    assert fields["prepared"] == values["samples"]


def test_all_that_is_for_logs_is_json_and_an_attribute(class_folders: Path) -> None:
    with _flow(class_folders) as iterator:
        next(iterator)
        stats = iterator.stats()
    for name, value in json.loads(json.dumps(stats.as_dict())).items():
        assert getattr(stats, name) == value
    assert 1 <= stats.cores <= (os.cpu_count() or 1)


def test_nothing_is_said_too_early() -> None:
    assert "too few" in str(make_stats({}, samples=0, batches=0, seconds=0.0))


def test_batch_times_are_told_by_percentile() -> None:
    times = [0.001] * 98 + [0.5, 0.9]
    stats = make_stats({}, samples=1, batches=100, seconds=1.0, batch_seconds=times)
    assert (stats.batch_p50, stats.batch_p99) == (0.001, 0.9)
    assert make_stats({}, samples=1, batches=1, seconds=1.0).batch_p99 == 0.0


def _flow(folder: Path, function: Any = None) -> Any:
    return ImageDataGenerator(preprocessing_function=function).flow_from_directory(
        folder, target_size=(64, 64), batch_size=3, num_threads=1, verbose=False
    )


def test_a_real_run_counts_processor_time_and_finds_its_slow_consumer(class_folders: Path) -> None:
    with _flow(class_folders) as iterator:
        for _ in range(12):
            next(iterator)
            time.sleep(0.02)
        stats = iterator.stats()
    assert 0 < stats.cpu_seconds < stats.seconds
    assert stats.cpu_per_1000 == 1000 * stats.cpu_seconds / stats.prepared
    assert stats.prepared >= stats.samples
    assert stats.limit.startswith("the consumer")
    assert 0 < stats.batch_p50 <= stats.batch_p99


def test_a_real_run_finds_its_slow_function(class_folders: Path) -> None:
    def slow(image: np.ndarray) -> np.ndarray:
        time.sleep(0.005)
        return image

    with _flow(class_folders, slow) as iterator:
        for _ in range(12):
            next(iterator)
        assert "one at a time" in iterator.stats().limit
