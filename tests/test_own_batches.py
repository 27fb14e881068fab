"""Iterators with a `_get_batches_of_transformed_samples` of their own deliver what it makes."""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_batch, photo
from numpy.typing import NDArray
from test_transforms import TUTORIAL

import pyloader
from pyloader import ImageDataGenerator, ImageError, Iterator, MemoryLimitError

pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

_EXACT = {**TUTORIAL, "channel_shift_range": 20.0, "interpolation_order": 0}


def _arrays() -> NDArray[np.float32]:
    return np.stack([photo(9, 9, seed) for seed in range(23)]).astype(np.float32)


def _mixing(module: Any, **options: Any) -> Any:
    """Mixes each image with another one; asks for two batches and draws between them."""

    class Mixing(module.NumpyArrayIterator):  # type: ignore[misc]
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            first, labels = super()._get_batches_of_transformed_samples(index_array)
            weight = np.random.beta(0.4, 0.4)
            others = np.random.permutation(index_array)
            second, _ = super()._get_batches_of_transformed_samples(others)
            counters = np.array([self.batch_index, self.total_batches_seen])
            return weight * first + (1 - weight) * second, labels, counters, index_array

    generator = module.ImageDataGenerator(**_EXACT)
    return Mixing(_arrays(), np.arange(23), generator, batch_size=5, **options)


def _numbers(base: Any) -> Any:
    """Delivers the indices and a number, without any images."""

    class Numbers(base):  # type: ignore[misc]
        def __init__(self, seed: int | None = 5, **options: Any) -> None:
            super().__init__(10, 3, True, seed, **options)

        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            return index_array, np.random.uniform(size=2)

    return Numbers


@pytest.mark.usefixtures("global_random_untouched")
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("make", [_mixing, lambda module, **_: _numbers(_iterator(module))()])
def test_any_mix_of_calls_delivers_keras_batches(
    keras_image: ModuleType, make: Any, shuffle: bool
) -> None:
    ours, theirs = (make(module, shuffle=shuffle, seed=3) for module in (pyloader, keras_image))
    outside = np.random.get_state(legacy=False)
    choose = random.Random(0)
    for _ in range(60):
        call = choose.choice(["next", "next", "item", "epoch end", "reset"])
        if call == "next":
            assert_same_batch(next(ours), _with_own_state(lambda: next(theirs)))
        elif call == "item":
            place = choose.randrange(len(theirs))
            batch = _with_own_state(lambda place=place: theirs[place])
            assert_same_batch(ours[place], batch)
        elif call == "reset":
            ours.reset()
            theirs.reset()
        elif ours.index_array is not None:
            ours.on_epoch_end()
            _with_own_state(theirs.on_epoch_end)
        assert ours.total_batches_seen == theirs.total_batches_seen
        np.testing.assert_equal(ours.index_array, theirs.index_array)
    np.random.set_state(outside)


_keras_state: dict[str, Any] = np.random.RandomState(1).get_state(legacy=False)


def _with_own_state(call: Any) -> Any:
    """Lets Keras seed and move NumPy's generator, out of sight of ours."""
    global _keras_state
    before = np.random.get_state(legacy=False)
    np.random.set_state(_keras_state)
    try:
        return call()
    finally:
        _keras_state = np.random.get_state(legacy=False)
        np.random.set_state(before)


def _iterator(module: Any) -> Any:
    return Iterator if module is pyloader else module.Iterator


def test_files_are_made_as_in_keras(keras_image: ModuleType, class_folders: Path) -> None:
    def derive(module: Any) -> Any:
        class Doubled(module.DirectoryIterator):  # type: ignore[misc]
            def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
                images, targets = super()._get_batches_of_transformed_samples(index_array[:-1])
                return images * 2, targets, np.array([self.filenames[i] for i in index_array])

        options = {"target_size": (9, 9), "class_mode": "sparse", "batch_size": 4, "seed": 1}
        return Doubled(str(class_folders), module.ImageDataGenerator(**_EXACT), **options)

    ours, theirs = derive(pyloader), derive(keras_image)
    for _ in range(13):
        assert_same_batch(next(ours), next(theirs))
    assert ours.stats().samples == 2 * 23 + 4


def test_keras_method_makes_the_batch_of_any_samples(keras_image: ModuleType) -> None:
    batches = []
    for module in (pyloader, keras_image):
        flow = module.ImageDataGenerator(**_EXACT).flow(_arrays(), np.arange(23), seed=2)
        if module is pyloader:
            next(flow)  # with others prepared behind it
        np.random.seed(7)
        batches.append(
            [flow._get_batches_of_transformed_samples([3, 1, 22, 3]), np.random.uniform(size=3)]
        )
    assert_same_batch(*batches)
    with pytest.raises(IndexError):
        flow._get_batches_of_transformed_samples([23])
    with pytest.raises(TypeError, match="should hold integers"):
        ImageDataGenerator().flow(_arrays())._get_batches_of_transformed_samples([0.5])


