"""Finds functions that a script has replaced where Keras' iterators look them up.

Scripts load images their way so, for instance with a random crop:
`keras_preprocessing.image.iterator.load_img = load_and_crop`. Our iterators call none of these.
"""

from __future__ import annotations

import sys
from typing import Any

FILE_FUNCTIONS = ("load_img", "img_to_array")
"""What Keras calls for each file."""

TRANSFORM_FUNCTIONS = (
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "flip_axis",
)
"""What Keras calls for the random transforms of an image."""

_FAMILIES = ("keras", "keras_preprocessing", "pyloader", "tensorflow", "tf_keras")

# Where an iterator of some version of Keras looks for them, or a script believes that it does.
_PLACES = (
    "keras.src.utils.image_utils",
    "tf_keras.src.utils.image_utils",
    "keras.utils.image_utils",
    "keras.src.legacy.preprocessing.image",
    "keras.src.preprocessing.image",
    "tf_keras.src.preprocessing.image",
    "keras.preprocessing.image",
    "keras._tf_keras.keras.preprocessing.image",
    "tf_keras.preprocessing.image",
    "keras_preprocessing.image",
    "keras_preprocessing.image.iterator",
    "keras_preprocessing.image.image_data_generator",
)


def replaced_functions(*names: str) -> list[str]:
    """The full names of those that are no longer Keras' own, in modules imported by now."""
    return [
        f"{place}.{name}"
        for place in _PLACES
        if (module := sys.modules.get(place)) is not None
        for name in names
        if name in vars(module) and not _is_keras_own(vars(module)[name], name)
    ]


def refuse_replaced(*names: str) -> None:
    """Refuses to make batches without functions that a script wants to be called for them."""
    if replaced := replaced_functions(*names):
        raise RuntimeError(
            "pyloader loads and transforms images without Keras' functions, so it would ignore "
            "replacements of them. Put Keras' own back, and pass a preprocessing_function, or "
            "override _get_batches_of_transformed_samples in a subclass of the iterator, or "
            "get_random_transform and apply_transform in one of ImageDataGenerator. Replaced: "
            f"{', '.join(replaced)}"
        )


def _is_keras_own(function: Any, name: str) -> bool:
    """Whether a function is defined in Keras; a wrapper of it has other globals."""
    home = getattr(function, "__module__", None)
    own = sys.modules.get(home) if isinstance(home, str) else None
    return (
        own is not None
        and own.__name__.partition(".")[0] in _FAMILIES
        and getattr(function, "__name__", None) == name
        and getattr(function, "__globals__", None) is vars(own)
    )
