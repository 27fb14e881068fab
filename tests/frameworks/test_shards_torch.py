"""Shards and agreement over real torch.distributed processes, with gloo on this machine."""

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
import json, os, sys, time
from pyloader._distributed import agreement
from pyloader._distributed.shards import agree, find_shard

before = find_shard("auto")
import torch.distributed as distributed
uninitialised = find_shard("auto")
distributed.init_process_group("gloo", init_method=os.environ.get("INIT_METHOD", "env://"))
shard = find_shard("auto")
said = {"before": before, "uninitialised": uninitialised, "shard": shard, "errors": []}
odd, after = json.loads(sys.argv[1])
if after == "leave" and shard.index:
    # Reads so late that rank 0, whose store it is, would be gone if it did not wait.
    collect = agreement._collect
    agreement._collect = lambda *rest: (time.sleep(1), collect(*rest))[1]
same = {"files": "ab12", "seed": "7", "target_size": "8x8"}
for number, settings in enumerate([same, {**same, **odd.get(str(shard.index), {})}, same]):
    try:
        agree(shard, number, settings, "DirectoryIterator")
    except ValueError as error:
        said["errors"].append([number, str(error)])
        if after == "leave":
            break
print(json.dumps(said), flush=True)
if after == "stay":
    distributed.barrier()
    distributed.destroy_process_group()
else:
    os._exit(0)
"""


def run_world(
    count: int, odd: dict[str, Any], after: str = "stay", script: str = WORKER, **extra: str
) -> list[dict[str, Any]]:
    """Runs the worker as `count` ranks and returns what each said."""
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": "1",
        **extra,
    }
    environments = [{**common, "RANK": str(rank)} for rank in range(count)]
    return run_world_of(script, [[odd, after]] * count, environments)


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_of_a_process_group_find_their_shards_and_agree(count: int) -> None:
    for rank, said in enumerate(run_world(count, {})):
        environment = [rank, count, "environment (RANK, WORLD_SIZE)"]
        assert said["before"] == environment
        assert said["uninitialised"] == environment
        assert said["shard"] == [rank, count, "torch.distributed"]
        assert said["errors"] == []


def test_every_rank_hears_who_differs() -> None:
    odd = {"2": {"seed": "8", "target_size": "9x9"}}
    text = (
        "ranks disagree about this DirectoryIterator, so they would not deliver one epoch "
        "between them: rank 2 differs from rank 0 in seed, target_size"
    )
    for said in run_world(3, odd):
        assert said["errors"] == [[1, text]]


def test_every_rank_hears_it_even_if_rank_0_leaves_at_once() -> None:
    for said in run_world(2, {"0": {"files": "cd"}}, after="leave"):
        number, text = said["errors"][0]
        assert number == 1
        assert text.endswith("rank 1 differs from rank 0 in files")


def test_a_store_in_a_file_serves_too(tmp_path: Path) -> None:
    # Without the launcher's variables a file needs the numbers in its address.
    script = WORKER.replace(
        'init_method=os.environ.get("INIT_METHOD", "env://")',
        'init_method=os.environ["INIT_METHOD"], rank=before.index, world_size=before.count',
    )
    assert script != WORKER
    address = f"file://{tmp_path}/store"
    for said in run_world(2, {"1": {"seed": "8"}}, script=script, INIT_METHOD=address):
        assert said["errors"][0][1].endswith("rank 1 differs from rank 0 in seed")


TORCHRUN = """
import json, os, sys
import torch.distributed
from pyloader._distributed.shards import agree, find_shard

shard = find_shard("auto")
try:
    agree(shard, 1, {"seed": "7"}, "DirectoryIterator")
    agree(shard, 2, {"seed": str(shard.index)}, "DirectoryIterator")
except ValueError as error:
    with open(f"{sys.argv[1]}/rank {shard.index}", "w") as file:
        json.dump([shard, str(error)], file)
"""


def test_without_a_group_ranks_of_torchrun_meet_at_its_agent(tmp_path: Path) -> None:
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
        shard, text = json.loads((tmp_path / f"rank {rank}").read_text())
        assert shard == [rank, 2, "environment (RANK, WORLD_SIZE)"]
        assert text.endswith("rank 1 differs from rank 0 in seed")
