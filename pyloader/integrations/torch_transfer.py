"""The way of a batch to a PyTorch device, and what must stay alive until it has arrived.

Note [when a slot may be reused]. A copy to a device may still be reading when the call that
started it returns. Three kinds of memory can be its source:

- Pageable memory, which batches are in. CUDA takes such memory over, into a buffer of its own,
  before the call returns, `non_blocking` or not. The slot may be reused at once.
- Page-locked memory from `Tensor.pin_memory()`. PyTorch's allocator for it remembers which streams
  read a block, and does not give it away before they have.
- Memory that somebody else page-locked, with cudaHostRegister for instance. CUDA reads it later,
  and PyTorch's allocator does not know it. Such sources are kept here until the copy is done.

Devices other than CUDA's (and ROCm's, which go by the same name) are copied to with the call
blocking: not all of them promise as much.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from pyloader.integrations.structure import map_arrays


class Transfer:
    """A batch on its way to a device. Keeps the sources that are read later until `finish`."""

    def __init__(self, batch: Any, device: Any, pin_memory: bool, stream: Any = None) -> None:
        self._device = device
        self._stream = stream
        self._done: Any = None
        self._sources: list[Any] = []  # see Note [when a slot may be reused]
        cuda = device.type == "cuda"

        def send(array: NDArray[Any]) -> Any:
            tensor = _as_tensor(array)
            if cuda and tensor.is_pinned():
                self._sources.append(tensor)
            elif pin_memory:
                tensor = tensor.pin_memory()
            return tensor.to(device, non_blocking=cuda)

        if not cuda:
            self._tensors = map_arrays(send, batch)
            return
        with torch.cuda.device(device), torch.cuda.stream(stream):
            self._tensors = map_arrays(send, batch)
            self._done = torch.cuda.Event()
            self._done.record()

    def receive(self) -> Any:
        """Hands the tensors out, once, for use on the device's current stream."""
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(self._done)
            _each_tensor(self._tensors, lambda tensor: tensor.record_stream(current))
        tensors, self._tensors = self._tensors, None
        return tensors

    def finish(self) -> None:
        """Lets go of the sources, which may mean to wait until they have been read."""
        if self._sources:
            self._done.synchronize()
            self._sources.clear()


def _each_tensor(tensors: Any, function: Any) -> None:
    """Calls a function with every tensor of a structure."""
    if isinstance(tensors, torch.Tensor):
        function(tensors)
        return
    for part in tensors.values() if isinstance(tensors, dict) else tensors:
        _each_tensor(part, function)


def _as_tensor(array: NDArray[Any]) -> Any:
    """A tensor over the array's memory."""
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise TypeError(
            "PyTorch has no tensors of this dtype; convert the array first, or leave it out "
            f"(class_mode='raw' delivers a column as it is). Received: an array of {array.dtype}"
        ) from error
