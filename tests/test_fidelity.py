"""fidelity="fast": within its bound of Pillow, the same for any number of threads."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import subsampled_jpeg, with_pillow
from PIL import Image

from pyloader import ImageDataGenerator, image_dataset_from_directory, load_img

FILTERS = ("bilinear", "bicubic", "hamming", "lanczos", "box")


def landscape(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """A picture with the spectrum of photographs: amplitude falls, that of color faster."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency = np.maximum(frequency, 1 / max(height, width))

    def layer(fall: float) -> NDArray[np.float64]:
        phases = np.exp(2j * np.pi * random.random(frequency.shape))
        values = np.fft.irfft2(frequency**-fall * phases, (height, width))
        return values / values.std()

    light, warm, green = 40 * layer(1.2), 12 * layer(1.5), 8 * layer(1.5)
    y, x = np.mgrid[0:height, 0:width]
    for _ in range(3):  # something stands in front
        near = np.hypot(y - random.integers(height), x - random.integers(width)) < height / 6
        light[near] += 60
        warm[near] += 20 * random.normal()
    pixels = np.stack([128 + light + warm, 125 + light + green, 120 + light - warm], axis=-1)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def closeness(
    contents: list[bytes], interpolation: str, target_size: tuple[int, int], **options: object
) -> tuple[float, float]:
    """Mean PSNR in dB and mean absolute error in levels against Pillow."""
    ratios, errors = [], []
    for content in contents:
        fast = load_img(
            content,
            target_size=target_size,
            interpolation=interpolation,
            fidelity="fast",
            **options,
        )
        exact = with_pillow(
            content, target_size=target_size, interpolation=interpolation, **options
        )
        difference = fast.astype(int) - exact.astype(int)
        ratios.append(10 * np.log10(255**2 / max((difference**2).mean(), 0.01)))
        errors.append(np.abs(difference).mean())
    return float(np.mean(ratios)), float(np.mean(errors))


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", [(64, 64), (120, 96), (224, 224), (300, 500)])
def test_the_bound_is_kept(interpolation: str, size: tuple[int, int]) -> None:
    contents = [
        subsampled_jpeg(landscape(seed, 375 + seed, 500 - seed), subsampling, 92)
        for seed, subsampling in enumerate(("444", "420", "422", "440", "420", "444"))
    ]
    ratio, error = closeness(contents, interpolation, size)
    assert ratio >= 48
    assert error <= 0.6


@pytest.mark.parametrize("options", [{"color_mode": "grayscale"}, {"keep_aspect_ratio": True}])
def test_the_bound_is_kept_for_gray_and_cropped(options: dict[str, object]) -> None:
    contents = [
        subsampled_jpeg(landscape(seed, 400, 533), subsampling, 85)
        for seed, subsampling in enumerate(("444", "420", "Gray", "422"))
    ]
    for size in ((100, 100), (224, 150), (80, 300)):
        ratio, error = closeness(contents, "bilinear", size, **options)
        assert ratio >= 48
        assert error <= 0.6


def test_large_pictures_are_halved_within_the_bound() -> None:
    contents = [subsampled_jpeg(landscape(seed, 1500, 2003), "420", 90) for seed in range(2)]
    for size in ((224, 224), (90, 90), (30, 30), (40, 700)):
        ratio, error = closeness(contents, "bilinear", size)
        assert ratio >= 48
        assert error <= 0.6


@pytest.mark.parametrize("subsampling", ["444", "420", "Gray", "411"])
def test_fast_is_exact_where_nothing_is_to_be_gained(subsampling: str) -> None:
    content = subsampled_jpeg(landscape(3, 90, 130), subsampling, 90)
    for options in (
        {},
        {"target_size": (40, 50)},
        {"target_size": (90, 130), "interpolation": "bilinear"},
        {"target_size": (40, 50), "interpolation": "box"},
    ):
        exact = load_img(content, **options)
        assert np.array_equal(load_img(content, **options, fidelity="fast"), exact)


def test_gray_files_of_their_own_size_in_planes_stay_exact() -> None:
    content = subsampled_jpeg(landscape(4, 100, 130), "Gray", 90)
    exact = load_img(content, target_size=(60, 70), interpolation="bicubic")
    fast = load_img(content, target_size=(60, 70), interpolation="bicubic", fidelity="fast")
    assert np.array_equal(fast, exact)  # nothing to convert, and too small to halve