def test_the_order_goes_on_after_a_batch_was_made_in_between() -> None:
    flows = [ImageDataGenerator(**_EXACT).flow(_arrays(), seed=2, batch_size=5) for _ in range(2)]
    for step in range(8):
        if step % 3 == 1:
            assert len(flows[0]._get_batches_of_transformed_samples(np.arange(7))) == 7
        assert_same_batch(next(flows[0]), next(flows[1]))


def test_nothing_is_made_before_it_is_asked_for() -> None:
    made = []

    class Noting(pyloader.NumpyArrayIterator):
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            made.append(len(index_array))
            return super()._get_batches_of_transformed_samples(index_array)

    batches = Noting(_arrays(), None, ImageDataGenerator(), batch_size=5)
    for place in (0, 1, 2):
        batches[place]
        batches.on_epoch_end()
    assert [len(batch) for batch in batches.epoch()] == [5, 5, 5, 5, 3]
    assert made == [5, 5, 5, 5, 5, 5, 5, 3]
    assert batches.stats().samples == 38


def test_a_state_goes_on_where_it_was_saved() -> None:
    batches, other = _mixing(pyloader, seed=4), _mixing(pyloader, seed=4)
    for _ in range(7):
        next(batches)
    batches.on_epoch_end()
    other.load_state_dict(batches.state_dict())
    for _ in range(6):
        assert_same_batch(next(other), next(batches))
    numbers, others = _numbers(Iterator)(None), _numbers(Iterator)(None)
    next(numbers)
    others.load_state_dict(numbers.state_dict())
    assert_same_batch(next(others), next(numbers))


def test_a_batch_that_fails_is_passed_over_and_an_interrupted_one_comes_again() -> None:
    fails: list[BaseException] = []

    class Failing(_numbers(Iterator)):  # type: ignore[misc]
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            if fails:
                raise fails.pop()
            return super()._get_batches_of_transformed_samples(index_array)

    batches, others = Failing(), _numbers(Iterator)()
    for error in (ValueError("mine"), KeyboardInterrupt()):
        fails.append(error)
        with pytest.raises(type(error)):
            next(batches)
    next(others)
    assert_same_batch(next(batches), next(others))
    batches.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(batches)


@pytest.mark.parametrize("on_error", ["raise", "drop", "replace"])
def test_bad_images_are_dealt_with(tmp_path: Path, class_folders: Path, on_error: str) -> None:
    for number, file in enumerate(sorted(class_folders.rglob("blue*.jpg"))):
        (tmp_path / "a").mkdir(exist_ok=True)
        content = file.read_bytes() if number != 2 else b"no image"
        (tmp_path / "a" / file.name).write_bytes(content)

    class Plain(pyloader.DirectoryIterator):
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            return super()._get_batches_of_transformed_samples(index_array)

    batches = Plain(
        tmp_path,
        None,
        shuffle=False,
        batch_size=4,
        on_error=on_error,
        class_mode=None,
        verbose=False,
    )
    if on_error == "raise":
        with pytest.raises(ImageError):
            next(batches)
    else:
        assert len(next(batches)) == (3 if on_error == "drop" else 4)
        indices = batches.batch_indices
        assert indices is not None
        assert len(set(indices.tolist()) & {0, 1, 3}) == 3
        assert 2 not in indices
        with pytest.warns(UserWarning, match="1 of 7 images could not be loaded"):
            next(batches)
    assert [image.index for image in batches.errors] == [2]


@pytest.mark.parametrize("options", [{"shard": (0, 2)}, {"last_batch": "pad"}], ids=str)
def test_options_that_need_known_rows_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        _numbers(Iterator)(**options)


def test_an_iterator_that_does_not_say_how_to_make_batches() -> None:
    with pytest.raises(NotImplementedError, match="_get_batches_of_transformed_samples"):
        next(Iterator(3, 2, True, 1))


def test_a_batch_that_memory_has_no_room_for_now_comes_again() -> None:
    refusals = [MemoryLimitError("let go of some")]

    class Refused(pyloader.NumpyArrayIterator):
        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            if refusals:
                raise refusals.pop()
            return index_array

    make = [_arrays(), np.arange(23), ImageDataGenerator()]
    it = Refused(*make, batch_size=5, shuffle=True, seed=2)
    with pytest.raises(MemoryLimitError):
        next(it)
    assert it.total_batches_seen == 0
    expected = pyloader.NumpyArrayIterator(*make, batch_size=5, shuffle=True, seed=2)
    next(expected)
    np.testing.assert_array_equal(next(it), expected.batch_indices)


def test_a_limit_for_an_iterator_that_loads_nothing_is_refused_in_words() -> None:
    with pytest.raises(NotImplementedError, match=r"Numbers has no images.* no `memory_limit`"):
        _numbers(Iterator)(memory_limit="1GB")


def test_the_index_generator_takes_the_batches_that_next_would_deliver() -> None:
    flows = [ImageDataGenerator().flow(_arrays(), np.arange(23), seed=2) for _ in range(2)]
    for flow in flows:
        flow.batch_size = 5
    for step in range(9):
        labels = next(flows[1])[1]
        if step % 2:
            np.testing.assert_array_equal(next(flows[0].index_generator), labels)
        else:
            np.testing.assert_array_equal(next(flows[0])[1], labels)
