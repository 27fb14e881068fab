"""What makes an iterator a Keras dataset by `isinstance`, without importing Keras.

Keras decides by `isinstance(x, PyDataset)` what it trains on, and `isinstance` asks an object for
its `__class__`. Ours is a property: once Keras is imported, it names a class that derives from
the object's own class and from Keras'. `type(x)` stays the object's own class.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

__all__ = ["KerasLook", "class_with_bases", "imported_bases"]

_BASES = (
    ("keras.src.trainers.data_adapters.py_dataset_adapter", "PyDataset"),  # Keras 3
    ("keras.src.utils.data_utils", "Sequence"),  # Keras 2.13 to 2.15
    ("keras.utils.data_utils", "Sequence"),  # Keras 2, older
    ("tf_keras.src.utils.data_utils", "Sequence"),
    ("tensorflow.python.keras.utils.data_utils", "Sequence"),  # TensorFlow 2.0 to 2.5
)


class KerasLook:
    """Passes for a PyDataset (Keras 3) and a Sequence (Keras 2) wherever those are imported.

    It says its class, and what Keras reads about workers: a subclass has all else that Keras asks
    such an object for. Objects made before Keras was imported pass as well. A subclass that can be
    pickled defines `__reduce__` and names `type(self)` there: pickle's default would stumble over
    the class.
    """

    workers: int = 1
    """Read by Keras, which starts no threads of its own while it is 1: leave it there."""
    use_multiprocessing: bool = False
    """Read by Keras; leave it False."""
    max_queue_size: int = 10
    """Read by Keras; without effect while `workers` is 1."""

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type:
            """The class for `isinstance`; `type(self)` where Keras is not imported."""
            return class_with_bases(type(self), imported_bases())


def imported_bases() -> tuple[type, ...]:
    """The dataset classes of the Kerases that are imported so far; nothing is imported for it."""
    found: list[type] = []
    for module_name, name in _BASES:
        module = sys.modules.get(module_name)
        base = None if module is None else vars(module).get(name)  # absent while half imported
        if isinstance(base, type) and base not in found:
            found.append(base)
    return tuple(found)


@functools.cache
def class_with_bases(own: type, bases: tuple[type, ...]) -> type:
    """A class that stands for `own` where `isinstance` asks.

    Args:
        own: The object's real class.
        bases: Classes that its objects shall pass for.

    Returns:
        A class derived from `own` and `bases`, the same one for the same arguments; `own` itself
        when there is nothing to add.
    """
    missing = tuple(base for base in bases if not issubclass(own, base))
    if not missing:
        return own
    names = {"__module__": own.__module__, "__qualname__": own.__qualname__, "__doc__": own.__doc__}
    return type(own)(own.__name__, (own, *missing), names)
