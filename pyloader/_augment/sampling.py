"""Random transform parameters, sampled in Keras' order and with its arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.transforms import COLUMNS, DEFAULTS, table_of, transform_rows

_FLIPS = slice(COLUMNS.index("flip_horizontal"), COLUMNS.index("flip_vertical") + 1)


class Random(Protocol):
    """A legacy generator of NumPy: a `RandomState`, or the module `numpy.random` itself."""

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any: ...
    def choice(self, a: Any) -> Any: ...
    def random_sample(self, size: Any = None) -> Any: ...


class Ranges(NamedTuple):
    """The parameters of an ImageDataGenerator that determine random transforms."""

    rotation: Any
    height_shift: Any
    width_shift: Any
    shear: Any
    zoom: tuple[Any, Any]
    horizontal_flip: Any
    vertical_flip: Any
    channel_shift: Any
    brightness: Any
    shift_axes: str

    @property
    def active(self) -> bool:
        """Whether any image can change."""
        return bool(
            self.rotation
            or self.height_shift
            or self.width_shift
            or self.shear
            or not self.zoom[0] == self.zoom[1] == 1
            or self.horizontal_flip
            or self.vertical_flip
            or self.channel_shift != 0
            or self.brightness is not None
        )


def ranges_of(generator: Any) -> Ranges:
    """The ranges of an ImageDataGenerator, as they are now."""
    return Ranges(
        rotation=generator.rotation_range,
        height_shift=generator.height_shift_range,
        width_shift=generator.width_shift_range,
        shear=generator.shear_range,
        zoom=(generator.zoom_range[0], generator.zoom_range[1]),
        horizontal_flip=generator.horizontal_flip,
        vertical_flip=generator.vertical_flip,
        channel_shift=generator.channel_shift_range,
        brightness=generator.brightness_range,
        shift_axes=generator.shift_axes,
    )


def sample_one(ranges: Ranges, random: Random, height: int, width: int) -> dict[str, Any]:
    """Returns Keras' dictionary of sampled parameters for one image; `random` moves on."""
    theta = random.uniform(-ranges.rotation, ranges.rotation) if ranges.rotation else 0
    from_height = _sample_shift(ranges.height_shift, random, height)
    from_width = _sample_shift(ranges.width_shift, random, width)
    corrected = ranges.shift_axes == "corrected"
    shear = random.uniform(-ranges.shear, ranges.shear) if ranges.shear else 0
    zx, zy = 1, 1
    if not ranges.zoom[0] == ranges.zoom[1] == 1:
        zx, zy = random.uniform(ranges.zoom[0], ranges.zoom[1], 2)
    horizontal, vertical = random.random_sample() < 0.5, random.random_sample() < 0.5
    intensity, brightness = None, None
    if ranges.channel_shift != 0:
        intensity = random.uniform(-ranges.channel_shift, ranges.channel_shift)
    if ranges.brightness is not None:
        brightness = random.uniform(ranges.brightness[0], ranges.brightness[1])
    return {
        "theta": theta,
        "tx": from_width if corrected else from_height,
        "ty": from_height if corrected else from_width,
        "shear": shear,
        "zx": zx,
        "zy": zy,
        "flip_horizontal": horizontal * ranges.horizontal_flip,
        "flip_vertical": vertical * ranges.vertical_flip,
        "channel_shift_intensity": intensity,
        "brightness": brightness,
    }


def _sample_shift(limit: Any, random: Random, size: int) -> Any:
    """Returns a shift in pixels: with a random sign from a list or an int, or within a float."""
    if not limit:
        return 0
    try:
        shift = random.choice(limit)
        shift *= random.choice([-1, 1])
    except ValueError:  # a float is nothing to choose from
        shift = random.uniform(-limit, limit)
    if np.max(limit) < 1:
        shift *= size
    return shift


class BatchParams(NamedTuple):
    """The parameters sampled for the images of a batch."""

    transforms: NDArray[np.float64] | None
    """A transform row for each image, see `transforms`; None where no image is changed."""

    numbers: NDArray[np.int64] | None
    """The random part of each saved file's name, (k,); None where nothing is saved."""

    kept: Any = None  #: What must stay alive until the batch is delivered

    def take(self, part: slice | NDArray[np.int64]) -> BatchParams:
        """Returns the parameters of some of the images."""
        return BatchParams(
            None if self.transforms is None else self.transforms[part],
            None if self.numbers is None else self.numbers[part],
            self.kept,
        )

    def padded(self, whole: BatchParams, rows: int) -> BatchParams:
        """Appends rows of padding, which are transformed like the first image of the `whole`."""
        if self.transforms is None or whole.transforms is None or not rows:
            return self
        padding = np.repeat(whole.transforms[:1], rows, axis=0)
        return self._replace(transforms=np.concatenate([self.transforms, padding]))


NO_PARAMS = BatchParams(None, None)
"""For batches without transforms and files to save."""


class ParamSampler:
    """Samples for whole batches what Keras samples image after image; frozen, so repeatable.

    Where every range is a number, one call of `uniform` samples a batch: the generator fills its
    result in the order of the images, which is the order in which Keras asks for the numbers.
    """

    used: bool  #: False if no image can change and no file is saved: sampling can be skipped

    def __init__(
        self, ranges: Ranges | None, height: int = 1, width: int = 1, number_limit: int = 0
    ) -> None:
        self._ranges = ranges
        self._active = ranges is not None and ranges.active
        self._height = height
        self._width = width
        self._number_limit = number_limit
        self._plan = _plan_uniform(ranges, height, width) if ranges is not None else None
        self.used = self._active or bool(number_limit)

    def __call__(self, random: np.random.RandomState, images: int) -> BatchParams:
        """Samples for one batch; `random` moves on exactly as far as in Keras."""
        transforms, numbers = None, None
        if self._ranges is not None:
            table = self._sample_table(self._ranges, random, images)
            if self._active:
                transforms = transform_rows(table, self._height, self._width)
        if self._number_limit:
            numbers = random.randint(self._number_limit, size=images)
        return BatchParams(transforms, numbers)

    def _sample_table(
        self, ranges: Ranges, random: np.random.RandomState, images: int
    ) -> NDArray[np.float64]:
        """Samples the parameters of all images, (images, len(COLUMNS))."""
        if self._plan is None:
            sampled = [sample_one(ranges, random, self._height, self._width) for _ in range(images)]
            return table_of(sampled)
        table = np.empty((images, len(COLUMNS)))
        table[:] = DEFAULTS
        plan = self._plan
        table[:, plan.columns] = random.uniform(plan.low, plan.high, (images, len(plan.low)))
        table *= plan.scale
        flips = table[:, _FLIPS]
        flips[...] = (flips < 0.5) & plan.flips
        return table


class _UniformPlan(NamedTuple):
    """One call of `uniform` for all parameters of an image."""

    columns: list[int]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scale: NDArray[np.float64]  #: What every column is multiplied with afterwards, (len(COLUMNS),)
    flips: NDArray[np.bool_]  #: Whether there are horizontal and vertical flips, (2,)


def _plan_uniform(ranges: Ranges, height: int, width: int) -> _UniformPlan | None:
    """Returns the plan for ranges that are plain numbers; None where Keras chooses from a list."""
    across, down = ("tx", "ty") if ranges.shift_axes != "corrected" else ("ty", "tx")
    scale = np.ones(len(COLUMNS))
    limits: list[tuple[str, Any, Any]] = []
    if ranges.rotation:
        limits.append(("theta", -ranges.rotation, ranges.rotation))
    for name, limit, size in (
        (across, ranges.height_shift, height),
        (down, ranges.width_shift, width),
    ):
        if not isinstance(limit, (float, np.floating)):
            if _is_number(limit) and not limit:
                continue
            return None
        if limit:
            limits.append((name, -limit, limit))
            scale[COLUMNS.index(name)] = size if limit < 1 else 1
    if ranges.shear:
        limits.append(("shear", -ranges.shear, ranges.shear))
    if not ranges.zoom[0] == ranges.zoom[1] == 1:
        limits += [("zx", *ranges.zoom), ("zy", *ranges.zoom)]
    limits += [("flip_horizontal", 0, 1), ("flip_vertical", 0, 1)]
    if ranges.channel_shift != 0:
        intensity = ranges.channel_shift
        limits.append(("channel_shift_intensity", -intensity, intensity))
    if ranges.brightness is not None:
        limits.append(("brightness", ranges.brightness[0], ranges.brightness[1]))
    if not all(_is_number(low) and _is_number(high) for _, low, high in limits):
        return None
    return _UniformPlan(
        columns=[COLUMNS.index(name) for name, _, _ in limits],
        low=np.array([low for _, low, _ in limits], dtype=np.float64),
        high=np.array([high for _, _, high in limits], dtype=np.float64),
        scale=scale,
        flips=np.array([bool(ranges.horizontal_flip), bool(ranges.vertical_flip)]),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.floating))
