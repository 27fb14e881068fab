"""A cache changes no byte of any batch, and its hits neither read nor decode."""

from __future__ import annotations

import itertools
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cached import assert_same_passes, flow, passes, wait_for_tick, write_folder
from numpy.typing import NDArray

import pyloader
from pyloader import ImageDataGenerator, image_dataset_from_directory

DEEP = 1
"""Images of the folder that are never kept in grayscale: deeper than 8 bits."""

SOON = 8
"""Images that may be looked for again before they are kept: passes of this folder are short."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(params=["memory", "folder"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Both kinds of caches."""
    return "memory" if request.param == "memory" else tmp_path / "cache"


def _invert(image: NDArray[Any]) -> NDArray[Any]:
    return 255 - image


AUGMENTED = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "zoom_range": 0.3,
    "shear_range": 10,
    "horizontal_flip": True,
    "rescale": 1 / 255,
}

GENERATORS: dict[str, dict[str, Any]] = {
    "plain": {},
    "uint8": {"dtype": "uint8"},
    "float16": {"dtype": "float16", "rescale": 1 / 127.5},
    "flips": {"horizontal_flip": True, "vertical_flip": True, "dtype": "uint8"},
    "augmented": AUGMENTED,
    "nearest warp": {"rotation_range": 40, "interpolation_order": 0, "dtype": "uint8"},
    "brightness": {"brightness_range": (0.4, 1.6)},
    "channel shift": {"channel_shift_range": 40.0},
    "statistics": {"samplewise_center": True, "samplewise_std_normalization": True},
    "function": {"preprocessing_function": _invert},
    "augmented function": {**AUGMENTED, "preprocessing_function": _invert},
    "channels first": {"data_format": "channels_first"},
    "channels first uint8": {"data_format": "channels_first", "dtype": "uint8"},
}


@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("name", GENERATORS)
def test_batches_are_the_same_with_and_without(
    folder: Path, cache: Any, name: str, color_mode: str
) -> None:
    if name == "brightness" and color_mode == "rgba":
        pytest.skip("Keras has no brightness for four channels")
    options = {"color_mode": color_mode, "interpolation": "bilinear"}
    expected = passes(flow(folder, GENERATORS[name], **options), 3)
    with flow(folder, GENERATORS[name], cache=cache, **options) as cached:
        assert_same_passes(passes(cached, 3), expected)
    stats = cached.stats()  # of what was prepared ahead too
    n, never = cached.n, DEEP if color_mode == "grayscale" else 0
    # The first images of the second pass may be asked for while the first pass still decodes them.
    assert stats.cache_hits >= 2 * (n - never) - SOON
    assert stats.cache_hits + stats.cache_misses == stats.prepared
    assert 21 <= stats.jpegs_own + stats.jpegs_libjpeg <= 21 + SOON


@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
@pytest.mark.parametrize(
    "interpolation", ["nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"]
)
def test_every_filter_and_the_crop_have_entries_of_their_own(
    folder: Path, cache: Any, interpolation: str, keep_aspect_ratio: bool
) -> None:
    options = {"interpolation": interpolation, "keep_aspect_ratio": keep_aspect_ratio}
    with flow(folder, cache=cache, interpolation="box", target_size=(9, 9)) as other:
        passes(other, 1)
    with flow(folder, cache=cache, **options) as cached:
        assert_same_passes(passes(cached, 2), passes(flow(folder, **options), 2))
        assert cached.stats().cache_hits >= cached.n - SOON


def test_settings_may_change_while_the_cache_is_in_use(folder: Path, cache: Any) -> None:
    with flow(folder, cache=cache) as cached, flow(folder) as plain:
        for it in (cached, plain):
            passes(it, 1)
        for name, value in (
            ("batch_size", 7),
            ("interpolation", "lanczos"),
            ("target_size", (31, 12)),
            ("color_mode", "grayscale"),
            ("batch_size", 4),
        ):
            for it in (cached, plain):
                setattr(it, name, value)
                it.reset()
            assert_same_passes(passes(cached, 2), passes(plain, 2))
        # Another batch size finds what the last loader has kept.
        assert cached.stats().cache_misses <= cached.n + 6 * DEEP + SOON


