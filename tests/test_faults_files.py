"""Files that go away, change or cannot be opened in mid-epoch: what the user is told."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, write_class_folders, write_jpeg
from faults import succeeds

from pyloader import ImageDataGenerator, ImageError, load_img

VICTIM = 13  # in batch 6: not begun while batch 0 is in use, as one batch is prepared at a time


def _flow(folder: Path, **options: Any) -> Any:
    options = {"target_size": (8, 8), "batch_size": 2, "shuffle": False, **options}
    return ImageDataGenerator().flow_from_directory(
        folder, class_mode="sparse", seed=1, verbose=False, num_threads=1, prefetch=1, **options
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 images of one class, named by their index."""
    return write_class_folders(tmp_path / "images", {"a": 20})


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _replace_by_text(path: Path) -> None:
    other = path.with_suffix(".txt")
    other.write_text("Not Found\n" * 30)
    other.replace(path)


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace_by_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _replace_by_broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.jpg")


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (_remove, "No such file or directory"),
    (_empty, "the file is empty"),
    (_cut, "the file is truncated"),
    (_replace_by_text, "not an image that Pillow can open"),
    (_replace_by_folder, "Is a directory"),
    (_replace_by_pipe, "it is not a regular file"),
    (_replace_by_loop, "Too many levels of symbolic links"),
    (_replace_by_broken_link, "No such file or directory"),
]


@pytest.mark.parametrize("cache", [None, "memory"])
@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=[c.__name__ for c, _ in CHANGES])
def test_a_file_that_goes_bad_in_mid_epoch_costs_its_batch_and_says_why(
    folder: Path, change: Callable[[Path], None], reason: str, cache: str | None
) -> None:
    victim = folder / "a" / f"a{VICTIM}.jpg"
    content = victim.read_bytes()
    reference = list(_flow(folder).epoch())
    batches = _flow(folder, cache=cache)
    assert_same_batch(batches.next(), reference[0])
    change(victim)
    for number in range(1, 10):
        if number != VICTIM // 2:
            assert_same_batch(batches.next(), reference[number])
            continue
        with pytest.raises(ImageError) as caught:
            batches.next()
        expected = f"cannot load image {str(victim)!r}: {reason}. Remove or replace the file."
        assert str(caught.value) == expected
    assert [(bad.path, bad.epoch) for bad in batches.errors] == [(str(victim), 0)]
    # Once it is there again, so are its batches.
    if victim.is_dir() and not victim.is_symlink():
        victim.rmdir()
    else:
        victim.unlink(missing_ok=True)
    victim.write_bytes(content)
    for batch in reference:
        assert_same_batch(batches.next(), batch)


@pytest.mark.parametrize("on_error", ["drop", "replace"])
def test_a_file_that_goes_away_in_mid_epoch_is_told_once_and_the_pass_goes_on(
    folder: Path, on_error: str
) -> None:
    victim = folder / "a" / f"a{VICTIM}.jpg"
    batches = _flow(folder, on_error=on_error)
    batches.next()
    victim.unlink()
    word = {"drop": "left their batches", "replace": "were replaced by others"}[on_error]
    message = (
        f"epoch 0: 1 of 20 images could not be loaded and {word}. The first one is "
        f"{str(victim)!r}: No such file or directory. `errors` lists them all."
    )
    with pytest.warns(UserWarning, match="could not be loaded") as caught:
        sizes = [len(batches.next()[0]) for _ in range(9)]
    assert [str(warning.message) for warning in caught] == [message]
    assert sum(sizes) == (17 if on_error == "drop" else 18)


