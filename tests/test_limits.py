"""Hostile headers meet limits before memory is taken, and a memory_limit is kept by the process."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_class_folders
from pictures import jpeg, picture, with_pillow
from PIL import Image

from pyloader import (
    ImageDataGenerator,
    ImageError,
    LoaderOptions,
    MemoryLimitError,
    load_img,
)
from pyloader._native.settings import plan_memory

MB = 10**6
FLOW: dict[str, Any] = {
    "target_size": (64, 64),
    "class_mode": None,
    "batch_size": 8,
    "seed": 2,
    "verbose": False,
}


def with_size(content: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header says another size."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        at = content.find(marker)
        if at > 0:
            return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]
    raise AssertionError("no frame header")


def progressive(height: int, width: int, quality: int = 60) -> bytes:
    """A gray progressive JPEG with something in it."""
    image = np.random.default_rng(1).integers(0, 255, (height // 8, width // 8), np.uint8)
    whole = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    whole.save(file, "JPEG", progressive=True, quality=quality)
    return file.getvalue()


def with_scans(content: bytes, copies: int) -> bytes:
    """A progressive JPEG whose last scan stands there many times."""
    last = content.rfind(b"\xff\xda")
    return content[:last] + content[last:-2] * copies + b"\xff\xd9"


def test_max_pixels_is_a_limit_for_every_format(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    pixels = picture(random, 30, 40)
    files = {"jpeg": jpeg(pixels, quality=90)}
    for kind in ("PNG", "BMP", "PPM", "TIFF", "GIF", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
        files[kind] = file.getvalue()
    for kind, content in files.items():
        assert load_img(content, max_pixels=1200).shape == (30, 40, 3), kind
        with pytest.raises(ImageError, match=r"40 x 30 pixels exceed .* 1199 \(max_pixels\)"):
            load_img(content, max_pixels=1199)


def test_a_raised_limit_lets_larger_images_in(tmp_path: Path) -> None:
    side = 13_400  # beyond Pillow's limit
    file = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(file, "JPEG", quality=10)
    with pytest.raises(ImageError, match="max_pixels"):
        load_img(file.getvalue(), "grayscale", (4, 4))
    image = load_img(file.getvalue(), "grayscale", (4, 4), max_pixels=side * side)
    assert image.shape == (4, 4, 1)


def test_thousands_of_scans_end_early() -> None:
    content = progressive(128, 128)
    for copies in (2, 100, 3000):
        many = with_scans(content, copies)
        if copies > 500:
            with pytest.raises(ImageError, match="more than 500 scans, the limit"):
                load_img(many)
        else:
            np.testing.assert_array_equal(load_img(many), with_pillow(many))


def test_iterators_have_the_limits_too(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 3})
    generator = ImageDataGenerator()
    with (
        generator.flow_from_directory(root, max_pixels=100, **FLOW) as it,
        pytest.raises(ImageError, match="max_pixels"),
    ):
        next(it)
    (root / "a" / "b.jpg").write_bytes(with_scans(progressive(64, 64), 600))
    with (
        generator.flow_from_directory(root, shuffle=False, **FLOW) as it,
        pytest.raises(ImageError, match=r"b\.jpg.*500 scans"),
    ):
        next(it)
    with (
        generator.flow_from_directory(root, on_error="drop", **FLOW) as it,
        pytest.warns(UserWarning, match="1 of 4"),
    ):
        assert len(next(it)) == 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_pixels": 0}, ValueError),
        ({"max_pixels": 1.5}, TypeError),
    ],
)
def test_limits_are_positive_integers(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=f"`{next(iter(options))}`"):
        load_img(jpeg(picture(np.random.default_rng(1), 8, 8), quality=80), **options)
    with pytest.raises(error, match=f"`{next(iter(options))}`"):
        LoaderOptions(**options)


def test_the_parts_of_a_plan_are_the_limit() -> None:
    random = np.random.default_rng(5)
    for _ in range(500):
        limit, batch = int(random.integers(1, 4000)) * MB, int(random.integers(1, 300)) * MB
        values, threads = int(random.integers(1, 10**6)), int(random.integers(1, 64))
        half = bool(random.integers(0, 2))
        cache = limit // 2 if half else int(random.integers(0, 2)) * 30 * MB
        try:
            plan = plan_memory(limit, batch, values, threads, cache, half)
        except MemoryLimitError as error:
            least = float(str(error).split("Use ")[1].split(" MB")[0].replace(",", ""))
            assert least * MB > limit
            enough = int(least * MB) + 1  # what it asks for does, by the least amount it can tell
            plan_memory(enough, batch, values, 1, enough // 2 if half else cache, half)
            if least * MB > 300_000:
                less = enough - 300_000
                with pytest.raises(MemoryLimitError):
                    plan_memory(less, batch, values, 1, less // 2 if half else cache, half)
            continue
        one = plan_memory(limit, batch, values, 1, cache, half)
        assert plan.images == one.images, "what is loaded depends on the number of threads"
        workers = plan.num_threads * ((20 << 20) + 13 * values)
        whole = plan.slots + plan.images + (plan.files_ahead << 20) + workers + cache
        assert whole == limit
        assert plan.slots >= 2 * batch
        assert plan.images >= 16 << 20
        assert 1 <= plan.num_threads <= threads


def test_a_limit_that_is_too_little_is_refused_at_once(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 3})
    with pytest.raises(MemoryLimitError, match=r"memory_limit=20000000 .* Use [\d.]+ MB at least"):
        ImageDataGenerator().flow_from_directory(root, memory_limit="20MB", **FLOW)
    with pytest.raises(MemoryError):
        ImageDataGenerator().flow(np.zeros((2, 4, 4, 3)), memory_limit=1)
    with ImageDataGenerator().flow_from_directory(
        root, memory_limit="64MB", **{**FLOW, "shuffle": False}
    ) as it:
        it.target_size = (3000, 3000)
        with pytest.raises(MemoryLimitError, match="two batches"):
            next(it)
        it.target_size = (8, 8)
        assert next(it).shape == (3, 8, 8, 3)
    for bad, error in (("much", ValueError), (0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="`memory_limit`"):
            ImageDataGenerator().flow_from_directory(root, memory_limit=bad, **FLOW)


def test_threads_are_fewer_where_there_is_no_room_for_more(tmp_path: Path) -> None:
    assert plan_memory(100 * MB, MB, 1000, 16, 0).num_threads == 2
    assert plan_memory(400 * MB, MB, 1000, 16, 0).num_threads == 9
    root = write_class_folders(tmp_path, {"a": 3})
    with ImageDataGenerator().flow_from_directory(
        root, memory_limit="60MB", num_threads=7, **FLOW
    ) as it:
        next(it)
        assert it.stats().num_threads == 1


def test_who_keeps_too_many_batches_is_told(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 16})
    options = {**FLOW, "target_size": (512, 512)}  # 25 MB a batch
    with ImageDataGenerator().flow_from_directory(
        root, memory_limit="250MB", num_threads=2, **options
    ) as it:
        kept: list[Any] = []
        with pytest.raises(MemoryLimitError) as caught:
            kept.extend(it)
        assert 2 <= len(kept) <= 9
        text = str(caught.value)
        assert f"{len(kept)} that were delivered and are still in use hold" in text
        assert "memory_limit" in text
        with pytest.raises(MemoryLimitError):
            next(it)
        sums = [batch.sum() for batch in kept]
        del kept[1:]
        for _ in range(20):  # begins with the batch that was refused
            sums.append(next(it).sum())
        assert kept[0].sum() == sums[0]
        assert it.total_batches_seen == len(sums)
    with ImageDataGenerator().flow_from_directory(root, **options) as unlimited:
        assert [next(unlimited).sum() for _ in sums] == sums


def test_the_same_batches_come_with_a_limit(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 10, "b": 9})
    (root / "a" / "large.jpg").write_bytes(progressive(2000, 2500))
    Image.fromarray(picture(np.random.default_rng(1), 900, 1100)).save(root / "b" / "c.png")
    Image.fromarray(picture(np.random.default_rng(1), 900, 1100)).save(root / "b" / "d.tif")
    generator = ImageDataGenerator(rotation_range=20)
    expected = [batch.copy() for batch in generator.flow_from_directory(root, **FLOW).epoch()]
    for options in ({}, {"cache": "memory"}, {"num_threads": 1}, {"prefetch": 50}):
        with generator.flow_from_directory(root, memory_limit="240MB", **FLOW, **options) as it:
            for _ in range(2):
                for batch, other in zip(it.epoch(), expected, strict=True):
                    np.testing.assert_array_equal(batch, other)
                it.reset()
                it.total_batches_seen = 0


def test_an_image_that_does_not_fit_is_a_bad_image(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 5})
    (root / "a" / "z.jpg").write_bytes(progressive(8000, 9000))  # 144 MB of coefficients
    (root / "a" / "z.png").write_bytes(png_of_zeros(6000))
    options = {**FLOW, "memory_limit": "200MB", "num_threads": 2}
    with (
        ImageDataGenerator().flow_from_directory(root, shuffle=False, **options) as it,
        pytest.raises(ImageError, match=r"z\.jpg.*takes 14\d MB, and memory_limit leaves"),
    ):
        next(it)
    with (
        ImageDataGenerator().flow_from_directory(root, on_error="drop", **options) as it,
        pytest.warns(UserWarning, match="2 of 7"),
    ):
        assert len(next(it)) == 5


def png_of_zeros(side: int, rows: int | None = None) -> bytes:
    """A square PNG of zeros: little to read, much to hold."""
    content = zlib.compress(bytes((side * 3 + 1) * (rows or side)), 1)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", content),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


MEASURE = """
import gc, json, sys
from pathlib import Path
from pyloader import ImageDataGenerator, MemoryLimitError, load_img

