"""Asks the frameworks in use, then the launcher, which process of how many this one is.

Nothing is imported: a framework that the program has not imported cannot be what runs it. A
framework's own answer comes before the launcher's environment, which processes inherit from
whatever started them: Ray's workers under Slurm carry the numbers of the step that started Ray.
Keras comes before JAX, on which it runs, because it alone knows of processes that want the same
data.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["Place", "find_place"]

Place = tuple[int, int, str]
"""Index of this process's part of the data, number of parts, and where they were found."""

_LAUNCHERS = (
    ("RANK", ("WORLD_SIZE",)),
    ("OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",)),
    ("PMI_RANK", ("PMI_SIZE",)),
    ("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS")),
)
"""Variables of torchrun, Open MPI, MPICH and Slurm: the rank, and the size under several names.

Slurm is last: what mpirun or torchrun start inside a Slurm job inherits its variables.
"""


def find_place() -> Place | None:
    """Finds this process's place, the first that anyone knows of.

    Returns:
        The place, or None where nothing speaks of several processes.

    Raises:
        ValueError: The launcher's variables make no sense, or Keras would shard what is sharded.
    """
    for ask in _ASKED:
        place = ask()
        if place is not None:
            return place
    return None


def _torch() -> Place | None:
    """Asks torch.distributed, if it is initialised."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed.get_rank(), distributed.get_world_size(), "torch.distributed"


def _keras() -> Place | None:
    """Asks the Keras distribution in force, if it spans several processes."""
    library: Any = sys.modules.get("keras.src.distribution.distribution_lib")
    distribution = None if library is None else library.distribution()
    processes = _attribute(distribution, "num_processes", "_num_processes", "_num_process")
    if processes is None or processes < 2:
        return None
    process = _attribute(distribution, "process_id", "_process_id")
    if process is None:
        process = library.distribution_lib.process_id()
    count = min(processes, _keras_replicas(distribution) or processes)
    index = _attribute(distribution, "data_shard_id")
    if index is None:
        index = process // (processes // count)
    _refuse_second_sharding(distribution, count)
    return int(index), int(count), "keras distribution"


def _keras_replicas(distribution: Any) -> int | None:
    """Reads how many copies of the model there are: processes that share one share its data."""
    replicas: int | None = _attribute(distribution, "num_model_replicas")
    if replicas is None:
        axis = _attribute(distribution, "batch_dim_name", "_batch_dim_name")
        mesh = _attribute(distribution, "device_mesh", "_device_mesh")
        if axis is not None and mesh is not None:
            replicas = mesh.shape[mesh.axis_names.index(axis)]
    return replicas


def _refuse_second_sharding(distribution: Any, count: int) -> None:
    """Refuses a Keras distribution that would shard the shards."""
    if count > 1 and _attribute(distribution, "auto_shard_dataset", "_auto_shard_dataset"):
        kind = type(distribution).__name__
        raise ValueError(
            f"{kind} would shard the batches a second time: pyloader already gives each of the "
            f"{count} data shards its part. Make the distribution with "
            f"`auto_shard_dataset=False`. Received: {kind} with auto_shard_dataset=True"
        )


def _attribute(thing: Any, *names: str) -> Any:
    """Reads the first attribute that exists: they have had several names over Keras' versions."""
    for name in names:
        try:
            return getattr(thing, name)
        except (AttributeError, NotImplementedError):
            continue
    return None


def _jax() -> Place | None:
    """Asks JAX, if it runs as several processes; otherwise its backends stay uninitialised."""
    jax: Any = sys.modules.get("jax")
    is_initialized = _attribute(_attribute(jax, "distributed"), "is_initialized")
    if is_initialized is None or not is_initialized():
        return None
    return jax.process_index(), jax.process_count(), "jax"


def _ray() -> Place | None:
    """Asks Ray Train, if this is one of its workers."""
    train: Any = sys.modules.get("ray.train")
    if train is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = train.get_context()
            if context.get_experiment_name() is None:  # Ray Train 1 outside a worker.
                return None
            return context.get_world_rank(), context.get_world_size(), "ray train"
    except Exception:  # Ray Train 2 outside a worker, Tune.
        return None


def _environment() -> Place | None:
    """Reads the variables of the launcher: the first pair of which both halves are there."""
    for rank, sizes in _LAUNCHERS:
        size = next((name for name in sizes if name in os.environ), None)
        if rank in os.environ and size is not None and not _is_batch_script(size):
            return _read_pair(rank, size)
    return None


def _is_batch_script(size: str) -> bool:
    """Tells Slurm's batch script, one process for all the tasks it may start, from a task."""
    is_job = "SLURM_JOB_ID" in os.environ and "SLURM_STEP_ID" not in os.environ
    return size in ("SLURM_NTASKS", "SLURM_NPROCS") and is_job


def _read_pair(rank: str, size: str) -> Place:
    """Reads a rank and a number of processes from the environment."""
    found = f"{rank}={os.environ[rank]!r}, {size}={os.environ[size]!r}"
    try:
        index, count = int(os.environ[rank]), int(os.environ[size])
    except ValueError:
        raise ValueError(
            f"`shard='auto'` reads {rank} and {size}, which should be integers. Received: {found}"
        ) from None
    if not 0 <= index < count:
        raise ValueError(
            f"`shard='auto'` reads {rank} and {size}: a rank should be at least 0 and less than "
            f"the number of processes. Received: {found}"
        )
    return index, count, f"environment ({rank}, {size})"


_ASKED: tuple[Callable[[], Place | None], ...] = (_torch, _keras, _jax, _ray, _environment)
"""Who is asked, in this order."""
