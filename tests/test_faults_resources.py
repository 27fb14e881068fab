"""Threads that are refused, memory that is not there, cells that are run again and again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch
from faults import NEEDS_PROC, TESTS, compile_shim, succeeds

from pyloader import ImageDataGenerator


def _flow(folder: Path, function: Any = None, **options: Any) -> Any:
    options = {"target_size": (8, 8), "batch_size": 4, "seed": 6, "verbose": False, **options}
    generator = ImageDataGenerator(preprocessing_function=function)
    return generator.flow_from_directory(folder, **options)


def _without_threads(folder: Path, tmp_path: Path, code: str) -> str:
    """Runs a script in which `grant(n)` lets the system give n threads more, and no other."""
    library = compile_shim(TESTS / "refuse_threads.c", tmp_path)
    grant = f"grant = ctypes.CDLL({str(library)!r}).grant_threads\n"
    return succeeds(folder, grant + code, env={**os.environ, "LD_PRELOAD": str(library)})


def test_fewer_threads_than_asked_for_do_the_same_work(class_folders: Path, tmp_path: Path) -> None:
    told = _without_threads(
        class_folders,
        tmp_path,
        """
reference = [images for images, _ in flow().epoch()]
kept = []
for count in (1, 2, 7):
    grant(count)
    before = resources()["threads"]
    it = flow(num_threads=8)
    kept.append(it)
    for batch in reference:
        assert (it.next()[0] == batch).all()
    print(resources()["threads"] - before)
""",
    )
    assert told.split() == ["1", "2", "7"]


def test_not_a_single_thread_is_an_error_that_says_so_and_passes(
    class_folders: Path, tmp_path: Path
) -> None:
    told = _without_threads(
        class_folders,
        tmp_path,
        """
reference = [images for images, _ in flow().epoch()]
it = flow()
grant(0)
for deliver in (it.next, it.next, lambda: it[0]):
    try:
        deliver()
    except RuntimeError as error:
        print(error)
assert it.total_batches_seen == 0
grant(-1)
for batch in reference:
    assert (it.next()[0] == batch).all()
""",
    )
    message = (
        "cannot start a thread to load images with; raise the limit on threads (ulimit -u) or on "
        "memory, or end other programs: Resource temporarily unavailable\n"
    )
    assert told == 3 * message


def test_a_fork_where_threads_are_refused_is_an_error_in_the_child_only(
    class_folders: Path, tmp_path: Path
) -> None:
    _without_threads(
        class_folders,
        tmp_path,
        """
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forks beside threads
it, reference = flow(), flow()
assert (it.next()[0] == reference.next()[0]).all()
child = os.fork()
if child == 0:
    grant(0)
    try:
        it.next()
    except RuntimeError as error:
        os._exit(9 if "cannot start a thread" in str(error) else 1)
    os._exit(2)
assert os.waitpid(child, 0)[1] == 9 << 8
assert (it.next()[0] == reference.next()[0]).all()
""",
    )


@NEEDS_PROC
def test_a_batch_that_memory_has_no_room_for_is_a_memoryerror_and_passes(
    class_folders: Path,
) -> None:
    told = succeeds(
        class_folders,
        """
options = {"target_size": (2000, 2000), "num_threads": 1, "prefetch": 1, "class_mode": None}
with flow(batch_size=2, **options) as small:
    small.next()  # whatever is taken once
it = flow(batch_size=8, **options)
unlimited = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (address_space() + (300 << 20), unlimited[1]))
try:
    it.next()
except MemoryError as error:
    print(type(error).__name__, error)
print(it.total_batches_seen)
resource.setrlimit(resource.RLIMIT_AS, unlimited)
for _ in range(3):  # the batches prepared ahead, too, waited for memory
    print(it.next().shape)
print(it.total_batches_seen)
""",
    )
    # Like any batch that fails, it counts as seen.
    assert told.splitlines() == [
        f"MemoryError no memory for a batch of {8 * 2000 * 2000 * 3 * 4} bytes",
        "1",
        "(8, 2000, 2000, 3)",
        "(7, 2000, 2000, 3)",
        "(8, 2000, 2000, 3)",
        "4",
    ]


@NEEDS_PROC
def test_memory_for_two_batches_is_enough_whatever_the_depth(class_folders: Path) -> None:
    """A loop holds one batch while it waits for the next; nothing else needs memory of its own."""
    told = succeeds(
        class_folders,
        """
options = {"target_size": (1500, 1500), "num_threads": 2, "class_mode": None}
sums = [images.sum() for images in flow(batch_size=3, **options).epoch()]
gc.collect()
it = flow(batch_size=3, prefetch=6, **options)
size = 3 * 1500 * 1500 * 3 * 4
_, hard = resource.getrlimit(resource.RLIMIT_AS)
room = 2 * size + (200 << 20)  # and for threads
resource.setrlimit(resource.RLIMIT_AS, (address_space() + room, hard))
kept = []
try:
    while True:
        kept.append(it.next())
except MemoryError as error:
    print(error)
held = len(kept)
print(held >= 2, held == it.total_batches_seen - 1)
assert [batch.sum() for batch in kept] == sums[:held]
del kept
for expected in sums[held + 1:]:
    batch = it.next()
    assert batch.sum() == expected
""",
    )
    assert told == f"no memory for a batch of {3 * 1500 * 1500 * 3 * 4} bytes\nTrue True\n"


@NEEDS_PROC
def test_an_image_that_memory_has_no_room_for_is_named(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "a").mkdir()
    Image.new("L", (9000, 9000)).save(tmp_path / "a" / "big.png", compress_level=1)
    Image.new("RGB", (20, 20)).save(tmp_path / "a" / "small.png")
    told = succeeds(
        tmp_path,
        """
