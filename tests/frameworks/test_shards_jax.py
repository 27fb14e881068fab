"""Shards of real JAX processes on CPU, with and without a Keras distribution."""

from __future__ import annotations

from typing import Any

import pytest
from worlds import free_port, run_world_of

pytest.importorskip("jax")

WORKER = """
import json, os, sys
rank, count, port, keras_model_axis = json.loads(sys.argv[1])
import jax
from pyloader._distributed.shards import find_shard

before = find_shard("auto")
jax.distributed.initialize(f"127.0.0.1:{port}", count, rank)
said = {"before": before}
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
print(json.dumps(said), flush=True)
jax.distributed.shutdown()
"""


def run_world(count: int, keras_model_axis: int | None = None) -> list[dict[str, Any]]:
    """Runs the worker as `count` processes of one device each and returns what each said."""
    port = free_port()
    environment = {
        "JAX_PLATFORMS": "cpu",
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
    }
    arguments = [[rank, count, port, keras_model_axis] for rank in range(count)]
    return run_world_of(WORKER, arguments, [environment] * count)


def test_jax_processes_find_their_shards() -> None:
    for rank, said in enumerate(run_world(2)):
        assert said["before"] == [0, 1, "alone"]
        assert said["backends before"] is False
        assert said["shard"] == [rank, 2, "jax"]


def test_a_keras_distribution_knows_who_shares_data() -> None:
    pytest.importorskip("keras")
    said = run_world(2, keras_model_axis=1)
    assert [one["shard"] for one in said] == [
        [0, 2, "keras distribution"],
        [1, 2, "keras distribution"],
    ]
    for one in said:
        assert "`auto_shard_dataset=False`" in one["refused"]
    for one in run_world(2, keras_model_axis=2):
        assert one["shard"] == [0, 1, "keras distribution"]
        assert "refused" not in one
