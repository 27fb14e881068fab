"""Batches from a folder with one subfolder per class."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyloader._data import folders as discovery
from pyloader._distributed.shards import ShardSpec
from pyloader._native.lifecycle import reduced
from pyloader.arguments import MAX_PIXELS, MAX_SCANS, check_count
from pyloader.caching import CacheSpec
from pyloader.iterators import keras_config
from pyloader.iterators.files import FileIterator

__all__ = ["DirectoryIterator"]


class DirectoryIterator(FileIterator):
    """Iterates over the images of class folders; what `flow_from_directory` returns.

    A batch is (images, targets): images (k, height, width, channels), or channels before height
    for "channels_first", in `dtype`, with values in [0, 255] unless the generator rescales;
    k is `batch_size` or less in a pass's last batch. Targets by `class_mode`: "categorical"
    (k, classes) one-hot; "binary" and "sparse" (k,) class indices, both in `dtype`; "input" a copy
    of the images. With `class_mode=None` a batch is the images alone.

    Args:
        directory: The folder with the class folders.
        image_data_generator: An ImageDataGenerator, or None for images as they are.
        target_size: (height, width) of the images in pixels. Default (256, 256).
        color_mode: "rgb" (default), "rgba" or "grayscale".
        classes: Class folders in label order; None (default): all subdirectories, sorted.
        class_mode: "categorical" (default), "binary", "sparse", "input" or None.
        batch_size: Samples of a batch. Default 32.
        shuffle: Whether each pass has a new random order. Default True.
        seed: Fixes the order; None (default): drawn from NumPy's global generator.
        data_format: "channels_last" or "channels_first"; None (default): as for ImageDataGenerator.
        save_to_dir: An existing folder for copies of delivered images, each stretched to the full
            range of bytes; None (default): none are saved.
        save_prefix: How the names of saved images begin. Default "".
        save_format: The ending of their names, and so their format. Default "png".
        follow_links: Whether to enter links to folders below the class folders. Default False.
        subset: "training", "validation", or None (default) for all images.
        interpolation: "nearest" (default), "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: Whether to crop the centre to the target's shape. Default False.
        dtype: The dtype of images and targets; None (default): as for ImageDataGenerator.
        num_threads: Threads of the native pool; None (default): one for each usable core.
        prefetch: Batches prepared ahead; None (default): enough to keep all threads busy.
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
        verbose: Whether to print how many images were found. Default True.

    Raises:
        ValueError: A value that is not among the possible ones.
        TypeError: A value of the wrong type.
        FileNotFoundError: There is no such directory.

    Warns:
        UserWarning: For each file that ends in `.tiff`. With every batch, while the generator
            asks for statistics that were not fitted.
    """

    allowed_class_modes = {"categorical", "binary", "sparse", "input", None}  # noqa: RUF012

    directory: str | os.PathLike[str]
    """The folder with the class folders, as given."""
    samples: int
    """Number of images found."""
    num_classes: int
    """Number of class folders."""
    classes: NDArray[np.int32]
    """The label of each sample, (n,)."""
    filenames: list[str]
    """The files, relative to `directory`, in dataset order."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: Any,
        target_size: Iterable[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Iterable[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: DTypeLike | None = None,
        *,
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
        verbose: bool = True,
    ) -> None:
        target_size = tuple(target_size)
        classes = list(classes) if classes else None
        data_format = keras_config.image_data_format() if data_format is None else data_format
        dtype = keras_config.floatx() if dtype is None else dtype
        self._arguments = {
            name: value
            for name, value in locals().items()
            if name not in {"self", "__class__", "verbose"}
        }
        self._set_processing(
            image_data_generator,
            target_size,
            color_mode,
            data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            keep_aspect_ratio,
        )
        if class_mode not in self.allowed_class_modes:
            raise ValueError(
                f"Invalid class_mode: {class_mode}; expected one of: {self.allowed_class_modes}"
            )
        check_count("num_threads", num_threads)
        check_count("prefetch", prefetch)
        self.directory = directory
        self.class_mode = class_mode
        self.dtype = dtype
        found = discovery.scan_class_folders(
            directory,
            classes,
            split=self.split,
            follow_links=follow_links,
            extensions=self.white_list_formats,
        )
        self.class_indices = found.class_indices
        self.num_classes = found.num_classes
        self.classes = found.classes
        self.filenames = found.filenames
        self.samples = len(found.filenames)
        self._filepaths = [os.path.join(directory, file) for file in found.filenames]  # noqa: PTH118
        if verbose:
            print(
                f"Found {self.samples} images belonging to {self.num_classes} classes.", flush=True
            )
        super().__init__(
            self.samples,
            batch_size,
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

    @property
    def filepaths(self) -> list[str]:
        """The file of each sample: `directory` joined with `filenames`."""
        return self._filepaths

    @property
    def labels(self) -> NDArray[np.int32]:
        """The label of each sample, (n,): `classes`."""
        return self.classes

    @property
    def sample_weight(self) -> None:
        """None: a folder holds no weights."""
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the constructor's arguments: a copy looks for the files anew and starts over."""
        return reduced(self, self._arguments)
