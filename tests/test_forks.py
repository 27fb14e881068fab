"""Forks at bad moments: the child has none of the other threads, and what they held is not lost."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import write_class_folders
from faults import succeeds
from PIL import Image

from pyloader._native.forks import _NoFork


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 JPEGs, and 12 PNGs behind them, which take OpenCV."""
    root = write_class_folders(tmp_path_factory.mktemp("mixed"), {"a": 4})
    random = np.random.default_rng(1)
    for number in range(12):
        picture = random.integers(0, 256, (60, 50, 3), np.uint8)
        Image.fromarray(picture).save(root / "a" / f"z{number}.png")
    return root


_FORK = """
import time
from pyloader._native.forks import watch_forks
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
def test_a_child_gets_its_batches_though_a_thread_was_importing_a_decoder(
    mixed: Path, pause: float
) -> None:
    code = f"""
it = flow(**options)
it.next()  # and the threads go on to the PNGs
time.sleep({pause})
forked(lambda: it.next().shape == (4, 8, 8, 3))
"""
    succeeds(mixed, _FORK + code)


def test_a_fork_waits_for_who_is_in_opencv(mixed: Path) -> None:
    code = """
from pyloader._formats.opencv import _opencv
inside, left = threading.Event(), []
def stay():
    with _opencv():
        inside.set()
        time.sleep(0.3)
        left.append(1)
thread = threading.Thread(target=stay)
thread.start()
inside.wait()
def enter():
    with _opencv():
        return left == [1]
forked(enter)
thread.join()
assert enter()
"""
    succeeds(mixed, _FORK + "watch_forks()\n" + code)


def test_who_is_inside_may_enter_again_and_fork(mixed: Path) -> None:
    code = """
from pyloader._native.forks import no_fork
def enter():
    with no_fork:
        return True
with no_fork:
    forked(enter)
    with no_fork:
        forked(lambda: True)
forked(lambda: os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit(0), 0)[1]) == 0)
"""
    succeeds(mixed, _FORK + "watch_forks()\n" + code)


def test_nobody_enters_during_a_fork() -> None:
    gate = _NoFork()
    entered = threading.Event()

    def enter() -> None:
        with gate:
            entered.set()

    gate.before_fork()
    gate.before_fork()  # by two threads at once
    thread = threading.Thread(target=enter)
    thread.start()
    gate.after_in_parent()
    assert not entered.wait(0.1)
    gate.after_in_parent()
    thread.join()
    assert entered.is_set()


def test_who_is_inside_enters_again_though_a_fork_waits() -> None:
    gate = _NoFork()
    with gate:
        fork = threading.Thread(target=gate.before_fork)
        fork.start()
        fork.join(0.1)
        assert fork.is_alive()
        with gate:
            pass
        assert fork.is_alive()
    fork.join()
    gate.after_in_parent()


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
