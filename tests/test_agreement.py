"""Ranks that would not load the same find out, through a store that they share.

Here the store is a dict and threads stand for processes; tests/frameworks has the real ones.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pyloader._distributed import agreement
from pyloader._distributed.shards import Shard, agree


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework is there to compare through."""
    for name in ("torch.distributed", "jax._src.distributed"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def put_module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(**members))  # type: ignore[arg-type]


def put_torch(monkeypatch: pytest.MonkeyPatch, **members: Any) -> None:
    here = {"is_available": lambda: True, "is_initialized": lambda: True}
    put_module(monkeypatch, "torch.distributed", **here, **members)


class Store(dict[str, bytes]):
    """What torch.distributed's default store can do."""

    def check(self, keys: list[str]) -> bool:
        return all(key in self for key in keys)

    def set(self, key: str, value: str) -> None:
        self[key] = value.encode()


class JaxClient(dict[str, str]):
    """What the client of JAX's coordination service can do."""

    def key_value_set(self, key: str, value: str) -> None:
        if key in self:
            raise RuntimeError(f"ALREADY_EXISTS: key {key} already exists.")
        self[key] = value

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str:
        if key not in self:
            threading.Event().wait(timeout_in_ms / 1000)
        if key not in self:
            raise RuntimeError("DEADLINE_EXCEEDED: GetKeyValue() timed out")
        return self[key]


def put_ranks(monkeypatch: pytest.MonkeyPatch, kind: str, count: int) -> tuple[Any, Any]:
    """Puts a framework in place whose rank is the calling thread's; returns its store too."""
    here = threading.local()
    if kind == "torch":
        store: Any = Store()
        c10d = SimpleNamespace(_get_default_store=lambda: store)
        put_torch(
            monkeypatch,
            get_rank=lambda: here.rank,
            get_world_size=lambda: count,
            distributed_c10d=c10d,
        )
        return here, store

    store = JaxClient()

    class State:
        client = store
        num_processes = count

        @property
        def process_id(self) -> int:
            return int(here.rank)

    put_module(monkeypatch, "jax._src.distributed", global_state=State())
    return here, store


def run_ranks(here: Any, count: int, work: Callable[[int], None]) -> list[str]:
    """Does the work in a thread per rank; returns the errors' texts, "" for none."""
    texts = [""] * count

    def run(rank: int) -> None:
        here.rank = rank
        try:
            work(rank)
        except (ValueError, RuntimeError) as error:
            texts[rank] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return texts


SAME = {"files": "ab12", "seed": "7", "target_size": "8x8"}
kinds = pytest.mark.parametrize("kind", ["torch", "jax"])