def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024

folder, limit, options, keep = json.loads(sys.argv[1])
load_img(next(Path(folder, "a").glob("small.png")))  # brings in OpenCV
options = {"verbose": False, "class_mode": None, "seed": 1, "interpolation": "bilinear", **options}
make = ImageDataGenerator().flow_from_directory
with make(folder, num_threads=2, **{**options, "on_error": "drop"}) as it:
    pass
gc.collect()
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
kept, delivered, told = [], 0, ""
with make(folder, memory_limit=limit, num_threads=4, on_error="drop", **options) as it:
    import warnings
    warnings.simplefilter("ignore")
    try:
        for _ in range(3):
            for batch in it.epoch():
                delivered += len(batch)
                batch[...] = 1  # whoever holds a batch has its memory
                if keep:
                    kept.append(batch)
    except MemoryLimitError as error:
        told = str(error)
print(json.dumps([status("VmHWM") - before, delivered, told, len(it.errors)]))
"""


def measured(folder: Path, limit: int, keep: bool = False, **options: Any) -> Any:
    """How far the process' memory rose, images delivered, the MemoryLimitError, and errors."""
    arguments = json.dumps([str(folder), limit, options, keep])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, arguments], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large and hostile files of all kinds among small ones."""
    root = write_class_folders(tmp_path_factory.mktemp("hostile"), {"a": 24}, seed=4)
    folder = root / "a"
    small = jpeg(picture(np.random.default_rng(1), 40, 40), quality=80)
    Image.fromarray(picture(np.random.default_rng(1), 20, 20)).save(folder / "small.png")
    for number in range(4):
        (folder / f"progressive{number}.jpg").write_bytes(progressive(4000, 5000))
        (folder / f"png{number}.png").write_bytes(png_of_zeros(1800))
    file = io.BytesIO()
    Image.fromarray(picture(np.random.default_rng(2), 3000, 4000)).save(file, "JPEG", quality=70)
    (folder / "baseline.jpg").write_bytes(file.getvalue())
    (folder / "size.jpg").write_bytes(with_size(small, 65_500, 65_500))
    (folder / "square.jpg").write_bytes(with_size(small, 13_000, 13_000))
    hollow = progressive(64, 64)
    (folder / "hollow.jpg").write_bytes(with_size(hollow, 13_000, 13_000))
    (folder / "scans.jpg").write_bytes(with_scans(progressive(256, 256), 2000))
    (folder / "markers.jpg").write_bytes(
        small[:2] + (b"\xff\xe2\xff\xff" + bytes(65_533)) * 500 + small[2:]
    )
    (folder / "bomb.png").write_bytes(png_of_zeros(5000))
    (folder / "large.png").write_bytes(png_of_zeros(13_380, rows=100))
    return root


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no /proc to look into")
@pytest.mark.parametrize("limit", [256 * MB, 512 * MB])
def test_the_process_stays_within_the_limit(hostile: Path, limit: int) -> None:
    grown, delivered, told, errors = measured(hostile, limit, target_size=[256, 256], batch_size=16)
    assert told == ""
    assert delivered >= 3 * 25
    assert errors
    assert grown <= limit * 1.02


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no /proc to look into")
def test_the_process_stays_within_the_limit_with_a_cache_and_kept_batches(hostile: Path) -> None:
    limit = 400 * MB
    options: dict[str, Any] = {"target_size": [256, 256], "batch_size": 16}
    grown, _, told, _ = measured(hostile, limit, cache="memory", **options)
    assert told == ""
    assert grown <= limit * 1.02
    grown, delivered, told, _ = measured(
        hostile, limit, keep=True, **{**options, "target_size": [512, 512]}
    )
    assert "still in use" in told
    assert delivered > 0
    assert grown <= limit * 1.02


def test_stats_tell_how_a_limit_is_divided(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 3})
    with ImageDataGenerator().flow_from_directory(root, memory_limit="200MB", **FLOW) as it:
        next(it)
        stats = it.stats()
        assert stats.memory_limit == 200 * MB
        assert 0 < stats.slot_bytes <= stats.slot_limit
        assert stats.slot_limit + stats.image_limit < stats.memory_limit
        assert "memory limit" in str(stats)
    with ImageDataGenerator().flow_from_directory(root, **FLOW) as it:
        next(it)
        assert "memory limit" not in str(it.stats())
