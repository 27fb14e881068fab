"""Iterators of every kind with random settings, each with a judge of its batches."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from soak_world import CLASSES, Look, World

from pyloader import ImageDataGenerator, image_dataset_from_directory

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")


def add_three(image: NDArray[Any]) -> NDArray[Any]:
    """A user's function."""
    return image + np.float32(3)


class UserError(Exception):
    """What a user's function raises now and then."""


class MoodyFunction:
    """A user's function that fails for about one image in `often`; 0: never."""

    def __init__(self, often: int, seed: int) -> None:
        self._often = often
        self._dice = random.Random(seed)

    def __call__(self, image: NDArray[Any]) -> NDArray[Any]:
        if self._often and self._dice.randrange(self._often) == 0:
            raise UserError("a user's mistake")
        return add_three(image)


class WrongBatchError(AssertionError):
    """A batch that no state of the files explains."""


class Subject(NamedTuple):
    """An iterator and what is known about it."""

    kind: str
    make: Callable[[], Any]
    """Makes the iterator, each time the same; with a seed, as its batches are compared."""
    judge: Callable[[Any, Any, bool], int]
    """Looks at a batch of the iterator, given alone or not; returns its number of samples."""
    options: dict[str, Any]


def random_options(dice: random.Random, scratch: Path) -> dict[str, Any]:
    """Settings that every iterator takes."""
    options: dict[str, Any] = {
        "batch_size": dice.choice([1, 3, 8, 16]),
        "shuffle": dice.random() < 0.7,
        "seed": dice.randrange(1000),
        "num_threads": dice.randrange(1, 9),
        "prefetch": dice.choice([None, 1, 2, 5]),
        "pin_memory": dice.choice([None, None, False, True]),
        "fidelity": dice.choice(["exact", "exact", "fast"]),
        "last_batch": dice.choice(["keep", "keep", "pad", "drop"]),
        "on_error": dice.choice(["raise", "drop", "replace"]),
        "cache": dice.choice([None, None, "memory", scratch / f"cache{dice.randrange(2)}"]),
        "memory_limit": dice.choice([None, None, None, "40MB", "200MB", "1MB"]),
        "shard": dice.choice([None, None, None, (0, 2), (1, 3)]),
        "verbose": False,
    }
    if options["cache"] is not None:
        options["cache_limit"] = dice.choice([None, "30KB", "2MB"])
    return options


def random_subject(dice: random.Random, world: World, scratch: Path) -> Subject:
    """An iterator of some kind with random settings.

    Args:
        dice: Decides.
        world: Where the images are.
        scratch: A folder for caches.

    Returns:
        The iterator's maker and judge.
    """
    options = random_options(dice, scratch)
    kind = dice.choice(["directory", "directory", "dataframe", "dataset", "arrays"])
    if kind == "arrays":
        return _arrays(dice, options)
    look = Look(
        color_mode=dice.choice(["rgb", "rgb", "grayscale", "rgba"]),
        size=(dice.randrange(1, 40), dice.randrange(1, 40)),
        interpolation=dice.choice(_INTERPOLATIONS),
        keep_aspect_ratio=dice.random() < 0.2,
        fidelity=options["fidelity"],
    )
    if kind == "dataset":
        return _dataset(dice, options, look, world)
    return _files(dice, options, look, world, kind)


def _files(
    dice: random.Random, options: dict[str, Any], look: Look, world: World, kind: str
) -> Subject:
    """An iterator of a generator over a folder or a table, with or without augmentation."""
    flips = dice.random() < 0.4
    mood = dice.choice(["none", "none", "calm", "moody"])
    rescale = dice.choice([None, 1 / 255]) if mood == "none" else None
    channels_first = dice.random() < 0.2
    seed = dice.randrange(1000)
    table = sorted(str(path) for path in world.folder.rglob("*.*") if path.is_file())

    def make() -> Any:
        function = {"none": None, "calm": add_three, "moody": MoodyFunction(60, seed)}[mood]
        generator = ImageDataGenerator(
            horizontal_flip=flips,
            vertical_flip=flips,
            rescale=rescale,
            preprocessing_function=function,
            data_format="channels_first" if channels_first else "channels_last",
        )
        common: dict[str, Any] = {
            "target_size": look.size,
            "color_mode": look.color_mode,
            "interpolation": look.interpolation,
            "keep_aspect_ratio": look.keep_aspect_ratio,
            "class_mode": "sparse",
            **options,
        }
        if kind == "directory":
            return generator.flow_from_directory(world.folder, **common)
        import pandas

        frame = pandas.DataFrame(
            {"filename": table, "class": [Path(path).parent.name for path in table]}
        )
        common["classes"] = list(CLASSES)
        return generator.flow_from_dataframe(frame, validate_filenames=False, **common)

    def finish(pixels: NDArray[np.uint8]) -> NDArray[Any]:
        image = pixels.astype(np.float32)
        if mood != "none":
            image = add_three(image)
        if rescale:
            image *= rescale
        return image.transpose(2, 0, 1) if channels_first else image

    return Subject(kind, make, _FileJudge(world, look, finish, flips, channels_first), options)


