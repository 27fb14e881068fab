"""`flow_from_dataframe` of ImageDataGenerator: iterators over tables of files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from numpy.typing import DTypeLike

from pyloader._distributed.shards import ShardSpec
from pyloader.arguments import MAX_PIXELS, MAX_SCANS
from pyloader.caching import CacheSpec
from pyloader.iterators.dataframe import DataFrameIterator

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped]

__all__ = ["TableFlows"]


class TableFlows:
    """What ImageDataGenerator makes iterators over tables with."""

    data_format: str
    """"channels_last" or "channels_first"."""
    dtype: DTypeLike
    """The dtype of batches."""

    def flow_from_dataframe(
        self,
        dataframe: DataFrame,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: str | list[str] = "class",
        weight_col: str | None = None,
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
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        *,
        keep_aspect_ratio: bool = False,
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
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Makes an iterator over the images that a pandas DataFrame names.

        Args:
            dataframe: The table; it is not changed.
            directory: The folder that the file names are relative to; None (default): as they are.
            x_col: The column of file names. Default "filename".
            y_col: The column of labels, or a list of columns for "raw" and "multi_output".
                Default "class".
            weight_col: The column of sample weights, numbers; None (default) for none.
            target_size: (height, width) of the images in pixels. Default (256, 256).
            color_mode: "rgb" (default), "rgba" or "grayscale".
            classes: Classes in label order, others are left out; None (default): all, sorted.
            class_mode: "categorical" (default), "binary", "sparse", "input", "multi_output",
                "raw" or None.
            batch_size: Samples of a batch. Default 32.
            shuffle: Whether each pass has a new random order. Default True.
            seed: Fixes order and transforms, and makes them Keras'; None (default): drawn from
                NumPy's global generator.
            save_to_dir: An existing folder for copies of delivered images, each stretched to the
                full range of bytes; None (default): none are saved.
            save_prefix: How the names of saved images begin. Default "".
            save_format: The ending of their names, and so their format. Default "png".
            subset: "validation" for the first rows by `validation_split`, "training" for the
                rest, None (default) for all.
            interpolation: "nearest" (default), "bilinear", "bicubic", "hamming", "box" or
                "lanczos".
            validate_filenames: Whether to leave out what is no file or no image by its name.
                Default True; False saves a look at every file.
            keep_aspect_ratio: Whether to crop the centre to the target's shape. Default False.
                Keras takes it and ignores it.
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
            **kwargs: Ignored as in Keras, with a warning for `has_ext`, `sort` and
                `drop_duplicates`.

        Returns:
            The iterator; see `DataFrameIterator` for shapes and dtypes.

        Raises:
            ValueError: A value that is not among the possible ones, or "binary" without two
                classes.
            TypeError: A column with values of the wrong type.
            KeyError: There is no such column.

        Warns:
            UserWarning: Rows are left out because there is no such image file; `classes` has no
                meaning for the class mode.
            DeprecationWarning: An argument that Keras deprecates.
        """
        if "has_ext" in kwargs:
            _deprecate(
                "has_ext is deprecated, filenames in the dataframe have to match the exact "
                "filenames in disk."
            )
        if "sort" in kwargs:
            _deprecate(
                "sort is deprecated, batches will be created in thesame order than the filenames "
                "provided if `shuffle`is set to `False`."
            )
        if class_mode == "other":
            _deprecate('`class_mode="other"` is deprecated, please use `class_mode="raw"`.')
            class_mode = "raw"
        if "drop_duplicates" in kwargs:
            _deprecate(
                "drop_duplicates is deprecated, you can drop duplicates by using the "
                "pandas.DataFrame.drop_duplicates method."
            )
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
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
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype,
            validate_filenames=validate_filenames,
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


def _deprecate(text: str) -> None:
    """Warns at the line that calls `flow_from_dataframe`."""
    warnings.warn(text, DeprecationWarning, stacklevel=3)
