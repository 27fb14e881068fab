"""What becomes of images that cannot be loaded: raised, dropped, replaced, and always recorded."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_class_folders
from damaged import (
    AUGMENT,
    BAD,
    COUNTS,
    FLOW,
    assert_same,
    damage,
    flow,
    good_rows,
    loops,
    records,
    write_damaged,
)
from numpy.typing import NDArray

from pyloader import (
    ImageDataGenerator,
    ImageError,
    NumpyArrayIterator,
    image_dataset_from_directory,
    load_img,
    pair,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """37 images of three classes, four of them bad."""
    return write_damaged(tmp_path / "images")


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("generator", [{}, AUGMENT], ids=["plain", "augmented"])
def test_drop_takes_bad_images_out_and_leaves_all_others_alone(
    folder: Path, tmp_path: Path, shuffle: bool, generator: dict[str, Any]
) -> None:
    with flow(folder, generator, shuffle=shuffle, on_error="drop") as it:
        with pytest.warns(UserWarning, match="4 of 37 images could not be loaded and left"):
            delivered = loops(it)
        assert len(delivered) == len(it) == 8
        assert it.stats().samples == 33
        assert it.stats().errors >= 4  # with what is prepared for the next pass
    for ours, whole in zip(
        delivered, good_rows(folder, tmp_path, generator, shuffle=shuffle), strict=True
    ):
        kept = ~np.isin(whole[0], BAD)
        for our, their in zip(ours, whole, strict=True):
            np.testing.assert_array_equal(our, their[kept])


@pytest.mark.parametrize("generator", [{}, AUGMENT], ids=["plain", "augmented"])
def test_replace_fills_the_place_with_another_sample_and_its_label(
    folder: Path, tmp_path: Path, generator: dict[str, Any]
) -> None:
    with flow(folder, generator, on_error="replace") as it:
        with pytest.warns(UserWarning, match="4 of 37 images .* were replaced by others"):
            delivered = loops(it)
        classes = it.classes
        replaced = {bad.index: bad.replaced_by for bad in it.errors}
    assert set(replaced) == set(BAD)
    assert not set(replaced.values()) & set(BAD)
    found = 0
    for (ids, images, labels), whole in zip(
        delivered, good_rows(folder, tmp_path, generator), strict=True
    ):
        assert len(ids) == len(images) == len(whole[0])
        np.testing.assert_array_equal(labels, classes[ids])
        for row, meant in enumerate(whole[0]):
            if meant in BAD:
                assert ids[row] == replaced[meant]
                found += 1
            else:
                assert ids[row] == meant
                np.testing.assert_array_equal(images[row], whole[1][row])
    assert found == 4


@pytest.mark.filterwarnings("ignore:epoch")
def test_a_substitute_has_the_pixels_of_its_own_file(folder: Path) -> None:
    with flow(folder, on_error="replace", shuffle=False) as it:
        by_index = {
            int(index): image
            for ids, images, _ in loops(it)
            for index, image in zip(ids, images, strict=True)
        }
        for bad in it.errors:
            file = it.filepaths[bad.replaced_by]
            expected = load_img(file, target_size=(20, 24))
            np.testing.assert_array_equal(by_index[bad.replaced_by], expected)


@pytest.mark.parametrize("on_error", ["drop", "replace"])
@pytest.mark.filterwarnings("ignore:epoch")
def test_the_result_does_not_depend_on_threads_prefetch_or_the_cache(
    folder: Path, tmp_path: Path, on_error: str
) -> None:
    with flow(folder, AUGMENT, on_error=on_error, num_threads=1, prefetch=1) as it:
        expected, errors = loops(it, 3), it.errors
    assert len(errors) == 12
    assert [bad.epoch for bad in errors] == [0] * 4 + [1] * 4 + [2] * 4
    for options in (
        {"num_threads": 2},
        {"num_threads": 7, "prefetch": 5},
        {"cache": "memory"},
        {"cache": tmp_path / "cache", "num_threads": 3},
        {"fidelity": "exact", "prefetch": 2},
    ):
        with flow(folder, AUGMENT, on_error=on_error, **options) as it:
            assert_same(loops(it, 3), expected)
            assert records(it.errors) == records(errors)


@pytest.mark.parametrize("on_error", ["drop", "replace"])
@pytest.mark.parametrize("count", [2, 3, 5, 8])
@pytest.mark.filterwarnings("ignore:epoch")
def test_all_shards_together_deliver_what_one_process_does(
    folder: Path, on_error: str, count: int
) -> None:
    with flow(folder, AUGMENT, on_error=on_error) as it:
        expected, errors = loops(it, 2), it.errors
    parts = []
    found = []
    for index in range(count):
        with flow(folder, AUGMENT, on_error=on_error, shard=(index, count)) as it:
            parts.append(loops(it, 2))
            found += it.errors
    for batch, whole in enumerate(expected):
        for element in range(3):
            together = np.concatenate([part[batch][element] for part in parts])
            np.testing.assert_array_equal(together, whole[element])
    assert sorted(records(found)) == sorted(records(errors))


@pytest.mark.filterwarnings("ignore:epoch")
@pytest.mark.parametrize("on_error", ["drop", "replace"])
def test_padded_batches_keep_their_length(folder: Path, on_error: str) -> None:
    with (
        flow(folder, on_error=on_error, last_batch="pad") as padded,
        flow(folder, on_error=on_error) as plain,
    ):
        for images, labels in plain.epoch():
            padded_images, padded_labels, weights = next(padded)
            assert len(padded_images) == len(padded_labels) == len(weights) == 5
            samples = len(images)
            np.testing.assert_array_equal(weights, np.arange(5) < samples)
            np.testing.assert_array_equal(padded_images[:samples], images)
            np.testing.assert_array_equal(padded_labels[:samples], labels)
            np.testing.assert_array_equal(padded.batch_indices, plain.batch_indices)
            for row in padded_images[samples:]:
                np.testing.assert_array_equal(row, images[0])


@pytest.mark.filterwarnings("ignore:epoch")
def test_a_batch_of_bad_images_only_is_empty_or_padding(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 3, "b": 3}, seed=2)
    for path in sorted((root / "a").iterdir()):
        damage(path, 0)
    options = {"batch_size": 3, "shuffle": False, "on_error": "drop"}
    with flow(root, **options) as it:
        images, labels = next(it)
        assert images.shape == (0, 20, 24, 3)
        assert labels.shape == (0,)
        assert next(it)[0].shape == (3, 20, 24, 3)
    with flow(root, last_batch="pad", **options) as it:
        images, _, weights = next(it)
        assert not images.any()
        assert images.shape == (3, 20, 24, 3)
        assert weights.tolist() == [0, 0, 0]


def test_replace_with_nothing_left_is_an_error_that_says_so(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 4}, seed=2)
    for how, path in enumerate(sorted((root / "a").iterdir())):
        damage(path, how % 3)
    with flow(root, on_error="replace", batch_size=2) as it:
        with pytest.raises(ImageError, match="nor can any of 3 others that were tried"):
            next(it)
        with pytest.raises(ImageError):
            next(it)
    (root / "a" / "only").mkdir()
    with (
        flow(write_class_folders(tmp_path / "one", {"a": 1}), on_error="replace") as it,
    ):
        Path(it.filepaths[0]).write_bytes(b"")
        with pytest.raises(ImageError, match="nor can any of 0 others"):
            next(it)


@pytest.mark.filterwarnings("ignore:epoch")
def test_replace_finds_the_one_good_image_among_bad_ones(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, {"a": 60}, seed=2)
    files = sorted((root / "a").iterdir())
    for path in files[:23] + files[24:]:
        path.write_bytes(b"")
    with flow(root, on_error="replace", batch_size=20) as it:
        for ids, images, _ in loops(it):
            assert (ids == 23).all()
            assert (images == images[0]).all()


def test_substitutes_are_others_each_at_most_once() -> None:
    from pyloader._native.prefetch import _substitutes as substitutes

    for n in itertools.chain(range(1, 140), (1000, 1009, 30030)):
        order = np.random.default_rng(n).permutation(n)
        positions = np.unique(np.linspace(0, n - 1, 7).astype(np.int64))
        chosen = substitutes(order, positions)
        assert chosen.shape == (len(positions), min(n - 1, 64))
        for position, row in zip(positions, chosen, strict=True):
            assert order[position] not in row
            assert len(set(row.tolist())) == len(row)


@pytest.mark.filterwarnings("ignore:epoch")
def test_user_code_that_fails_is_never_dropped(folder: Path) -> None:
    calls = itertools.count()

    def fail(image: NDArray[Any]) -> NDArray[Any]:
        if next(calls) == 7:
            raise ZeroDivisionError("mine")
        return image

    with flow(folder, {"preprocessing_function": fail}, on_error="drop", num_threads=1) as it:
        with pytest.raises(ZeroDivisionError, match="mine"):
            list(it.epoch())
        next(it)


@pytest.mark.filterwarnings("ignore:epoch")
@pytest.mark.parametrize("on_error", ["drop", "replace"])
def test_weights_names_and_saved_files_follow_their_images(
    folder: Path, tmp_path: Path, on_error: str
) -> None:
    pandas = pytest.importorskip("pandas")
    files = sorted(str(path) for path in folder.rglob("*.jpg"))
    frame = pandas.DataFrame(
        {"filename": files, "value": np.arange(37.0), "weight": np.arange(37.0) / 10}
    )
    saved = tmp_path / "saved"
    saved.mkdir()
    with ImageDataGenerator().flow_from_dataframe(
        frame, y_col="value", weight_col="weight", class_mode="raw", target_size=(20, 24),
        batch_size=5, seed=3, save_to_dir=saved, on_error=on_error, verbose=False,
    ) as it:  # fmt: skip
        delivered = []
        for _, values, weights in it.epoch():
            np.testing.assert_array_equal(values, it.batch_indices)
            np.testing.assert_allclose(weights, np.asarray(it.batch_indices) / 10)
            delivered += it.batch_indices.tolist()
    names = sorted(int(path.name.split("_")[1]) for path in saved.iterdir())
    assert names == sorted(delivered)
    assert not set(names) & set(BAD)


@pytest.mark.filterwarnings("ignore:epoch")
@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("on_error", ["drop", "replace"])
def test_datasets_take_it_too(folder: Path, pad: bool, on_error: str) -> None:
    options = {"image_size": (20, 24), "batch_size": 5, "shuffle": False, "verbose": False}
    dataset = image_dataset_from_directory(
        folder, on_error=on_error, pad_to_aspect_ratio=pad, **options
    )
    seen = []
    for images, labels in dataset:
        assert len(images) == len(labels) == len(dataset.batch_indices)
        seen += dataset.batch_indices.tolist()
        for image, label, index in zip(images, labels, dataset.batch_indices, strict=True):
            assert Path(dataset.file_paths[index]).parent.name == dataset.class_names[label]
            assert image.any()
    assert not set(seen) & set(BAD)
    assert len(seen) == (33 if on_error == "drop" else 37)
    assert len(dataset.errors) == 4


def test_single_samples_cannot_be_dropped(folder: Path) -> None:
    options = {"image_size": (20, 24), "batch_size": None, "shuffle": False, "verbose": False}
    with pytest.raises(ValueError, match="shortens batches"):
        image_dataset_from_directory(folder, on_error="drop", **options)
    dataset = image_dataset_from_directory(folder, on_error="replace", **options)
    with pytest.warns(UserWarning, match="4 of 37"):
        samples = list(dataset)
    assert len(samples) == 37


@pytest.mark.filterwarnings("ignore:epoch")
def test_pairs_drop_the_image_with_its_mask(folder: Path, tmp_path: Path) -> None:
    masks = write_class_folders(tmp_path / "masks", COUNTS, seed=9)
    files = sorted(masks.rglob("*.jpg"))
    for index in (4, 11):
        damage(files[index], 0)
    options = {**FLOW, "on_error": "drop"}
    flows = [ImageDataGenerator().flow_from_directory(root, **options) for root in (folder, masks)]
    bad = {*BAD, 11}
    seen = []
    with pair(*flows) as it:
        for (images, labels), (mask_images, mask_labels) in it.epoch():
            assert len(images) == len(mask_images) == len(it.batch_indices)
            np.testing.assert_array_equal(labels, mask_labels)
            np.testing.assert_array_equal(labels, flows[0].classes[it.batch_indices])
            seen += it.batch_indices.tolist()
        assert sorted(seen) == sorted(set(range(37)) - bad)
        assert {error.index for error in it.errors} == bad
    for other in ({"on_error": "replace"}, {"on_error": "drop", "last_batch": "pad"}):
        flows = [ImageDataGenerator().flow_from_directory(masks, **{**FLOW, **other}) for _ in "12"]
        with pytest.raises(ValueError, match="pair cannot"):
            pair(*flows)
    flows = [ImageDataGenerator().flow_from_directory(masks, **FLOW, on_error=how)
             for how in ("raise", "drop")]  # fmt: skip
    with pytest.raises(ValueError, match="same `on_error`"):
        pair(*flows)


@pytest.mark.filterwarnings("ignore:epoch")
def test_an_unreadable_file_is_dropped_like_a_damaged_one(folder: Path) -> None:
    path = sorted(folder.rglob("*.jpg"))[0]
    path.unlink()
    os.mkfifo(path)
    with flow(folder, on_error="drop") as it:
        loops(it)
        assert {bad.index for bad in it.errors} == {0, *BAD}


def test_on_error_is_one_of_three(folder: Path) -> None:
    for value in ("skip", None, 1):
        with pytest.raises(ValueError, match="`on_error` should be"):
            flow(folder, on_error=value)


def test_arrays_do_not_take_it() -> None:
    x = np.zeros((4, 8, 8, 3))
    with pytest.raises(TypeError, match="on_error"):
        ImageDataGenerator().flow(x, on_error="drop")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"`on_error`.*Received: on_error='drop'"):
        NumpyArrayIterator(x, None, ImageDataGenerator(), on_error="drop")
    assert ImageDataGenerator().flow(x).errors == []
