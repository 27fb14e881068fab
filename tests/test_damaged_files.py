"""Damaged and hostile files get Pillow's verdict: the same pixels, or an ImageError."""

import io
import os
import re
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import all_kinds, jpeg, picture, subsampled_jpeg, with_pillow
from PIL import Image

from pyloader import ImageError, load_img

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def outcome_of_pillow(content: bytes) -> np.ndarray | None:
    try:
        return with_pillow(content)
    except Exception:
        return None


def outcome_of_pyloader(content: bytes) -> np.ndarray | None:
    try:
        return load_img(content)
    except ImageError:
        return None


def count_disagreements(files: list[bytes]) -> tuple[int, int]:
    """Files with another verdict, and files that both accept with other pixels."""
    verdicts = pixels = 0
    for content in files:
        ours, theirs = outcome_of_pyloader(content), outcome_of_pillow(content)
        if (ours is None) != (theirs is None):
            verdicts += 1
        elif ours is not None and not np.array_equal(ours, theirs):
            pixels += 1
    return verdicts, pixels


def scan_starts(content: bytes) -> list[int]:
    """Where the scans of a JPEG begin."""
    return [found.start() for found in re.finditer(rb"\xff\xda", content)]


SEEDS = list(all_kinds(np.random.default_rng(3), 45, 61))


@pytest.mark.parametrize(("kind", "content"), SEEDS, ids=[kind for kind, _ in SEEDS])
def test_truncation_at_every_length(kind: str, content: bytes) -> None:
    step = max(1, len(content) // 150)
    cuts = [*range(0, len(content), step), *range(len(content) - 12, len(content) + 1)]
    assert count_disagreements([content[:cut] for cut in cuts]) == (0, 0)


@pytest.mark.parametrize(("kind", "content"), SEEDS, ids=[kind for kind, _ in SEEDS])
def test_flipped_bytes(kind: str, content: bytes) -> None:
    random = np.random.default_rng(4)
    files = []
    for _ in range(120):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), int(random.integers(1, 4))):
            damaged[place] = random.integers(256)
        files.append(bytes(damaged))
    verdicts, pixels = count_disagreements(files)
    # Corrupt coefficients may overflow, where versions of libjpeg-turbo may differ by a rounding.
    assert verdicts <= 1
    assert pixels <= 1


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_progressive_files_that_lack_scans_are_smoothed_like_pillows(
    channels: int, subsampling: int
) -> None:
    """libjpeg-turbo before 3.0.1 takes other neighbors at edges; Pillow's is newer."""
    random = np.random.default_rng(7)
    files = []
    for height, width in (
        (1, 1),
        (8, 17),
        (16, 16),
        (17, 9),
        (33, 40),
        (48, 16),
        (64, 70),
        (41, 97),
    ):
        pixels = picture(random, height, width)
        pixels = pixels if channels == 3 else np.repeat(pixels[..., :1], channels, axis=2)
        options = {"quality": 85, "progressive": True}
        whole = jpeg(pixels, **options, **({"subsampling": subsampling} if channels == 3 else {}))
        begins = scan_starts(whole)
        assert len(begins) > 3
        files += [whole[:begin] + b"\xff\xd9" for begin in begins[1:]]
        for begin, end in zip(begins, [*begins[1:], len(whole) - 2], strict=True):
            data = begin + 2 + int.from_bytes(whole[begin + 2 : begin + 4], "big")
            cuts = random.integers(data, max(end, data + 1), 2)
            files += [whole[:cut].rstrip(b"\xff") + b"\xff\xd9" for cut in cuts]
    assert count_disagreements(files) == (0, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_damage_in_the_only_scan_of_a_progressive_file_is_smoothed_like_pillows(
    channels: int,
) -> None:
    """It adds up to coefficients that a baseline file has no codes for."""
    random = np.random.default_rng(11)
    files = []
    for _ in range(40):
        pixels = picture(random, 160, 200)
        whole = jpeg(pixels if channels == 3 else pixels[..., :1], quality=90, progressive=True)
        begin, end = scan_starts(whole)[:2]
        cut = int(random.integers(begin + 20, end))
        noise = random.integers(0, 255, 400, dtype=np.uint8).tobytes()
        files.append(whole[:cut].rstrip(b"\xff") + noise + b"\xff\xd9")
    assert count_disagreements(files) == (0, 0)


def test_a_large_blank_file_is_not_taken_for_an_attack() -> None:
    """With a bit for each block, it has all that blank pixels need."""
    blank = jpeg(np.full((6000, 6000, 1), 200, np.uint8), quality=75, progressive=True)
    second_scan = scan_starts(blank)[1]
    content = blank[:second_scan] + b"\xff\xd9"
    assert len(content) < 2 * 6000 * 6000 / 64 / 8
    assert count_disagreements([blank, content]) == (0, 0)
    assert outcome_of_pyloader(content) is not None


@pytest.mark.parametrize("progressive", [False, True])
def test_any_marker_may_stand_where_the_end_should_be(progressive: bool) -> None:
    whole = jpeg(picture(np.random.default_rng(6), 24, 33), quality=80, progressive=progressive)
    assert whole[-2:] == b"\xff\xd9"
    ends = [b"\xff%c" % marker for marker in range(256)]
    behind = [b"", b"\xff\xd9", b"\x00\x02", b"\x00\x02\xff\xd9", b"\x00\x0b\x08\x00\x18\x00"]
    files = [whole[:-2] + end + more for end in ends for more in behind]
    assert count_disagreements(files) == (0, 0)


def test_bytes_before_between_and_after_are_judged_like_pillow() -> None:
    content = subsampled_jpeg(picture(np.random.default_rng(5), 20, 30), "420", 80)
    files = [
        b"junk" + content,
        content + b"junk",
        content + content,
        content[:2] + b"\xff" * 7 + content[3:],
        content[:2] + b"\xff\xfe\x00\x08hello!" + content[2:],
        content[:2] + b"\xff\xfe\x00\x01" + content[2:],
        content.replace(b"\xff\xd9", b""),
        content + b"\xff\xd9",
    ]
    assert count_disagreements(files) == (0, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff", "truncated"),
        (b"<html>404</html>", "image"),
        (b"\xff\xd8\xff\xe0" + bytes(100), ""),
    ],
)
def test_what_is_no_image_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        load_img(path)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    assert reason in caught.value.reason


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in [
        ("gone.jpg", "No such file"),
        ("folder.jpg", "directory"),
        ("pipe.jpg", "not a regular file"),
    ]:
        with pytest.raises(ImageError, match=reason) as caught:
            load_img(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)


def with_size(content: bytes, height: int, width: int) -> bytes:
    """The file with another size in its frame header."""
    for marker in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2"):
        if marker in content:
            at = content.index(marker) + 5
            return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]
    raise AssertionError("no frame header")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_header_of_65500_pixels_over_little_data_takes_no_memory(progressive: bool) -> None:
    small = jpeg(picture(np.random.default_rng(6), 16, 16), progressive=progressive)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for height, width in [(65500, 65500), (65500, 4000)]:
        with pytest.raises(ImageError, match="pixels"):
            load_img(with_size(small, height, width), target_size=(64, 64))
    cut = with_size(small, 65500, 2000)[:-2]  # below the limit of pixels, but truncated
    with pytest.raises(ImageError):
        load_img(cut, target_size=(64, 64))
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 * 1024


def test_a_large_file_is_the_same_whether_it_comes_whole_or_in_windows(tmp_path: Path) -> None:
    # Several megabytes on disk: the reader refills its window in mid-stream.
    random = np.random.default_rng(10)
    noise = random.integers(0, 256, (1500, 1400, 3), dtype=np.uint8)
    for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
        content = jpeg(noise, quality=98, **options)
        assert len(content) > 2 << 20
        path = tmp_path / "large.jpg"
        path.write_bytes(content)
        for target in (None, (100, 90)):
            expected = np.asarray(
                Image.open(io.BytesIO(content))
                if target is None
                else Image.open(io.BytesIO(content)).resize((90, 100), Image.Resampling.BILINEAR)
            )
            ours = load_img(path, target_size=target, interpolation="bilinear")
            assert np.array_equal(ours, expected)


@pytest.mark.parametrize("restarts", [False, True])
def test_what_follows_the_last_row_counts_as_far_as_pillow_looks(
    tmp_path: Path, restarts: bool
) -> None:
    # Pillow reads 65536 bytes at a time, and no more once it has the last row.
    noise = np.random.default_rng(12).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    options: dict[str, Any] = {"restart_marker_rows": 1} if restarts else {}
    content = jpeg(noise, quality=95, **options)
    assert 65536 < len(content) < 2 * 65536
    bad_marker = b"\xff\x7e"
    files = []
    for end in (65536, 2 * 65536, 3 * 65536):
        for behind in range(-4, 4):
            filling = bytes(max(0, end + behind - (len(content) - 2)))
            files.append(content[:-2] + filling + bad_marker + b"\xff\xd9")
    expected = [outcome_of_pillow(content) is not None for content in files]
    assert len(set(expected)) == 2
    assert count_disagreements(files) == (0, 0)
    for content, accepted in zip(files, expected, strict=True):
        path = tmp_path / "picture.jpg"
        path.write_bytes(content)
        for target in (None, (20, 20)):
            try:
                load_img(path, target_size=target)
            except ImageError:
                assert not accepted
            else:
                assert accepted


@pytest.mark.parametrize("progressive", [False, True])
def test_markers_without_content_are_judged_like_pillow(progressive: bool) -> None:
    random = np.random.default_rng(13)
    content = jpeg(picture(random, 20, 30), progressive=progressive)
    places = [at for at in range(2, len(content) - 1) if content[at] == 0xFF and content[at + 1]]
    files = [
        content[:at] + bytes([0xFF, marker]) + content[at:]
        for at in places
        for marker in (0x01, 0x02, 0xBF, 0xD0, 0xD7, 0xD8)
    ]
    assert len({outcome_of_pillow(content) is not None for content in files}) == 2
    assert count_disagreements(files) == (0, 0)
