"""Paints one photo-like picture: clouds of noise, objects with edges, light, grain, one color."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BANK_SIZE = 1024
_OBJECTS = 40

TINTS = {"red": (1.0, 0.45, 0.40), "blue": (0.40, 0.55, 1.0)}
"""Class name -> factors of R, G and B in its pictures."""


@dataclass(frozen=True, slots=True)
class Bank:
    """Noise to cut pictures from: each (1024, 1024) float32, mean 0, standard deviation 1."""

    smooth: NDArray[np.float32]
    """Like skies and walls: mostly low frequencies."""
    rough: NDArray[np.float32]
    """Like leaves and cloth."""
    grain: NDArray[np.float32]
    """Like sensor noise: white."""


def make_bank(seed: int) -> Bank:
    """Makes the noise, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return Bank(
        smooth=_noise(rng, falloff=1.9),
        rough=_noise(rng, falloff=1.2),
        grain=_noise(rng, falloff=0.0),
    )


def _noise(rng: np.random.Generator, falloff: float) -> NDArray[np.float32]:
    """Noise whose amplitude falls with frequency f as 1 / f**falloff: octaves of all sizes."""
    white = np.fft.rfft2(rng.standard_normal((_BANK_SIZE, _BANK_SIZE)))
    rows = np.fft.fftfreq(_BANK_SIZE)[:, None]
    columns = np.fft.rfftfreq(_BANK_SIZE)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf if falloff else 1.0
    noise = np.fft.irfft2(white / frequency**falloff)
    return (noise / noise.std()).astype(np.float32)


def paint(
    rng: np.random.Generator, bank: Bank, height: int, width: int, tint: str
) -> NDArray[np.uint8]:
    """Paints a picture.

    Args:
        rng: The source of randomness.
        bank: The noise to cut from.
        height: Rows.
        width: Columns.
        tint: A name in TINTS.

    Returns:
        (height, width, 3) uint8, RGB; some pixels are black and some white.
    """
    light = _cut(rng, bank.smooth, height, width) * 34.0
    light += np.linspace(rng.uniform(90, 190), rng.uniform(60, 150), height)[:, None]
    light += np.linspace(rng.uniform(-30, 30), 0.0, width, dtype=np.float32)[None, :]
    texture = _cut(rng, bank.rough, height, width)
    for _ in range(_OBJECTS):
        _put_object(rng, light, texture)
    light += texture * rng.uniform(5.0, 18.0)
    light += _cut(rng, bank.grain, height, width) * rng.uniform(1.5, 5.0)
    light *= _contrast(light)
    picture = np.empty((height, width, 3), np.uint8)
    color = _cut(rng, bank.smooth, height, width)
    for channel, keep in enumerate(TINTS[tint]):
        shade = keep * rng.uniform(0.9, 1.1)
        plane = light * shade + color * (6.0 * (channel - 1))
        picture[:, :, channel] = np.clip(plane, 0.0, 255.0, out=plane)
    _put_black_and_white(picture)
    return picture


def _cut(
    rng: np.random.Generator, noise: NDArray[np.float32], height: int, width: int
) -> NDArray[np.float32]:
    """Returns a random piece of the noise, transposed at random, and tiled if it is too small."""
    top, left = rng.integers(0, _BANK_SIZE, 2)
    turned = noise.T if rng.random() < 0.5 else noise
    rows = np.arange(top, top + height) % _BANK_SIZE
    columns = np.arange(left, left + width) % _BANK_SIZE
    return turned[rows[:, None], columns[None, :]]


def _put_object(
    rng: np.random.Generator, light: NDArray[Any], texture: NDArray[np.float32]
) -> None:
    """Adds an ellipse or a box with a sharp edge; small ones are more frequent."""
    height, width = light.shape
    radius = 0.02 + 0.25 * rng.random() ** 3
    high = max(2, int(radius * height * rng.uniform(0.6, 1.6)))
    wide = max(2, int(radius * width * rng.uniform(0.6, 1.6)))
    top, left = int(rng.integers(0, height)), int(rng.integers(0, width))
    area = (slice(top, min(height, top + 2 * high)), slice(left, min(width, left + 2 * wide)))
    level = rng.uniform(20.0, 235.0)
    filled = level + texture[area] * rng.uniform(2.0, 20.0)
    if rng.random() < 0.3:
        light[area] = filled
        return
    rows, columns = np.ogrid[: filled.shape[0], : filled.shape[1]]
    inside = ((rows - high) / high) ** 2 + ((columns - wide) / wide) ** 2 < 1.0
    light[area] = np.where(inside, filled, light[area])


def _contrast(light: NDArray[Any]) -> float:
    """Returns the factor that scales the highlights to near white."""
    return float(250.0 / max(1.0, np.percentile(light[::8, ::8], 99.0)))


def _put_black_and_white(picture: NDArray[np.uint8]) -> None:
    """Adds a black and a white corner, large enough to survive JPEG and any resize."""
    side = max(8, min(picture.shape[:2]) // 12)
    picture[:side, :side] = 0
    picture[-side:, -side:] = 255
