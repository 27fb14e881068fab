"""What makes an iterator a Keras dataset, without importing Keras.

Keras decides by `isinstance(x, PyDataset)` what it trains on, and `isinstance` asks an object for
its `__class__`. Ours is a property: once Keras is imported, it names a class that derives from
the object's own class and from Keras'. `type(x)` stays the object's own class.
"""

from __future__ import annotations

import functools
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

_BASES = (
    ("keras.src.trainers.data_adapters.py_dataset_adapter", "PyDataset"),  # Keras 3
    ("keras.src.utils.data_utils", "Sequence"),  # Keras 2.13 to 2.15
    ("keras.utils.data_utils", "Sequence"),  # Keras 2, older
    ("tf_keras.src.utils.data_utils", "Sequence"),
    ("tensorflow.python.keras.utils.data_utils", "Sequence"),  # TensorFlow 2.0 to 2.5
)
_KERASES = ("keras", "tf_keras")


class KerasDatasetMixin:
    """Is a PyDataset (Keras 3) and a Sequence (Keras 2) to `isinstance` where those are imported.

    Objects made before Keras was imported are, too. A subclass that can be pickled defines
    `__reduce__` and names `type(self)` there: pickle's default would stumble over the class.
    """

    workers: int = 1
    """Read by Keras, which starts no threads of its own while it is 1: leave it there."""
    use_multiprocessing: bool = False  #: Read by Keras; leave it False.
    max_queue_size: int = 10  #: Read by Keras; without effect while `workers` is 1.

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type:
            """The class for `isinstance`; `type(self)` where Keras is not imported."""
            return _class_with_bases(type(self), _imported_bases())


def _imported_bases() -> tuple[type, ...]:
    """Returns the dataset classes of every Keras that is imported; imports nothing."""
    found: list[type] = []
    for module_name, name in _BASES:
        module = sys.modules.get(module_name)
        base = None if module is None else vars(module).get(name)  # absent while half imported
        if isinstance(base, type) and base not in found:
            found.append(base)
    return tuple(found)


@functools.cache
def _class_with_bases(own: type, bases: tuple[type, ...]) -> type:
    """Returns a class derived from `own` and `bases`, the same one for the same arguments."""
    missing = tuple(base for base in bases if not issubclass(own, base))
    if not missing:
        return own
    names = {"__module__": own.__module__, "__qualname__": own.__qualname__, "__doc__": own.__doc__}
    return type(own)(own.__name__, (own, *missing), names)


_ADAPTER = "keras.src.trainers.data_adapters.py_dataset_adapter"


def to_torch_if_keras(batch: Any, caller: FrameType) -> Any:
    """Makes tensors of a batch's arrays if the caller is Keras on PyTorch.

    Keras copies NumPy arrays before PyTorch gets them, and hands tensors on as they are.
    """
    if caller.f_globals.get("__name__") != _ADAPTER:
        return batch
    if sys.modules["keras.src.backend"].backend() != "torch":
        return batch
    if isinstance(batch, np.ndarray):  # Keras takes arrays alone for inputs, but no tensors alone
        return (_tensors(batch),)
    return _tensors(batch)


def _tensors(values: Any) -> Any:
    if isinstance(values, (tuple, list)):
        return type(values)(_tensors(entry) for entry in values)
    if isinstance(values, np.ndarray):
        try:
            return sys.modules["torch"].from_numpy(values)
        except TypeError:  # Keras converts what PyTorch has no dtype for
            return values
    return values


def image_data_format() -> str:
    """Returns Keras' `image_data_format()`; "channels_last" where no Keras is imported."""
    return _keras_setting("image_data_format", "channels_last")


def floatx() -> str:
    """Returns Keras' `floatx()`; "float32" where no Keras is imported."""
    return _keras_setting("floatx", "float32")


def _keras_setting(name: str, otherwise: str) -> str:
    """Reads a setting of the first Keras that is wholly imported."""
    for keras in _KERASES:
        module = sys.modules.get(keras)
        spec: Any = getattr(module, "__spec__", None)
        if module is None or getattr(spec, "_initializing", False):
            continue
        read = getattr(getattr(module, "backend", None), name, None)
        if callable(read):
            return str(read())
    return otherwise
