"""Forks at bad moments: the child has none of the other threads, and what they held is not lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import write_class_folders
from faults import succeeds
from PIL import Image


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 JPEGs, and 12 PNGs behind them, which take Pillow."""
    root = write_class_folders(tmp_path_factory.mktemp("mixed"), {"a": 4})
    random = np.random.default_rng(1)
    for number in range(12):
        picture = random.integers(0, 256, (60, 50, 3), np.uint8)
        Image.fromarray(picture).save(root / "a" / f"z{number}.png")
    return root


_FORK = """
import time
def forked(deliver):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if deliver() else 1)
    assert os.waitpid(child, 0)[1] == 0, "the child hangs, or has other batches"
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, from 3.12 on
options = {"shuffle": False, "class_mode": None}
"""


@pytest.mark.parametrize("pause", [0.0, 0.005, 0.03, 0.1])
def test_a_child_gets_its_batches_though_threads_are_at_the_first_pngs(
    mixed: Path, pause: float
) -> None:
    code = f"""
it = flow(**options)
it.next()  # and the threads go on to the PNGs
time.sleep({pause})
forked(lambda: it.next().shape == (4, 8, 8, 3))
"""
    succeeds(mixed, _FORK + code)


def test_children_get_their_batches_whatever_the_threads_are_doing(mixed: Path) -> None:
    code = """
reference = [batch.copy() for batch in flow(**options).epoch()]
it = flow(num_threads=3, **options)
stop = threading.Event()
def take():
    while not stop.is_set():
        it.next()
thread = threading.Thread(target=take)
thread.start()
for _ in range(30):
    other = flow(num_threads=2, **options)
    forked(lambda: (other.next() == reference[0]).all() and (other.next() == reference[1]).all())
    forked(lambda: it.next().shape == (4, 8, 8, 3))
stop.set()
thread.join()
"""
    succeeds(mixed, _FORK + code)


def test_the_first_batch_ever_may_be_under_way_in_another_thread(class_folders: Path) -> None:
    code = """
it = flow(**options)
thread = threading.Thread(target=it.next)
thread.start()
other = flow(**options)
forked(lambda: other.next().shape == (4, 8, 8, 3))
thread.join()
"""
    succeeds(class_folders, _FORK + code)


def test_a_pairs_child_does_not_wait_for_the_parents_threads(class_folders: Path) -> None:
    code = """
from pyloader import pair
def slow(image):
    time.sleep(0.002)
    return image
pairs = pair(flow(slow, **options), flow(slow, **options))
thread = threading.Thread(target=lambda: [pairs.next() for _ in range(12)])
thread.start()
for _ in range(3):
    time.sleep(0.01)
    def deliver():
        images, masks = pairs.next()
        return len(images) and (images == masks).all()
    forked(deliver)
thread.join()
"""
    succeeds(class_folders, _FORK + code)