@kinds
def test_ranks_with_the_same_settings_agree(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    here, store = put_ranks(monkeypatch, kind, 3)

    def work(rank: int) -> None:
        for number in range(3):
            agree(Shard(rank, 3, "x"), number, {**SAME, "n": str(number)}, "DirectoryIterator")

    assert run_ranks(here, 3, work) == ["", "", ""]
    assert len(store) == 18  # what each says, and that it has read what all say
    assert all(key.startswith("pyloader/") for key in store)


@kinds
def test_every_rank_hears_who_differs_and_in_what(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    here, _ = put_ranks(monkeypatch, kind, 5)
    odd = {
        1: {**SAME, "files": "cd"},
        2: {**SAME, "seed": "8", "target_size": "9x9"},
        4: {**SAME, "files": "ef"},
    }

    def work(rank: int) -> None:
        agree(Shard(rank, 5, "x"), 0, odd.get(rank, SAME), "DirectoryIterator")

    text = (
        "ValueError: ranks disagree about this DirectoryIterator, so they would not deliver one "
        "epoch between them: ranks 1, 4 differ from rank 0 in files; "
        "rank 2 differs from rank 0 in seed, target_size"
    )
    assert run_ranks(here, 5, work) == [text] * 5


def test_an_aspect_that_one_rank_lacks_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = put_ranks(monkeypatch, "torch", 2)

    def work(rank: int) -> None:
        fingerprint = {**SAME, "extra": "1"} if rank else SAME
        agree(Shard(rank, 2, "x"), 0, fingerprint, "DirectoryIterator")

    for text in run_ranks(here, 2, work):
        assert text.endswith("rank 1 differs from rank 0 in extra")


def test_another_class_is_a_difference_too(monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = put_ranks(monkeypatch, "torch", 2)
    names = ["DirectoryIterator", "NumpyArrayIterator"]

    def work(rank: int) -> None:
        agree(Shard(rank, 2, "x"), 0, SAME, names[rank])

    for text in run_ranks(here, 2, work):
        assert text.endswith(
            "rank 1 differs from rank 0 in class (NumpyArrayIterator, not DirectoryIterator)"
        )


@kinds
def test_ranks_that_do_not_come_are_named(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    here, _ = put_ranks(monkeypatch, kind, 4)
    monkeypatch.setattr(agreement, "_PATIENCE_S", 0.05)
    here.rank = 2
    with pytest.raises(RuntimeError, match=r"^ranks 0, 1, 3 of 4 did not come within") as caught:
        agree(Shard(2, 4, "x"), 6, SAME, "DirectoryIterator")
    assert "this DirectoryIterator, sharded iterator number 6 of rank 2" in str(caught.value)


@kinds
def test_a_rank_that_comes_late_is_waited_for(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    here, store = put_ranks(monkeypatch, kind, 2)
    came = threading.Event()
    reading = "check" if kind == "torch" else "blocking_key_value_get"
    read = getattr(type(store), reading)

    def notice(self: Any, key: Any, *rest: Any) -> Any:
        if "pyloader/0/1" in key and here.rank == 0:
            came.set()
        return read(self, key, *rest)

    monkeypatch.setattr(type(store), reading, notice)

    def work(rank: int) -> None:
        if rank == 1:
            assert came.wait(30)
        agree(Shard(rank, 2, "x"), 0, SAME, "DirectoryIterator")

    assert run_ranks(here, 2, work) == ["", ""]


@kinds
def test_asking_again_compares_the_same_again(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    here, store = put_ranks(monkeypatch, kind, 2)

    def work(rank: int) -> None:
        for _ in range(2):
            agree(Shard(rank, 2, "x"), 0, SAME, "DirectoryIterator")

    assert run_ranks(here, 2, work) == ["", ""]
    assert len(store) == 4


@kinds
def test_a_number_used_for_two_iterators_is_an_error(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    here, _ = put_ranks(monkeypatch, kind, 2)

    def work(rank: int) -> None:
        for seed in "78":
            agree(Shard(rank, 2, "x"), 0, {"seed": seed}, "DirectoryIterator")

    for text in run_ranks(here, 2, work):
        assert "has been compared before, with other settings" in text


def test_rank_0_stays_until_the_others_have_read(monkeypatch: pytest.MonkeyPatch) -> None:
    here, store = put_ranks(monkeypatch, "torch", 2)
    monkeypatch.setattr(agreement, "_FAREWELL_S", 30.0)
    Store.set(store, "pyloader/0/1", json.dumps(["DirectoryIterator", {"seed": "8"}]))
    gone = threading.Event()
    stayed: list[bool] = []

    def work(rank: int) -> None:
        if rank == 0:
            try:
                agree(Shard(0, 2, "x"), 0, {"seed": "7"}, "DirectoryIterator")
            finally:
                gone.set()
        else:
            stayed.append(not gone.wait(0.1))
            agree(Shard(1, 2, "x"), 0, {"seed": "8"}, "DirectoryIterator")

    texts = run_ranks(here, 2, work)
    assert texts[0] == texts[1] != ""
    assert stayed == [True]


def test_one_process_alone_has_nobody_to_agree_with(monkeypatch: pytest.MonkeyPatch) -> None:
    agree(Shard(0, 1, "alone"), 0, SAME, "DirectoryIterator")
    agree(Shard(1, 3, "argument"), 0, SAME, "DirectoryIterator")
    here, store = put_ranks(monkeypatch, "torch", 2)
    here.rank = 0
    agree(Shard(0, 1, "alone"), 0, SAME, "DirectoryIterator")
    agree(Shard(0, 1, "keras distribution"), 0, SAME, "DirectoryIterator")
    assert not store


def test_shards_that_are_not_the_ranks_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    here, store = put_ranks(monkeypatch, "torch", 4)
    here.rank = 1
    agree(Shard(1, 2, "argument"), 0, SAME, "DirectoryIterator")
    agree(Shard(0, 4, "argument"), 0, SAME, "DirectoryIterator")
    assert not store


def test_processes_that_share_a_shard_under_keras_all_compare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, _ = put_ranks(monkeypatch, "jax", 4)

    def work(rank: int) -> None:
        shard = Shard(rank // 2, 2, "keras distribution")
        agree(shard, 0, {"seed": str(rank == 3)}, "DirectoryIterator")

    for text in run_ranks(here, 4, work):
        assert text.endswith("rank 3 differs from rank 0 in seed")


@pytest.mark.parametrize(
    "c10d", [SimpleNamespace(), SimpleNamespace(_get_default_store=lambda: None)]
)
def test_torch_without_a_store_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, c10d: Any) -> None:
    put_torch(monkeypatch, get_rank=lambda: 1, get_world_size=lambda: 4, distributed_c10d=c10d)
    assert not agree(Shard(1, 4, "torch.distributed"), 0, SAME, "DirectoryIterator")


@pytest.mark.parametrize(
    "state", [None, SimpleNamespace(), SimpleNamespace(client=None), SimpleNamespace(client=1)]
)
def test_jax_without_a_store_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, state: Any) -> None:
    put_module(monkeypatch, "jax._src.distributed", global_state=state)
    assert not agree(Shard(1, 4, "jax"), 0, SAME, "DirectoryIterator")


def test_an_error_of_the_store_itself_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = put_ranks(monkeypatch, "jax", 2)
    here.rank = 0

    def fail(*_: Any) -> None:
        raise RuntimeError("UNAVAILABLE: failed to connect")

    monkeypatch.setattr(JaxClient, "blocking_key_value_get", fail)
    with pytest.raises(RuntimeError, match="UNAVAILABLE"):
        agree(Shard(0, 2, "jax"), 0, SAME, "DirectoryIterator")
