"""Puts pyloader behind Keras' own import paths, and Keras 2's methods back on Keras 3's models."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pyloader.integrations.keras2.import_hook import ImportHook
from pyloader.integrations.keras2.methods import METHODS

__all__ = ["patch_keras", "unpatch_keras"]

_REPLACED = {
    "ImageDataGenerator": "pyloader",
    "DirectoryIterator": "pyloader",
    "DataFrameIterator": "pyloader",
    "NumpyArrayIterator": "pyloader",
    "Iterator": "pyloader.iterators.base",
}
"""Names of Keras, and where our classes of these names are."""

# What Keras 2 had beside them; Keras 3 keeps its own versions in its legacy module.
_BROUGHT_BACK = (
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
)

_LEGACY = "keras.src.legacy.preprocessing.image"

# Where scripts import from, in all versions.
_PLACES = (
    _LEGACY,
    "keras.preprocessing.image",
    "keras._tf_keras.keras.preprocessing.image",
    "tensorflow.keras.preprocessing.image",
    "keras.src.preprocessing.image",  # Keras 2.13 to 2.15
    "keras.api._v2.keras.preprocessing.image",
    "tensorflow.python.keras.preprocessing.image",
    "tf_keras.src.preprocessing.image",
    "tf_keras.preprocessing.image",
    "tf_keras.api._v2.keras.preprocessing.image",
    "keras_preprocessing.image",
)

# Paths that no package may provide: what they stand for.
_STAND_INS = {
    "keras.legacy.preprocessing": "keras.preprocessing",
    "keras.legacy.preprocessing.image": "keras.preprocessing.image",
    "keras_preprocessing": "keras.preprocessing",
    "keras_preprocessing.image": "keras.preprocessing.image",
}

# Where Keras 3 remembers whether TensorFlow is installed.
_LAZY_MODULES = "keras.src.utils.module_utils"

_MISSING: Any = object()


class _Patch:
    """What is changed at the moment, and what was there before. One exists per process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.hook: ImportHook | None = None
        self.before: dict[tuple[int, str], tuple[Any, str, Any]] = {}
        self.originals: dict[str, Any] = {}

    def on(self) -> None:
        with self.lock:
            if self.hook is None:
                watched = {"keras", _LAZY_MODULES, *_PLACES}
                self.hook = ImportHook(watched, self.apply, _stands_for)
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

    def apply(self) -> None:
        """Changes everything that is imported by now and not changed yet."""
        with self.lock:
            if self.hook is None:
                return
            ours = _our_classes()
            for place in _PLACES:
                module = sys.modules.get(place)
                if isinstance(module, ModuleType) and place not in self.hook.running:
                    self._apply_to_module(module, ours)
            model = _names_in("keras").get("Model")
            if isinstance(model, type):
                for name, method in METHODS.items():
                    if not hasattr(model, name):
                        self._set(model, name, method)
            tensorflow = _names_in(_LAZY_MODULES).get("tensorflow")
            if tensorflow is not None and self.hook.found_by_others("tensorflow") is None:
                self._set(tensorflow, "_available", False)  # whatever name is lent to it

    def _apply_to_module(self, module: ModuleType, ours: dict[str, type]) -> None:
        for name, replacement in ours.items():
            self._set(module, name, replacement)
        legacy = _names_in(_LEGACY)
        if module.__name__ == "keras.preprocessing.image":
            for name in _BROUGHT_BACK:
                if not hasattr(module, name) and name in legacy:
                    self._set(module, name, legacy[name])

    def _set(self, owner: Any, name: str, value: Any) -> None:
        """Sets an attribute, once, and remembers what was there."""
        if (id(owner), name) in self.before:
            return
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
    places that scripts know: `tensorflow.keras.preprocessing.image`,
    `keras.src.legacy.preprocessing.image`, `keras.legacy.preprocessing.image`,
    `tf_keras.preprocessing.image`, `keras_preprocessing.image`. Helper functions such as
    `random_rotation` come back to `keras.preprocessing.image` as Keras' own. Models of Keras 3 get
    `fit_generator`, `evaluate_generator` and `predict_generator` back; models that have them keep
    theirs.

    Keras is not imported here: the import that finds it later is patched then, so that a script
    can still choose the backend. Where TensorFlow is not installed, `tensorflow.keras` is the
    installed Keras 3, after a warning; nothing else of `tensorflow` exists then.

    `image_dataset_from_directory` stays Keras' own: its result is a `tf.data.Dataset`, which
    pyloader's cannot replace.

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


def _names_in(module_name: str) -> dict[str, Any]:
    """What a module holds; nothing where it is not imported, or forbidden by None."""
    module = sys.modules.get(module_name)
    return vars(module) if isinstance(module, ModuleType) else {}


def _our_classes() -> dict[str, type]:
    """The classes that take the place of Keras', by name."""
    modules = {name: importlib.import_module(module) for name, module in _REPLACED.items()}
    classes = {name: getattr(module, name, None) for name, module in modules.items()}
    return {name: found for name, found in classes.items() if found is not None}


def _stands_for(name: str) -> str | Callable[[], ModuleType] | None:
    """What a name stands for where nothing else provides it."""
    if name == "tensorflow":
        return _tensorflow_stand_in
    if name == "tensorflow.keras" or name.startswith("tensorflow.keras."):
        return "keras._tf_keras.keras" + name.removeprefix("tensorflow.keras")
    if name.startswith("tensorflow."):

        def refuse() -> ModuleType:
            raise ModuleNotFoundError(_no_tensorflow(name), name=name)

        return refuse
    return _STAND_INS.get(name)


def _tensorflow_stand_in() -> ModuleType:
    """A package without anything but `keras`, which is imported when it is asked for."""
    warnings.warn(
        "TensorFlow is not installed: `tensorflow.keras` is the installed Keras 3, and there is "
        "nothing else in `tensorflow`.",
        UserWarning,
        stacklevel=3,  # the line that imports it
    )
    module = ModuleType("tensorflow", "Lends its name to Keras 3: TensorFlow is not installed.")

    def find_attribute(name: str) -> Any:
        if name == "keras":
            return importlib.import_module("tensorflow.keras")
        raise AttributeError(_no_tensorflow(f"tensorflow.{name}"))

    vars(module).update(__getattr__=find_attribute, __path__=[])
    return module


def _no_tensorflow(name: str) -> str:
    """What to do about a missing part of TensorFlow."""
    return (
        f"TensorFlow is not installed, so there is no `{name}`; only `tensorflow.keras` stands in "
        "for it, which is Keras 3. Install TensorFlow, or where Keras asks for it, let Keras run "
        "on another backend: KERAS_BACKEND=jax or KERAS_BACKEND=torch."
    )
