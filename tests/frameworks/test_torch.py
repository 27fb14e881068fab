"""Batches as PyTorch tensors, loops with a batch ahead, positions, and DataLoader."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needs import needs

from pyloader import ImageDataGenerator, ImageError, image_dataset_from_directory

needs("torch")

import torch

from pyloader.integrations.torch import TorchLoader, as_iterable_dataset, to_torch

N, BATCH = 23, 4
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", "meta", pytest.param("cuda", marks=CUDA)]


def make_flow(**options: Any) -> Any:
    """Images that are full of their own index, with the index as target."""
    x = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, 6, 5, 3))
    options = {"batch_size": BATCH, "seed": 3, "verbose": False, **options}
    return ImageDataGenerator().flow(np.ascontiguousarray(x), np.arange(N), **options)


def orders(iterator: Any, passes: int) -> list[list[int]]:
    """The targets of some passes, straight from an iterator."""
    return [[int(i) for _, y in iterator.epoch() for i in y] for _ in range(passes)]


def test_a_tensor_is_a_second_name_for_the_arrays_memory() -> None:
    images, labels = next(make_flow())
    x, y = to_torch((images, labels))
    assert x.dtype == torch.float32
    assert x.data_ptr() == images.ctypes.data
    assert y.data_ptr() == labels.ctypes.data
    x /= 255
    assert images.max() <= 22 / 255


def test_structures_are_kept() -> None:
    a, b = np.zeros((2, 3), np.uint8), np.ones(2, np.int32)
    batch = ([a, b], {"image": a, "weight": (b,)}, np.float32(0.5))
    result = to_torch(batch)
    assert type(result) is tuple
    assert type(result[0]) is list
    assert result[0][1].dtype == torch.int32
    assert list(result[1]) == ["image", "weight"]
    assert type(result[1]["weight"]) is tuple
    assert result[2].shape == ()
    assert float(result[2]) == 0.5
    assert to_torch(np.zeros((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize("values", [["a", "b"], [object(), None], [np.longdouble(1)] * 2])
def test_a_dtype_that_pytorch_lacks_is_a_clear_error(values: list[Any]) -> None:
    array = np.array(values)
    with pytest.raises(TypeError, match=rf"Received: an array of {array.dtype}$"):
        to_torch((np.zeros(2), array))


def test_something_else_in_a_batch_is_a_clear_error() -> None:
    with pytest.raises(TypeError, match="Received: 'text'"):
        to_torch((np.zeros(2), "text"))


def test_samples_that_come_singly_become_tensors_too(class_folders: Path) -> None:
    dataset = image_dataset_from_directory(
        class_folders, batch_size=None, image_size=(8, 8), verbose=False
    )
    image, label = to_torch(next(dataset))
    assert image.shape == (8, 8, 3)
    assert label.shape == ()


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is an accelerator")
@pytest.mark.filterwarnings("error")
def test_without_an_accelerator_pinning_warns_and_does_nothing() -> None:
    images = np.zeros((2, 3), np.float32)
    with pytest.warns(UserWarning, match="pin_memory=True has no effect") as caught:
        tensor = to_torch(images, pin_memory=True)
    assert caught[0].filename == __file__
    assert tensor.data_ptr() == images.ctypes.data
    with pytest.warns(UserWarning, match="pin_memory=True has no effect") as caught:
        loader = TorchLoader(make_flow(), pin_memory=True)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once is enough
        next(iter(loader))


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("make", [torch.from_numpy, torch.from_dlpack, to_torch])
def test_a_kept_tensor_never_changes_while_the_iterator_goes_on(make: Any, depth: int) -> None:
    flow = make_flow(prefetch=depth, num_threads=2)
    kept, places = [], set()
    for turn in range(40):
        images, labels = next(flow)
        places.add(images.ctypes.data)
        if turn < 6:
            kept.append((make(images), make(labels), images.copy(), labels.copy()))
            assert kept[-1][0].data_ptr() == images.ctypes.data
        del images, labels
    assert len(places) < 20  # slots were reused, but not these
    for tensor, label_tensor, images, labels in kept:
        np.testing.assert_array_equal(tensor.numpy(), images)
        np.testing.assert_array_equal(label_tensor.numpy(), labels)
        assert tensor.data_ptr() in places


def test_the_slot_is_reused_when_the_tensor_is_gone() -> None:
    flow = make_flow(prefetch=1, num_threads=1)
    places = []
    for _ in range(30):
        tensor = to_torch(next(flow))[0]
        places.append(tensor.data_ptr())
        del tensor
    assert len(set(places)) <= 4


@pytest.mark.parametrize("device", DEVICES)
def test_a_loop_is_one_pass(device: str) -> None:
    expected = orders(make_flow(), 3)
    loader = TorchLoader(make_flow(), device)
    assert len(loader) == 6
    for order in expected:
        indices = []
        for x, y in loader:
            assert x.device.type == y.device.type == device
            assert x.shape[1:] == (6, 5, 3)
            assert loader.batch_indices is not None
            assert len(x) == len(loader.batch_indices)
            indices.extend(loader.batch_indices.tolist())
        assert indices == order


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("left_at", [1, 3, 6])
def test_after_a_loop_that_was_left_early_a_new_pass_begins(device: str, left_at: int) -> None:
    flow = make_flow()
    for _ in range(left_at):
        next(flow)
    flow.reset()
    expected = orders(flow, 2)
    loader = TorchLoader(make_flow(), device)
    for number, _ in enumerate(loader, 1):
        if number == left_at:
            break
    for order in expected:
        indices = [i for _ in loader for i in np.asarray(loader.batch_indices).tolist()]
        assert indices == order


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("handed_out", [0, 1, 4, 6, 9, 12])
def test_a_state_counts_what_was_handed_out(device: str, handed_out: int) -> None:
    reference = [i for order in orders(make_flow(), 4) for i in order]
    loader = TorchLoader(make_flow(), device)
    seen: list[int] = []
    left = handed_out
    while left:
        for _ in loader:
            seen.extend(np.asarray(loader.batch_indices).tolist())
            left -= 1
            if not left:
                break
    state = json.loads(json.dumps(loader.state_dict()))

    resumed = TorchLoader(make_flow(), device)
    resumed.load_state_dict(state)
    rest_of_pass = [i for _ in resumed for i in np.asarray(resumed.batch_indices).tolist()]
    next_pass = [i for _ in resumed for i in np.asarray(resumed.batch_indices).tolist()]
    assert len(next_pass) == N
    assert len(seen) + len(rest_of_pass) == N * (handed_out // 6 + 1)
    following = seen + rest_of_pass + next_pass
    assert following == reference[: len(following)]

    flow = make_flow()  # the state is the iterator's own
    flow.load_state_dict(state)
    expected = reference[len(seen) : len(seen) + len(next(flow)[1])]
    assert np.asarray(flow.batch_indices).tolist() == expected


@pytest.mark.parametrize("device", DEVICES)
def test_a_state_may_be_loaded_in_the_middle_of_a_loop(device: str) -> None:
    loader = TorchLoader(make_flow(), device)
    loop = iter(loader)
    next(loop)
    state = loader.state_dict()
    second = np.asarray(next(loop) and loader.batch_indices).tolist()
    loader.load_state_dict(state)
    assert loader.state_dict() == state
    new_loop = iter(loader)
    next(new_loop)
    assert np.asarray(loader.batch_indices).tolist() == second
    with pytest.raises(RuntimeError, match="Another loop over this TorchLoader has begun"):
        next(loop)
    indices = [i for _ in new_loop for i in np.asarray(loader.batch_indices).tolist()]
    assert len(indices) == N - 2 * BATCH  # the old loop took none of them


@pytest.mark.parametrize("device", DEVICES)
def test_a_bad_image_does_not_cost_the_batch_before_it(tmp_path: Path, device: str) -> None:
    from conftest import write_class_folders

    write_class_folders(tmp_path, {"a": 12})
    bad = tmp_path / "a" / "a05.jpg"
    bad.write_bytes(bad.read_bytes()[:200])
    flow = ImageDataGenerator().flow_from_directory(
        tmp_path, target_size=(8, 8), batch_size=2, shuffle=False, verbose=False
    )
    loader = TorchLoader(flow, device)
    loop = iter(loader)
    for indices in ([0, 1], [2, 3]):
        next(loop)
        assert np.asarray(loader.batch_indices).tolist() == indices
    with pytest.raises(ImageError, match=r"a05\.jpg"):
        next(loop)


@CUDA
@pytest.mark.parametrize("pin_memory", [False, True])
def test_what_arrives_on_the_gpu_is_what_was_sent(pin_memory: bool) -> None:
    x = np.random.default_rng(1).integers(0, 256, (64, 256, 256, 3), np.uint8)
    flow = ImageDataGenerator().flow(x, np.arange(64), batch_size=8, seed=1, prefetch=1)
    loader = TorchLoader(flow, "cuda", pin_memory=pin_memory)
    for _ in range(3):
        for images, labels in loader:
            expected = torch.from_numpy(x[labels.cpu().numpy()]).to(torch.float32)
            assert torch.equal(images.cpu(), expected)


@CUDA
def test_memory_that_others_page_locked_stays_leased_until_it_was_read() -> None:
    array = np.random.default_rng(1).random((64, 1024, 1024), np.float32)
    runtime = torch.cuda.cudart()
    assert int(runtime.cudaHostRegister(array.ctypes.data, array.nbytes, 0)) == 0
    try:
        expected = array.copy()
        torch.cuda._sleep(200_000_000)  # the device is busy while the copy is asked for
        tensor = to_torch(array, "cuda")
        array[:] = 0.0  # as the next batch would
        assert torch.equal(tensor.cpu(), torch.from_numpy(expected))
    finally:
        runtime.cudaHostUnregister(array.ctypes.data)


def test_a_dataloader_delivers_passes() -> None:
    expected = orders(make_flow(), 2)
    dataset = as_iterable_dataset(make_flow())
    assert isinstance(dataset, torch.utils.data.IterableDataset)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=0)
    assert len(loader) == 6
    for order in expected:
        assert [int(i) for _, y in loader for i in y] == order


WORKERS = """
import sys
import numpy as np
import torch
sys.path.insert(0, {here!r})
from test_torch import as_iterable_dataset, make_flow, orders

