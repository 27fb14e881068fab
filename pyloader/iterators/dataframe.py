"""Batches from image files that a table names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyloader._data.tables import check_table, keep_known_classes, keep_valid_files, label_indices
from pyloader.iterators.files import FileIterator, FileList, check_class_mode
from pyloader.options import (
    ColorMode,
    Interpolation,
    LoaderOptions,
    Subset,
    TableClassMode,
    check_batch_size,
    check_seed,
)

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped]

__all__ = ["DataFrameIterator"]

_WITHOUT_CLASSES = frozenset({"input", "multi_output", "raw", None})


class DataFrameIterator(FileIterator):
    """Iterates over the images that a pandas DataFrame names; `flow_from_dataframe` returns it.

    A batch is (images, targets), or (images, targets, weights) with `weight_col`. Images are
    (k, height, width, channels), or channels before height for "channels_first", in `dtype`, with
    values in [0, 255] unless the generator rescales; k is `batch_size` or less in the last
    batch of an epoch. Targets by `class_mode`: "categorical" (k, classes), 1 at every class of the
    sample; "binary" and "sparse" (k,) class indices, all in `dtype`; "input" a copy of the images;
    "raw" the values of `y_col`; "multi_output" a list of arrays, one for each of its columns. With
    `class_mode=None` a batch is the images alone.

    Takes the arguments of `ImageDataGenerator.flow_from_dataframe`, the generator among them, and
    `options` or single options by name (see `LoaderOptions`).
    """

    allowed_class_modes = {  # noqa: RUF012
        "binary",
        "categorical",
        "input",
        "multi_output",
        "raw",
        "sparse",
        None,
    }

    directory: str | os.PathLike[str]
    """The folder that the file names are relative to; "" for none."""
    samples: int  #: Number of images
    filenames: list[str]  #: The file names of the table, in dataset order
    classes: list[Any]  #: The label of each sample, or a list of its labels; only with classes.

    def __init__(
        self,
        dataframe: DataFrame,
        directory: str | os.PathLike[str] | None = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: str | list[str] = "class",
        weight_col: str | None = None,
        target_size: Iterable[int] = (256, 256),
        color_mode: ColorMode = "rgb",
        classes: Iterable[str] | None = None,
        class_mode: TableClassMode = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str = "channels_last",
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: Subset | None = None,
        interpolation: Interpolation = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: DTypeLike = "float32",
        validate_filenames: bool = True,
        *,
        options: LoaderOptions | None = None,
        **keywords: Any,
    ) -> None:
        classes = list(classes) if classes else None
        batch_size, seed = check_batch_size(batch_size), check_seed(seed)
        options = LoaderOptions.of(options, keywords, where=type(self).__name__)
        self._set_processing(
            image_data_generator, target_size, color_mode, data_format, save_to_dir, save_prefix,
            save_format, subset, interpolation, keep_aspect_ratio,
        )  # fmt: skip
        table = dataframe.copy()
        self.directory = directory or ""
        self.class_mode = class_mode
        self.dtype = dtype
        check_class_mode(class_mode, self.allowed_class_modes)
        check_table(table, class_mode, x_col, y_col, weight_col, classes)
        if validate_filenames:
            table = keep_valid_files(table, x_col, self.directory, self.white_list_formats)
        names: list[Any] = []
        if class_mode not in _WITHOUT_CLASSES:
            table, names = keep_known_classes(table, y_col, classes)
            self.class_indices = {name: index for index, name in enumerate(names)}
        if self.split:
            start, stop = (int(border * len(table)) for border in self.split)
            table = table.iloc[start:stop, :]
        if class_mode not in _WITHOUT_CLASSES:
            self.classes = label_indices(table[y_col], self.class_indices)
        self.filenames = table[x_col].tolist()
        self._sample_weight = table[weight_col].values if weight_col else None
        self._targets: Any = None
        if class_mode == "multi_output":
            self._targets = [np.array(table[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self._targets = table[y_col].values
        self.samples = len(self.filenames)
        self._filepaths = FileList(os.path.join(self.directory, file) for file in self.filenames)  # noqa: PTH118
        if options.verbose:
            validated = "validated" if validate_filenames else "non-validated"
            belonging = f" belonging to {len(names)} classes"
            print(
                f"Found {self.samples} {validated} image filenames"
                f"{'' if class_mode in _WITHOUT_CLASSES else belonging}.",
                flush=True,
            )
        super().__init__(self.samples, batch_size, shuffle, seed, options=options)

    @property
    def labels(self) -> Any:
        """The targets of all samples for "raw" and "multi_output", else `classes`."""
        if self.class_mode in {"multi_output", "raw"}:
            return self._targets
        return self.classes

    @property
    def sample_weight(self) -> NDArray[Any] | None:
        """The weight of each sample, (n,), or None."""
        return self._sample_weight

    def _other_targets(self) -> Any:
        return self._targets

    def _make_targets(self, images: NDArray[Any], ids: NDArray[np.int64]) -> Any:
        if self.class_mode == "multi_output":
            return [output[ids] for output in self.labels]
        if self.class_mode == "raw":
            return self.labels[ids]
        return super()._make_targets(images, ids)