def test_a_file_replaced_in_mid_epoch_is_delivered_as_it_is_then(folder: Path) -> None:
    victim = folder / "a" / f"a{VICTIM}.jpg"
    batches = _flow(folder)
    batches.next()
    before = load_img(victim, target_size=(8, 8))
    write_jpeg(victim.with_suffix(".new"), 50, 41, seed=999)
    victim.with_suffix(".new").replace(victim)
    after = load_img(victim, target_size=(8, 8))
    assert not np.array_equal(before, after)
    for _ in range(VICTIM // 2):
        images, _ = batches.next()
    np.testing.assert_array_equal(images[VICTIM % 2], after)


def test_a_folder_that_goes_away_fails_every_batch_until_it_is_back(folder: Path) -> None:
    reference = list(_flow(folder).epoch())
    batches = _flow(folder)
    assert_same_batch(batches.next(), reference[0])
    away = folder.rename(folder.with_name("away"))
    failed = 0
    for number in range(1, 10):
        try:
            batch = batches.next()
        except ImageError as error:
            assert error.reason == "No such file or directory"  # noqa: PT017 (counted below)
            failed += 1
        else:
            assert_same_batch(batch, reference[number])  # prepared before
    assert failed >= 7
    away.rename(folder)
    with contextlib.suppress(ImageError):  # prepared while the folder was away, or not
        assert_same_batch(batches.next(), reference[0])
    for batch in reference[1:]:
        assert_same_batch(batches.next(), batch)


@contextlib.contextmanager
def _without_privileges() -> Iterator[None]:
    """Makes this process, which may be root's and read everything, one of nobody's."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(65534)
    except OSError:
        pytest.skip("root cannot become another user here")
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_whose_permission_goes_in_mid_epoch_is_an_image_error() -> None:
    # Not in tmp_path, whose parents are closed to who has no privileges.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_class_folders(folder, {"a": 20})
        victim = folder / "a" / f"a{VICTIM}.jpg"
        reference = list(_flow(folder).epoch())
        batches = _flow(folder)
        assert_same_batch(batches.next(), reference[0])
        victim.chmod(0)
        with _without_privileges():
            for number in range(1, 10):
                if number != VICTIM // 2:
                    assert_same_batch(batches.next(), reference[number])
                    continue
                with pytest.raises(ImageError) as caught:
                    batches.next()
                assert (caught.value.path, caught.value.reason) == (
                    str(victim),
                    "Permission denied",
                )
        victim.chmod(0o644)
        for batch in reference:
            assert_same_batch(batches.next(), batch)


def test_too_many_open_files_is_an_image_error_and_passes(folder: Path) -> None:
    told = succeeds(
        folder,
        """
it = flow(num_threads=2, prefetch=1, cache="memory", shuffle=False)
reference = [batch for batch, _ in flow(shuffle=False).epoch()]
assert (it.next()[0] == reference[0]).all()
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
blockers = [os.open(os.devnull, os.O_RDONLY)]
resource.setrlimit(resource.RLIMIT_NOFILE, (blockers[0] + 1, limits[1]))
for number in range(1, 5):
    try:
        while True:  # a worker may have closed one
            blockers.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    try:
        assert (it.next()[0] == reference[number]).all()  # prepared before
    except pyloader.ImageError as error:
        problem = error
print(problem.reason)
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
for batch in reference:
    assert (it.next()[0] == batch).all()
""",
    )
    assert told == "Too many open files\n"


@pytest.mark.filterwarnings("ignore:cache=.*no more images are kept:UserWarning")
def test_a_cache_folder_that_goes_away_and_comes_back_full_of_rubbish_changes_no_byte(
    folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    reference = list(_flow(folder).epoch())
    batches = _flow(folder, cache=cache)
    for batch in reference:
        assert_same_batch(batches.next(), batch)
    names = [path.name for path in cache.iterdir() if path.is_file()]
    shutil.rmtree(cache)
    cache.mkdir()
    random = np.random.default_rng(4)
    for name in names:
        (cache / name).write_bytes(random.bytes(5000))
    for batch in reference:
        assert_same_batch(batches.next(), batch)
    batches.close()
    with _flow(folder, cache=cache) as again:
        for batch in reference:
            assert_same_batch(again.next(), batch)