if __name__ == "__main__":
    method, persistent, done = sys.argv[1], sys.argv[2] == "True", int(sys.argv[3])
    flow = make_flow()
    expected = orders(make_flow(), 3)
    if method == "fork" and not done:
        next(flow)  # the threads run already
        flow.reset()
        flow.total_batches_seen = 0
    for _ in range(done):
        expected[0] = expected[0][len(next(flow)[1]) :]
    loader = torch.utils.data.DataLoader(
        as_iterable_dataset(flow), batch_size=None, num_workers=1,
        multiprocessing_context=method, persistent_workers=persistent,
    )
    for order in expected:
        assert [int(i) for _, y in loader for i in y] == order
    print("same")
"""


@pytest.mark.parametrize("done", [0, 2])
@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_one_worker_delivers_the_passes_of_the_iterator_from_where_it_stands(
    tmp_path: Path, method: str, persistent: bool, done: int
) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS.format(here=str(Path(__file__).parent)))
    ran = subprocess.run(
        [sys.executable, str(script), method, str(persistent), str(done)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (ran.returncode, ran.stdout) == (0, "same\n"), ran.stderr


def test_several_workers_are_refused_with_advice() -> None:
    code = (
        "import sys, torch\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_torch import as_iterable_dataset, make_flow\n"
        "dataset = as_iterable_dataset(make_flow())\n"
        "loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2)\n"
        "next(iter(loader))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 1
    assert "RuntimeError: This dataset is loaded by 2 worker processes" in done.stderr
    assert "Pass num_workers=0 to the DataLoader" in done.stderr


ADAPTER = """
import sys
sys.path.insert(0, {here!r})
from test_torch import make_flow
import keras, torch
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from pyloader import pair

flow = make_flow()
addresses = []
collate = type(flow)._collate
def note(self, batch):
    addresses.append(batch.images.ctypes.data)
    return collate(self, batch)
type(flow)._collate = note

for dataset in (flow, flow.repeat(), pair(make_flow(), make_flow())):
    addresses.clear()
    loader = PyDatasetAdapter(dataset).get_torch_dataloader()
    for _, batch in zip(range(3), loader):
        images = batch[0][0] if isinstance(batch[0], (tuple, list)) else batch[0]
        assert isinstance(images, torch.Tensor)
        assert images.data_ptr() in addresses
    assert isinstance(flow[0][0], __import__("numpy").ndarray)  # for everyone else
print("same memory")
"""


def test_keras_on_torch_gets_the_loaders_memory() -> None:
    pytest.importorskip("keras")
    done = subprocess.run(
        [sys.executable, "-c", ADAPTER.format(here=str(Path(__file__).parent))],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )
    assert (done.returncode, done.stdout) == (0, "same memory\n"), done.stderr


def test_a_loader_can_be_pickled() -> None:
    loader = TorchLoader(make_flow())
    copy = pickle.loads(pickle.dumps(loader))
    assert [y.tolist() for _, y in copy] == [y.tolist() for _, y in loader]
