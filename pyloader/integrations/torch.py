"""Batches as PyTorch tensors: without a copy on the CPU, copied ahead to other devices.

A tensor made here on the CPU is a second name for the loader's memory, which is leased until the
last name is gone; nothing has to be copied, cloned or returned.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Generator, Mapping
from collections.abc import Iterator as AnyIterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from pyloader.integrations.torch_transfer import Transfer

__all__ = ["TorchLoader", "as_iterable_dataset", "to_torch"]


def to_torch(batch: Any, device: Any = None, *, pin_memory: bool = False) -> Any:
    """Makes tensors of a batch's arrays.

    Args:
        batch: What an iterator delivers: an array, or a tuple, list or dict of such.
        device: Where to copy the tensors. None (default) and "cpu" copy nothing: tensors and
            arrays share their memory. Operations on a CUDA device's current stream come after the
            copy to it.
        pin_memory: Whether to copy through page-locked memory, from which a CUDA device reads
            faster. Default False. Without an accelerator it has no effect, and warns.

    Returns:
        The same structure with tensors, of the arrays' shapes and dtypes.

    Raises:
        TypeError: PyTorch has no tensors of an array's dtype, as for strings and objects.

    Example:
        >>> import numpy as np
        >>> images, labels = to_torch((np.zeros((4, 32, 32, 3), "uint8"), np.arange(4)))
        >>> images.shape, images.dtype, labels
        (torch.Size([4, 32, 32, 3]), torch.uint8, tensor([0, 1, 2, 3]))
    """
    transfer = Transfer(batch, _device(device), pin_memory and _can_pin(stacklevel=3))
    transfer.finish()
    return transfer.receive()


class TorchLoader:
    """Epochs of an iterator as tensors: `for x, y in loader` is one epoch.

    With another device than the CPU, the next batch is copied there while one is in use. After a
    `break`, the next loop begins a new epoch; after `load_state_dict` it delivers the rest of that
    one. Do not take batches from the iterator directly.

    Args:
        iterator: What `flow`, `flow_from_directory` and the like return.
        device: As for `to_torch`, and so `pin_memory`.

    Example:
        >>> import numpy as np
        >>> from pyloader import ImageDataGenerator
        >>> x, y = np.zeros((10, 8, 8, 3), "uint8"), np.arange(10)
        >>> loader = TorchLoader(ImageDataGenerator().flow(x, y, batch_size=4, shuffle=False))
        >>> [(images.shape[0], labels.tolist()) for images, labels in loader]
        [(4, [0, 1, 2, 3]), (4, [4, 5, 6, 7]), (2, [8, 9])]
    """

    def __init__(self, iterator: Any, device: Any = None, *, pin_memory: bool = False) -> None:
        self._iterator = iterator
        self._device = _device(device)
        self._pin_memory = pin_memory and _can_pin(stacklevel=3)
        self._handed_out: _Mark | None = None
        self._loop = 0
        self._in_loop = False

    def __len__(self) -> int:
        return len(self._iterator)

    @property
    def batch_indices(self) -> NDArray[Any] | None:
        """Dataset indices of the samples last handed out, (k,); None before the first batch."""
        if self._handed_out is not None:
            return self._handed_out.batch_indices
        return _batch_indices(self._iterator)

    def __iter__(self) -> Generator[Any, None, None]:
        """Begins an epoch, or goes on with one after `load_state_dict`.

        Raises:
            ImageError: An image of the batch cannot be loaded; the epoch ends there.
            RuntimeError: Another loop over this loader has begun since.
        """
        if self._in_loop:
            self._take_back()
            self._iterator.reset()
        self._loop += 1
        self._in_loop = True
        loop = self._loop
        for tensors in self._batches():
            yield tensors
            if loop != self._loop:
                raise RuntimeError(
                    "Another loop over this TorchLoader has begun, or a state was loaded, and a "
                    "loader delivers to one loop at a time. Make an iterator and a loader for each."
                )
        self._in_loop = False

    def state_dict(self) -> dict[str, Any]:
        """Returns the iterator's state after the batches that were handed out."""
        iterator, mark = self._iterator, self._handed_out
        state: dict[str, Any]
        state = iterator.state_dict() if mark is None else iterator._state_at(mark.position)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes to a position: the next loop delivers the rest of the epoch from there."""
        self._iterator.load_state_dict(state)
        self._handed_out = None
        self._loop += 1
        self._in_loop = False

    def _take_back(self) -> None:
        """Makes the iterator forget the batch that was fetched and not handed out."""
        if self._handed_out is not None:
            self._iterator.load_state_dict(self.state_dict())
            self._handed_out = None

    def _batches(self) -> AnyIterator[Any]:
        """Returns the rest of the epoch."""
        batches = self._iterator.remaining()
        if self._device.type != "cpu":
            return self._copied_ahead(batches)
        return (Transfer(batch, self._device, self._pin_memory).receive() for batch in batches)

    def _copied_ahead(self, batches: AnyIterator[Any]) -> Generator[Any, None, None]:
        """Batches on the device. Each is handed out when the next one is on its way."""
        stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        under_way: deque[Transfer] = deque()

        def send_next() -> tuple[Transfer, _Mark] | None:
            for batch in batches:
                transfer = Transfer(batch, self._device, self._pin_memory, stream)
                under_way.append(transfer)
                return transfer, self._mark()
            return None

        failed: Exception | None = None
        self._handed_out = self._mark()
        try:
            coming = send_next()
            while coming is not None:
                transfer, mark = coming
                try:
                    coming = send_next()
                except Exception as error:  # of the next batch: this one comes first
                    coming, failed = None, error
                while len(under_way) > 2:
                    under_way.popleft().finish()
                self._handed_out = mark
                yield transfer.receive()
        finally:
            for transfer in under_way:
                transfer.finish()
        self._handed_out = None  # the iterator stands where the last batch ended
        if failed is not None:
            raise failed

    def _mark(self) -> _Mark:
        """Where the iterator stands."""
        return _Mark(self._iterator._position(), _batch_indices(self._iterator))


def as_iterable_dataset(iterator: Any) -> IterableDataset[Any]:
    """Makes a dataset for `DataLoader(dataset, batch_size=None, num_workers=0)`.

    For code that insists on a DataLoader; `TorchLoader` does the same with less overhead. A loop
    over the DataLoader is one epoch. Its elements are batches: pass `batch_size=None`. The
    iterator's threads load the images, so worker processes gain nothing; one is allowed.

    Example:
        >>> import numpy as np
        >>> from pyloader import ImageDataGenerator
        >>> x, y = np.zeros((10, 8, 8, 3), "uint8"), np.arange(10)
        >>> flow = ImageDataGenerator().flow(x, y, batch_size=4, shuffle=False)
        >>> loader = torch.utils.data.DataLoader(as_iterable_dataset(flow), batch_size=None)
        >>> [labels.tolist() for images, labels in loader]
        [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    """
    return _BatchDataset(iterator)


class _BatchDataset(IterableDataset[Any]):  # type: ignore[misc]
    """See `as_iterable_dataset`."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self._loader = TorchLoader(iterator)
        # A worker's epochs are unknown here and to the next worker, so their number is shared, with
        # the number of batches seen before the first of them.
        self._epochs = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._start: _Start | None = None  # in a worker

    def __getstate__(self) -> dict[str, Any]:
        """For a worker that is spawned: copies of iterators begin at the beginning."""
        return {**self.__dict__, "_position": self._iterator.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        position = state.pop("_position")
        self.__dict__.update(state)
        self._iterator.load_state_dict(position)

    def __len__(self) -> int:
        return len(self._iterator)

    def __iter__(self) -> AnyIterator[Any]:
        worker = get_worker_info()
        if worker is None:
            return iter(self._loader)
        if worker.num_workers > 1:
            raise RuntimeError(
                f"This dataset is loaded by {worker.num_workers} worker processes, and each of "
                "them would deliver every batch. Pass num_workers=0 to the DataLoader: the "
                "iterator loads on threads of its own."
            )
        return self._pass_of_worker()

    def _pass_of_worker(self) -> AnyIterator[Any]:
        """One epoch in a worker process, the one after those that workers began before.

        The first of them is what the iterator, where it stands in the main process, has left of
        its own.
        """
        iterator, epochs = self._iterator, self._epochs
        if self._start is None:
            done, batches = iterator._progress()
            self._start = _Start(iterator.total_batches_seen, batches - done)
            if epochs[1] != self._start.seen:  # the main process moved it
                epochs[0], epochs[1] = 0, self._start.seen
        number = int(epochs[0])
        epochs[0] += 1
        if number == 0:
            return map(to_torch, iterator.remaining())
        iterator.reset()
        seen = self._start.seen + self._start.left + (number - 1) * len(self)
        if iterator.total_batches_seen != seen:  # else keep the batches prepared already
            iterator.total_batches_seen = seen
        return map(to_torch, iterator.epoch())


class _Start(NamedTuple):
    """Where a worker's copy of the iterator stood at first."""

    seen: int  #: Batches seen
    left: int  #: Batches left of the epoch


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where the iterator stood when it had delivered a batch."""

    position: Any
    """Costs nothing to keep, where a state for each batch would cost a look at the whole order."""
    batch_indices: NDArray[Any] | None


def _batch_indices(iterator: Any) -> NDArray[Any] | None:
    """The iterator's, where it has such."""
    indices: NDArray[Any] | None = getattr(iterator, "batch_indices", None)
    return indices


def _device(device: Any) -> Any:
    """The torch.device; None stands for the CPU."""
    return torch.device("cpu" if device is None else device)


def _can_pin(stacklevel: int) -> bool:
    """Whether there is an accelerator to pin memory for; warns where there is none."""
    accelerator = getattr(torch, "accelerator", torch.cuda)  # before PyTorch 2.6 there was CUDA
    if accelerator.is_available():
        return True
    warnings.warn(
        "pin_memory=True has no effect: PyTorch finds no accelerator here.",
        UserWarning,
        stacklevel=stacklevel,
    )
    return False
