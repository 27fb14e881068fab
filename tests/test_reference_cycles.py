"""Iterators that lead back to themselves: the collector finds them with threads at work."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from faults import NEEDS_PROC, resources, succeeds
from pictures import jpeg

from pyloader import ImageDataGenerator


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 images that take a while to decode, so that threads are at work whenever one looks."""
    root = tmp_path_factory.mktemp("large")
    (root / "a").mkdir()
    noise = np.random.default_rng(1).integers(0, 256, (500, 500, 3), np.uint8)
    for number in range(8):
        (root / "a" / f"{number}.jpg").write_bytes(jpeg(noise, quality=90))
    return root


_USE = """
def use(before=lambda: None):
    one = np.float32(1)
    def add(image):
        before()
        return image + one
    it = flow(add, num_threads=2, prefetch=4)
    first, _ = it.next()
    it.itself = it
    return first
"""


def test_the_collector_takes_nothing_from_threads_at_work(large: Path) -> None:
    """It takes functions apart before the loader that calls them."""
    succeeds(large, _USE + "for _ in range(60):\n    use()\n    gc.collect()\n")


def test_a_thread_may_collect_its_own_loader(large: Path) -> None:
    code = """
import time
for _ in range(30):
    use(gc.collect)
gc.collect()
first = resources()
for _ in range(30):
    use(gc.collect)
gc.collect()
for _ in range(600):  # a thread that nobody can join takes its time to end
    gc.collect()  # not if another thread was just at it
    if resources()["threads"] <= first["threads"]:
        sys.exit()
    time.sleep(0.05)
sys.exit(f"{resources()} after {first}")
"""
    succeeds(large, _USE + code)


@NEEDS_PROC
@pytest.mark.parametrize(
    "make",
    [
        "owner.it = flow(owner.prepare)",
        "owner.it = flow(lambda image: owner.it and image)",
        "owner.it = flow(lambda image: image)\n    owner.it.image_data_generator.it = owner.it",
    ],
)
def test_a_function_that_leads_back_to_its_iterator_keeps_no_threads(
    class_folders: Path, make: str
) -> None:
    told = succeeds(
        class_folders,
        f"""
class Owner:
    it = None
    def prepare(self, image):
        return image
def use():
    owner = Owner()
    {make}
    owner.batch = owner.it.next()
use()
gc.collect()
first = resources()
for _ in range(30):
    use()
gc.collect()
last = resources()
print(last["threads"] - first["threads"])
""",
    )
    assert int(told) <= 1  # one that ends stays in the list for a moment


def test_iterators_in_reference_cycles_end_with_the_collector(class_folders: Path) -> None:
    def cycle() -> None:
        batches = ImageDataGenerator().flow_from_directory(
            class_folders, target_size=(8, 8), num_threads=3, verbose=False
        )
        batches.next()
        batches.itself = [batches]

    gc.collect()
    before = resources()["threads"]
    for _ in range(10):
        cycle()
    gc.collect()
    assert resources()["threads"] < before + 3
