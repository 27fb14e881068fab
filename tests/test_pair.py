"""pair keeps two iterators in step, whatever happens to one of them."""

from __future__ import annotations

import pickle
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, write_class_folders

from pyloader import DirectoryIterator, ImageDataGenerator, ImageError, MemoryLimitError, pair


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """11 images, and the same files again as their masks."""
    root = tmp_path_factory.mktemp("pairs")
    for name in ("images", "masks"):
        write_class_folders(root / name, {"all": 11}, seed=4)
    return root / "images", root / "masks"


def flow(folder: Path, generator: Any = None, **options: Any) -> DirectoryIterator:
    options = {"target_size": (8, 9), "class_mode": None, "batch_size": 4, **options}
    generator = generator or ImageDataGenerator()
    return generator.flow_from_directory(folder, verbose=False, **options)


def make(folders: tuple[Path, Path], seed: int | None = 1, **options: Any) -> Any:
    images, masks = (flow(folder, seed=seed, **options) for folder in folders)
    return pair(images, masks)


def assert_in_step(pairs: Any, batch: Any) -> None:
    images, masks = batch
    np.testing.assert_array_equal(images, masks)
    np.testing.assert_array_equal(pairs.images.batch_indices, pairs.masks.batch_indices)
    assert pairs.images.total_batches_seen == pairs.masks.total_batches_seen