def test_hits_neither_read_nor_decode(folder: Path, cache: Any) -> None:
    with flow(folder, cache=cache) as it:
        passes(it, 1)
        # Whatever was prepared ahead of the second pass is done with before the third.
        passes(it, 1)
        before = it.stats()
        passes(it, 2)
        after = it.stats()
    assert (after.bytes_read, after.jpegs_own) == (before.bytes_read, before.jpegs_own)
    assert after.cache_hits - before.cache_hits >= 2 * it.n - 32
    assert after.cache_misses == before.cache_misses
    assert after.cache_bytes >= it.n * 40 * 36 * 3


def _start_anew(it: Any) -> None:
    """Begins a pass without the batches that were prepared before now."""
    it.batch_index = 0


def _rewrite_in_place(path: Path, other: bytes) -> None:
    path.write_bytes(other)


def _replace(path: Path, other: bytes) -> None:
    (path.parent / "new").write_bytes(other)
    (path.parent / "new").replace(path)


def _replace_with_same_size_and_mtime(path: Path, other: bytes) -> None:
    """As rsync and tar leave files, with padding behind the end of the image."""
    info = path.stat()
    path.write_bytes(other.ljust(info.st_size, b"\0")[: info.st_size])
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


@pytest.mark.parametrize("change", [_rewrite_in_place, _replace, _replace_with_same_size_and_mtime])
def test_a_changed_file_is_decoded_anew_in_the_next_pass(
    tmp_path: Path, cache: Any, change: Any
) -> None:
    folder = write_folder(tmp_path / "images")
    changed = [folder / "first" / "000.jpg", folder / "second" / "RGB.png"]
    smallest = min((path for path in folder.rglob("*.jpg")), key=lambda path: path.stat().st_size)
    other = smallest.read_bytes()
    with flow(folder, cache=cache) as it:
        passes(it, 2)
        misses = it.stats().cache_misses
        for path in changed:
            change(path, other.ljust(path.stat().st_size, b"\0"))
        wait_for_tick(folder)
        expected = flow(folder, shuffle=False)
        it.shuffle = False
        _start_anew(it)
        assert_same_passes(passes(it, 3), passes(expected, 3))
        # What was prepared ahead may have met them before.
        assert len(changed) <= it.stats().cache_misses - misses <= 3 * len(changed)


def test_a_touched_file_is_decoded_anew_to_the_same_pixels(tmp_path: Path, cache: Any) -> None:
    folder = write_folder(tmp_path / "images")
    with flow(folder, cache=cache, shuffle=False) as it:
        expected = passes(it, 2)
        _start_anew(it)
        (folder / "first" / "000.jpg").touch()
        wait_for_tick(folder)
        assert_same_passes(passes(it, 2), expected)
        assert it.stats().cache_misses - it.n in range(1, SOON)


def test_a_file_that_goes_missing_is_an_error_and_not_a_hit(tmp_path: Path, cache: Any) -> None:
    folder = write_folder(tmp_path / "images")
    with flow(folder, cache=cache, shuffle=False) as it:
        passes(it, 1)
        _start_anew(it)
        (folder / "first" / "000.jpg").unlink()
        with pytest.raises(pyloader.ImageError, match=r"000\.jpg"):
            next(it)


def test_errors_are_not_kept(tmp_path: Path, cache: Any) -> None:
    folder = write_folder(tmp_path / "images")
    bad = folder / "first" / "000.jpg"
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) // 2])
    wait_for_tick(folder)
    with flow(folder, cache=cache, shuffle=False) as it:
        for _ in range(2):
            with pytest.raises(pyloader.ImageError, match=r"000\.jpg"):
                next(it)
            _start_anew(it)
        bad.write_bytes(content)
        wait_for_tick(folder)
        _start_anew(it)
        np.testing.assert_array_equal(next(it)[0], next(flow(folder, shuffle=False))[0])


def test_a_position_has_no_cache_in_it(folder: Path, cache: Any) -> None:
    plain, cached = flow(folder), flow(folder, cache=cache)
    for it in (plain, cached):
        passes(it, 1)
        next(it)
    assert cached.state_dict() == plain.state_dict()
    resumed = flow(folder, cache=cache)
    resumed.load_state_dict(plain.state_dict())
    for _ in range(12):
        np.testing.assert_array_equal(next(resumed)[0], next(plain)[0])


def test_a_pickled_iterator_has_the_same_kind_of_cache(folder: Path, cache: Any) -> None:
    it = flow(folder, cache=cache)
    expected = passes(it, 2)
    copy = pickle.loads(pickle.dumps(it))
    assert_same_passes(passes(copy, 2), expected)
    stats = copy.stats()
    assert stats.cache_hits >= copy.n - SOON
    assert (stats.cache_misses == 0) == (cache != "memory")


