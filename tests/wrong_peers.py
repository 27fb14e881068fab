"""Peers for tests of the benchmark: each is wrong, or behaves as none should."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from bench.peers.base import Batch, Job
from bench.peers.pillow_pool import PillowPeer

_HELPER = """
import sys, time
kept = bytearray(b"1") * (64 << 20)
for line in sys.stdin:
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    print("done", flush=True)
"""


class OffByOne(PillowPeer):
    def epoch(self) -> Iterator[Batch]:
        for batch in super().epoch():
            yield replace(batch, images=batch.images ^ 1)


class Approximate(PillowPeer):
    exact = False


class AnotherPicture(Approximate):
    def epoch(self) -> Iterator[Batch]:
        for batch in super().epoch():
            yield replace(batch, indices=batch.indices[::-1])


class SwappedColors(Approximate):
    def epoch(self) -> Iterator[Batch]:
        for batch in super().epoch():
            yield replace(batch, images=batch.images[:, :, :, ::-1])


class Mirrored(Approximate):
    def epoch(self) -> Iterator[Batch]:
        for batch in super().epoch():
            yield replace(batch, images=batch.images[:, :, ::-1])


class Incomplete(PillowPeer):
    def epoch(self) -> Iterator[Batch]:
        return iter(list(super().epoch())[:-1])


class WorksBetweenTurns(PillowPeer):
    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.its_turn = threading.Event()
        self.worker = threading.Thread()

    def work(self) -> None:
        while not self.its_turn.is_set():
            pass

    def stop(self) -> None:
        self.its_turn.set()
        if self.worker.is_alive():
            self.worker.join()
        self.its_turn.clear()

    def epoch(self) -> Iterator[Batch]:
        self.stop()
        yield from super().epoch()
        self.worker = threading.Thread(target=self.work)
        self.worker.start()

    def close(self) -> None:
        self.stop()
        super().close()


class TakesItsTime(PillowPeer):
    def epoch(self) -> Iterator[Batch]:
        time.sleep(0.5)
        yield from super().epoch()


class DiesAtStart(PillowPeer):
    def __init__(self, job: Job) -> None:
        raise RuntimeError("out of luck")


class DiesLater(PillowPeer):
    epochs = 0

    def epoch(self) -> Iterator[Batch]:
        self.epochs += 1
        if self.epochs > 1:
            raise RuntimeError("out of luck")
        return super().epoch()


class HasAHelper(PillowPeer):
    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.helper = subprocess.Popen(
            [sys.executable, "-c", _HELPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def epoch(self) -> Iterator[Batch]:
        print("go", file=self.helper.stdin, flush=True)
        yield from super().epoch()
        self.helper.stdout.readline()

    def close(self) -> None:
        self.helper.communicate()
        super().close()
