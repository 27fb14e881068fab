"""Puts pyloader behind Keras' own import paths, and Keras 2's methods back on Keras 3's models."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from pyloader.generator import ImageDataGenerator
from pyloader.integrations.keras2.import_hook import Fallback, ImportHook
from pyloader.integrations.keras2.methods import old_methods
from pyloader.integrations.keras2.old_names import (
    IMAGE_SUBMODULES,
    fallback_for,
    fallback_for_tensorflow,
    missing_names,
)
from pyloader.iterators.array import NumpyArrayIterator
from pyloader.iterators.base import Iterator
from pyloader.iterators.dataframe import DataFrameIterator
from pyloader.iterators.directory import DirectoryIterator

_CLASSES = {
    "ImageDataGenerator": ImageDataGenerator,
    "DirectoryIterator": DirectoryIterator,
    "DataFrameIterator": DataFrameIterator,
    "NumpyArrayIterator": NumpyArrayIterator,
    "Iterator": Iterator,
}

# Where scripts import from, in all versions.
_PLACES = (
    "keras.src.legacy.preprocessing.image",
    "keras.preprocessing.image",
    "keras._tf_keras.keras.preprocessing.image",
    "tensorflow.keras.preprocessing.image",
    "keras.src.preprocessing.image",  # Keras 2.13 to 2.15
    "keras.api._v2.keras.preprocessing.image",
    "keras.api.preprocessing.image",  # Keras 3.0 to 3.9
    "keras.api._tf_keras.keras.preprocessing.image",
    "tensorflow.python.keras.preprocessing.image",
    "tf_keras.src.preprocessing.image",
    "tf_keras.preprocessing.image",
    "tf_keras.api._v2.keras.preprocessing.image",
    "keras_preprocessing.image",
    *(f"keras_preprocessing.image.{name}" for name in IMAGE_SUBMODULES),
)

_SEQUENCES = "keras.preprocessing.sequence"

# Where Keras 3 keeps what it has dropped; not every version imports them by itself.
_HOMES = ("keras.src.legacy.preprocessing.image", "keras.src.legacy.preprocessing.sequence")

# Where Keras 3 remembers whether TensorFlow is installed.
_LAZY_MODULES = "keras.src.utils.module_utils"

# What prepares child processes of the start methods "spawn" and "forkserver".
_SPAWNERS = (
    "multiprocessing.spawn",
    "loky.backend.spawn",
    "joblib.externals.loky.backend.spawn",
    "multiprocess.spawn",
)

_MISSING: Any = object()


class _Patch:
    """What is changed at the moment, and what was there before. One exists per process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.hook: ImportHook | None = None
        self.for_run = False
        self.before: dict[tuple[int, str], tuple[Any, str, Any]] = {}
        self.originals: dict[str, Any] = {}

    def on(self, for_run: bool = False) -> None:
        with self.lock:
            self.for_run = self.for_run or for_run
            if self.hook is None:
                watched = {"keras", _LAZY_MODULES, *_PLACES, _SEQUENCES, *_SPAWNERS}
                self.hook = ImportHook(watched, self.apply, self.find_fallback)
                self.hook.install()
        self.apply()

    def off(self) -> None:
        with self.lock:
            if self.hook is None:
                return
            self.apply()  # knows what was imported meanwhile
            for owner, name, value in reversed(self.before.values()):
                if value is not _MISSING:
                    setattr(owner, name, value)
                elif name in vars(owner):
                    delattr(owner, name)
            self.before.clear()
            self.originals.clear()
            self.hook.remove()
            self.hook = None
            self.for_run = False

    def apply(self) -> None:
        """Changes everything that is imported by now and not changed yet."""
        if self.imported("keras"):  # outside our lock: imports have locks of their own
            for home in _HOMES:
                with contextlib.suppress(ImportError):
                    importlib.import_module(home)
        with self.lock:
            if self.hook is None:
                return
            for place in _PLACES:
                if module := self.imported(place):
                    self.set_all(module, _CLASSES)
                    self.set_all(module, missing_names(place))
            if module := self.imported(_SEQUENCES):
                self.set_all(module, missing_names(_SEQUENCES))
            if isinstance(model := getattr(self.imported("keras"), "Model", None), type):
                self.set_all(model, old_methods(model))
            if self.for_run:
                self.apply_for_run(self.hook)

    def apply_for_run(self, hook: ImportHook) -> None:
        """Tells Keras that TensorFlow is still missing, and child processes to patch Keras too."""
        lazy_modules = self.imported(_LAZY_MODULES)
        if lazy_modules and hook.found_by_others("tensorflow") is None:
            self.set_all(lazy_modules.tensorflow, {"_available": False})
        for name in _SPAWNERS:
            if module := self.imported(name):
                prepare = _with_patch(module.get_preparation_data)
                self.set_all(module, {"get_preparation_data": prepare})

    def find_fallback(self, name: str) -> Fallback | None:
        """What to import for a module that nothing else provides."""
        return fallback_for(name) or (fallback_for_tensorflow(name) if self.for_run else None)

    def imported(self, name: str) -> Any:
        """The module, once its code has run; else None."""
        module = sys.modules.get(name)
        running = self.hook is None or name in self.hook.running
        return module if isinstance(module, ModuleType) and not running else None

    def set_all(self, owner: Any, values: dict[str, Any]) -> None:
        """Sets attributes, each once, and remembers what was there."""
        for name, value in values.items():
            if (id(owner), name) in self.before:
                continue
            before = vars(owner).get(name, _MISSING)
            if before is value:  # imported from a module that was changed already
                before = self.originals.get(name, before)
            elif before is not _MISSING:
                self.originals.setdefault(name, before)
            self.before[id(owner), name] = (owner, name, before)
            setattr(owner, name, value)


