"""The process of one peer: reads commands as JSON lines, answers each with one line.

Between two commands it blocks on its standard input. `python bench/worker.py PEER`.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any, TextIO

if not __package__:  # at the end, so that an installed pyloader comes before the source tree's
    sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench import process
from bench.peers.base import Batch, Job, Peer, PeerUnavailable
from bench.peers.catalog import load_peer

IDLE_POLL_SECONDS = 0.01
IDLE_POLLS = 3
"""Consecutive polls without CPU time after which a process counts as idle."""

IDLE_PATIENCE_SECONDS = 2.0
"""Time limit for a process that never becomes idle."""


def main() -> int:
    """Serves one peer until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # peers print to the error stream, not among the replies
    peer_name = sys.argv[1]
    job = Job.from_settings(json.loads(sys.stdin.readline()))
    began = time.perf_counter()
    try:
        peer_class = load_peer(peer_name)
        imported = process.peak_memory_bytes()
        started = time.perf_counter()
        peer = peer_class(job)
    except (ImportError, PeerUnavailable) as reason:
        _reply(replies, {"unavailable": f"{type(reason).__name__}: {reason}"})
        return 0
    prepare_seconds = getattr(peer, "prepare_seconds", 0.0)
    construct_seconds = time.perf_counter() - started - prepare_seconds
    _wait_until_idle()  # libraries start threads on import, which spin for a while
    _reply(
        replies,
        {
            "settings": peer.settings(),
            "exact": peer.exact,
            "import_seconds": started - began,
            "construct_seconds": construct_seconds,
            "prepare_seconds": prepare_seconds,
            "memory_after_import_bytes": imported,
        },
    )
    _serve(peer, job, replies)
    peer.close()
    return 0


def _serve(peer: Peer, job: Job, replies: TextIO) -> None:
    idle_from = process.cpu_seconds()
    for line in sys.stdin:
        idle_cpu = process.cpu_seconds() - idle_from
        command = json.loads(line)
        if command["command"] == "epochs":
            places = (command["positions"], command["samples_path"])
            answer = run_epochs(peer, job, *places, command["epochs"])
        elif command["command"] == "overhead":
            answer = measure_overhead(peer, command["count"])
        else:
            raise ValueError(f"unknown command. Received: {line}")
        _reply(replies, answer | {"idle_cpu_seconds": idle_cpu})
        idle_from = process.cpu_seconds()


def _reply(replies: TextIO, answer: dict[str, Any]) -> None:
    replies.write(json.dumps(answer) + "\n")
    replies.flush()


def run_epochs(
    peer: Peer, job: Job, positions: list[int], samples_path: str, epochs: int
) -> dict[str, Any]:
    """Times some epochs in a row and writes what arrived to `samples_path` (NumPy .npz).

    Args:
        peer: The loader.
        job: Its job.
        positions: Positions in the first epoch, ascending, of the images for the pixel check.
        samples_path: Receives `images` (those positions) and `order` (all indices as delivered).
        epochs: Number of epochs.

    Returns:
        images, seconds, first_batch_seconds (from the request to the first batch of each epoch),
        batch_seconds (to each of the other batches), cpu_seconds, peak_memory_bytes (this process
        alone), peak_is_of_this_epoch.
    """
    kept = np.zeros((len(positions), job.height, job.width, 3), job.dtype)
    order: list[np.ndarray[Any, Any]] = []
    fresh_peak = process.reset_peak_memory()
    images = 0
    next_kept = 0
    first_batch_seconds: list[float] = []
    batch_seconds: list[float] = []
    cpu_before = process.cpu_seconds()
    started = asked = time.perf_counter()
    for _ in range(epochs):
        waits = first_batch_seconds
        for batch in peer.epoch():
            waits.append(round(time.perf_counter() - asked, 6))
            waits = batch_seconds
            _check_form(batch, job)
            order.append(batch.indices.copy())
            end = images + len(batch.images)
            while next_kept < len(positions) and positions[next_kept] < end:
                kept[next_kept] = batch.images[positions[next_kept] - images]
                next_kept += 1
            images = end
            asked = time.perf_counter()
    seconds = time.perf_counter() - started
    cpu_seconds = process.cpu_seconds() - cpu_before
    peak = process.peak_memory_bytes()
    np.savez(samples_path, images=kept[:next_kept], order=np.concatenate(order))
    return {
        "images": images,
        "seconds": seconds,
        "first_batch_seconds": first_batch_seconds,
        "batch_seconds": batch_seconds,
        "cpu_seconds": cpu_seconds,
        "peak_memory_bytes": peak,
        "peak_is_of_this_epoch": fresh_peak,
    }


def measure_overhead(peer: Peer, count: int) -> dict[str, Any]:
    """Times `next()` with the batch ready: the cost per batch on the consumer's thread.

    Before each of `count` calls it waits until the loader is idle because its prefetch queue is
    full, so the time is hand-over and wake-up, not waiting for a decode.

    Returns:
        overhead_us: One figure per call, in microseconds; overhead_us_median.
    """
    times: list[float] = []
    while len(times) < count:
        batches = peer.epoch()
        next(batches)
        taken = len(times)
        while len(times) < count:
            _wait_until_idle()
            started = time.perf_counter_ns()
            batch = next(batches, None)
            elapsed = time.perf_counter_ns() - started
            if batch is None:
                break
            times.append(elapsed / 1000)
        batches.close()  # type: ignore[attr-defined]
        if len(times) == taken:
            raise ValueError("the folder must hold at least two batches to time the second")
    return {"overhead_us": times, "overhead_us_median": statistics.median(times)}


def _wait_until_idle() -> None:
    quiet = 0
    give_up = time.perf_counter() + IDLE_PATIENCE_SECONDS
    before = process.cpu_seconds()
    while quiet < IDLE_POLLS and time.perf_counter() < give_up:
        time.sleep(IDLE_POLL_SECONDS)
        now = process.cpu_seconds()
        quiet = quiet + 1 if now - before < IDLE_POLL_SECONDS / 10 else 0
        before = now


def _check_form(batch: Batch, job: Job) -> None:
    form = (batch.images.shape[1:], batch.images.dtype.name)
    expected = ((job.height, job.width, 3), job.dtype)
    if form != expected or len(batch.images) != len(batch.indices):
        raise ValueError(
            f"a batch must be {expected}, one index per image. "
            f"Received: {form}, {len(batch.images)} images, {len(batch.indices)} indices"
        )


if __name__ == "__main__":
    sys.exit(main())
