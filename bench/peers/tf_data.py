"""Keras' image_dataset_from_directory on tf.data, decoding, and with the cache of tf.data."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.peers.base import Batch, Job, PeerUnavailable

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf  # type: ignore[import-not-found]

FILTERS = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos3",
    "box": "area",
}


class TfDataPeer:
    """The dataset as Keras builds it: parallel calls and prefetching are tuned by tf.data.

    Keras' labels are the numbers of the files here, which identify the images.
    """

    exact = False

    def __init__(self, job: Job) -> None:
        if job.interpolation not in FILTERS:
            raise PeerUnavailable(f"TensorFlow has no {job.interpolation} filter")
        self._job = job
        listed = self._keras_dataset(labels=None, label_mode=None, shuffle=False)
        if tuple(listed.file_paths) != job.files:
            raise PeerUnavailable("it finds other files in this folder than the benchmark")
        options = tf.data.Options()
        options.threading.private_threadpool_size = job.threads
        options.threading.max_intra_op_parallelism = 1
        self._dataset = self._build(list(range(len(job.files)))).with_options(options)

    def settings(self) -> str:
        return f"image_dataset_from_directory, a pool of {self._job.threads} threads, AUTOTUNE"

    def epoch(self) -> Iterator[Batch]:
        for images, numbers in self._dataset.as_numpy_iterator():
            indices = numbers.astype(np.int64)
            yield Batch(images, self._job.labels[indices], indices)

    def close(self) -> None:
        pass

    def _build(self, numbers: list[int]) -> Any:
        """Returns the shuffled dataset of (images, numbers) in the job's dtype."""
        dataset = self._keras_dataset(
            labels=numbers,
            label_mode="int",
            shuffle=True,
            seed=self._job.seed,
            batch_size=self._job.batch_size,
        )
        if self._job.dtype == "uint8":
            calls = tf.data.AUTOTUNE
            dataset = dataset.map(_round, num_parallel_calls=calls).prefetch(tf.data.AUTOTUNE)
        return dataset

    def _keras_dataset(self, **arguments: Any) -> Any:
        return keras.utils.image_dataset_from_directory(
            self._job.directory,
            image_size=(self._job.height, self._job.width),
            interpolation=FILTERS[self._job.interpolation],
            verbose=False,
            **arguments,
        )


class TfDataCachePeer(TfDataPeer):
    """Single images in cache(), shuffled and batched anew in every epoch."""

    def settings(self) -> str:
        return (
            "image_dataset_from_directory without batches, cache(), shuffle over all, batch, "
            f"prefetch; a pool of {self._job.threads} threads, AUTOTUNE"
        )

    def _build(self, numbers: list[int]) -> Any:
        dataset = self._keras_dataset(
            labels=numbers, label_mode="int", shuffle=False, batch_size=None
        )
        if self._job.dtype == "uint8":
            dataset = dataset.map(_round, num_parallel_calls=tf.data.AUTOTUNE)
        dataset = dataset.cache().shuffle(len(numbers), seed=self._job.seed)
        dataset = dataset.batch(self._job.batch_size, num_parallel_calls=tf.data.AUTOTUNE)
        return dataset.prefetch(tf.data.AUTOTUNE)


def _round(images: Any, numbers: Any) -> tuple[Any, Any]:
    """Rounds the float32 of tf.image.resize to uint8."""
    return tf.saturate_cast(tf.round(images), tf.uint8), numbers
