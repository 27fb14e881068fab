"""An iterator's part of every batch, found out when it is first needed."""

from __future__ import annotations

from pyloader._distributed import shards
from pyloader._distributed.shards import Shard
from pyloader.iterators.resuming import Resumable

__all__ = ["Sharded"]


class Sharded(Resumable):
    """Delivers its part of every batch, after a look whether all ranks mean the same batches."""

    _shard_number: int
    _shard: Shard | None = None

    @property
    def shard(self) -> tuple[int, int]:
        """This process's part of every batch: (index, count). Asking finds out what "auto" is."""
        shard = self._find_shard()
        return shard.index, shard.count

    def _find_shard(self) -> Shard:
        """This process's part of every batch, the same from the first question on."""
        if self._shard is None:
            shard = shards.find_shard(self._options.shard)
            if shard.count > 1:
                name, fingerprint = type(self).__name__, self._fingerprint()
                compared = shards.agree(shard, self._shard_number, fingerprint, name)
                if not compared and self._cursor.seed is None and self._cursor.shuffle:
                    shards.warn_of_chance(shard, name)
            self._shard = shard
        return self._shard
