"""A finite dataset of image files: what `image_dataset_from_directory` returns."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyloader._augment.sampling import Drawing, Drawn
from pyloader._augment.standardize import Standardization
from pyloader._data.labels import dataset_targets
from pyloader._distributed.shards import ShardSpec
from pyloader._native.loading import LoaderSettings
from pyloader._order.fingerprint import mark, mark_of_paths
from pyloader.arguments import CHANNELS, MAX_PIXELS, MAX_SCANS
from pyloader.caching import CacheSpec
from pyloader.iterators.base import Iterator

__all__ = ["ImageDataset"]


class ImageDataset(Iterator):
    """Batches of images and labels; each loop over it is a pass, in a new order if shuffled.

    `len` is the number of batches. It is at the same time what `fit` takes: `ds[i]` is batch i of
    the current pass, `next` and the other methods are those of the other iterators. One loop may
    run at a time; an interrupted one ends when the next one begins.

    Args:
        file_paths: The image files.
        labels: Their labels, (n,), or None.
        class_names: Kept as an attribute, and counted for `label_mode="categorical"`.
        label_mode: "int", "categorical", "binary" or None; see `image_dataset_from_directory`.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: Samples of a batch; None: samples come singly, without the axis of the batch.
        image_size: (height, width) of the images in pixels.
        shuffle: Whether each pass has a new order.
        seed: Fixes the orders.
        interpolation: Name of Pillow's filter.
        crop_to_aspect_ratio: Whether to crop the centre to the shape of `image_size`.
        pad_to_aspect_ratio: Whether to fit the image into `image_size` and frame it with zeros.
        data_format: "channels_last" or "channels_first".
        num_threads: Threads of the pool; None: one for each usable core.
        prefetch: Batches prepared ahead; None: enough to keep all threads busy.
        shard: This process's part of every batch, (index, count), or "auto"; None (default): all of
            it. `batch_size` is that of all processes together.
        last_batch: "keep" (default), "pad" with rows of sample weight 0, or "drop": what becomes of
            the ragged end of a pass.
        fidelity: "exact" (default), Pillow's very bytes; or "fast": JPEGs are resized before
            their colour conversion, a mean of half a level away. See Tuning in the docs.
        pin_memory: Whether batches lie in page-locked memory, which a GPU copies from faster; None
            (default): where a CUDA runtime is loaded. See `stats()` for what came of it.
        cache: "memory" or a folder, to keep resized images in, so that later passes decode nothing;
            None (default): neither. Bytes of batches are the same. See Tuning in the docs.
        cache_limit: Bytes that it may take, or text like "2GB"; None (default): until a quarter of
            the memory, or a twentieth of the disk, is all that is left.
        on_error: What becomes of an image that cannot be loaded. "raise" (default): an ImageError,
            and its batch is lost; "drop": it leaves its batch, which gets shorter; "replace":
            another image of the pass takes its place, with its own label. See `errors`.
        memory_limit: Bytes that the loader may hold, or text like "512MB"; None (default): no
            limit. What does not fit is a MemoryLimitError.
        max_pixels: Pixels of an image at most; a larger one is refused before memory is taken for
            it. Default 178,956,970, as in Pillow.
        max_scans: Scans of a JPEG at most; more are refused. Default 500.

    Raises:
        TypeError: `num_threads` or `prefetch` is not an integer.
        ValueError: `num_threads` or `prefetch` is less than 1, or `cache` or `memory_limit` is
            given together with `pad_to_aspect_ratio`.
    """

    file_paths: list[str]
    """The image files in dataset order; `batch_indices` are positions in it."""
    class_names: Sequence[str] | None
    """The classes in label order; None without labels."""

    def __init__(
        self,
        file_paths: list[str],
        labels: NDArray[Any] | Sequence[Any] | None,
        class_names: Sequence[str] | None,
        *,
        label_mode: str | None,
        color_mode: str,
        batch_size: int | None,
        image_size: tuple[int, int],
        shuffle: bool,
        seed: int,
        interpolation: str,
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        data_format: str = "channels_last",
        num_threads: int | None = None,
        prefetch: int | None = None,
        shard: ShardSpec = None,
        last_batch: str = "keep",
        fidelity: str = "exact",
        pin_memory: bool | None = None,
        cache: CacheSpec = None,
        cache_limit: int | str | None = None,
        on_error: str = "raise",
        memory_limit: int | str | None = None,
        max_pixels: int = MAX_PIXELS,
        max_scans: int = MAX_SCANS,
    ) -> None:
        if pad_to_aspect_ratio and cache is not None:
            raise ValueError("`cache` does not keep images of `pad_to_aspect_ratio=True`.")
        if pad_to_aspect_ratio and memory_limit is not None:
            raise ValueError("`memory_limit` is not kept with `pad_to_aspect_ratio=True`.")
        if batch_size is None and shard is not None:
            raise ValueError("`shard` divides batches: `batch_size` should not be None with it.")
        if batch_size is None and on_error == "drop":
            raise ValueError(
                '`on_error="drop"` shortens batches: `batch_size` should not be None with it. '
                'Use "replace".'
            )
        self._arguments = {
            name: value for name, value in locals().items() if name not in {"self", "__class__"}
        }
        self.file_paths = file_paths
        self.class_names = class_names
        self._targets = dataset_targets(labels, label_mode, len(class_names or ()))
        self._single = batch_size is None
        self._interpolation = interpolation
        self._channels_first = data_format == "channels_first"
        self._color_mode = color_mode
        self._image_size = image_size
        self._crop = crop_to_aspect_ratio
        self._pad = pad_to_aspect_ratio
        self._pass = 0
        super().__init__(
            len(file_paths),
            1 if batch_size is None else batch_size,
            shuffle,
            seed,
            num_threads=num_threads,
            prefetch=prefetch,
            shard=shard,
            last_batch=last_batch,
            fidelity=fidelity,
            pin_memory=pin_memory,
            cache=cache,
            cache_limit=cache_limit,
            on_error=on_error,
            memory_limit=memory_limit,
            max_pixels=max_pixels,
            max_scans=max_scans,
        )

    def __iter__(self) -> Generator[Any, None, None]:  # type: ignore[override]
        """Begins a pass; right after `load_state_dict` it is what is left of that one.

        Yields:
            Exactly `len(ds)` batches, as `next` returns them, or those that are left.

        Raises:
            RuntimeError: Another loop over the dataset has begun since.
        """
        self._pass += 1
        mine = self._pass
        if not self._stands_where_loaded():
            self.reset()
        done, batches = self._progress()
        for _ in range(batches - done):
            if mine != self._pass:
                raise RuntimeError(
                    "Another loop over this dataset has begun, and one dataset delivers to one "
                    "loop at a time. Make a dataset for each loop."
                )
            yield self.next()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the constructor's arguments: a copy begins at the beginning."""
        return _rebuild, (type(self), self._arguments)

    def _source(self) -> list[str]:
        return self.file_paths

    def _settings_key(self) -> tuple[Any, ...]:
        return ()

    def _settings(self) -> dict[str, Any]:
        return {
            "color_mode": self._color_mode,
            "crop_to_aspect_ratio": self._crop,
            "data_format": self._channels_first,
            "fidelity": self._options.fidelity,
            "image_size": self._image_size,
            "interpolation": self._interpolation,
            "pad_to_aspect_ratio": self._pad,
            "single": self._single,
        }

    def _dataset(self) -> dict[str, str]:
        return {"files": mark_of_paths(self.file_paths), "labels": mark(self._targets)}

    def _dataset_key(self) -> Any:
        return len(self.file_paths)

    def _loader_settings(self, num_threads: int, depth: int) -> LoaderSettings:
        return LoaderSettings(
            height=self._image_size[0],
            width=self._image_size[1],
            channels=CHANNELS[self._color_mode],
            color_mode=self._color_mode,
            interpolation=self._interpolation,
            keep_aspect_ratio=self._crop,
            channels_first=self._channels_first,
            dtype=np.dtype("float32"),
            standardization=Standardization(),
            transforms=False,
            fill_mode="nearest",
            cval=0.0,
            order=1,
            own_transform=None,
            num_threads=num_threads,
            depth=depth,
            pad_to_aspect_ratio=self._pad,
        )

    def _drawing(self) -> Drawing:
        return Drawing(None)  # images are not changed at random

    def _make_batch(self, images: NDArray[Any] | None, ids: NDArray[np.int64], drawn: Drawn) -> Any:
        if images is None:
            images = np.zeros((0, *self._image_shape()), dtype="float32")
        targets = None if self._targets is None else self._targets[ids]
        if self._single:
            return images[0] if targets is None else (images[0], targets[0])
        return images if targets is None else (images, targets)

    def _image_shape(self) -> tuple[int, ...]:
        channels = (CHANNELS[self._color_mode],)
        size = self._image_size
        return channels + size if self._channels_first else size + channels


def _rebuild(cls: type[ImageDataset], arguments: dict[str, Any]) -> ImageDataset:
    """Makes a pickled dataset again."""
    return cls(**arguments)
