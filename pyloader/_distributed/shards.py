"""Splits every global batch between the processes."""

from __future__ import annotations

import functools
import logging
import warnings
from typing import NamedTuple

from pyloader._distributed.ranks import detect_rank
from pyloader.errors import user_stacklevel
from pyloader.options import ShardSpec


class Shard(NamedTuple):
    """One process's part of every batch. All parts of a batch in order are the batch.

    Example:
        >>> [Shard(index, 3, "argument").part(8) for index in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """

    index: int  # type: ignore[assignment]
    """Index of the part, from 0."""

    count: int  # type: ignore[assignment]
    """Number of parts, at least 1."""

    source: str
    """Where this was found: "argument", "torch.distributed", "keras distribution", "jax",
    "ray train", "environment (RANK, WORLD_SIZE)" and similar, or "alone"."""

    def part(self, samples: int) -> slice:
        """Returns this process's slice of a global batch, with both ends given.

        The first `samples % count` parts have one sample more than the others; with fewer samples
        than parts, the last parts are empty.
        """
        size, longer = divmod(samples, self.count)
        first = self.index * size + min(self.index, longer)
        return slice(first, first + size + (self.index < longer))

    def largest(self, samples: int) -> int:
        """Returns the number of samples in the largest part of a global batch."""
        return -(-samples // self.count)


ALONE = Shard(0, 1, "alone")
"""All of every batch."""


def find_shard(spec: ShardSpec) -> Shard:
    """Returns this process's shard; logs what "auto" found, once. See `ranks` for where it looks.

    Raises:
        ValueError: The environment's numbers are invalid, or a Keras distribution of several
            processes has `auto_shard_dataset` on, so that it would shard again.

    Example:
        >>> find_shard((1, 2))
        Shard(index=1, count=2, source='argument')
    """
    if spec is None:
        return ALONE
    if spec != "auto":
        return Shard(*spec, "argument")
    shard = Shard(*(detect_rank() or ALONE))
    _log(shard)
    return shard


@functools.cache
def _log(shard: Shard) -> None:
    """Logs the shard at its first detection."""
    logging.getLogger("pyloader").info(
        "shard='auto': part %d of %d (from 0), found through: %s",
        shard.index,
        shard.count,
        shard.source,
    )


def warn_unseeded_shuffle(shard: Shard, name: str) -> None:
    """Warns that each rank may have another random order; `name` is the iterator's type."""
    warnings.warn(
        f"This {name} delivers part {shard.index} of {shard.count} of a random order without a "
        "`seed`: unless every process draws the same one from NumPy's global generator, samples "
        "are missed and repeated.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )
