"""Shards of Ray Train's workers. In a process of its own: Ray leaves much behind, and warns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray.train", exc_type=ImportError)

DRIVER = """
import json, os, sys
from pathlib import Path
import ray
import ray.train
from pyloader._distributed.shards import find_shard

folder, kind = Path(sys.argv[1]), sys.argv[2]
with open(folder / "driver.json", "w") as file:
    json.dump([find_shard("auto"), find_shard("auto")], file)


def work():
    with open(folder / f"worker{ray.train.get_context().get_world_rank()}.json", "w") as file:
        json.dump(find_shard("auto"), file)


if kind == "torch":
    from ray.train.torch import TorchTrainer as Trainer
else:
    from ray.train.data_parallel_trainer import DataParallelTrainer as Trainer
    if ray.train.v2._internal.constants.is_v2_enabled():
        from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer as Trainer

names = ("PYTHONPATH", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
environment = {name: os.environ[name] for name in names}
ray.init(
    num_cpus=2, include_dashboard=False, logging_level="error",
    runtime_env={"env_vars": environment},
)
try:
    Trainer(
        work,
        scaling_config=ray.train.ScalingConfig(
            num_workers=2, resources_per_worker={"CPU": 0.5}
        ),
        run_config=ray.train.RunConfig(name="shards", storage_path=str(folder / "storage")),
    ).fit()
finally:
    ray.shutdown()
"""


def run_ray(folder: Path, kind: str, version: str) -> tuple[Any, list[Any]]:
    """Trains with two workers; returns what the driver and the workers found."""
    script = folder / "driver.py"
    script.write_text(DRIVER)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "RAY_TRAIN_V2_ENABLED": version,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "OMP_NUM_THREADS": "1",
        # As if srun had started Ray: its workers inherit this and must not believe it.
        "SLURM_PROCID": "0",
        "SLURM_STEP_NUM_TASKS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(script), str(folder), kind],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    workers = [json.loads((folder / f"worker{rank}.json").read_text()) for rank in range(2)]
    return json.loads((folder / "driver.json").read_text()), workers


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1", "0"], ids=["train 2", "train 1"])
def test_workers_of_ray_train_find_their_shards(tmp_path: Path, version: str) -> None:
    driver, workers = run_ray(tmp_path, "plain", version)
    assert driver == [[0, 1, "environment (SLURM_PROCID, SLURM_STEP_NUM_TASKS)"]] * 2
    assert workers == [[0, 2, "ray train"], [1, 2, "ray train"]]


@pytest.mark.slow
def test_workers_of_a_torch_trainer_find_their_shards_through_torch(tmp_path: Path) -> None:
    _, workers = run_ray(tmp_path, "torch", "1")
    assert workers == [[rank, 2, "torch.distributed"] for rank in range(2)]
