"""Shards and agreement over real torch.distributed processes, with gloo on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

WORKER = """
import json, os, sys, time
from pyloader import agreement
from pyloader.shards import agree, find_shard

before = find_shard("auto")
import torch.distributed as distributed
uninitialised = find_shard("auto")
distributed.init_process_group("gloo", init_method=os.environ.get("INIT_METHOD", "env://"))
shard = find_shard("auto")
said = {"before": before, "uninitialised": uninitialised, "shard": shard, "errors": []}
odd = json.loads(sys.argv[1])
if sys.argv[2] == "leave" and shard.index:
    # Reads so late that rank 0, whose store it is, would be gone if it did not wait.
    collect = agreement._collect
    agreement._collect = lambda *rest: (time.sleep(1), collect(*rest))[1]
same = {"files": "ab12", "seed": "7", "target_size": "8x8"}
for number, settings in enumerate([same, {**same, **odd.get(str(shard.index), {})}, same]):
    try:
        agree(shard, number, settings, "DirectoryIterator")
    except ValueError as error:
        said["errors"].append([number, str(error)])
        if sys.argv[2] == "leave":
            break
print(json.dumps(said), flush=True)
if sys.argv[2] == "stay":
    distributed.barrier()
    distributed.destroy_process_group()
else:
    os._exit(0)
"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def run_world(
    folder: Path, count: int, odd: dict[str, Any], after: str = "stay", **extra: str
) -> list[dict[str, Any]]:
    """Runs the worker as `count` ranks and returns what each said."""
    script = folder / "worker.py"
    script.write_text(WORKER)
    common = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(count),
        "OMP_NUM_THREADS": "1",
        **extra,
    }
    workers = [
        subprocess.Popen(
            [sys.executable, str(script), json.dumps(odd), after],
            env={**common, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        outputs = [worker.communicate(timeout=120) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    for worker, (_, errors) in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, errors
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_of_a_process_group_find_their_shards_and_agree(tmp_path: Path, count: int) -> None:
    for rank, said in enumerate(run_world(tmp_path, count, {})):
        environment = [rank, count, "environment (RANK, WORLD_SIZE)"]
        assert said["before"] == environment
        assert said["uninitialised"] == environment
        assert said["shard"] == [rank, count, "torch.distributed"]
        assert said["errors"] == []


def test_every_rank_hears_who_differs(tmp_path: Path) -> None:
    odd = {"2": {"seed": "8", "target_size": "9x9"}}
    text = (
        "ranks disagree about this DirectoryIterator, so they would not deliver one epoch "
        "between them: rank 2 differs from rank 0 in seed, target_size"
    )
    for said in run_world(tmp_path, 3, odd):
        assert said["errors"] == [[1, text]]


def test_every_rank_hears_it_even_if_rank_0_leaves_at_once(tmp_path: Path) -> None:
    for said in run_world(tmp_path, 2, {"0": {"files": "cd"}}, after="leave"):
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "WORKER", script)
        for said in run_world(tmp_path, 2, {"1": {"seed": "8"}}, INIT_METHOD=address):
            assert said["errors"][0][1].endswith("rank 1 differs from rank 0 in seed")
