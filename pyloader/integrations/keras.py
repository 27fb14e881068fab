"""Callbacks for `fit` of Keras 3. Importing this module imports Keras."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import keras  # type: ignore[import-untyped]

from pyloader.iterators.repeated import Repeated

__all__ = ["SaveIterator"]


class SaveIterator(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves the position of an iterator while `fit` trains on it, and goes on from there.

    The companion of `keras.callbacks.BackupAndRestore`, which does the same for the model, with the
    same frequency: with `every=n` and `save_freq=n` both stand at the same batch whenever a run is
    killed. Batches are counted across epochs, as the training counts them: batches that Keras has
    asked for ahead are not among them.

    A run that goes on within an epoch needs `it.repeat()`: with the iterator itself Keras begins
    every `fit` with a new epoch. There Keras also draws the order in which it asks for batches,
    with Python's `random`; with `fit(shuffle=False)` the order is the iterator's alone.

    Args:
        iterator: What `fit` trains on: an iterator of pyloader, or its `repeat()`.
        path: The file to save to, and to go on from where it exists when `fit` begins. It is
            replaced as a whole, so that it is valid whenever the process is killed.
        every: Batches between two saves; None (default): one at the end of each epoch instead.
        delete_at_end: Whether the file is removed when `fit` has come to its end. Default True.

    Raises:
        TypeError: `iterator` has no state.
        ValueError: `every` is less than 1, or is given for an iterator that is not repeated. When
            `fit` begins: the file is of another dataset or of other settings.

    Example:
        Started again after a crash, this goes on with the batches after the last save::

            train = ImageDataGenerator().flow_from_directory("data/train", seed=1).repeat()
            saves = [
                keras.callbacks.BackupAndRestore("backup", save_freq=100),
                SaveIterator(train, "iterator.json", every=100),
            ]
            model.fit(train, steps_per_epoch=1000, epochs=10, callbacks=saves)
    """

    def __init__(
        self,
        iterator: Any,
        path: str | os.PathLike[str],
        *,
        every: int | None = None,
        delete_at_end: bool = True,
    ) -> None:
        super().__init__()
        if not hasattr(iterator, "load_state_dict"):
            raise TypeError(
                "`iterator` should be an iterator of pyloader, or its `repeat()`. "
                f"Received: {iterator!r}"
            )
        if every is not None and every < 1:
            raise ValueError(f"`every` should be at least 1. Received: {every}")
        if every is not None and type(iterator) is not Repeated:
            raise ValueError(
                "`every` needs an iterator that can go on within an epoch: pass `it.repeat()`, "
                "here and to `fit`."
            )
        self._iterator = iterator
        self._path = Path(path)
        self._every = every
        self._delete_at_end = delete_at_end
        self._since_save = 0  # batches trained on, as BackupAndRestore counts them
        self._last_batch = 0
        self._before_epoch = 0  # batches trained on in the epochs before
        self._in_epoch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Goes on from the file, if there is one."""
        self._before_epoch = self._in_epoch = 0
        if self._path.exists():
            self._iterator.load_state_dict(json.loads(self._path.read_text()))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves where it is due. With `steps_per_execution`, `batch` is the last of several."""
        self._in_epoch = batch + 1
        if self._every is None:
            return
        # The arithmetic of BackupAndRestore, so that both save after the same batches.
        new_epoch = batch <= self._last_batch
        self._since_save += batch + 1 if new_epoch else batch - self._last_batch
        self._last_batch = batch
        if self._since_save >= self._every:
            self._since_save = 0
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, without `every`."""
        if self._every is None:
            self._save()
        self._last_batch = 0
        self._before_epoch += self._in_epoch
        self._in_epoch = 0

    def on_train_end(self, logs: Any = None) -> None:
        """Removes the file."""
        if self._delete_at_end:
            self._path.unlink(missing_ok=True)

    def _save(self) -> None:
        trained = self._before_epoch + self._in_epoch
        if type(self._iterator) is Repeated:
            state = self._iterator.state_after(trained)
        else:
            state = self._iterator.state_dict()
        descriptor, replacement = tempfile.mkstemp(prefix=self._path.name, dir=self._path.parent)
        with os.fdopen(descriptor, "w") as file:  # of a name of its own: other ranks save too
            json.dump(state, file)
        os.replace(replacement, self._path)  # noqa: PTH105
