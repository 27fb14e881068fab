"""The pixels are Pillow's, byte for byte, whatever the file, the filter and the processor."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import RESAMPLING, all_kinds, jpeg, picture, subsampled_jpeg, with_pillow

from pyloader import load_img

COLOR_MODES = ("rgb", "rgba", "grayscale")


def assert_like_pillow(content: bytes, what: object, **request: object) -> None:
    ours = load_img(content, **request)
    theirs = with_pillow(content, **request)
    assert ours.shape == theirs.shape, (what, request)
    assert np.array_equal(ours, theirs), (what, request)


@pytest.mark.parametrize("seed", range(40))
def test_every_kind_of_jpeg_at_ragged_sizes(seed: int) -> None:
    random = np.random.default_rng(seed)
    longest = (70, 70) if seed % 4 else (5, 300) if seed % 8 else (300, 5)
    height, width = (int(random.integers(1, limit)) for limit in longest)
    for kind, content in all_kinds(random, height, width):
        for color_mode in COLOR_MODES:
            assert_like_pillow(content, (kind, height, width), color_mode=color_mode)
        for interpolation in RESAMPLING:
            target = tuple(int(side) for side in random.integers(1, 90, 2))
            assert_like_pillow(
                content,
                (kind, height, width),
                color_mode=str(random.choice(COLOR_MODES)),
                target_size=target,
                interpolation=interpolation,
                keep_aspect_ratio=bool(random.integers(2)),
            )


@pytest.mark.parametrize("interpolation", RESAMPLING)
@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
def test_sizes_of_real_photographs(interpolation: str, keep_aspect_ratio: bool) -> None:
    random = np.random.default_rng(7)
    # Sizes on both sides of Pillow's rule for the order of the two passes.
    for height, width in [(375, 500), (533, 400), (500, 333), (640, 210), (224, 300), (97, 1200)]:
        content = subsampled_jpeg(picture(random, height, width), "420", 85)
        for target in [(256, 256), (224, 224), (299, 150), (height, 64), (64, width), (600, 700)]:
            assert_like_pillow(
                content,
                (height, width),
                target_size=target,
                interpolation=interpolation,
                keep_aspect_ratio=keep_aspect_ratio,
            )


@pytest.mark.parametrize("interpolation", RESAMPLING)
def test_extreme_shapes(interpolation: str) -> None:
    random = np.random.default_rng(8)
    for height, width in [(1, 1), (1, 900), (900, 1), (2, 2000), (2000, 3), (1500, 1400)]:
        content = jpeg(picture(random, height, width), quality=80)
        for target in [(1, 1), (1, 50), (50, 1), (33, 47), (400, 3)]:
            for keep_aspect_ratio in (False, True):
                assert_like_pillow(
                    content,
                    (height, width),
                    target_size=target,
                    interpolation=interpolation,
                    keep_aspect_ratio=keep_aspect_ratio,
                )


def test_nearest_follows_the_accumulated_rounding_of_pillow() -> None:
    # Of these widths, many differ where a position is computed as (i + 0.5) * scale.
    random = np.random.default_rng(9)
    for width in range(200, 1000, 37):
        content = jpeg(picture(random, 2, width), quality=70)
        for target in (7, 60, 101, 224, 256, 299, 999):
            assert_like_pillow(content, width, target_size=(3, target), interpolation="nearest")


def digest_of_everything() -> str:
    """A hash over many decoded and resized pictures; run in a process of its own per SIMD level."""
    random = np.random.default_rng(11)
    digest = hashlib.sha256()
    for _ in range(12):
        height, width = (int(side) for side in random.integers(1, 150, 2))
        for _, content in all_kinds(random, height, width):
            for interpolation in RESAMPLING:
                target = tuple(int(side) for side in random.integers(1, 150, 2))
                for color_mode in COLOR_MODES:
                    image = load_img(content, color_mode, target, interpolation)
                    digest.update(image.tobytes())
    return digest.hexdigest()


def test_every_simd_level_gives_the_same_bits() -> None:
    digests = {}
    for level in ("scalar", "avx2", "avx512"):
        result = subprocess.run(
            [sys.executable, __file__],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYLOADER_SIMD": level},
            cwd=Path(__file__).parent,
        )
        digests[level] = result.stdout.strip()
    assert len(set(digests.values())) == 1, digests


if __name__ == "__main__":
    print(digest_of_everything())
