"""What users do to iterators, at random moments and from many threads; none hangs or is wrong."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyloader import ImageDataGenerator

# What no step takes, on the slowest machine; a hang is found, and says so.
PATIENCE = 600


def _flow(directory: Path, seed: int, **options: Any) -> Any:
    return ImageDataGenerator().flow_from_directory(
        directory,
        target_size=(8, 8),
        batch_size=4,
        seed=seed,
        class_mode="sparse",
        verbose=False,
        **options,
    )


class Truth:
    """What each sample of a folder is, whatever the order in which it comes."""

    def __init__(self, directory: Path) -> None:
        with _flow(directory, 0, shuffle=False) as batches:
            parts = list(batches.epoch())
            self.labels: NDArray[Any] = batches.classes
        self.images = np.concatenate([images for images, _ in parts])

    def check(self, images: NDArray[Any], labels: NDArray[Any]) -> None:
        """Asserts that every image is a sample's, and has this sample's label."""
        assert len(images) == len(labels) > 0
        for image, label in zip(images, labels, strict=True):
            candidates = np.flatnonzero(self.labels == label)
            assert any(np.array_equal(image, self.images[index]) for index in candidates)


@pytest.fixture(scope="module")
def truth(class_folders: Path) -> Truth:
    return Truth(class_folders)


class Crowd:
    """Threads whose exceptions reach the test, and which must end."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[..., None], *arguments: Any) -> None:
        """Starts a thread."""

        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as error:
                self.errors.append(error)

        thread = threading.Thread(target=guarded, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Asserts that all end, and without an error."""
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread hangs"
        if self.errors:
            raise self.errors[0]


def _use(batches: Any, truth: Truth, dice: random.Random, steps: int, counts: list[int]) -> None:
    """Random calls, until the iterator is closed."""
    kept: list[NDArray[Any]] = []
    for _ in range(steps):
        call = dice.randrange(10)
        try:
            if call < 5:
                images, labels = batches.next()
            elif call < 8:
                images, labels = batches[dice.randrange(len(batches))]
            else:
                (batches.reset if call == 8 else batches.on_epoch_end)()
                continue
        except RuntimeError as error:
            assert "closed" in str(error)  # noqa: PT017 (anything else is an error as well)
            return
        truth.check(images, labels)
        images.fill(-1)  # it is ours: no other batch may show it
        kept.append(images)
        if len(kept) > dice.randrange(1, 6):
            kept.clear()
        counts.append(1)
    assert all((images == -1).all() for images in kept)


@pytest.mark.parametrize("seed", range(6))
def test_threads_that_share_an_iterator_which_is_closed_at_some_moment(
    class_folders: Path, truth: Truth, seed: int
) -> None:
    dice = random.Random(seed)
    counts: list[int] = []
    for _ in range(8):
        batches = _flow(
            class_folders,
            seed,
            num_threads=dice.randrange(1, 4),
            prefetch=dice.randrange(1, 5),
            cache=dice.choice([None, "memory"]),
        )
        crowd = Crowd()
        for _ in range(dice.randrange(1, 4)):
            crowd.add(_use, batches, truth, random.Random(dice.random()), 12, counts)
        looks = dice.randrange(60)
        closes = dice.randrange(2) == 0
        for _ in range(looks):
            batches.stats()
        if closes:
            batches.close()
        crowd.join()
        if dice.randrange(2) == 0:
            batches.close()
        del batches  # or dropped with work in the pool
    assert len(counts) > 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forks_at_some_moment_leave_parent_and_child_able_to_go_on(
    class_folders: Path, truth: Truth
) -> None:
    dice = random.Random(11)
    counts: list[int] = []
    for round_number in range(6):
        batches = _flow(class_folders, round_number, num_threads=2, prefetch=dice.randrange(1, 5))
        crowd = Crowd()
        for _ in range(2):
            # In the child of a fork these threads are gone, whatever they hold.
            own = _flow(class_folders, 50 + round_number, num_threads=1)
            crowd.add(_use, own, truth, random.Random(dice.random()), 15, counts)
        for _ in range(dice.randrange(1, 6)):
            truth.check(*batches.next())
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(PATIENCE)
                for _ in range(8):
                    truth.check(*batches.next())
                batches.close()
                status = 0
            finally:
                os._exit(status)
        for _ in range(4):
            truth.check(*batches.next())
        _, status = os.waitpid(child, 0)
        assert status == 0
        crowd.join()
        batches.close()
    assert len(counts) > 20


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
def test_interrupts_at_random_moments_lose_no_batch(class_folders: Path) -> None:
    """An interrupt may come after a batch was handed over; then the counter tells."""
    expected = _flow(class_folders, 5)
    reference = [expected.next() for _ in range(60)]
    expected.close()

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    dice = random.Random(12)
    batches = _flow(class_folders, 5, num_threads=2)
    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    seen = 0
    try:
        while seen < len(reference):
            delivered = batches.total_batches_seen
            try:
                signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-5, 3e-3))
                images, labels = batches.next()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
                # Whether the batch was handed over before the interrupt: the counter tells.
                seen += batches.total_batches_seen - delivered
                continue
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            np.testing.assert_array_equal(images, reference[seen][0])
            np.testing.assert_array_equal(labels, reference[seen][1])
            seen += 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 0
    batches.close()


def test_iterators_made_and_dropped_in_mid_epoch_leave_no_thread(
    class_folders: Path, truth: Truth
) -> None:
    def native_threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    if not Path("/proc/self/task").is_dir():
        pytest.skip("no /proc on this system")
    before = native_threads()
    dice = random.Random(13)
    for number in range(40):
        batches = _flow(class_folders, number, num_threads=dice.randrange(1, 4))
        for _ in range(dice.randrange(4)):
            truth.check(*batches.next())
        if dice.randrange(3) == 0:
            batches.close()
        del batches
    # A thread that has ended stays in the list for a moment.
    deadline = time.monotonic() + PATIENCE
    while native_threads() > before and time.monotonic() < deadline:
        os.sched_yield()
    assert native_threads() <= before
