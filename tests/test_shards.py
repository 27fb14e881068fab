"""The slice of every global batch for this process, and its detection. Needs no framework."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pyloader._distributed import shards
from pyloader._distributed.shards import Shard, find_shard
from pyloader.options import check_shard

VARIABLES = [
    *("RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK"),
    *("PMI_SIZE", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS"),
    *("SLURM_STEP_ID", "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_TASK_PID", "SLURM_PTY_PORT"),
    *("SLURM_PTY_WIN_COL", "MPI_LOCALNRANKS"),
]
KERAS = "keras.src.distribution.distribution_lib"
MODULES = ["torch.distributed", "jax", KERAS, "ray.train"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing in this process or around it speaks of others."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    shards._log.cache_clear()
    yield
    shards._log.cache_clear()


def set_variables(monkeypatch: pytest.MonkeyPatch, **variables: Any) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(**members))  # type: ignore[arg-type]


def put_torch(monkeypatch: pytest.MonkeyPatch, initialized: bool = True, **members: Any) -> None:
    here = {
        "is_available": lambda: True,
        "is_initialized": lambda: initialized,
        "get_rank": lambda: 1,
        "get_world_size": lambda: 4,
    }
    put_module(monkeypatch, "torch.distributed", **{**here, **members})


def put_jax(monkeypatch: pytest.MonkeyPatch, initialized: bool = True, **members: Any) -> None:
    distributed = SimpleNamespace(is_initialized=lambda: initialized)
    here = {"process_index": lambda: 2, "process_count": lambda: 5, "distributed": distributed}
    put_module(monkeypatch, "jax", **{**here, **members})


def put_keras(monkeypatch: pytest.MonkeyPatch, distribution: Any) -> None:
    backend = SimpleNamespace(process_id=lambda: 1)
    put_module(monkeypatch, KERAS, distribution=lambda: distribution, distribution_lib=backend)


def put_ray(monkeypatch: pytest.MonkeyPatch, name: str | None = "run") -> None:
    context = SimpleNamespace(
        get_experiment_name=lambda: name, get_world_rank=lambda: 1, get_world_size=lambda: 3
    )
    put_module(monkeypatch, "ray.train", get_context=lambda: context)


# The slices.


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 64])
def test_the_parts_of_a_batch_are_the_batch_in_order_and_nearly_equal(count: int) -> None:
    for samples in [*range(40), 63, 64, 65, 1000]:
        parts = [Shard(index, count, "argument").part(samples) for index in range(count)]
        whole = [sample for part in parts for sample in range(samples)[part]]
        assert whole == list(range(samples))
        sizes = [part.stop - part.start for part in parts]
        assert max(sizes) - min(sizes) <= 1
        assert sizes == sorted(sizes, reverse=True)
        assert Shard(0, count, "argument").largest(samples) == max(sizes)
        assert [len(part) for part in np.array_split(np.arange(samples), count)] == sizes


def test_every_part_knows_the_largest_one() -> None:
    assert {Shard(index, 3, "argument").largest(8) for index in range(3)} == {3}


# The argument.


@pytest.mark.parametrize(
    ("spec", "checked"),
    [
        (None, None),
        ("auto", "auto"),
        ((0, 1), (0, 1)),
        ([2, 3], (2, 3)),
        ((np.int64(1), np.uint8(2)), (1, 2)),
    ],
)
def test_a_shard_is_none_auto_or_two_integers(spec: Any, checked: Any) -> None:
    assert check_shard(spec) == checked
    if isinstance(checked, tuple):
        result = check_shard(spec)
        assert isinstance(result, tuple)
        assert [type(number) for number in result] == [int, int]


@pytest.mark.parametrize(
    "spec",
    ["Auto", "", 3, (1,), (0, 1, 2), (0, True), (False, 2), (0.0, 2), ("0", "2"), {0, 2}, "ab"],
)
def test_anything_else_is_a_type_error(spec: Any) -> None:
    with pytest.raises(TypeError, match=r"two integers, \(index, count\)\. Received: "):
        check_shard(spec)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ((3, 3), r"index 3 is outside a world of 3 processes \(0 to 2\)\. Received: \(3, 3\)"),
        ((-1, 2), r"index -1 is outside a world of 2 processes \(0 to 1\)"),
        ((1, 1), r"index 1 is outside a world of 1 process \(0 only\)"),
        ((0, 0), r"a count of 0 processes, with index 0, is less than 1"),
        ((1, -2), r"a count of -2 processes, with index 1, is less than 1"),
    ],
)
def test_numbers_that_make_no_sense_are_named(spec: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_shard(spec)


def test_an_explicit_shard_is_believed_whatever_the_launcher_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(monkeypatch, RANK="x", WORLD_SIZE=2)
    assert find_shard((1, 3)) == (1, 3, "argument")
    assert find_shard(None) == (0, 1, "alone")


# The launcher's environment.


def test_auto_with_nothing_to_find_is_one_process() -> None:
    assert find_shard("auto") == (0, 1, "alone")


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"RANK": 1, "WORLD_SIZE": 2}, (1, 2, "RANK, WORLD_SIZE")),
        ({"RANK": 0, "WORLD_SIZE": 1}, (0, 1, "RANK, WORLD_SIZE")),
        (
            {"OMPI_COMM_WORLD_RANK": 2, "OMPI_COMM_WORLD_SIZE": 3},
            (2, 3, "OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE"),
        ),
        ({"PMI_RANK": 2, "PMI_SIZE": 3}, (2, 3, "PMI_RANK, PMI_SIZE")),
        (
            {"SLURM_PROCID": 2, "SLURM_STEP_NUM_TASKS": 3, "SLURM_NTASKS": 8},
            (2, 3, "SLURM_PROCID, SLURM_STEP_NUM_TASKS"),
        ),
        (
            {"SLURM_PROCID": 2, "SLURM_NTASKS": 4, "SLURM_NPROCS": 8, "SLURM_STEP_ID": 0},
            (2, 4, "SLURM_PROCID, SLURM_NTASKS"),
        ),
        (
            {"SLURM_PROCID": 2, "SLURM_NPROCS": 8, "SLURM_STEP_ID": 0},
            (2, 8, "SLURM_PROCID, SLURM_NPROCS"),
        ),
    ],
)
def test_every_launcher_is_understood(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, int], found: tuple[int, int, str]
) -> None:
    set_variables(monkeypatch, **variables)
    assert find_shard("auto") == (*found[:2], f"environment ({found[2]})")


def test_half_a_pair_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, RANK=1, OMPI_COMM_WORLD_SIZE=4, SLURM_NTASKS=8, SLURM_STEP_ID=0)
    assert find_shard("auto").source == "alone"
    set_variables(monkeypatch, PMI_RANK=1, PMI_SIZE=2)
    assert find_shard("auto")[:2] == (1, 2)


@pytest.mark.parametrize(
    ("rank", "size"), [("RANK", "WORLD_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")]
)
def test_what_runs_inside_a_slurm_step_knows_better_than_the_step(
    monkeypatch: pytest.MonkeyPatch, rank: str, size: str
) -> None:
    set_variables(monkeypatch, SLURM_PROCID=1, SLURM_STEP_NUM_TASKS=4, **{rank: 0, size: 1})
    assert find_shard("auto")[:2] == (0, 1)


def test_a_slurm_batch_script_is_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, SLURM_PROCID=0, SLURM_NTASKS=8, SLURM_NPROCS=8, SLURM_JOB_ID=7)
    assert find_shard("auto") == (0, 1, "alone")


@pytest.mark.parametrize(("rank", "size"), [("x", "2"), ("0", "two"), ("", "2"), ("0.5", "2")])
def test_variables_that_are_no_integers_are_named(
    monkeypatch: pytest.MonkeyPatch, rank: str, size: str
) -> None:
    set_variables(monkeypatch, RANK=rank, WORLD_SIZE=size)
    with pytest.raises(ValueError, match=f"integers. Received: RANK='{rank}', WORLD_SIZE='{size}'"):
        find_shard("auto")


@pytest.mark.parametrize(("rank", "size"), [(5, 2), (2, 2), (-1, 2), (0, 0)])
def test_variables_that_contradict_each_other_are_named(
    monkeypatch: pytest.MonkeyPatch, rank: int, size: int
) -> None:
    set_variables(monkeypatch, RANK=rank, WORLD_SIZE=size)
    with pytest.raises(ValueError, match=f"Received: RANK='{rank}', WORLD_SIZE='{size}'"):
        find_shard("auto")


# The frameworks.


def test_torch_comes_first_once_it_is_initialized(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, RANK=0, WORLD_SIZE=2)
    put_jax(monkeypatch)
    put_torch(monkeypatch)
    assert find_shard("auto") == (1, 4, "torch.distributed")
    put_torch(monkeypatch, initialized=False)
    assert find_shard("auto").source == "jax"
    put_torch(monkeypatch, is_available=lambda: False)
    assert find_shard("auto").source == "jax"


def test_jax_is_asked_only_when_it_runs_as_several_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_jax(monkeypatch)
    assert find_shard("auto") == (2, 5, "jax")
    # Without process_index: a JAX that is not distributed must not be made to start its backends.
    distributed = SimpleNamespace(is_initialized=lambda: False)
    put_module(monkeypatch, "jax", distributed=distributed)
    assert find_shard("auto").source == "alone"
    put_module(monkeypatch, "jax")
    assert find_shard("auto").source == "alone"


def test_a_framework_comes_before_what_the_environment_inherited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(monkeypatch, SLURM_PROCID=0, SLURM_STEP_NUM_TASKS=1)
    put_ray(monkeypatch)
    assert find_shard("auto") == (1, 3, "ray train")


def test_ray_outside_a_worker_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    put_ray(monkeypatch, name=None)
    assert find_shard("auto").source == "alone"

    def refuse() -> None:
        raise RuntimeError("`get_context` cannot be used outside of a training function")

    put_module(monkeypatch, "ray.train", get_context=refuse)
    assert find_shard("auto").source == "alone"


def keras_distribution(**attributes: Any) -> Any:
    class DataParallel:
        @property
        def num_model_replicas(self) -> int:
            raise NotImplementedError

    distribution = DataParallel()
    distribution.__dict__.update({"auto_shard_dataset": False, **attributes})
    return distribution


def mesh(*shape: int) -> Any:
    return SimpleNamespace(shape=shape, axis_names=["batch", "model"][: len(shape)])


@pytest.mark.parametrize(
    ("attributes", "place"),
    [
        ({"num_processes": 4, "_process_id": 3}, (3, 4)),
        (
            {
                "num_processes": 4,
                "_process_id": 3,
                "data_shard_id": 1,
                **{"batch_dim_name": "batch", "device_mesh": mesh(2, 4)},
            },
            (1, 2),
        ),
        (
            {
                "_num_process": 4,
                "_process_id": 2,
                "_batch_dim_name": "batch",
                "_device_mesh": mesh(2, 4),
            },
            (1, 2),
        ),
        (
            {
                "_num_process": 4,
                "_process_id": 2,
                "_batch_dim_name": "batch",
                "_device_mesh": mesh(8),
            },
            (2, 4),
        ),
        (
            {
                "_num_process": 4,
                "_process_id": 2,
                "_batch_dim_name": "batch",
                "_device_mesh": mesh(1, 8),
            },
            (0, 1),
        ),
        ({"_num_process": 4}, (1, 4)),
    ],
)
def test_processes_that_share_a_model_under_keras_share_its_data(
    monkeypatch: pytest.MonkeyPatch, attributes: dict[str, Any], place: tuple[int, int]
) -> None:
    put_keras(monkeypatch, keras_distribution(**attributes))
    put_jax(monkeypatch)
    set_variables(monkeypatch, RANK=0, WORLD_SIZE=4)
    assert find_shard("auto") == (*place, "keras distribution")


@pytest.mark.parametrize("distribution", [None, keras_distribution(num_processes=1)])
def test_keras_in_one_process_says_nothing(
    monkeypatch: pytest.MonkeyPatch, distribution: Any
) -> None:
    put_keras(monkeypatch, distribution)
    put_jax(monkeypatch)
    assert find_shard("auto").source == "jax"


@pytest.mark.parametrize("name", ["auto_shard_dataset", "_auto_shard_dataset"])
def test_keras_must_not_shard_the_shards(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    distribution = keras_distribution(num_processes=2, _process_id=0, **{name: True})
    if name == "_auto_shard_dataset":
        del distribution.__dict__["auto_shard_dataset"]
    put_keras(monkeypatch, distribution)
    with pytest.raises(ValueError, match="DataParallel with auto_shard_dataset=True"):
        find_shard("auto")
    assert find_shard((0, 2)).source == "argument"


def test_keras_has_nothing_to_shard_where_all_processes_share_one_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = {"num_processes": 2, "batch_dim_name": "batch"}
    distribution = keras_distribution(**here, device_mesh=mesh(1, 2), auto_shard_dataset=True)
    put_keras(monkeypatch, distribution)
    assert find_shard("auto") == (0, 1, "keras distribution")


def test_what_was_found_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, logger="pyloader")
    set_variables(monkeypatch, RANK=1, WORLD_SIZE=2)
    for _ in range(3):
        find_shard("auto")
        find_shard((0, 2))
    text = "shard='auto': part 1 of 2 (from 0), found through: environment (RANK, WORLD_SIZE)"
    assert caplog.record_tuples == [("pyloader", logging.INFO, text)]