def test_a_forked_child_goes_on_with_what_is_there(folder: Path, cache: Any) -> None:
    it = flow(folder, cache=cache)
    expected = passes(flow(folder), 3)
    assert_same_passes(passes(it, 1), expected[:1])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert_same_passes(passes(it, 2), expected[1:])
            status = 0 if it.stats().cache_misses == 0 else 2
        finally:
            os._exit(status)
    assert_same_passes(passes(it, 2), expected[1:])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_every_way_in_takes_a_cache(folder: Path, cache: Any) -> None:
    pandas = pytest.importorskip("pandas")
    files = sorted(str(path) for path in folder.rglob("*.jpg")) * 2
    frame = pandas.DataFrame({"filename": files, "class": ["a", "b"] * len(files[::2])})
    options = {"batch_size": 4, "target_size": (30, 20), "seed": 1, "verbose": False}
    make = ImageDataGenerator().flow_from_dataframe
    with make(frame, cache=cache, num_threads=1, **options) as it:
        assert_same_passes(passes(it, 2), passes(make(frame, **options), 2))
        # Files that are named twice are one file.
        assert it.stats().cache_misses <= len(files) // 2 + SOON
    dataset = image_dataset_from_directory(
        folder, cache=cache, image_size=(30, 20), seed=1, shuffle=False, verbose=False
    )
    plain = image_dataset_from_directory(
        folder, image_size=(30, 20), seed=1, shuffle=False, verbose=False
    )
    for ours, theirs in zip(
        itertools.chain(dataset, dataset), itertools.chain(plain, plain), strict=True
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert dataset.stats().cache_hits >= dataset.n - SOON
    with pytest.raises(TypeError, match="cache"):  # arrays are not decoded
        ImageDataGenerator().flow(np.zeros((4, 8, 8, 3)), cache=cache)  # type: ignore[call-arg]


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_a_limit_is_kept_and_what_came_first_stays(
    folder: Path, cache: Any, fraction: float
) -> None:
    image = 40 * 36 * 3 + 256
    total = flow(folder).n
    limit = max(1, int(total * fraction * image))
    with flow(folder, cache=cache, cache_limit=limit) as it:
        assert_same_passes(passes(it, 3), passes(flow(folder), 3))
        stats = it.stats()
    assert stats.cache_bytes <= limit
    assert "full" in stats.cache or fraction == 1.0
    held = stats.cache_bytes // (40 * 36 * 3)
    assert held >= total * fraction - 1
    assert stats.cache_hits >= 2 * held - SOON
    assert stats.cache_misses >= 3 * (total - held)


def test_relative_paths_are_meant_from_where_the_loader_was_made(
    tmp_path: Path, cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        write_folder(tmp_path / name / "images", jpegs=6 if name == "one" else 12)
        monkeypatch.chdir(tmp_path / name)
        here = Path("images")
        with flow(here, cache=cache) as it:
            assert_same_passes(passes(it, 2), passes(flow(here), 2))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cache": 3}, TypeError),
        ({"cache": ""}, ValueError),
        ({"cache": True}, TypeError),
        ({"cache": b"folder"}, TypeError),
        ({"cache_limit": "2GB"}, ValueError),
        ({"cache": "memory", "cache_limit": 0}, ValueError),
        ({"cache": "memory", "cache_limit": "many"}, ValueError),
        ({"cache": "memory", "cache_limit": "5iB"}, ValueError),
        ({"cache": "memory", "cache_limit": 1.5}, TypeError),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(folder: Path, options: Any, error: Any) -> None:
    with pytest.raises(error, match=r"cache.*Received: "):
        flow(folder, **options)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("2GB", 2 * 10**9), ("1.5 mb", 1_500_000), ("3KiB", 3072), ("77", 77), (5, 5), ("1t", 10**12)],
)
def test_amounts_of_memory_are_read(text: Any, amount: int) -> None:
    from pyloader.options import check_bytes

    assert check_bytes("cache_limit", text) == amount


def test_stats_tell_of_the_cache(folder: Path) -> None:
    assert "cache " not in str(flow(folder).stats())
    with flow(folder, cache="memory") as it:
        passes(it, 2)
        text = str(it.stats())
    assert "cache" in it.stats().as_dict()
    assert "MB in memory" in text