_patch = _Patch()


def patch_keras() -> None:
    """Puts pyloader behind Keras' import paths, for Kerases imported before or from now on.

    `ImageDataGenerator`, the iterators that its methods return and their base `Iterator` become
    pyloader's in `keras.preprocessing.image`, where Keras 3 has dropped them, and in all other
    modules that scripts know: `tensorflow.keras.preprocessing.image`,
    `keras.src.legacy.preprocessing.image`, `tf_keras.preprocessing.image`,
    `keras_preprocessing.image` and its submodules. All other names that these modules ever had,
    such as `flip_axis`, come back with Keras' own values. Models of Keras 3 get `fit_generator`,
    `evaluate_generator` and `predict_generator` back, and their `fit`, `evaluate` and `predict`
    take `workers`, `use_multiprocessing` and `max_queue_size` again, which have no effect.

    Keras is not imported here: the import that finds it later is patched then, so that a script
    can still choose the backend. `image_dataset_from_directory` stays Keras' own: its result is a
    `tf.data.Dataset`, which pyloader's cannot replace.

    Calling it again changes nothing: one `unpatch_keras` undoes any number of calls.

    Example:
        With Keras 3::

            import pyloader
            pyloader.patch_keras()
            from keras.preprocessing.image import ImageDataGenerator  # pyloader's
    """
    _patch.on()


def unpatch_keras() -> None:
    """Undoes `patch_keras` wherever it has changed something; without it, does nothing.

    What a script has imported stays what it is, and so do iterators that it has made.
    """
    _patch.off()


def patch_for_run() -> None:
    """As `patch_keras`, for child processes too, and with Keras 3 for a missing TensorFlow."""
    _patch.on(for_run=True)


def _with_patch(get_preparation_data: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its `sys_path` such that a child which reads it patches Keras."""

    def call(*args: Any, **kwargs: Any) -> Any:
        data = get_preparation_data(*args, **kwargs)
        data["sys_path"] = _ChildPath(data["sys_path"])
        return data

    return call


class _ChildPath(list[str]):
    """`sys.path` for a child process, which patches Keras where it reads it.

    multiprocessing sends it as a pickle, read before the main module runs, and to the server of
    "forkserver" as source code made by `repr`.
    """

    def __reduce__(self) -> Any:
        return eval, (repr(self),)

    def __repr__(self) -> str:
        root = str(Path(__file__).parents[3])  # may be in the parent's `sys.path` no more
        return (
            f"[__import__('sys').path.append({root!r}), "
            f"__import__({__name__!r}, fromlist=['*']).patch_for_run(), {list(self)!r}][2]"
        )
