"""Makes pictures of twelve megapixels, like those of cameras, from smaller photographs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 4000, 3000
TILES = 4
"""Photographs per row and column: enlarged once or twice they keep their detail, which a single
one, enlarged to the whole picture, would not."""

GRAIN = 3.0
"""Standard deviation of the sensor noise, in levels of 255."""

QUALITIES = (85, 88, 90, 92)


def write_large_pictures(files: Sequence[str], folder: Path, count: int, seed: int) -> None:
    """Writes baseline JPEGs of 4000 x 3000 pixels, 4:2:0, of qualities 85 to 92, in two classes.

    Args:
        files: The photographs to use.
        folder: Receives a folder for each class.
        count: Number of pictures.
        seed: Seed of the choice of photographs and of the noise.
    """
    random = np.random.default_rng(seed)
    size = WIDTH // TILES, HEIGHT // TILES
    for number in range(count):
        picture = Image.new("RGB", (WIDTH, HEIGHT))
        for tile, file in enumerate(random.choice(len(files), TILES * TILES)):
            with Image.open(files[file]) as photograph:
                enlarged = photograph.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            picture.paste(enlarged, (tile % TILES * size[0], tile // TILES * size[1]))
        grain = random.normal(0, GRAIN, (HEIGHT, WIDTH, 1)).astype(np.float32)
        pixels = np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)
        target = folder / ("even", "odd")[number % 2] / f"{number:05d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        quality = QUALITIES[number % len(QUALITIES)]
        Image.fromarray(pixels).save(target, quality=quality, subsampling="4:2:0")