def _dataset(dice: random.Random, options: dict[str, Any], look: Look, world: World) -> Subject:
    """An iterator of image_dataset_from_directory."""
    names = {"box": "area", "lanczos": "lanczos3", "hamming": "bilinear"}
    name = names.get(look.interpolation, look.interpolation)
    look = look._replace(
        interpolation="bilinear" if look.interpolation == "hamming" else look.interpolation
    )
    channels_first = dice.random() < 0.2

    def make() -> Any:
        return image_dataset_from_directory(
            world.folder,
            image_size=look.size,
            color_mode=look.color_mode,
            interpolation=name,
            crop_to_aspect_ratio=look.keep_aspect_ratio,
            data_format="channels_first" if channels_first else "channels_last",
            **options,
        )

    def finish(pixels: NDArray[np.uint8]) -> NDArray[Any]:
        image = pixels.astype(np.float32)
        return image.transpose(2, 0, 1) if channels_first else image

    return Subject("dataset", make, _FileJudge(world, look, finish, False, False), options)


class _FileJudge:
    """Tells whether a batch is explained by what the files were.

    Args:
        world: The files.
        look: How they become pixels.
        finish: What is done to the pixels of one image.
        flips: Whether images may come mirrored.
        channels_first: The layout, for mirroring.
    """

    def __init__(
        self,
        world: World,
        look: Look,
        finish: Callable[[NDArray[np.uint8]], NDArray[Any]],
        flips: bool,
        channels_first: bool,
    ) -> None:
        self._world = world
        self._look = look
        self._finish = finish
        self._mirrors = [(1, 1), (1, -1), (-1, 1), (-1, -1)] if flips else [(1, 1)]
        self._channels_first = channels_first

    def __call__(self, iterator: Any, batch: Any, alone: bool) -> int:
        """Looks at a batch and at the record of errors.

        Args:
            iterator: Where it comes from.
            batch: The batch.
            alone: Whether nobody else takes batches, so that `batch_indices` are this batch's.

        Returns:
            Its number of samples.

        Raises:
            WrongBatchError: Something is wrong.
        """
        images, labels, *weights = batch
        paths = _paths(iterator)
        samples = len(images)
        if weights:
            samples = int(np.count_nonzero(weights[0]))
            _expect(len(weights[0]) == len(images), "weights do not fit the images")
            _expect((weights[0][:samples] == 1).all(), "the weights are not 1 and then 0")
        _expect(len(labels) == len(images), "labels do not fit the images")
        indices = iterator.batch_indices if alone else None
        if indices is not None:
            _expect(len(indices) == samples, f"{len(indices)} indices for {samples} samples")
        for row in range(samples):
            label = CLASSES[int(labels[row])]
            if indices is not None:
                candidates = [paths[indices[row]]]
                name = Path(candidates[0]).parent.name
                _expect(name == label, f"{candidates[0]} has the label {label}")
            else:
                candidates = [path for path in paths if Path(path).parent.name == label]
            found = any(self._explains(path, images[row]) for path in candidates)
            _expect(found, f"row {row} is not {candidates[0]}, or any like it; {self._look}")
        for bad in iterator.errors:
            justified = self._world.may_fail(bad.path, self._look)
            _expect(justified, f"{bad.path} could be loaded all the time, but: {bad.reason}")
        return samples

    def _explains(self, path: str, image: NDArray[Any]) -> bool:
        """Whether an image is what a file was, mirrored or not."""
        for pixels in self._world.images(path, self._look):
            finished = self._finish(pixels)
            for down, right in self._mirrors:
                mirrored = finished
                if self._channels_first:
                    mirrored = finished[:, ::down, ::right]
                else:
                    mirrored = finished[::down, ::right]
                if np.array_equal(mirrored, image):
                    return True
        return False


def _arrays(dice: random.Random, options: dict[str, Any]) -> Subject:
    """An iterator over arrays whose labels tell which image it is."""
    count = dice.randrange(1, 40)
    noise = np.random.default_rng(dice.randrange(1000))
    dtype = dice.choice(["float32", "float32", "uint8"])
    x = (noise.random((count, 9, 7, 3)) * 255).astype(dtype)
    y = np.arange(count)
    for name in ("cache", "cache_limit", "fidelity", "on_error"):
        options.pop(name, None)
    if options["last_batch"] == "drop":
        options["last_batch"] = "keep"

    def make() -> Any:
        return ImageDataGenerator(preprocessing_function=add_three).flow(x, y, **options)

    def judge(iterator: Any, batch: Any, alone: bool) -> int:
        images, labels, *weights = batch
        samples = int(np.count_nonzero(weights[0])) if weights else len(images)
        expected = x[labels].astype(np.float32) + np.float32(3)
        _expect(
            np.array_equal(images[:samples], expected[:samples]), "not the images of its labels"
        )
        if alone:
            same = np.array_equal(iterator.batch_indices, labels[:samples])
            _expect(same, "batch_indices are not those of the labels")
        return samples

    return Subject("arrays", make, judge, options)


def _paths(iterator: Any) -> list[str]:
    """The files of an iterator, by dataset index."""
    found: list[str] | None = getattr(iterator, "file_paths", None)
    return iterator.filepaths if found is None else found


def _expect(condition: Any, what: str) -> None:
    """Raises a WrongBatchError unless the condition holds."""
    if not condition:
        raise WrongBatchError(what)