import cv2
options = {"batch_size": 1, "shuffle": False, "class_mode": None}
it = flow(num_threads=1, prefetch=1, **options)
unlimited = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (address_space() + (100 << 20), unlimited[1]))
try:
    it.next()
except (MemoryError, pyloader.ImageError) as error:
    print(error)
print(it.next().shape)
resource.setrlimit(resource.RLIMIT_AS, unlimited)
print(it.next().shape)
""",
    )
    message, *shapes = told.splitlines()
    assert str(tmp_path / "a" / "big.png") in message
    assert "memory" in message
    assert shapes == ["(1, 8, 8, 3)", "(1, 8, 8, 3)"]


@NEEDS_PROC
@pytest.mark.parametrize("options", ["cache='memory'", "lambda image: image + 1"])
def test_a_cell_that_is_run_a_thousand_times_takes_no_more_than_once(
    class_folders: Path, options: str
) -> None:
    """As in a notebook: the name is bound anew, nothing is closed, the last result is kept."""
    told = succeeds(
        class_folders,
        f"""
cell = compile('''
it = flow({options})
images, labels = it.next()
_ = images[:2]
''', "cell", "exec")
namespace = {{"flow": flow, "num_threads": 4}}
def run_cell(times):
    for _ in range(times):
        exec(cell, namespace)
run_cell(100)
first = resources()
run_cell(1000)
last = resources()
print({{name: last[name] - first[name] for name in first}})
""",
    )
    grown = eval(told)
    assert grown["threads"] <= 1  # one that ends stays in the list for a moment
    assert grown["files"] == 0
    assert grown["resident"] < 4096  # a batch alone would be 3 KiB a time


@NEEDS_PROC
def test_a_cell_that_fails_hundreds_of_times_takes_no_more_than_once(class_folders: Path) -> None:
    """The traceback of the last failure is kept, as notebooks do; it holds the iterator."""
    succeeds(
        class_folders,
        """
def fail(image):
    raise ValueError("too dark")
def run_cell(times):
    for _ in range(times):
        try:
            it = flow(fail)
            it.next()
        except ValueError as error:
            sys.last_value = error
run_cell(100)
gc.collect()
first = resources()
run_cell(400)
gc.collect()
last = resources()
assert last["threads"] <= first["threads"] + 1, (first, last)
assert last["files"] == first["files"], (first, last)
assert last["resident"] < first["resident"] + 4096, (first, last)
""",
    )


def test_two_loaders_at_once_deliver_what_each_would_alone(
    class_folders: Path, tmp_path: Path
) -> None:
    settings: list[dict[str, Any]] = [
        {"num_threads": 3, "cache": tmp_path / "cache"},
        {"num_threads": 1, "cache": tmp_path / "cache", "target_size": (9, 7), "seed": 2},
        {"num_threads": 2, "color_mode": "grayscale", "interpolation": "bicubic"},
    ]
    alone = [list(_flow(class_folders, **options).epoch()) for options in settings]
    together = [_flow(class_folders, **options) for options in settings]
    for number in range(len(alone[0])):
        for batches, expected in zip(together, alone, strict=True):
            assert_same_batch(batches.next(), expected[number])


def test_a_function_may_take_batches_of_another_loader(class_folders: Path) -> None:
    background = _flow(class_folders, num_threads=2, class_mode=None)
    means = [batch.mean() for batch in _flow(class_folders, class_mode=None).epoch()]

    def add_mean(image: Any) -> Any:
        image += background.next().mean()
        return image

    plain = next(_flow(class_folders, shuffle=False, class_mode=None, batch_size=3))
    mixed = _flow(
        class_folders, add_mean, shuffle=False, class_mode=None, batch_size=3, num_threads=1
    ).next()
    for number in range(3):
        np.testing.assert_array_equal(mixed[number], plain[number] + means[number])


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exit_raised_by_the_users_function_reaches_the_user(
    class_folders: Path, problem: type[BaseException]
) -> None:
    failing = [True]

    def leave(image: Any) -> Any:
        if failing[0]:
            raise problem("enough")
        return image

    batches, reference = _flow(class_folders, leave), _flow(class_folders)
    for _ in range(2):
        with pytest.raises(problem, match=r"^enough"):
            batches.next()
    assert batches.total_batches_seen == 0
    failing[0] = False
    for _ in range(6):
        assert_same_batch(batches.next(), reference.next())
    batches.close()


def test_a_function_that_fails_costs_its_batches_only(class_folders: Path) -> None:
    bad = 7

    def fail(image: Any) -> Any:
        if image.shape[0] == 8 and image.tobytes() == target:
            raise ZeroDivisionError("division by zero")
        return image

    ordered = _flow(class_folders, shuffle=False, batch_size=1, class_mode=None)
    images = [image.copy() for image in ordered.epoch()]
    target = images[bad][0].tobytes()
    batches = _flow(class_folders, fail, shuffle=False, class_mode=None)
    for number in range(6):
        if number == bad // 4:
            path = batches.filepaths[bad]
            with pytest.raises(ZeroDivisionError) as caught:
                batches.next()
            assert str(caught.value) == f"division by zero [image: {path!r}]"
        else:
            expected = np.concatenate(images[4 * number : 4 * number + 4])
            np.testing.assert_array_equal(batches.next(), expected)
    assert batches.errors == []  # the image is not to blame
