"""Shards of real torch.distributed processes, with gloo on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from worlds import free_port, run_world_of

pytest.importorskip("torch")

WORKER = """
import json
from pyloader._distributed.shards import find_shard

said = {"before": find_shard("auto")}
import torch.distributed as distributed
said["uninitialized"] = find_shard("auto")
distributed.init_process_group("gloo")
said["shard"] = find_shard("auto")
print(json.dumps(said), flush=True)
distributed.barrier()
distributed.destroy_process_group()
"""


def run_world(count: int) -> list[dict[str, Any]]:
    """Runs the worker as `count` ranks and returns what each found."""
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": "1",
    }
    environments = [{**common, "RANK": str(rank)} for rank in range(count)]
    return run_world_of(WORKER, [None] * count, environments)


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_of_a_process_group_find_their_shards(count: int) -> None:
    for rank, said in enumerate(run_world(count)):
        environment = [rank, count, "environment (RANK, WORLD_SIZE)"]
        assert said["before"] == environment
        assert said["uninitialized"] == environment
        assert said["shard"] == [rank, count, "torch.distributed"]


TORCHRUN = """
import json, sys
from pyloader._distributed.shards import find_shard

shard = find_shard("auto")
with open(f"{sys.argv[1]}/rank {shard.index}", "w") as file:
    json.dump(shard, file)
"""


def test_without_a_group_ranks_of_torchrun_find_their_shards(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(TORCHRUN)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, *command, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
        capture_output=True,
        timeout=600,
    )
    for rank in (0, 1):
        shard = json.loads((tmp_path / f"rank {rank}").read_text())
        assert shard == [rank, 2, "environment (RANK, WORLD_SIZE)"]
