"""FFCV: the files' JPEG data, or resized pixels, converted into one file of its own beforehand."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ffcv.fields import IntField, RGBImageField  # type: ignore[import-not-found]
from ffcv.fields.decoders import (  # type: ignore[import-not-found]
    IntDecoder,
    SimpleRGBImageDecoder,
)
from ffcv.fields.rgb_image import (  # type: ignore[import-not-found]
    IMAGE_MODES,
    ResizedCropRGBImageDecoder,
)
from ffcv.loader import Loader, OrderOption  # type: ignore[import-not-found]
from ffcv.writer import DatasetWriter  # type: ignore[import-not-found]
from PIL import Image

from bench.files import JPEG_SUFFIXES
from bench.peers.base import Batch, Job, PeerUnavailable


class FfcvPeer:
    """Decodes and resizes whole pictures, from one file that holds all of them."""

    exact = False

    def __init__(self, job: Job) -> None:
        others = sum(not file.lower().endswith(JPEG_SUFFIXES) for file in job.files)
        if others:
            raise PeerUnavailable(f"it reads JPEG only, and {others} files are something else")
        if job.interpolation == "nearest":
            raise PeerUnavailable("it resizes by area averages only")
        if job.dtype != "uint8":
            raise PeerUnavailable("it delivers uint8; other types are made on the device")
        self._job = job
        self._folder = tempfile.TemporaryDirectory(prefix="pyloader-bench-")
        path = Path(self._folder.name) / "images.beton"
        started = time.perf_counter()
        writer = DatasetWriter(
            str(path), {"image": self._field(), "number": IntField()}, num_workers=job.threads
        )
        writer.from_indexed_dataset(self._content())
        self.prepare_seconds = time.perf_counter() - started
        self._loader = Loader(
            str(path),
            batch_size=job.batch_size,
            num_workers=job.threads,
            order=OrderOption.RANDOM,
            seed=job.seed,
            os_cache=True,
            drop_last=False,
            custom_fields={"image": RGBImageField},
            pipelines={"image": [self._decoder()], "number": [IntDecoder()]},
        )

    def settings(self) -> str:
        return (
            f"JPEG data as it is in a .beton file ({self.prepare_seconds:.1f} s to write), "
            f"OrderOption.RANDOM, os_cache, {self._job.threads} threads, 3 batches ahead"
        )

    def epoch(self) -> Iterator[Batch]:
        for images, numbers in self._loader:
            indices = numbers.reshape(-1).astype(np.int64)
            yield Batch(images, self._job.labels[indices], indices)

    def close(self) -> None:
        self._folder.cleanup()

    def _content(self) -> Any:
        return _Files(self._job.files)

    def _field(self) -> Any:
        return _StoredJpegField()

    def _decoder(self) -> Any:
        return _WholeImageDecoder((self._job.height, self._job.width))


class FfcvRawPeer(FfcvPeer):
    """Copies pixels that were resized by Pillow when the file was written."""

    exact = True

    def settings(self) -> str:
        return (
            f"resized pixels in a .beton file ({self.prepare_seconds:.1f} s to write), "
            f"OrderOption.RANDOM, os_cache, {self._job.threads} threads, 3 batches ahead"
        )

    def _content(self) -> Any:
        return _Pixels(self._job)

    def _field(self) -> Any:
        return RGBImageField(write_mode="raw")

    def _decoder(self) -> Any:
        return SimpleRGBImageDecoder()


class _Files:
    def __init__(self, files: tuple[str, ...]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> tuple[str, int]:
        return self._files[number], number


class _Pixels:
    def __init__(self, job: Job) -> None:
        self._job = job

    def __len__(self) -> int:
        return len(self._job.files)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        size = (self._job.width, self._job.height)
        interpolation = Image.Resampling[self._job.interpolation.upper()]
        with Image.open(self._job.files[number]) as image:
            rgb = image if image.mode == "RGB" else image.convert("RGB")
            return np.array(rgb if rgb.size == size else rgb.resize(size, interpolation)), number


class _StoredJpegField(RGBImageField):  # type: ignore[misc]
    """Stores a file's JPEG data unchanged; its base class would encode pixels anew."""

    def encode(self, destination: Any, path: str, malloc: Any) -> None:
        with Image.open(path) as image:
            destination["width"], destination["height"] = image.size
        content = np.fromfile(path, np.uint8)
        destination["mode"] = IMAGE_MODES["jpg"]
        destination["data_ptr"], storage = malloc(content.nbytes)
        storage[:] = content


class _WholeImageDecoder(ResizedCropRGBImageDecoder):  # type: ignore[misc]
    """Resizes all of the image; FFCV's own decoders crop it first."""

    scale = ratio = None

    @property
    def get_crop_generator(self) -> Any:
        return _whole_image


def _whole_image(height: int, width: int, scale: Any, ratio: Any) -> tuple[int, int, int, int]:
    return 0, 0, height, width
