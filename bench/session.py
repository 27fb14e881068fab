"""The parent's end of a worker process: start a peer, ask it for an epoch, stop it."""

import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers.base import PeerUnavailable

_WORKER = Path(__file__).resolve().parent / "worker.py"


class WorkerFailed(Exception):
    """A peer's process ended or answered nonsense; the message carries its last words."""


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One measured epoch of one peer."""

    figures: dict[str, Any]
    """images, seconds, cpu_seconds, peak_memory_bytes, idle_cpu_seconds, ..."""
    order: NDArray[np.int64]
    """Indices as delivered."""
    samples: NDArray[Any]
    """The images at the positions that were asked for, (K, H, W, 3)."""


class PeerSession:
    """One peer in a process of its own, so that its memory and threads are its own.

    Raises:
        PeerUnavailable: the peer says that it cannot do this job here.
        WorkerFailed: its process fails.
    """

    def __init__(self, peer: str, settings: dict[str, Any]) -> None:
        self.peer = peer
        self._scratch = tempfile.TemporaryDirectory(prefix="pyloader-bench-")
        self._errors = Path(self._scratch.name) / "errors.txt"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(_WORKER), peer],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            self.about = self._ask(settings)
            if "unavailable" in self.about:
                raise PeerUnavailable(self.about["unavailable"])
        except BaseException:
            self.close()
            raise

    def epoch(self, positions: list[int]) -> EpochResult:
        """Runs one epoch; `positions` (ascending) are the images to bring back."""
        path = Path(self._scratch.name) / "samples.npz"
        command = {"command": "epoch", "positions": positions, "samples_path": str(path)}
        figures = self._ask(command)
        with np.load(path) as delivered:
            return EpochResult(figures, delivered["order"], delivered["images"])

    def overhead(self, count: int) -> dict[str, Any]:
        """The consumer's cost per batch, see worker.measure_overhead."""
        return self._ask({"command": "overhead", "count": count})

    def close(self) -> None:
        """Ends the process and removes its files. Idempotent."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._scratch.cleanup()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self._process.wait()
            last_words = self._errors.read_text(errors="replace")[-2000:]
            raise WorkerFailed(f"the process of {self.peer} ended:\n{last_words}") from None
        return answer
