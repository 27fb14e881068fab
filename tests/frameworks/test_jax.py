"""Batches as JAX arrays, in one process and over several."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs

from pyloader import ImageDataGenerator

needs("jax")

import jax
from jax.sharding import NamedSharding, PartitionSpec

from pyloader.integrations.jax import to_global, to_jax

SIZE = 40  # pixels; large enough that JAX takes the memory over as it is


def make_flow(**options: Any) -> Any:
    """Images that are full of their own index, with the index as target."""
    x = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None, None, None], (24, SIZE, SIZE, 3))
    options = {"batch_size": 4, "seed": 3, "verbose": False, **options}
    return ImageDataGenerator().flow(np.ascontiguousarray(x), np.arange(24), **options)


def run(code: str, *arguments: str, devices: int = 1) -> subprocess.Popen[str]:
    """Starts a script in a fresh interpreter, with so many devices on its CPU."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ
        | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def expect(process: subprocess.Popen[str], last_line: str) -> None:
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    assert stdout.endswith(last_line), stdout


def test_structures_are_kept_and_dtypes_follow_jax() -> None:
    a, b = np.zeros((2, 3), np.uint8), np.ones(2, np.int64)
    result = to_jax(([a, b], {"image": a, "weight": (b,)}, np.float32(0.5)))
    assert type(result) is tuple
    assert type(result[0]) is list
    assert result[0][0].dtype == np.uint8
    assert result[0][1].dtype == (np.int64 if jax.config.jax_enable_x64 else np.int32)
    assert result[1]["weight"][0].shape == (2,)
    assert float(result[2]) == 0.5
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(result))


def test_a_dtype_that_jax_lacks_is_a_clear_error() -> None:
    with pytest.raises(TypeError, match="Dtype <U1 is not a valid JAX array type"):
        to_jax(np.array(["a", "b"]))


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("make", [to_jax, jax.dlpack.from_dlpack, jax.numpy.asarray])
def test_a_kept_array_never_changes_while_the_iterator_goes_on(make: Any, depth: int) -> None:
    flow = make_flow(prefetch=depth, num_threads=2)
    kept, places = [], set()
    for turn in range(40):
        images, _ = next(flow)
        places.add(images.ctypes.data)
        if turn < 6:
            kept.append((make(images), images.copy()))
        del images
    assert len(places) < 20  # slots were reused, but not these
    for array, images in kept:
        np.testing.assert_array_equal(np.asarray(array), images)


def test_on_the_cpu_jax_takes_the_memory_as_it_is_and_gives_it_back() -> None:
    cpu = jax.devices("cpu")[0]
    flow = make_flow(prefetch=1, num_threads=1)
    places = []
    for _ in range(30):
        images = next(flow)[0]
        array = to_jax(images, cpu)
        assert array.unsafe_buffer_pointer() == images.ctypes.data
        places.append(images.ctypes.data)
        del images, array
    assert len(set(places)) <= 4


def test_arrays_may_be_dropped_before_a_computation_has_read_them() -> None:
    square_sum = jax.jit(lambda images: (images.astype("float32") ** 2).sum(axis=(1, 2, 3)))
    flow = make_flow(prefetch=1)
    results = []
    for _ in range(20):
        images, labels = next(flow)
        results.append((square_sum(to_jax(images)), labels.copy()))
        del images, labels
    for result, labels in results:
        np.testing.assert_allclose(result, labels.astype(np.float32) ** 2 * SIZE * SIZE * 3)


def test_wrong_places_for_global_arrays_are_clear_errors() -> None:
    mesh = jax.make_mesh((1,), ("data",))
    batch = np.zeros((4, 2))
    with pytest.raises(TypeError, match=r"must be a jax\.sharding\.Mesh or NamedSharding"):
        to_global(batch, jax.devices()[0])
    with pytest.raises(ValueError, match=r"only 'data'. Received: axis_name='model'"):
        to_global(batch, mesh, "model")
    with pytest.raises(TypeError, match="axis_name goes with a mesh"):
        to_global(batch, NamedSharding(mesh, PartitionSpec("data")), "data")


def test_a_sharding_may_leave_the_batch_whole() -> None:
    mesh = jax.make_mesh((1,), ("data",))
    for spec in (PartitionSpec(), PartitionSpec(None, "data")):
        result = to_global(np.ones((3, 2), np.float32), NamedSharding(mesh, spec))
        np.testing.assert_array_equal(result, np.ones((3, 2)))


FOUR_DEVICES = """
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from pyloader.integrations.jax import to_global, to_jax

mesh = jax.make_mesh((2, 2), ("data", "model"))
batch = (np.arange(24.0, dtype="float32").reshape(8, 3), np.arange(8, dtype="int32"))
for place, parts in ((mesh, 2), (NamedSharding(mesh, PartitionSpec(("data", "model"))), 4)):
    x, y = to_global(batch, place)
    np.testing.assert_array_equal(x, batch[0])
    np.testing.assert_array_equal(y, batch[1])
    assert len(x.addressable_shards) == 4
    assert {len(shard.data) for shard in x.addressable_shards} == {8 // parts}
x = to_global(batch[0], mesh, "model")
assert x.sharding.spec == PartitionSpec("model")
x = to_jax(batch[0], NamedSharding(mesh, PartitionSpec("data")))
assert x.sharding.spec == PartitionSpec("data")
try:
    to_global(np.zeros((5, 2)), mesh)
except ValueError as error:
    print(error)
"""


def test_a_batch_is_divided_over_a_meshs_axis() -> None:
    expect(
        run(FOUR_DEVICES, devices=4),
        "A slice of 5 samples cannot be divided over the 2 devices of this process. Make the "
        'iterator with last_batch="pad" or last_batch="drop", and with a batch_size that is a '
        "multiple of the number of all devices.\n",
    )


TWO_PROCESSES = """
import sys
import jax

jax.distributed.initialize(sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
sys.path.insert(0, sys.argv[3])
from test_jax import make_flow, to_global

mesh = jax.make_mesh((jax.device_count(),), ("data",))
flow = make_flow(batch_size=8, shard="auto", last_batch="drop")
whole = make_flow(batch_size=8)
total = jax.jit(lambda x, y: (x.astype("float32").mean(axis=(1, 2, 3)) * (y + 1)).sum())
for batch, (x, y) in zip(flow.epoch(), whole.epoch(), strict=True):
    assert len(batch[1]) == 4
    images, labels = to_global(batch, mesh)
    assert images.shape == x.shape
    assert labels.shape == y.shape
    assert float(total(images, labels)) == float((y * (y + 1)).sum())
print("same")
"""


def test_two_processes_make_global_arrays_of_their_slices() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    here = str(Path(__file__).parent)
    processes = [run(TWO_PROCESSES, address, str(index), here, devices=2) for index in range(2)]
    try:
        for process in processes:
            expect(process, "same\n")
    finally:
        for process in processes:
            process.kill()
            process.communicate()