def test_a_batch_that_memory_has_no_room_for_now_comes_again(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, reference = make(folders), make(folders)
    with monkeypatch.context() as patch:

        def refuse() -> None:
            raise MemoryLimitError("let go of some")

        patch.setattr(pairs.masks, "next", refuse)
        with pytest.raises(MemoryLimitError):
            pairs.next()
    for _ in range(4):
        batch = pairs.next()
        assert_in_step(pairs, batch)
        assert_same_batch(batch, reference.next())


def test_stats_are_those_of_both(folders: tuple[Path, Path]) -> None:
    with make(folders) as pairs:
        assert pairs.stats().images.samples == 0
        pairs.next()
        stats = pairs.stats()
    assert (stats.images.samples, stats.masks.samples) == (4, 4)
    assert stats.as_dict()["masks"]["batches"] == 1
    first, second = str(stats).split("\n\n")
    assert first.startswith("images\nsamples")
    assert second.startswith("masks\nsamples")


@pytest.mark.parametrize("seed", [1, None])
def test_masks_belong_to_their_images_through_all_calls(
    folders: tuple[Path, Path], seed: int | None
) -> None:
    pairs = make(folders, seed)
    assert len(pairs) == pairs.num_batches == 3
    assert (pairs.n, pairs.batch_size, pairs.shuffle, pairs.seed) == (11, 4, True, seed)
    for _ in range(4):
        assert_in_step(pairs, next(pairs))
    assert_in_step(pairs, pairs[2])
    pairs.on_epoch_end()
    pairs.on_epoch_begin()
    assert_in_step(pairs, pairs[-3])
    pairs.reset()
    assert pairs.batch_index == 0
    batches = list(pairs.epoch())
    for batch in batches[:-1]:
        assert len(batch[0]) == 4
    assert len(batches) == 3
    assert_in_step(pairs, batches[-1])
    generator = pairs.as_generator()
    for _ in range(4):
        assert_in_step(pairs, next(generator))
    assert pairs.total_batches_seen == 13
    assert sorted(pairs.batch_indices) == sorted(pairs.masks.batch_indices)
    pairs.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(pairs)


def test_it_delivers_what_a_zip_of_both_delivers(folders: tuple[Path, Path]) -> None:
    pairs = make(folders, 7)
    alone = zip(*(flow(folder, seed=7) for folder in folders), strict=True)
    for _ in range(7):
        assert_same_batch(next(pairs), next(alone))


def test_masks_have_settings_of_their_own(folders: tuple[Path, Path]) -> None:
    images = flow(folders[0], seed=1, interpolation="bilinear")
    masks = flow(folders[1], seed=1, color_mode="grayscale", target_size=(4, 4))
    with pair(images, masks) as pairs:
        first, second = pairs.next()
    assert first.shape == (4, 8, 9, 3)
    assert second.shape == (4, 4, 4, 1)


@pytest.mark.parametrize("bad", ["images", "masks"])
@pytest.mark.parametrize("random_access", [False, True])
def test_a_bad_file_costs_both_the_batch(tmp_path: Path, bad: str, random_access: bool) -> None:
    folders = tmp_path / "images", tmp_path / "masks"
    for folder in folders:
        write_class_folders(folder, {"all": 9}, seed=4)
    (tmp_path / bad / "all" / "all04.jpg").write_bytes(b"\xff\xd8\xff")
    pairs = make(folders, shuffle=False, batch_size=3)
    for place in (0, 1, 2, 0):
        if place == 1:
            with pytest.raises(ImageError, match="all04"):
                pairs[place] if random_access else next(pairs)
        else:
            assert_in_step(pairs, pairs[place] if random_access else next(pairs))
    assert pairs.total_batches_seen == pairs.masks.total_batches_seen == 4
    assert pairs.batch_index == pairs.masks.batch_index


@pytest.mark.parametrize("interrupted", ["images", "masks"])
def test_an_interrupt_costs_nothing(folders: tuple[Path, Path], interrupted: str) -> None:
    pairs, undisturbed = make(folders), make(folders)
    iterator = getattr(pairs, interrupted)

    def interrupt() -> Any:
        raise KeyboardInterrupt

    iterator.next = interrupt
    with pytest.raises(KeyboardInterrupt):
        next(pairs)
    del iterator.next
    for _ in range(4):
        assert_same_batch(next(pairs), next(undisturbed))


def test_a_batch_that_does_not_exist_moves_nothing(folders: tuple[Path, Path]) -> None:
    pairs = make(folders)
    for index in (3, -4):
        with pytest.raises(ValueError, match=f"^Asked to retrieve element {index}, but"):
            pairs[index]
    assert pairs.total_batches_seen == pairs.masks.total_batches_seen == 0


def test_threads_share_a_pair(folders: tuple[Path, Path]) -> None:
    pairs = make(folders, shuffle=False)
    wrong = []

    def work() -> None:
        for _ in range(6):
            images, masks = next(pairs)
            if not np.array_equal(images, masks):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pairs.total_batches_seen == pairs.masks.total_batches_seen == 18


def test_a_copy_starts_over(folders: tuple[Path, Path]) -> None:
    pairs = make(folders)
    first = next(pairs)
    assert_same_batch(next(pickle.loads(pickle.dumps(pairs))), first)


def test_keras_fits_a_pair(folders: tuple[Path, Path]) -> None:
    keras = pytest.importorskip("keras")
    pairs = make(folders, target_size=(8, 8))
    assert isinstance(pairs, keras.utils.PyDataset)
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(3, 1)])
    model.compile("sgd", "mse")
    history = model.fit(pairs, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.predict(pairs, verbose=0).shape == (11, 8, 8, 3)


def test_what_is_not_alike_is_refused(folders: tuple[Path, Path]) -> None:
    images = flow(folders[0], seed=1)
    for name, value in (("batch_size", 3), ("shuffle", False), ("seed", 2), ("seed", None)):
        with pytest.raises(ValueError, match=f"should have the same `{name}`"):
            pair(images, flow(folders[1], **{"seed": 1, name: value}))
    other = flow(folders[1], seed=1)
    next(other)
    with pytest.raises(ValueError, match=r"same `batch_index` .* Received: 0 and 1$"):
        pair(images, other)
    few = flow(folders[1], ImageDataGenerator(validation_split=0.5), subset="training", seed=1)
    with pytest.raises(ValueError, match="same `n`"):
        pair(images, few)
    with pytest.raises(TypeError, match="should be two iterators"):
        pair(images, images)
    with pytest.raises(TypeError, match=r"^`masks` should be an iterator of pyloader"):
        pair(images, [1])  # type: ignore[arg-type]


def test_generators_that_draw_differently_are_refused(folders: tuple[Path, Path]) -> None:
    images, masks = (flow(folder, seed=1) for folder in folders)
    for name, value in (("rotation_range", 5), ("brightness_range", (0.5, 1)), ("zoom_range", 0.1)):
        generator = ImageDataGenerator()
        setattr(generator, name, value)
        images.image_data_generator = generator
        with pytest.raises(ValueError, match=f"should have the same `{name}`: the random draws"):
            pair(images, masks)


def test_settings_that_spoil_masks_are_warned_of(folders: tuple[Path, Path]) -> None:
    with pytest.warns(UserWarning, match="resized with interpolation='bilinear'") as caught:
        pair(flow(folders[0], seed=1), flow(folders[1], seed=1, interpolation="bilinear"))
    assert caught[0].filename == __file__
    generators = ImageDataGenerator(), ImageDataGenerator()
    iterators = [
        flow(folder, generator, seed=1)
        for folder, generator in zip(folders, generators, strict=True)
    ]
    for generator in generators:
        generator.rotation_range = 10
    with pytest.warns(UserWarning, match=r"warped with interpolation_order=1: .*order=0\.$"):
        pair(*iterators)
    generators[1].interpolation_order = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pair(*iterators)
    for generator in generators:
        generator.channel_shift_range = 10.0
    with pytest.warns(UserWarning, match="changed by channel_shift_range"):
        pair(*iterators)
