"""torch.utils.data.DataLoader: worker processes that decode with simplejpeg and OpenCV."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from bench.peers.base import Batch, Job
from bench.peers.simplejpeg_opencv import decode_and_resize


class TorchPeer:
    """Workers live as long as the loader, and fill the batch's tensor in place."""

    exact = False

    def __init__(self, job: Job) -> None:
        self._job = job
        self._order = _Batches(job)
        self._loader: Any = DataLoader(
            _Files(job),
            batch_sampler=self._order,
            collate_fn=_as_it_is,
            num_workers=job.threads,
            persistent_workers=True,
            prefetch_factor=2,
        )

    def settings(self) -> str:
        return (
            f"{self._job.threads} persistent worker processes, prefetch_factor 2, __getitems__ "
            "fills the batch; simplejpeg.decode_jpeg, cv2.resize"
        )

    def epoch(self) -> Iterator[Batch]:
        self._order.epoch += 1
        for images, indices in self._loader:
            numbers = indices.numpy()
            yield Batch(images.numpy(), self._job.labels[numbers], numbers)

    def close(self) -> None:
        del self._loader


class _Files(Dataset[Any]):
    def __init__(self, job: Job) -> None:
        self._job = job
        self._fill = decode_and_resize(job)

    def __len__(self) -> int:
        return len(self._job.files)

    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (len(indices), self._job.height, self._job.width, 3)
        batch = torch.empty(shape, dtype=getattr(torch, self._job.dtype))
        for index, row in zip(indices, batch.numpy(), strict=True):
            self._fill(self._job.files[index], row)
        return batch, torch.tensor(indices)


class _Batches:
    """The job's order of the current epoch; the loader may read it several times."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.epoch = -1

    def __len__(self) -> int:
        return self._job.batches

    def __iter__(self) -> Iterator[list[int]]:
        order = self._job.order(self.epoch).tolist()
        size = self._job.batch_size
        return iter([order[start : start + size] for start in range(0, len(order), size)])


def _as_it_is(batch: Any) -> Any:
    return batch
