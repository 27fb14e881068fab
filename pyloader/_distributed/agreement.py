"""Makes sure that the ranks of one run load the same data with the same settings.

They compare through the key-value store that torch.distributed, torchrun or JAX keeps for start-up,
not with a collective: a rank that comes late or never cannot be mistaken for a step of the
training, and the order in which ranks meet does not matter.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pyloader._distributed.shards import Shard

__all__ = ["agree"]

_PATIENCE_S = 300.0
"""How long ranks wait for each other."""

_FAREWELL_S = 10.0
"""How long rank 0, where the store usually lives, stays for the others to read the verdict."""


class _Board(NamedTuple):
    """A key-value store that all ranks see."""

    rank: int
    ranks: int

    put: Callable[[str, str], None]
    """Writes a value, unless the key has one."""

    get: Callable[[str, float], str | None]
    """Reads a value, or gives None if there is none yet after about that many seconds."""


def agree(shard: Shard, number: int, fingerprint: Mapping[str, str], what: str) -> bool:
    """Waits until every rank has said what it loads, and makes sure that it is the same.

    Does nothing for one process, or where the processes have no store in common: that takes an
    initialised torch.distributed or JAX whose ranks are those of the shards, or torchrun. Calling
    it again with the same arguments compares the same again.

    Args:
        shard: This process's shard.
        number: How many-th sharded iterator of this process it is. Must not be used for two
            iterators: the store forgets nothing.
        fingerprint: What must be the same on all ranks, as short strings by aspect.
        what: Name of the iterator's class; must be the same too.

    Returns:
        Whether there was anything to compare through.

    Raises:
        ValueError: Some rank differs from rank 0. Raised on every rank.
        RuntimeError: Some rank has not come within five minutes, or the number was used before.
    """
    board = None if shard.count == 1 else _find_board(shard)
    if board is None:
        return False
    ours = json.dumps([what, dict(fingerprint)])
    prefix = f"pyloader/{number}"
    board.put(f"{prefix}/{board.rank}", ours)
    texts = _collect(board, prefix, _PATIENCE_S)
    missing = [rank for rank, text in enumerate(texts) if text is None]
    if missing:
        raise RuntimeError(
            f"{_name_ranks(missing)} of {board.ranks} did not come within {_PATIENCE_S:.0f} "
            f"seconds to compare settings of this {what}, sharded iterator number {number} of "
            f"rank {board.rank}. Every rank must make the same sharded iterators in the same "
            "order; an iterator for one rank alone needs `shard=None`"
        )
    if texts[board.rank] != ours:
        raise RuntimeError(
            f"sharded iterator number {number} of rank {board.rank}, this {what}, has been "
            "compared before, with other settings. Make a new iterator to change them"
        )
    verdict = _compare([json.loads(text) for text in texts if text is not None])
    _stay_for_the_others(board, f"{prefix}/read")
    if verdict:
        raise ValueError(
            f"ranks disagree about this {what}, so they would not deliver one epoch between "
            f"them: {verdict}"
        )
    return True


def _collect(board: _Board, prefix: str, patience_s: float) -> list[str | None]:
    """Reads what every rank wrote, None for those that have not come in time."""
    deadline = time.monotonic() + patience_s
    return [_await(board, f"{prefix}/{rank}", deadline) for rank in range(board.ranks)]


def _await(board: _Board, key: str, deadline: float) -> str | None:
    """Waits for one value, in short spells so that Ctrl-C is heard."""
    spell_s = 0.001
    while (text := board.get(key, spell_s)) is None and time.monotonic() < deadline:
        spell_s = min(2 * spell_s, 0.2)
    return text


def _stay_for_the_others(board: _Board, prefix: str) -> None:
    """Keeps the store alive until the others have read all, if it is this process's."""
    board.put(f"{prefix}/{board.rank}", "yes")
    if board.rank == 0:
        _collect(board, prefix, _FAREWELL_S)


def _compare(said: list[tuple[str, dict[str, str]]]) -> str:
    """Says which ranks differ from rank 0 and in what; nothing if none does."""
    differing: dict[tuple[str, ...], list[int]] = {}
    for rank in range(1, len(said)):
        aspects = tuple(_differences(said[0], said[rank]))
        if aspects:
            differing.setdefault(aspects, []).append(rank)
    return "; ".join(
        f"{_name_ranks(ranks)} {'differs' if len(ranks) == 1 else 'differ'} from rank 0 in "
        f"{', '.join(aspects)}"
        for aspects, ranks in differing.items()
    )


def _differences(
    first: tuple[str, dict[str, str]], other: tuple[str, dict[str, str]]
) -> Iterator[str]:
    """Names what differs between two ranks."""
    if first[0] != other[0]:
        yield f"class ({other[0]}, not {first[0]})"
        return
    for aspect in {**first[1], **other[1]}:
        if first[1].get(aspect) != other[1].get(aspect):
            yield aspect


def _name_ranks(ranks: list[int]) -> str:
    """Lists ranks in words."""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _find_board(shard: Shard) -> _Board | None:
    """Finds a store that the processes behind all shards share."""
    board = _torch_board() or _jax_board() or _torchrun_board()
    if board is None:
        return None
    # Under a Keras distribution, several processes may have the same shard: all of them compare.
    same = (board.rank, board.ranks) == (shard.index, shard.count)
    return board if same or shard.source == "keras distribution" else None


def _torch_board() -> _Board | None:
    """Takes the store of torch.distributed's default group, which MPI's has not."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    accessor = getattr(distributed.distributed_c10d, "_get_default_store", None)
    store = None if accessor is None else accessor()
    if store is None:
        return None
    return _board_of(store, distributed.get_rank(), distributed.get_world_size())


def _torchrun_board() -> _Board | None:
    """Takes the store of torchrun's agent, in a program that knows PyTorch but makes no group."""
    distributed: Any = sys.modules.get("torch.distributed")
    if (
        distributed is None
        or not distributed.is_available()
        or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    ):
        return None
    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        store = distributed.TCPStore(address, port, is_master=False, wait_for_workers=False)
    except (KeyError, ValueError, RuntimeError):
        return None
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # the store outlives the workers
    return _board_of(distributed.PrefixStore(f"pyloader/attempt {attempt}", store), rank, ranks)


def _board_of(store: Any, rank: int, ranks: int) -> _Board:
    """What a store of PyTorch's can do for us."""

    def put(key: str, value: str) -> None:
        if not store.check([key]):
            store.set(key, value)

    def get(key: str, spell_s: float) -> str | None:
        # A blocking wait would keep other threads of this process from the store.
        if store.check([key]):
            return str(store.get(key), "utf-8")
        time.sleep(spell_s)
        return None

    return _Board(rank, ranks, put, get)


def _jax_board() -> _Board | None:
    """Takes the store of JAX's coordination service. Not public, but Orbax lives on it too."""
    state: Any = getattr(sys.modules.get("jax._src.distributed"), "global_state", None)
    client: Any = getattr(state, "client", None)
    if not hasattr(client, "key_value_set") or not hasattr(client, "blocking_key_value_get"):
        return None

    def put(key: str, value: str) -> None:
        try:
            client.key_value_set(key, value)
        except RuntimeError as error:
            if "ALREADY_EXISTS" not in str(error):
                raise

    def get(key: str, spell_s: float) -> str | None:
        try:
            return str(client.blocking_key_value_get(key, max(1, round(1000 * spell_s))))
        except RuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
            return None

    return _Board(state.process_id, state.num_processes, put, get)