def test_other_formats_and_unusual_files_are_exact() -> None:
    pixels = landscape(5, 80, 90)
    for format_, options in (("PNG", {}), ("BMP", {}), ("JPEG", {"keep_rgb": True})):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format_, **options)
        exact = load_img(buffer.getvalue(), target_size=(31, 40), interpolation="lanczos")
        fast = load_img(
            buffer.getvalue(), target_size=(31, 40), interpolation="lanczos", fidelity="fast"
        )
        assert np.array_equal(fast, exact)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(12):
        (tmp_path / "ab"[index % 2]).mkdir(exist_ok=True)
        content = subsampled_jpeg(landscape(index, 90 + index, 120), ("420", "444")[index % 2], 90)
        (tmp_path / "ab"[index % 2] / f"{index}.jpg").write_bytes(content)
    Image.fromarray(landscape(12, 90, 120)).save(tmp_path / "a" / "p.jpg", progressive=True)
    return tmp_path


def test_flows_give_what_load_img_gives_for_any_thread_count(folder: Path) -> None:
    passes = []
    for num_threads in (1, 3):
        flow = ImageDataGenerator(dtype="uint8").flow_from_directory(
            folder,
            target_size=(40, 50),
            interpolation="bilinear",
            shuffle=False,
            batch_size=5,
            fidelity="fast",
            num_threads=num_threads,
            verbose=False,
        )
        with flow:
            passes.append(np.concatenate([images for images, _ in flow.epoch()]))
    one_by_one = [
        load_img(path, target_size=(40, 50), interpolation="bilinear", fidelity="fast")
        for path in flow.filepaths
    ]
    assert np.array_equal(passes[0], passes[1])
    assert np.array_equal(passes[0], np.stack(one_by_one))


def test_augmentation_takes_fast_pixels(folder: Path) -> None:
    generator = ImageDataGenerator(rotation_range=30, horizontal_flip=True, rescale=1 / 255)
    both = []
    for fidelity in ("exact", "fast"):
        flow = generator.flow_from_directory(
            folder,
            target_size=(40, 50),
            interpolation="bilinear",
            seed=3,
            fidelity=fidelity,
            verbose=False,
        )
        with flow:
            both.append(next(flow)[0])
    assert 0 < np.abs(both[0] - both[1]).mean() < 1 / 255


def test_datasets_take_it_too(folder: Path) -> None:
    dataset = image_dataset_from_directory(
        folder, image_size=(40, 50), shuffle=False, fidelity="fast", verbose=False
    )
    with dataset:
        images, _ = next(iter(dataset))
    expected = load_img(
        dataset.file_paths[0], target_size=(40, 50), interpolation="bilinear", fidelity="fast"
    )
    assert np.array_equal(images[0], expected.astype(np.float32))


@pytest.mark.parametrize("place", ["memory", "folder"])
def test_a_cache_keeps_fast_and_exact_pixels_apart(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, place: str
) -> None:
    cache = "memory" if place == "memory" else tmp_path_factory.mktemp("cache")
    for fidelity in ("fast", "exact"):
        flow = ImageDataGenerator(dtype="uint8").flow_from_directory(
            folder,
            target_size=(40, 50),
            interpolation="bilinear",
            shuffle=False,
            batch_size=5,
            fidelity=fidelity,
            cache=cache,
            verbose=False,
        )
        with flow:
            passes = [np.concatenate([x for x, _ in flow.epoch()]) for _ in range(2)]
        expected = [
            load_img(path, target_size=(40, 50), interpolation="bilinear", fidelity=fidelity)
            for path in flow.filepaths
        ]
        assert np.array_equal(passes[0], np.stack(expected))
        assert np.array_equal(passes[1], passes[0])


def test_fidelity_is_part_of_the_settings_of_a_state(folder: Path) -> None:
    def flow(fidelity: str) -> object:
        return ImageDataGenerator().flow_from_directory(
            folder, target_size=(8, 8), seed=1, fidelity=fidelity, verbose=False
        )

    state = flow("fast").state_dict()
    flow("fast").load_state_dict(state)
    with pytest.raises(ValueError, match="fidelity"):
        flow("exact").load_state_dict(state)


def test_other_words_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match='"exact" or "fast"'):
        ImageDataGenerator().flow_from_directory(folder, fidelity="quick", verbose=False)
    with pytest.raises(ValueError, match='"exact" or "fast"'):
        load_img(next(folder.glob("a/*.jpg")), fidelity="")
