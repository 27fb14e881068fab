"""Batches from a folder with one subfolder per class."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyloader._data.folders import scan_class_folders
from pyloader.iterators.files import FileIterator, FileList, check_class_mode
from pyloader.iterators.keras_dataset import floatx, image_data_format
from pyloader.options import (
    ClassMode,
    ColorMode,
    Interpolation,
    LoaderOptions,
    Subset,
    check_batch_size,
    check_seed,
)

__all__ = ["DirectoryIterator"]


class DirectoryIterator(FileIterator):
    """Iterates over the images of class folders; `flow_from_directory` returns it.

    A batch is (images, targets): images (k, height, width, channels), or channels before height
    for "channels_first", in `dtype`, with values in [0, 255] unless the generator rescales;
    k is `batch_size` or less in the last batch of an epoch. Targets by `class_mode`: "categorical"
    (k, classes) one-hot; "binary" and "sparse" (k,) class indices, both in `dtype`; "input" a copy
    of the images. With `class_mode=None` a batch is the images alone.

    Takes the arguments of `ImageDataGenerator.flow_from_directory`, the generator among them, and
    `options` or single options by name (see `LoaderOptions`).
    """

    allowed_class_modes = {"categorical", "binary", "sparse", "input", None}  # noqa: RUF012

    directory: str | os.PathLike[str]  #: The folder with the class folders, as given
    samples: int  #: Number of images found
    num_classes: int  #: Number of class folders
    classes: NDArray[np.int32]  #: The label of each sample, (n,)
    filenames: list[str]  #: The files, relative to `directory`, in dataset order

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: Any,
        target_size: Iterable[int] = (256, 256),
        color_mode: ColorMode = "rgb",
        classes: Iterable[str] | None = None,
        class_mode: ClassMode = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: Subset | None = None,
        interpolation: Interpolation = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: DTypeLike | None = None,
        *,
        options: LoaderOptions | None = None,
        **keywords: Any,
    ) -> None:
        classes = list(classes) if classes else None
        batch_size, seed = check_batch_size(batch_size), check_seed(seed)
        data_format = image_data_format() if data_format is None else data_format
        dtype = floatx() if dtype is None else dtype
        options = LoaderOptions.of(options, keywords, where=type(self).__name__)
        self._set_processing(
            image_data_generator, target_size, color_mode, data_format, save_to_dir, save_prefix,
            save_format, subset, interpolation, keep_aspect_ratio,
        )  # fmt: skip
        check_class_mode(class_mode, self.allowed_class_modes)
        self.directory = directory
        self.class_mode = class_mode
        self.dtype = dtype
        found = scan_class_folders(
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
        self._filepaths = FileList(os.path.join(directory, file) for file in found.filenames)  # noqa: PTH118
        if options.verbose:
            print(
                f"Found {self.samples} images belonging to {self.num_classes} classes.", flush=True
            )
        super().__init__(self.samples, batch_size, shuffle, seed, options=options)

    @property
    def labels(self) -> NDArray[np.int32]:
        """The label of each sample, (n,): `classes`."""
        return self.classes

    @property
    def sample_weight(self) -> None:
        """None: a folder holds no weights."""
        return None
