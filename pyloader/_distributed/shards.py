"""Which slice of every global batch is this process's."""

from __future__ import annotations

import functools
import logging
import warnings
from typing import NamedTuple

from pyloader._distributed.ranks import find_place
from pyloader.errors import user_stacklevel
from pyloader.options import ShardSpec, check_shard

__all__ = [
    "ALONE",
    "Shard",
    "ShardSpec",
    "check_shard",
    "find_shard",
    "warn_unseeded_shuffle",
]


class Shard(NamedTuple):
    """One process's part among several. All parts of a batch together are the batch, in order.

    Example:
        >>> [Shard(index, 3, "argument").part(8) for index in range(3)]
        [slice(0, 3, None), slice(3, 6, None), slice(6, 8, None)]
    """

    index: int  # type: ignore[assignment]
    """Which part, from 0."""

    count: int  # type: ignore[assignment]
    """How many parts there are, at least 1."""

    source: str
    """Where this was found: "argument", "torch.distributed", "keras distribution", "jax",
    "ray train", "environment (RANK, WORLD_SIZE)" or its like, or "alone"."""

    def part(self, samples: int) -> slice:
        """Gives this process's slice of a global batch.

        Args:
            samples: Number of samples in the global batch, at least 0.

        Returns:
            A contiguous slice with both ends given. The first `samples % count` parts have one
            sample more than the others; with fewer samples than parts, the last parts are empty.
        """
        size, longer = divmod(samples, self.count)
        first = self.index * size + min(self.index, longer)
        return slice(first, first + size + (self.index < longer))

    def largest(self, samples: int) -> int:
        """Gives the size of the largest part of a global batch.

        Args:
            samples: Number of samples in the global batch, at least 0.

        Returns:
            Number of samples.
        """
        return -(-samples // self.count)


ALONE = Shard(0, 1, "alone")
"""All of every batch."""


def find_shard(spec: ShardSpec) -> Shard:
    """Finds out which shard is this process's. What "auto" finds is logged, once.

    "auto" asks torch.distributed, the Keras distribution, JAX and Ray Train, where the program has
    imported and initialised them; then the environment, as torchrun, Open MPI, MPICH and Slurm's
    srun leave it; a batch script that Slurm runs once, without srun, is one process. The first that
    answers is believed. Where nobody does, this process is alone. Under a Keras distribution,
    processes that hold parts of one model share a shard.

    Args:
        spec: What `check_shard` returned.

    Returns:
        The shard. For None it is all of the batch.

    Raises:
        ValueError: The environment's numbers make no sense, or a Keras distribution of several
            processes has `auto_shard_dataset` on, so that it would shard again.

    Example:
        >>> find_shard((1, 2))
        Shard(index=1, count=2, source='argument')
    """
    if spec is None:
        return ALONE
    if spec != "auto":
        return Shard(*spec, "argument")
    shard = Shard(*(find_place() or ALONE))
    _log(shard)
    return shard


@functools.cache
def _log(shard: Shard) -> None:
    """Logs what was found, the first time it is."""
    logging.getLogger("pyloader").info(
        "shard='auto': part %d of %d (from 0), found through: %s",
        shard.index,
        shard.count,
        shard.source,
    )


def warn_unseeded_shuffle(shard: Shard, name: str) -> None:
    """Warns that the ranks' random orders may differ, where nobody can compare them.

    Args:
        shard: This process's part.
        name: The iterator's type.
    """
    warnings.warn(
        f"This {name} delivers part {shard.index} of {shard.count} of a random order without a "
        "`seed`: unless every process draws the same one from NumPy's global generator, samples "
        "are missed and repeated.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )
