"""Detects the rank of this process and the number of processes.

Nothing is imported: a framework that the program has not imported cannot run it. A framework comes
before the launcher's environment, which child processes inherit: Ray's workers under Slurm have the
variables of the step that started Ray. Keras comes before JAX, on which it runs, because only Keras
knows about processes that need the same data.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyloader.errors import user_stacklevel

RankInfo = tuple[int, int, str]
"""Index of this process's part of the data, number of parts, and where they were found."""

_LAUNCHERS = (
    ("RANK", ("WORLD_SIZE",)),
    ("OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",)),
    ("PMI_RANK", ("PMI_SIZE",)),
    ("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS")),
)
"""Variables of torchrun, Open MPI, MPICH and Slurm: the rank, and the size under several names.

Slurm is last: processes that mpirun or torchrun starts inside a Slurm job inherit its variables.
"""

_SHELLS = frozenset(("bash", "csh", "dash", "fish", "ksh", "sh", "tcsh", "zsh"))
_LAST_STEP_ID = 0xFFFFFFF0  # higher ids are Slurm's own: batch script, salloc's shell, ...


def detect_rank() -> RankInfo | None:
    """Returns the first answer of `_DETECTORS`, or None for a single process.

    Raises:
        ValueError: The launcher's variables are invalid, or Keras would shard a second time.
    """
    return next((info for detect in _DETECTORS if (info := detect()) is not None), None)


def _torch() -> RankInfo | None:
    """Reads the rank from torch.distributed, if it is initialized."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed.get_rank(), distributed.get_world_size(), "torch.distributed"


def _keras() -> RankInfo | None:
    """Reads the rank from the active Keras distribution, if it spans several processes."""
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
    if count > 1 and _attribute(distribution, "auto_shard_dataset", "_auto_shard_dataset"):
        kind = type(distribution).__name__
        raise ValueError(
            f"{kind} would shard the batches a second time: pyloader already gives each of the "
            f"{count} data shards its part. Make the distribution with "
            f"`auto_shard_dataset=False`. Received: {kind} with auto_shard_dataset=True"
        )
    return int(index), int(count), "keras distribution"


def _keras_replicas(distribution: Any) -> int | None:
    """Returns the number of model replicas; processes of one replica need the same data."""
    replicas: int | None = _attribute(distribution, "num_model_replicas")
    if replicas is None:
        axis = _attribute(distribution, "batch_dim_name", "_batch_dim_name")
        mesh = _attribute(distribution, "device_mesh", "_device_mesh")
        if axis is not None and mesh is not None:
            replicas = mesh.shape[mesh.axis_names.index(axis)]
    return replicas


def _attribute(thing: Any, *names: str) -> Any:
    """Returns the first attribute that exists: Keras' versions name them differently."""
    for name in names:
        try:
            return getattr(thing, name)
        except (AttributeError, NotImplementedError):
            continue
    return None


def _jax() -> RankInfo | None:
    """Reads the rank from JAX if it runs as several processes; else its backends stay untouched."""
    jax: Any = sys.modules.get("jax")
    is_initialized = _attribute(_attribute(jax, "distributed"), "is_initialized")
    if is_initialized is None or not is_initialized():
        return None
    return jax.process_index(), jax.process_count(), "jax"


def _ray() -> RankInfo | None:
    """Reads the rank from Ray Train, in one of its workers."""
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


def _environment() -> RankInfo | None:
    """Reads the first complete pair of launcher variables that applies to this process."""
    for rank, sizes in _LAUNCHERS:
        size = next((name for name in sizes if name in os.environ), None)
        if rank not in os.environ or size is None:
            continue
        is_slurms = rank == "SLURM_PROCID"
        if is_slurms and _is_batch_script(size):
            continue
        info = _read_pair(rank, size)
        is_slurms = is_slurms or (rank == "PMI_RANK" and _is_pmi_of_srun())
        if is_slurms and info[1] > 1 and _in_interactive_slurm_shell():
            return 0, 1, "interactive Slurm shell"
        return info
    return None


def _is_batch_script(size: str) -> bool:
    """Returns whether this is a Slurm batch script: one process for all tasks it may start."""
    is_job = "SLURM_JOB_ID" in os.environ and "SLURM_STEP_ID" not in os.environ
    return size in ("SLURM_NTASKS", "SLURM_NPROCS") and is_job


def _in_interactive_slurm_shell() -> bool:
    """Returns whether Slurm's variables were inherited from a shell, as of `srun --pty bash`.

    Such a shell is one process with the variables of task 0, however many tasks the step has. The
    job's name and SLURM_PTY_* are no proof: in `salloc`'s shell, `srun python` inherits them too.
    """
    environ = os.environ
    if environ.get("SLURM_STEP_ID", "").isdigit() and int(environ["SLURM_STEP_ID"]) > _LAST_STEP_ID:
        return True
    if environ["SLURM_PROCID"] != "0":  # only task 0 has the terminal; other shells end at once
        return False
    has_terminal = "SLURM_PTY_PORT" in environ or "SLURM_PTY_WIN_COL" in environ
    task = environ.get("SLURM_TASK_PID", "")
    if task == str(os.getpid()):  # a Python prompt is a shell, too
        return has_terminal and hasattr(sys, "ps1")
    arguments = _arguments_of_ancestor(task)
    if arguments is not None:
        return _is_interactive_shell(arguments)
    name = environ.get("SLURM_JOB_NAME", "")
    if not has_terminal and (name in _SHELLS or name == "interactive"):
        warnings.warn(
            f"shard='auto' finds Slurm's variables in a job named {name!r}. In a shell that merely "
            "inherited them, one process would get only its part of the data: there, use "
            "`shard=None`.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return has_terminal


def _is_pmi_of_srun() -> bool:
    """Returns whether srun set PMI's variables, not an mpiexec inside the shell."""
    same = os.environ["PMI_RANK"] == os.environ.get("SLURM_PROCID")
    return same and "MPI_LOCALNRANKS" not in os.environ  # which Hydra's mpiexec sets


def _arguments_of_ancestor(pid: str) -> list[str] | None:
    """Returns the command line of an ancestor process; None where that cannot be found out."""
    ancestor, proc = str(os.getppid()), Path("/proc")
    try:
        while ancestor not in ("0", pid):  # 0: in a container, pids may be other ones than Slurm's
            status = (proc / ancestor / "stat").read_text(errors="replace")
            ancestor = status.rpartition(")")[2].split()[1]
        if ancestor == "0":
            return None
        return (proc / ancestor / "cmdline").read_text(errors="replace").split("\0")[:-1]
    except (OSError, IndexError):
        return None


def _is_interactive_shell(arguments: list[str]) -> bool:
    """Returns whether a command line is that of a shell without a script or a command."""
    name, *words = arguments or [""]
    if os.path.basename(name).lstrip("-") not in _SHELLS:  # noqa: PTH119
        return False
    for before, word in zip(["", *words], words, strict=False):
        is_command = word[:1] != "-" or (word[:2] != "--" and "c" in word)
        if is_command and before not in ("--rcfile", "--init-file"):
            return False
    return True


def _read_pair(rank: str, size: str) -> RankInfo:
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


_DETECTORS: tuple[Callable[[], RankInfo | None], ...] = (_torch, _keras, _jax, _ray, _environment)
"""Ways to detect the rank, in this order."""
