"""Batches as JAX arrays, of one process or of all.

On the CPU JAX may take an array's memory as it is instead of copying it. It keeps the array while
it does, so the loader's slot stays leased, and a JAX array never changes because the iterator goes
on. It would change if the NumPy array were written to: write before, not after.
"""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from pyloader.integrations.structure import map_arrays

__all__ = ["to_global", "to_jax"]


def to_jax(batch: Any, device_or_sharding: Any = None) -> Any:
    """Makes JAX arrays of a batch's arrays.

    Args:
        batch: What an iterator delivers: an array, or a tuple, list or dict of such. Do not write
            to it afterwards: the result may share its memory.
        device_or_sharding: Where to, as for `jax.device_put`: a device, or a sharding over the
            devices of this process. None (default): JAX's default device.

    Returns:
        The same structure with JAX arrays of the arrays' shapes. Their dtypes are the arrays',
        except that JAX makes 64-bit numbers 32-bit ones unless `jax_enable_x64` is set.

    Raises:
        TypeError: JAX has no arrays of an array's dtype, as for strings and objects; or there is
            something else than arrays in the batch.
        ValueError: The batch cannot be divided as the sharding says.

    Example:
        >>> import numpy as np
        >>> images, labels = to_jax((np.zeros((4, 32, 32, 3), "uint8"), np.arange(4)))
        >>> images.shape, images.dtype, labels
        ((4, 32, 32, 3), dtype('uint8'), Array([0, 1, 2, 3], dtype=int32))
    """
    return map_arrays(lambda array: jax.device_put(array, device_or_sharding), batch)


def to_global(batch: Any, mesh_or_sharding: Any, axis_name: str | None = None) -> Any:
    """Makes arrays that span all processes of what each process has of a global batch.

    Every process calls it with its own slice of the batch, from an iterator with `shard="auto"`.
    Slices must be of one size, and divide evenly over the process' devices. The last batch of a
    pass is smaller than the others unless the iterator is made with `last_batch="pad"` or "drop";
    and `batch_size`, which is that of the global batch, must be a multiple of the devices.

    Args:
        batch: This process' slice: an array, or a tuple, list or dict of such. The first axis of
            each is the batch's.
        mesh_or_sharding: A `jax.sharding.Mesh`: the batch is divided over one of its axes and
            copied along the others. Or a NamedSharding, which says how to divide each array.
        axis_name: The mesh's axis to divide over; None (default): its first one. Not for a
            sharding.

    Returns:
        The same structure with global JAX arrays: the first axis has the length of the global
        batch. dtypes as for `to_jax`.

    Raises:
        TypeError: It is neither a mesh nor a NamedSharding; or as for `to_jax`.
        ValueError: The slice cannot be divided over this process' devices. A slice that differs
            from other processes' in size is not noticed here: JAX assumes that all are alike.

    Example:
        >>> import numpy as np
        >>> mesh = jax.make_mesh((jax.device_count(),), ("data",))
        >>> images = to_global(np.zeros((8, 32, 32, 3), "float32"), mesh)
        >>> images.shape, tuple(images.sharding.spec)
        ((8, 32, 32, 3), ('data',))
    """
    sharding = _sharding(mesh_or_sharding, axis_name)

    def combine(array: NDArray[Any]) -> Any:
        _check_divisible(array, sharding)
        return jax.make_array_from_process_local_data(sharding, array)

    return map_arrays(combine, batch)


def _sharding(mesh_or_sharding: Any, axis_name: str | None) -> NamedSharding:
    """How to divide a batch."""
    if isinstance(mesh_or_sharding, NamedSharding):
        if axis_name is not None:
            raise TypeError(
                "axis_name goes with a mesh; a sharding says itself how arrays are divided. "
                f"Received: axis_name={axis_name!r}"
            )
        return mesh_or_sharding
    if not isinstance(mesh_or_sharding, Mesh):
        raise TypeError(
            "mesh_or_sharding must be a jax.sharding.Mesh or NamedSharding. "
            f"Received: {mesh_or_sharding!r} (of type {type(mesh_or_sharding)})"
        )
    names = mesh_or_sharding.axis_names
    if axis_name is not None and axis_name not in names:
        raise ValueError(
            f"The mesh has no such axis, only {', '.join(map(repr, names))}. "
            f"Received: axis_name={axis_name!r}"
        )
    return NamedSharding(mesh_or_sharding, PartitionSpec(axis_name or names[0]))


def _check_divisible(array: NDArray[Any], sharding: NamedSharding) -> None:
    """Raises where the slice does not go over this process' part of the batch axis."""
    axes = sharding.spec[0] if len(sharding.spec) else None
    if axes is None:
        return
    local = sharding.mesh.local_mesh.shape
    parts = 1
    for axis in axes if isinstance(axes, tuple) else (axes,):
        parts *= local[axis]
    if len(array) % parts:
        raise ValueError(
            f"A slice of {len(array)} samples cannot be divided over the {parts} devices of this "
            'process. Make the iterator with last_batch="pad" or last_batch="drop", and with a '
            "batch_size that is a multiple of the number of all devices."
        )
