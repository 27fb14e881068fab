"""The `flow*` methods of ImageDataGenerator: iterators over arrays and folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from pyloader._distributed.shards import ShardSpec
from pyloader.arguments import MAX_PIXELS, MAX_SCANS
from pyloader.caching import CacheSpec
from pyloader.iterators.array import NumpyArrayIterator
from pyloader.iterators.directory import DirectoryIterator
from pyloader.table_flows import TableFlows

__all__ = ["Flows"]


class Flows(TableFlows):
    """What ImageDataGenerator makes iterators with."""

    data_format: str
    """"channels_last" or "channels_first"."""
    dtype: DTypeLike
    """The dtype of batches."""

    def flow(
        self,
        x: ArrayLike | Sequence[Any],
        y: ArrayLike | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
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
    ) -> NumpyArrayIterator:
        """Makes an iterator over images in an array.

        Args:
            x: Images, rank 4 in the data format; or (images, further) with one more input or a
                list of them, each with an entry for every image.
            y: Targets, an entry for every image; None (default) for none.
            batch_size: Samples of a batch. Default 32.
            shuffle: Whether each pass has a new random order. Default True.
            sample_weight: A weight for every image; None (default) for none.
            seed: Fixes order and transforms, and makes them Keras'; None (default): drawn from
                NumPy's global generator.
            save_to_dir: An existing folder for copies of delivered images, each stretched to the
                full range of bytes; None (default): none are saved.
            save_prefix: How the names of saved images begin. Default "".
            save_format: The ending of their names, and so their format. Default "png".
            ignore_class_split: Whether the subsets may have different classes. Default False.
            subset: "validation" for the first part by `validation_split`, "training" for the
                rest, None (default) for all.
            num_threads: Threads of the native pool; None (default): one for each usable core.
            prefetch: Batches prepared ahead; None (default): enough to keep all threads busy.
            shard: This process's part of every batch, (index, count), or "auto"; None (default):
                all of it. `batch_size` is that of all processes together.
            last_batch: "keep" (default), "pad" with rows of sample weight 0, or "drop": what
                becomes of the ragged end of a pass.
            fidelity: Without effect: nothing is decoded.
            pin_memory: Whether batches lie in page-locked memory, which a GPU copies from faster;
                None (default): where a CUDA runtime is loaded. `stats()` says what came of it.
            cache: Without effect, as `cache_limit`: arrays need no decoding.
            cache_limit: As for the other methods.
            on_error: Without effect, as `max_pixels` and `max_scans`: nothing is decoded.
            memory_limit: Bytes that the loader may hold, or text like "512MB"; None (default): no
                limit. What does not fit is a MemoryLimitError.
            max_pixels: As for the other methods.
            max_scans: As for the other methods.
            verbose: Without effect: there is nothing to print.

        Returns:
            The iterator; see `NumpyArrayIterator` for shapes and dtypes.

        Raises:
            ValueError: Lengths differ, the images do not have rank 4, the subsets have different
                classes, or there is no such subset.

        Warns:
            UserWarning: The images do not have 1, 3 or 4 channels.

        Example:
            >>> import numpy as np
            >>> from pyloader import ImageDataGenerator
            >>> generator = ImageDataGenerator(rescale=1 / 255, rotation_range=20)
            >>> x, y = np.zeros((10, 32, 32, 3), np.uint8), np.arange(10)
            >>> images, targets = next(generator.flow(x, y, batch_size=4, seed=1))
            >>> images.shape, images.dtype, targets
            ((4, 32, 32, 3), dtype('float32'), array([2, 9, 6, 4]))
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            ignore_class_split=ignore_class_split,
            dtype=self.dtype,
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
            verbose=verbose,
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: Iterable[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Iterable[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
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
    ) -> DirectoryIterator:
        """Makes an iterator over the images of a folder with one subfolder per class.

        Args:
            directory: The folder with the class folders.
            target_size: (height, width) of the images in pixels. Default (256, 256).
            color_mode: "rgb" (default), "rgba" or "grayscale".
            classes: Class folders in label order; None (default): all subdirectories, sorted.
            class_mode: "categorical" (default), "binary", "sparse", "input" or None.
            batch_size: Samples of a batch. Default 32.
            shuffle: Whether each pass has a new random order. Default True.
            seed: Fixes order and transforms, and makes them Keras'; None (default): drawn from
                NumPy's global generator.
            save_to_dir: An existing folder for copies of delivered images, each stretched to the
                full range of bytes; None (default): none are saved.
            save_prefix: How the names of saved images begin. Default "".
            save_format: The ending of their names, and so their format. Default "png".
            follow_links: Whether to enter links to folders below the class folders. Default False.
            subset: "training", "validation", or None (default) for all images.
            interpolation: "nearest" (default), "bilinear", "bicubic", "hamming", "box" or
                "lanczos".
            keep_aspect_ratio: Whether to crop the centre to the target's shape. Default False.
            num_threads: Threads of the native pool; None (default): one for each usable core.
            prefetch: Batches prepared ahead; None (default): enough to keep all threads busy.
            shard: This process's part of every batch, (index, count), or "auto"; None (default):
                all of it. `batch_size` is that of all processes together.
            last_batch: "keep" (default), "pad" with rows of sample weight 0, or "drop": what
                becomes of the ragged end of a pass.
            fidelity: "exact" (default), Pillow's very bytes; or "fast": JPEGs are resized before
                their colour conversion, a mean of half a level away. See Tuning in the docs.
            pin_memory: Whether batches lie in page-locked memory, which a GPU copies from faster;
                None (default): where a CUDA runtime is loaded. `stats()` says what came of it.
            cache: "memory" or a folder, to keep resized images in, so that later passes decode
                nothing; None (default): neither. Bytes of batches are the same. See
                Tuning in the docs.
            cache_limit: Bytes that it may take, or text like "2GB"; None (default): until a quarter
                of the memory, or a twentieth of the disk, is all that is left.
            on_error: What becomes of an image that cannot be loaded. "raise" (default): an
                ImageError, and its batch is lost; "drop": it leaves its batch, which gets shorter;
                "replace": another image of the pass takes its place, with its own label. See
                `errors`.
            memory_limit: Bytes that the loader may hold, or text like "512MB"; None (default): no
                limit. What does not fit is a MemoryLimitError.
            max_pixels: Pixels of an image at most; a larger one is refused before memory is taken
                for it. Default 178,956,970, as in Pillow.
            max_scans: Scans of a JPEG at most; more are refused. Default 500.
            verbose: Whether to print how many images were found. Default True.

        Returns:
            The iterator; see `DirectoryIterator` for shapes and dtypes.

        Raises:
            ValueError: A value that is not among the possible ones.
            TypeError: A value of the wrong type.
            FileNotFoundError: There is no such directory.

        Example:
            A folder with `red/` and `blue/` in it::

                generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
                train = generator.flow_from_directory("data/train", class_mode="binary")
                images, targets = next(train)  # (32, 256, 256, 3) and (32,), float32
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype,
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
            verbose=verbose,
        )
