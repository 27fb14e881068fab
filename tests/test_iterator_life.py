"""What an iterator promises beyond Keras: errors, interruption, closing, forks, copies, numbers."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import GeneratorType, ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, write_class_folders
from numpy.typing import NDArray

from pyloader import DirectoryIterator, ImageDataGenerator, ImageError


def _flow(directory: Path, function: Callable[..., Any] | None = None, **options: Any) -> Any:
    options = {"target_size": (8, 8), "batch_size": 4, "seed": 6, "verbose": False, **options}
    generator = ImageDataGenerator(preprocessing_function=function)
    return generator.flow_from_directory(directory, **options)


@pytest.fixture
def with_a_bad_file(tmp_path: Path) -> Path:
    """12 images, of which number 5 is cut short."""
    write_class_folders(tmp_path, {"a": 12})
    bad = tmp_path / "a" / "a05.jpg"
    bad.write_bytes(bad.read_bytes()[:200])
    return tmp_path


@pytest.mark.parametrize("prefetch", [1, 5])
def test_a_bad_image_costs_its_batch_and_nothing_else(
    with_a_bad_file: Path, keras_image: ModuleType, prefetch: int
) -> None:
    ours = _flow(with_a_bad_file, prefetch=prefetch)
    theirs = keras_image.ImageDataGenerator().flow_from_directory(
        with_a_bad_file, target_size=(8, 8), batch_size=4, seed=6
    )
    failures = 0
    for _ in range(7):
        try:
            batch = next(theirs)
        except OSError:
            failures += 1
            with pytest.raises(ImageError) as caught:
                next(ours)
            assert caught.value.path == str(with_a_bad_file / "a" / "a05.jpg")
        else:
            assert_same_batch(next(ours), batch)
        assert ours.batch_index == theirs.batch_index
        assert ours.total_batches_seen == theirs.total_batches_seen
    assert failures == 3


def test_an_error_of_the_users_function_arrives_as_it_is(class_folders: Path) -> None:
    class TooDarkError(Exception):
        pass

    def fail(image: Any) -> Any:
        raise TooDarkError("too dark")

    with pytest.raises(TooDarkError) as caught:
        next(_flow(class_folders, fail, shuffle=False, batch_size=1))
    path = str(class_folders / "blue" / "blue00.jpg")
    assert str(caught.value) == f"too dark [image: {path!r}]"


def test_a_result_of_the_wrong_shape_names_the_function_and_the_file(class_folders: Path) -> None:
    text = r"preprocessing_function .*returned .* shape \(5, .*for an image of shape .*\.jpg"
    with pytest.raises(ValueError, match=text):
        next(_flow(class_folders, lambda image: image[:5]))
    with pytest.raises(ValueError, match=r"preprocessing_function .*returned None"):
        next(_flow(class_folders, lambda image: None))


def test_a_result_that_numpy_broadcasts_is_taken_as_in_keras(class_folders: Path) -> None:
    images, _ = next(_flow(class_folders, lambda image: image[..., :1]))
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


def test_a_seed_that_runs_out_is_reported_when_it_is_due(class_folders: Path) -> None:
    batches = _flow(class_folders, seed=2**32 - 2, prefetch=4)
    next(batches)
    next(batches)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^Seed must be between 0 and 2\*\*32 - 1$"):
            next(batches)
    assert batches.total_batches_seen == 2


def test_an_order_set_by_hand_may_count_from_the_end_but_must_name_samples(
    class_folders: Path,
) -> None:
    batches = _flow(class_folders, shuffle=False)
    last_sample = batches[5][0][-1]
    batches.index_array = np.array([0, 1, 99, 2, -1])
    with pytest.raises(IndexError, match="out of range"):
        batches[0]
    np.testing.assert_array_equal(batches[1][0][0], last_sample)
    np.testing.assert_array_equal(batches.batch_indices, [-1])


@pytest.mark.usefixtures("global_random_untouched")
def test_with_a_seed_the_global_generator_is_left_alone(class_folders: Path) -> None:
    batches = _flow(class_folders)
    batches.on_epoch_end()
    for _ in range(8):
        next(batches)
    batches.on_epoch_end()
    batches[2]


def test_without_a_seed_numpys_seed_decides(class_folders: Path) -> None:
    orders = []
    for global_seed in (1, 1, 2):
        np.random.seed(global_seed)
        batches = _flow(class_folders, seed=None)
        drawn = np.random.get_state(legacy=False)["state"]["pos"]
        next(batches)
        batches.on_epoch_end()
        assert np.random.get_state(legacy=False)["state"]["pos"] == drawn
        assert batches.seed is None
        orders.append([batches.next()[1].tolist() for _ in range(6)])
    assert orders[0] == orders[1] != orders[2]


def test_the_result_does_not_depend_on_threads_and_prefetch(class_folders: Path) -> None:
    reference = list(_flow(class_folders, num_threads=1, prefetch=1).epoch())
    for num_threads, prefetch in ((1, 7), (2, 1), (7, 3)):
        batches = _flow(class_folders, num_threads=num_threads, prefetch=prefetch)
        for batch in reference:
            assert_same_batch(batches.next(), batch)


def test_epoch_is_one_pass_and_as_generator_never_ends(class_folders: Path) -> None:
    batches = _flow(class_folders)
    seen = []
    for _ in batches.epoch():
        seen.extend(batches.batch_indices.tolist())
    assert sorted(seen) == list(range(23))
    assert batches.batch_index == 0
    endless = batches.as_generator()
    assert isinstance(endless, GeneratorType)
    for _ in range(2 * len(batches) + 1):
        next(endless)
    assert batches.total_batches_seen == 3 * len(batches) + 1


def test_batch_indices_name_the_samples_last_delivered(class_folders: Path) -> None:
    batches = _flow(class_folders, class_mode="sparse")
    before = batches.batch_indices
    assert before is None
    delivers: list[Callable[[], Any]] = [batches.next, batches.next, lambda: batches[5]]
    for deliver in delivers:
        _, labels = deliver()
        indices: NDArray[np.int64] = batches.batch_indices
        assert indices.dtype == np.int64
        np.testing.assert_array_equal(batches.classes[indices], labels)


def test_delivered_batches_belong_to_the_consumer(class_folders: Path) -> None:
    batches = _flow(class_folders, shuffle=False)
    kept = [batches.next()[0] for _ in range(12)]
    for images in kept[:6]:
        assert images.flags.writeable
        assert images.flags.c_contiguous
        images /= 255
    for images, again in zip(kept[:6], kept[6:], strict=True):
        np.testing.assert_array_equal(images, again / np.float32(255))


def test_a_closed_iterator_says_so(class_folders: Path) -> None:
    with _flow(class_folders) as batches:
        images, _ = batches.next()
    for call in (batches.next, lambda: batches[0]):
        with pytest.raises(RuntimeError, match="this DirectoryIterator is closed"):
            call()
    assert images.sum() > 0
    batches.close()
    batches.reset()
    batches.on_epoch_end()
    assert batches.stats().batches == 1


def test_closing_wakes_a_waiting_consumer(class_folders: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def block(image: Any) -> Any:
        entered.set()
        leave.wait(30)
        return image

    batches = _flow(class_folders, block)
    caught: list[BaseException] = []

    def consume() -> None:
        try:
            batches.next()
        except RuntimeError as error:
            caught.append(error)

    consumer = threading.Thread(target=consume)
    consumer.start()
    assert entered.wait(30)
    closer = threading.Thread(target=batches.close)
    closer.start()
    consumer.join(30)
    woken = not consumer.is_alive()
    leave.set()
    closer.join(30)
    assert woken
    assert not closer.is_alive()
    assert "closed" in str(caught[0])


@pytest.mark.parametrize("deliver", [lambda it: it.next(), lambda it: it[3]])
def test_an_interrupt_leaves_the_batch_to_the_next_call(
    class_folders: Path, deliver: Callable[[Any], Any]
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def block(image: Any) -> Any:
        entered.set()
        leave.wait(30)
        return image

    def interrupt() -> None:
        entered.wait(30)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    batches, reference = _flow(class_folders, block), _flow(class_folders)
    gc.disable()  # jax's hook in the collector would swallow the interrupt
    threading.Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            deliver(batches)
    finally:
        gc.enable()
        leave.set()
    assert batches.total_batches_seen == 0
    assert batches.batch_indices is None
    assert_same_batch(deliver(batches), deliver(reference))
    assert_same_batch(batches.next(), reference.next())


def test_the_interpreter_exits_quietly_in_mid_epoch(class_folders: Path) -> None:
    code = (
        "import sys, pyloader\n"
        "g = pyloader.ImageDataGenerator(preprocessing_function=lambda image: image + 1)\n"
        "kept = [g.flow_from_directory(sys.argv[1], verbose=False) for _ in range(3)]\n"
        "batches = [next(it) for it in kept[:2]]\n"
        "kept[0].close()\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, str(class_folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_iterator_that_nobody_holds_is_gone_at_once(class_folders: Path) -> None:
    gc.disable()
    try:
        batches = _flow(class_folders)
        next(batches)
        gone = weakref.ref(batches)
        del batches
        assert gone() is None
    finally:
        gc.enable()


def test_a_copy_starts_at_the_beginning(
    class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batches = _flow(class_folders, num_threads=1, verbose=True, subset="training")
    first = batches.next()
    capsys.readouterr()
    for other in (pickle.loads(pickle.dumps(batches)), copy.deepcopy(batches)):
        assert type(other) is DirectoryIterator
        assert other.total_batches_seen == 0
        assert_same_batch(other.next(), first)
    batches.batch_size, batches.target_size, batches.seed = 3, (5, 6), 9
    other = pickle.loads(pickle.dumps(batches))
    assert other.next()[0].shape == (3, 5, 6, 3)
    assert other.seed == 9
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_carries_on_at_the_parents_position(class_folders: Path) -> None:
    batches, reference = _flow(class_folders), _flow(class_folders)
    for _ in range(3):
        batches.next()
        reference.next()
    expected = [reference.next() for _ in range(6)]
    reference.close()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(write_end, "wb") as pipe:
                pickle.dump([batches.next() for _ in range(6)], pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0
    for ours, theirs, again in zip(pickle.loads(content), expected, range(6), strict=True):
        assert_same_batch(ours, theirs)
        assert_same_batch(batches.next(), expected[again])


def test_many_threads_share_an_iterator_and_get_each_batch_once(class_folders: Path) -> None:
    batches = _flow(class_folders, batch_size=1, class_mode=None, shuffle=False)
    totals: list[float] = []

    def consume() -> None:
        for _ in range(23):
            totals.append(float(batches.next().sum()))

    consumers = [threading.Thread(target=consume) for _ in range(4)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join(60)
    images, _ = _flow(class_folders, batch_size=23, shuffle=False).next()
    expected = [float(image.sum()) for image in images]
    assert sorted(totals) == sorted(4 * expected)


def test_stats_count_what_was_delivered(class_folders: Path) -> None:
    batches = _flow(class_folders, num_threads=2, prefetch=3)
    assert batches.stats().samples == 0
    assert batches.stats().images_per_second == 0.0
    for _ in batches.epoch():
        pass
    stats = batches.stats()
    assert (stats.samples, stats.batches, stats.errors) == (23, 6, 0)
    assert (stats.num_threads, stats.depth) == (2, 3)
    assert stats.bytes_read > 0
    assert stats.images_per_second > 0
    assert stats.as_dict()["samples"] == 23
    assert "images/s" in str(stats)
