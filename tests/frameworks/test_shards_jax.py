"""Shards and agreement over real JAX processes on CPU, with and without a Keras distribution."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jax")

WORKER = """
import json, os, sys
rank, count, port, odd, keras_model_axis = json.loads(sys.argv[1])
import jax
from pyloader.shards import agree, find_shard

before = find_shard("auto")
jax.distributed.initialize(f"127.0.0.1:{port}", count, rank)
said = {"before": before, "errors": []}
from jax._src import xla_bridge
said["backends before"] = xla_bridge.backends_are_initialized()
if keras_model_axis is not None:
    import keras
    devices = keras.distribution.list_devices("cpu")
    mesh = keras.distribution.DeviceMesh(
        (len(devices) // keras_model_axis, keras_model_axis), ["batch", "model"], devices
    )
    distribution = keras.distribution.ModelParallel(
        layout_map=keras.distribution.LayoutMap(mesh), batch_dim_name="batch",
        auto_shard_dataset=False,
    )
    keras.distribution.set_distribution(distribution)
    shard = find_shard("auto")
    distribution.auto_shard_dataset = True
    try:
        find_shard("auto")
    except ValueError as error:
        said["refused"] = str(error)
else:
    shard = find_shard("auto")
said["shard"] = shard
same = {"files": "ab12", "seed": "7", "target_size": "8x8"}
mine = {**same, **odd.get(str(rank), {})}
for number, settings in enumerate([same, mine, same]):
    try:
        agree(shard, number, settings, "DirectoryIterator")
    except ValueError as error:
        said["errors"].append([number, str(error)])
print(json.dumps(said), flush=True)
jax.distributed.shutdown()
"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def run_world(
    folder: Path, count: int, odd: dict[str, Any], keras_model_axis: int | None = None
) -> list[dict[str, Any]]:
    """Runs the worker as `count` processes of one device each and returns what each said."""
    script = folder / "worker.py"
    script.write_text(WORKER)
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "JAX_PLATFORMS": "cpu",
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }
    workers = [
        subprocess.Popen(
            [
                sys.executable,
                str(script),
                json.dumps([rank, count, port, odd, keras_model_axis]),
            ],
            env=environment,
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


def test_jax_processes_find_their_shards_and_agree(tmp_path: Path) -> None:
    for rank, said in enumerate(run_world(tmp_path, 2, {})):
        assert said["before"] == [0, 1, "alone"]
        assert said["backends before"] is False
        assert said["shard"] == [rank, 2, "jax"]
        assert said["errors"] == []


def test_every_jax_process_hears_who_differs(tmp_path: Path) -> None:
    for said in run_world(tmp_path, 2, {"1": {"seed": "8"}}):
        assert said["errors"] == [
            [
                1,
                "ranks disagree about this DirectoryIterator, so they would not deliver one epoch "
                "between them: rank 1 differs from rank 0 in seed",
            ]
        ]


def test_a_keras_distribution_knows_who_shares_data(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    said = run_world(tmp_path, 2, {"1": {"seed": "8"}}, keras_model_axis=1)
    assert [one["shard"] for one in said] == [
        [0, 2, "keras distribution"],
        [1, 2, "keras distribution"],
    ]
    for one in said:
        assert "`auto_shard_dataset=False`" in one["refused"]
        assert one["errors"][0][1].endswith("rank 1 differs from rank 0 in seed")
    for one in run_world(tmp_path, 2, {}, keras_model_axis=2):
        assert one["shard"] == [0, 1, "keras distribution"]
        assert "refused" not in one
