"""Runs a script as the processes of a world and collects what each of them says."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["free_port", "run_world_of"]


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def run_world_of(
    script: str, arguments: Sequence[Any], environments: Sequence[dict[str, str]]
) -> list[Any]:
    """Starts one process for each rank, all at once.

    Args:
        script: The Python code, whose last printed line is JSON.
        arguments: The first argument of each rank, passed as JSON.
        environments: What each rank has beside this process's environment.

    Returns:
        What each rank said.
    """
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, json.dumps(argument)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for argument, extra in zip(arguments, environments, strict=True)
    ]
    try:
        outputs = [worker.communicate(timeout=600) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    for worker, (_, errors) in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, errors
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]
