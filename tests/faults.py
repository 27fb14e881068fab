"""What the tests of faults share: scripts in processes of their own, and what these hold."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent

PATIENCE = 600
"""Seconds that nothing takes, on the slowest machine; a hang is found, and says so."""

NEEDS_PROC = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="no /proc on this system"
)

_PROLOGUE = """\
import atexit, ctypes, gc, os, resource, signal, sys, threading, warnings
sys.path.insert(0, {tests!r})
import numpy as np
import pyloader
from faults import address_space, resources
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup's children ignore it

def flow(function=None, **options):
    options = {{"target_size": (8, 8), "batch_size": 4, "seed": 6, "verbose": False, **options}}
    generator = pyloader.ImageDataGenerator(preprocessing_function=function)
    return generator.flow_from_directory({folder!r}, **options)
"""


def script(folder: Path, code: str) -> list[str]:
    """The command that runs code with `flow`, which makes an iterator over a folder.

    Args:
        folder: A folder with class folders.
        code: What to run.

    Returns:
        The command; in it, warnings are errors.
    """
    prologue = _PROLOGUE.format(tests=str(TESTS), folder=str(folder))
    return [sys.executable, "-W", "error", "-c", prologue + code]


def run(folder: Path, code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a script to its end, which must come.

    Args:
        folder: As for `script`.
        code: As for `script`.
        **options: For `subprocess.run`.

    Returns:
        What it printed, and its exit status.
    """
    command = script(folder, code)
    options = {"capture_output": True, "text": True, "timeout": PATIENCE, **options}
    return subprocess.run(command, check=False, **options)


def succeeds(folder: Path, code: str, **options: Any) -> str:
    """Runs a script that must end well and in silence.

    Args:
        folder: As for `script`.
        code: As for `script`.
        **options: For `subprocess.run`.

    Returns:
        Its standard output.
    """
    done = run(folder, code, **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr + done.stdout
    return str(done.stdout)


def compile_shim(source: Path, folder: Path) -> Path:
    """Compiles a library for LD_PRELOAD, or skips the test where there is no compiler.

    Args:
        source: A C file.
        folder: Where the library goes.

    Returns:
        The library.
    """
    library = folder / f"{source.stem}.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-shared", "-fPIC", "-O1", str(source), "-o", str(library), "-ldl"]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        pytest.skip(f"needs a C compiler ({compiler[0]})")
    return library


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def resources() -> dict[str, int]:
    """Threads, open files and resident KiB of this process.

    Threads that were joined stay in the system's list for a moment, so the least count of a few is
    theirs.
    """
    threads = []
    for _ in range(3):
        status = _status()
        threads.append(int(status["Threads"]))
        time.sleep(0.02)
    return {
        "threads": min(threads),
        "files": len(os.listdir("/proc/self/fd")) - 1,  # without the one that lists  # noqa: PTH208
        "resident": int(status["VmRSS"].split()[0]),
    }


def address_space() -> int:
    """Bytes of address space that this process has in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
