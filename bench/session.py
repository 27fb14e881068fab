"""The parent's end of a worker process: start it, ask it for an epoch, stop it."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers.base import PeerUnavailable
from bench.process import PeakMemory

_WORKER = Path(__file__).resolve().parent / "worker.py"


class WorkerFailed(Exception):
    """A peer's process ended or sent an invalid answer; the message has its last lines."""


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One measured turn of one peer: one epoch or several."""

    figures: dict[str, Any]
    """images, seconds, cpu_seconds, peak_memory_bytes, idle_cpu_seconds, ..."""
    order: NDArray[np.int64]
    """Indices as delivered."""
    samples: NDArray[Any]
    """The images at the requested positions, (K, H, W, 3)."""


class WorkerProcess:
    """A process that answers each line of JSON with another; the first line is the settings.

    Args:
        name: Its name in messages.
        command: The script and its arguments.
        settings: The first line.
        environment: Variables to add to its environment.
        python: Another interpreter. It gets no PYTHONPATH: its packages are its own.

    Raises:
        PeerUnavailable: It cannot do the job here.
        WorkerFailed: It ends.
    """

    about: dict[str, Any]
    """Its first answer."""

    def __init__(
        self,
        name: str,
        command: list[str],
        settings: dict[str, Any],
        environment: dict[str, str] | None = None,
        python: str | None = None,
    ) -> None:
        self._name = name
        variables = os.environ | (environment or {})
        if python:
            variables.pop("PYTHONPATH", None)
        self._errors = tempfile.TemporaryFile(prefix="pyloader-bench-")  # noqa: SIM115
        self._process = subprocess.Popen(
            [python or sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=variables,
        )
        try:
            self.about = self.ask(settings)
            if "unavailable" in self.about:
                raise PeerUnavailable(self.about["unavailable"])
        except BaseException:
            self.close()
            raise

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Sends a line and waits for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self._process.wait()
            self._errors.seek(0)
            last_words = self._errors.read().decode(errors="replace")[-2000:]
            raise WorkerFailed(f"the process of {self._name} ended:\n{last_words}") from None
        return answer

    @property
    def id(self) -> int:
        """The process's id."""
        return self._process.pid

    def close(self) -> None:
        """Ends the process. Idempotent."""
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
        self._errors.close()


class PeerSession:
    """One peer in a process of its own, so that its memory and threads are its own.

    Args:
        peer: Its name.
        settings: Its job, as Job.from_settings takes it.
        environment, python: As for WorkerProcess.

    Raises:
        PeerUnavailable: The peer cannot do this job here.
        WorkerFailed: Its process fails.
    """

    def __init__(
        self,
        peer: str,
        settings: dict[str, Any],
        environment: dict[str, str] | None = None,
        python: str | None = None,
    ) -> None:
        self.peer = peer
        command = [str(_WORKER), peer]
        self._process = WorkerProcess(peer, command, settings, environment, python)
        self._scratch = tempfile.TemporaryDirectory(prefix="pyloader-bench-")
        self.about = self._process.about

    def epochs(self, positions: list[int], epochs: int = 1) -> EpochResult:
        """Runs some epochs; `positions` (ascending) are the images of the first one to return."""
        path = Path(self._scratch.name) / "samples.npz"
        command = {"command": "epochs", "positions": positions, "samples_path": str(path)}
        figures = self._process.ask(command | {"epochs": epochs})
        with np.load(path) as delivered:
            return EpochResult(figures, delivered["order"], delivered["images"])

    def memory_bytes(self) -> int:
        """Returns the peak memory of the process and its children during an untimed epoch.

        0 if the system does not report it, see process.proportional_memory_bytes.
        """
        with PeakMemory(self._process.id) as peak:
            self.epochs([])
        return peak.bytes

    def overhead(self, count: int) -> dict[str, Any]:
        """Measures the consumer's cost per batch, see worker.measure_overhead."""
        return self._process.ask({"command": "overhead", "count": count})

    def close(self) -> None:
        """Ends the process and removes its files. Idempotent."""
        self._process.close()
        self._scratch.cleanup()
