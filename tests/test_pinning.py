"""Batches in page-locked memory: by a CUDA runtime that is loaded, by the system, or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import assert_same_batch

from pyloader import ImageDataGenerator

_RUNTIME = """
#include <stddef.h>
#include <stdio.h>
static void note(const char* what, void* memory, size_t bytes) {
  FILE* log = fopen(LOG, "a");
  fprintf(log, "%s %p %zu\\n", what, memory, bytes);
  fclose(log);
}
int cudaHostRegister(void* memory, size_t bytes, unsigned flags) {
  note(flags == 1 ? "register" : "wrong", memory, bytes);
  return STATUS;
}
int cudaHostUnregister(void* memory) { note("unregister", memory, 0); return 0; }
"""

_SCRIPT = """
import ctypes, gc, os, sys
folder, library, pin = sys.argv[1], sys.argv[2], {"True": True, "False": False, "None": None}
ctypes.CDLL(library)  # as a framework loads the real one
from pyloader import ImageDataGenerator
it = ImageDataGenerator().flow_from_directory(
    folder, target_size=(32, 32), batch_size=4, pin_memory=pin[sys.argv[3]], verbose=False)
kept = [next(it)[0] for _ in range(3)]
addresses = {hex(images.ctypes.data) for images in kept}
stats = it.stats()
print(stats.slots_registered, stats.slots_locked, stats.slots)
print(*sorted(addresses))
child = os.fork()
if child == 0:
    del kept, it
    os._exit(0)
os.waitpid(child, 0)
it.close()
del kept, it
gc.collect()
"""


def _flow(folder: Path, **options: Any) -> Any:
    return ImageDataGenerator().flow_from_directory(
        folder, target_size=(32, 32), batch_size=4, seed=1, verbose=False, **options
    )


def _locked_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmLck"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is locked")
def test_the_system_locks_slots_and_forgets_them_with_the_iterator(class_folders: Path) -> None:
    before = _locked_kb()
    with _flow(class_folders, pin_memory=True) as pinned:
        for batch in _flow(class_folders).epoch():
            assert_same_batch(next(pinned), batch)
        stats = pinned.stats()
        del batch
        if stats.slots_locked:  # what the system allows is the system's business
            assert stats.slots_locked == stats.slots
            assert _locked_kb() - before >= stats.slot_bytes // 1024
            assert "by the system" in str(stats)
        else:
            assert "refused" in str(stats)
    del pinned
    assert _locked_kb() == before


@pytest.mark.parametrize("pin_memory", [None, False])
def test_without_cuda_nothing_is_pinned_unasked(class_folders: Path, pin_memory: Any) -> None:
    iterator = _flow(class_folders, pin_memory=pin_memory)
    next(iterator)
    stats = iterator.stats()
    assert (stats.slots_locked, stats.slots_registered) == (0, 0)
    assert "pinned" not in str(stats)


@pytest.mark.parametrize("wrong", [1, "cuda", 0.0])
def test_the_argument_is_none_true_or_false(class_folders: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match="pin_memory"):
        _flow(class_folders, pin_memory=wrong)


def _run_with_runtime(
    folder: Path, place: Path, pin: str, status: int
) -> tuple[list[int], set[str], list[list[str]]]:
    """Counts of slots, addresses of batches, and what a stand-in for CUDA's runtime was told."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and Linux")
    source, library, log = place / "runtime.c", place / "libcudart.so.12", place / "log"
    source.write_text(_RUNTIME)
    options = ["-shared", "-fPIC", "-Wl,-soname,libcudart.so.12", f"-DSTATUS={status}"]
    subprocess.run(
        [compiler, *options, f'-DLOG="{log}"', str(source), "-o", str(library)], check=True
    )
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder), str(library), pin],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    counts, addresses = done.stdout.splitlines()
    told = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [int(count) for count in counts.split()], set(addresses.split()), told


@pytest.mark.parametrize("pin", ["None", "True"])
def test_a_loaded_cuda_runtime_gets_every_slot_and_its_end(
    class_folders: Path, tmp_path: Path, pin: str
) -> None:
    counts, addresses, told = _run_with_runtime(class_folders, tmp_path, pin, status=0)
    assert counts[0] == counts[2] > 0
    assert counts[1] == 0
    registered = [address for what, address, _ in told if what == "register"]
    unregistered = [address for what, address, _ in told if what == "unregister"]
    assert addresses <= set(registered)
    assert sorted(registered) == sorted(unregistered)  # once each, and none by the forked child
    assert not [what for what, *_ in told if what == "wrong"]


def test_a_runtime_that_refuses_costs_nothing(class_folders: Path, tmp_path: Path) -> None:
    counts, _, told = _run_with_runtime(class_folders, tmp_path, "None", status=2)
    assert counts[:2] == [0, 0]
    assert {what for what, *_ in told} == {"register"}


def test_false_leaves_a_loaded_runtime_alone(class_folders: Path, tmp_path: Path) -> None:
    counts, _, told = _run_with_runtime(class_folders, tmp_path, "False", status=0)
    assert counts[:2] == [0, 0]
    assert told == []
