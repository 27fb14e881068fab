"""Names of old Keras versions: functions that Keras has dropped, modules that are missing."""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from pyloader.integrations.keras2.import_hook import Fallback

IMAGE_SUBMODULES = (
    "affine_transformations",
    "dataframe_iterator",
    "directory_iterator",
    "image_data_generator",
    "iterator",
    "numpy_array_iterator",
    "utils",
)
"""The submodules of `keras_preprocessing.image`."""

_PICTURES = ("jpg", "jpeg", "bmp", "png", "ppm", "tif", "tiff")


def list_pictures(directory: str, ext: str | Sequence[str] = _PICTURES) -> list[str]:
    """The paths of all pictures below a folder; `ext` may be "jpg|png", as before Keras 2.2."""
    extensions = ext.split("|") if isinstance(ext, str) else ext
    endings = tuple(f".{extension}" for extension in extensions)
    return [
        os.path.join(folder, name)  # noqa: PTH118 - Keras' value
        for folder, _, names in os.walk(directory)
        for name in names
        if name.lower().endswith(endings)
    ]


def get_extension(filename: str) -> str:
    """The extension in lower case, without its dot."""
    return os.path.splitext(filename)[1].strip(".").lower()  # noqa: PTH122 - Keras' value


def apply_transform(
    x: Any,
    transform_matrix: Any,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
) -> Any:
    """The image, warped by a matrix of (row, column, 1), as in Keras 2.1."""
    from scipy import ndimage  # type: ignore[import-untyped]

    channels = [
        ndimage.affine_transform(
            channel,
            transform_matrix[:2, :2],
            transform_matrix[:2, 2],
            order=1,
            mode=fill_mode,
            cval=cval,
        )
        for channel in np.moveaxis(x, channel_axis, 0)
    ]
    return np.moveaxis(np.stack(channels), 0, channel_axis)


def horizontal_flip(x: Any) -> Any:
    """The image with channels first, mirrored in place, as in Keras 0.3."""
    x[:] = x[:, :, ::-1].copy()
    return x


def vertical_flip(x: Any) -> Any:
    """The image with channels first, upside down in place, as in Keras 0.3."""
    x[:] = x[:, ::-1].copy()
    return x


def timeseries_generator_from_json(json_string: str) -> Any:
    """The `TimeseriesGenerator` that its `to_json` describes."""
    config = json.loads(json_string)["config"]
    arrays = {name: json.loads(config.pop(name)) for name in ("data", "targets")}
    generator = sys.modules["keras.src.legacy.preprocessing.sequence"].TimeseriesGenerator
    return generator(**arrays, **config)


_DROPPED: Mapping[str, Sequence[Any]] = {
    "image": (list_pictures, get_extension, apply_transform, horizontal_flip, vertical_flip),
    "sequence": (timeseries_generator_from_json,),
}


def missing_names(place: str) -> dict[str, Any]:
    """What a module for images or sequences lacks of the names that it ever had.

    Keras' own functions and classes come from its modules that are imported by now.
    """
    package = place.partition(".")[0]
    package = package if package == "tf_keras" else "keras"
    kind = "sequence" if place.endswith(".sequence") else "image"
    found: dict[str, Any] = {function.__name__: function for function in _DROPPED[kind]}
    for home in (f"legacy.preprocessing.{kind}", f"preprocessing.{kind}", f"utils.{kind}_utils"):
        full_name = f"{package}.src.{home}"
        home_module = sys.modules.get(full_name)
        for name, value in vars(home_module).items() if home_module else ():
            if not name.startswith("_") and getattr(value, "__module__", "") == full_name:
                found[name] = value
    present = vars(sys.modules[place])
    return {name: value for name, value in found.items() if name not in present}


def fallback_for(name: str) -> Fallback | None:
    """What to import for a name of an old Keras that no installed package provides."""
    if name in ("keras.legacy.preprocessing", "keras.legacy.preprocessing.image"):
        return name.replace("legacy.", "")
    if name == "keras.preprocessing.text":
        return "keras.src.legacy.preprocessing.text"
    package, _, rest = name.partition(".")
    if package != "keras_preprocessing":
        return None
    if rest in ("sequence", "text"):
        return f"keras.preprocessing.{rest}"
    if not rest:
        contents = {
            "__version__": "1.1.2",
            "get_keras_submodule": _get_keras_submodule,
            "set_keras_submodules": lambda backend, utils: None,
        }
        return lambda: _make_package(name, contents, ("image", "sequence", "text"))
    submodules = IMAGE_SUBMODULES if rest == "image" else ()
    if rest != "image" and rest.removeprefix("image.") not in IMAGE_SUBMODULES:
        return None
    # Modules of their own: scripts replace `load_img` in one and call that of another.
    return lambda: _make_package(name, _public_names("keras.preprocessing.image"), submodules)


def fallback_for_tensorflow(name: str) -> Fallback | None:
    """What to import for `tensorflow` and its parts, where it is not installed."""
    if name == "tensorflow":
        return _make_tensorflow
    if name == "tensorflow.keras" or name.startswith("tensorflow.keras."):
        return "keras._tf_keras.keras" + name.removeprefix("tensorflow.keras")
    if not name.startswith("tensorflow."):
        return None

    def refuse() -> ModuleType:
        raise ModuleNotFoundError(_NO_TENSORFLOW.format(name), name=name)

    return refuse


_NO_TENSORFLOW = (
    "TensorFlow is not installed, so there is no `{}`; only `tensorflow.keras` stands in for it, "
    "which is Keras 3. Install TensorFlow, or where Keras asks for it, let Keras run on another "
    "backend: KERAS_BACKEND=jax or KERAS_BACKEND=torch."
)


def _make_tensorflow() -> ModuleType:
    warnings.warn(
        "TensorFlow is not installed: `tensorflow.keras` is the installed Keras 3, and there is "
        "nothing else in `tensorflow`.",
        UserWarning,
        stacklevel=3,  # the line that imports it
    )
    return _make_package("tensorflow", {}, ("keras",), _NO_TENSORFLOW)


def _make_package(
    name: str, contents: Mapping[str, Any], children: Sequence[str], missing: str = "no `{}`"
) -> ModuleType:
    """Makes a package that imports its children when they are asked for."""
    module = ModuleType(name, "Stands in for a package that is not installed.")

    def find_attribute(attribute: str) -> Any:
        if attribute in children:
            return importlib.import_module(f"{name}.{attribute}")
        raise AttributeError(missing.format(f"{name}.{attribute}"))

    vars(module).update(contents, __getattr__=find_attribute, __path__=[])
    return module


def _public_names(module: str) -> dict[str, Any]:
    contents = vars(importlib.import_module(module))
    return {name: value for name, value in contents.items() if not name.startswith("_")}


def _get_keras_submodule(name: str) -> ModuleType:
    """`keras.backend` or `keras.utils`, with which Keras used to provide its other package."""
    if name not in ("backend", "utils"):
        raise ImportError(f'only "backend" and "utils" can be asked for. Received: {name!r}')
    return importlib.import_module(f"keras.{name}")
