"""CPU time and memory of a process and its children."""

import ctypes
import os
import resource
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")

SAMPLE_SECONDS = 0.02
"""Interval between the samples of PeakMemory."""


def cpu_seconds() -> float:
    """Returns user and system time of all threads of this process and of all its children."""
    finished = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = sum(_cpu_seconds_of(child) for child in descendants(os.getpid()))
    return time.process_time() + finished.ru_utime + finished.ru_stime + running


def descendants(process: int) -> list[int]:
    """Returns the running descendants of a process; none if the system does not report them."""
    found: list[int] = []
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(child) for child in tasks.read_text().split()]
        except OSError:  # the thread has ended
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def proportional_memory_bytes(process: int) -> int:
    """Returns the PSS of a process and its children: a page that n of them share counts 1/n each.

    0 if the system does not report it, or the process has ended.
    """
    total = 0
    for member in [process, *descendants(process)]:
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


class PeakMemory:
    """Samples the memory of a process and its children from outside during the `with` block.

    Sampling takes kernel time that the process may wait for: do not time anything meanwhile.
    """

    def __init__(self, process: int) -> None:
        self.bytes = 0
        """The maximum sampled; 0 if the system does not report it."""
        self._process = process
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, proportional_memory_bytes(self._process))
            if self._end.wait(SAMPLE_SECONDS):
                return


def reset_peak_memory() -> bool:
    """Resets the peak; False if the system does not allow it (the old peak then stays)."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def peak_memory_bytes() -> int:
    """Returns the maximum resident memory since the last reset, else since the start."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cpu_seconds_of(process: int) -> float:
    clock = ctypes.c_int()
    try:
        refused = ctypes.CDLL(None).clock_getcpuclockid(process, ctypes.byref(clock))
        return 0.0 if refused else time.clock_gettime(clock.value)
    except OSError:  # it has ended meanwhile
        return 0.0
