"""The process of one training loop: `overlap_worker.py LOADER LOOP`, JSON lines like worker.py.

LOADER is pyloader, keras (its own ImageDataGenerator), or ready: the same batch again and again,
which costs nothing to load, so that the remaining time is the loop's own. LOOP is plain,
`for x, y in ...`, or fit, Keras' fit on the backend that KERAS_BACKEND names. A step reads its
batch and sleeps for the rest of its time, as the CPU idles while an accelerator computes. In fit
that happens in the model's own train_step, which Keras runs uncompiled: after the batch has been
handed over and before the next one is asked for.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if not __package__:  # at the end, so that an installed pyloader comes before the source tree's
    sys.path.append(str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench import process

GRID = 8
"""Of every picture, one pixel in GRID x GRID enters the sum that is checked."""

GENERATORS = {"pyloader": "pyloader", "keras": "keras.src.legacy.preprocessing.image"}


READY = "ready"


class Step:
    """A training step of a given length, and the sums over its batches."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.count = 0
        self.waits: list[float] = []
        """Seconds from the end of a step to the start of the next."""
        self._ended = 0.0
        self.busy_seconds = 0.0
        """Seconds of all steps: a sleep may last longer than asked."""
        self.images = 0
        self.pixel_sum = 0
        self.label_sum = 0

    def __call__(self, x: Any, y: Any) -> None:
        """Runs a step on a batch of arrays of any backend."""
        started = time.perf_counter()
        if self.count:
            self.waits.append(started - self._ended)
        self.count += 1
        self.images += len(x)
        self.pixel_sum += int(np.asarray(x[:, ::GRID, ::GRID]).sum(dtype=np.float64))
        self.label_sum += int(np.asarray(y).sum())
        time.sleep(max(0.0, started + self._seconds - time.perf_counter()))
        self._ended = time.perf_counter()
        self.busy_seconds += self._ended - started


class Watch:
    """Measures the time of an iterator's calls on the training thread.

    Args:
        kind: The iterator's class, whose method is replaced by a timed one.
        method: Its name.
    """

    def __init__(self, kind: type, method: str) -> None:
        self.seconds = 0.0
        self.elsewhere = 0
        """Calls from other threads, which do not count as waiting."""
        inner = getattr(kind, method)

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return inner(*arguments)
            finally:
                if threading.current_thread() is threading.main_thread():
                    self.seconds += time.perf_counter() - started
                else:
                    self.elsewhere += 1

        setattr(kind, method, timed)

    def reset(self) -> None:
        self.seconds, self.elsewhere = 0.0, 0


class PlainLoop:
    """`for x, y in ...`, the batches of next()."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self.watch = Watch(type(iterator), "next" if hasattr(iterator, "next") else "__next__")

    def epochs(self, count: int, step: Step) -> float:
        """Trains; returns the seconds that it took."""
        started = time.perf_counter()
        for x, y in batches(self._iterator, count):
            step(x, y)
        return time.perf_counter() - started


class Fit:
    """Keras' fit, timed from the start of the first epoch to the end of the last."""

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        # pyloader's __getitem__ inspects its caller's frame: no wrapper between it and Keras
        method = "_deliver" if hasattr(type(iterator), "_deliver") else "__getitem__"
        self.watch = Watch(type(iterator), method)

    def epochs(self, count: int, step: Step) -> float:
        """Trains; returns the seconds that it took."""
        import keras  # type: ignore[import-untyped]

        class Model(keras.Model):  # type: ignore[misc]
            def train_step(self, *arguments: Any) -> Any:
                """(data) on TensorFlow and PyTorch, (state, data) on JAX."""
                x, y = arguments[-1]
                step(x, y)
                logs = {"loss": keras.ops.zeros(())}
                return logs if len(arguments) == 1 else (logs, arguments[0])

        class Clock(keras.callbacks.Callback):  # type: ignore[misc]
            started = ended = 0.0

            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                self.started = self.started or time.perf_counter()

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                self.ended = time.perf_counter()

        inputs = keras.Input((None, None, 3))
        model = Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
        model.compile("sgd", run_eagerly=True)
        clock = Clock()
        model.fit(self._iterator, epochs=count, verbose=0, callbacks=[clock])
        return clock.ended - clock.started


def main() -> int:
    """Serves one loop until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print to the error stream, not among the replies

    def reply(answer: dict[str, Any]) -> None:
        replies.write(json.dumps(answer) + "\n")
        replies.flush()

    loader, kind = sys.argv[1:]
    settings = json.loads(sys.stdin.readline())
    try:
        if kind == "fit":
            importlib.import_module("keras")
        iterator = make_iterator("pyloader" if loader == READY else loader, settings)
        if loader == READY:
            iterator = make_ready(iterator, kind == "fit")
    except ImportError as reason:
        reply({"unavailable": f"{type(reason).__name__}: {reason}"})
        return 0
    loop = PlainLoop(iterator) if kind == "plain" else Fit(iterator)
    reply({"batches": len(iterator)})
    idle_from = process.cpu_seconds()
    for line in sys.stdin:
        idle = process.cpu_seconds() - idle_from
        command = json.loads(line)
        if command["command"] == "load":
            answer = load(iterator, command["epochs"])
        else:
            answer = train(loop, command["epochs"], command["step_seconds"])
        if loader == "pyloader":  # assigning a position drops prefetched batches: the others' turn
            iterator.batch_index = 0
        reply(answer | {"idle_cpu_seconds": idle})
        idle_from = process.cpu_seconds()
    return 0


def make_iterator(loader: str, settings: dict[str, Any]) -> Any:
    """Returns the loader's iterator over the folder."""
    module = importlib.import_module(GENERATORS[loader])
    native = {"num_threads": settings["threads"], "verbose": False}
    return module.ImageDataGenerator(dtype=settings["dtype"]).flow_from_directory(
        settings["directory"],
        target_size=(settings["height"], settings["width"]),
        batch_size=settings["batch_size"],
        interpolation=settings["interpolation"],
        class_mode="sparse",
        seed=settings["seed"],
        **(native if loader == "pyloader" else {}),
    )


def make_ready(iterator: Any, in_fit: bool) -> Any:
    """Returns an iterator of as many batches, each of them the first one."""
    length = len(iterator)
    batch = next(iterator)
    iterator.close()
    bases: tuple[type, ...] = ()
    if in_fit:
        import keras

        bases = (keras.utils.PyDataset,)
        if keras.backend.backend() == "torch":  # Keras copies arrays, and no tensors
            import torch

            batch = tuple(torch.from_numpy(array) for array in batch)

    class Ready(*bases):  # type: ignore[misc]
        def __len__(self) -> int:
            return length

        def __getitem__(self, index: int) -> Any:
            return batch

        def __next__(self) -> Any:
            return batch

    return Ready()


def batches(iterator: Any, epochs: int) -> Iterator[Any]:
    """Yields the batches of some epochs."""
    for _ in range(epochs * len(iterator)):
        yield next(iterator)


def load(iterator: Any, epochs: int) -> dict[str, Any]:
    """Returns the mean seconds to load a batch without a step, after the first one."""
    next(iterator)
    started = time.perf_counter()
    for _ in batches(iterator, epochs):
        pass
    return {"batch_seconds": (time.perf_counter() - started) / (epochs * len(iterator))}


def train(loop: PlainLoop | Fit, epochs: int, step_seconds: float) -> dict[str, Any]:
    """Runs some epochs with steps of a given length.

    Returns:
        seconds and steps; waiting_share, the share of the time that is not steps; in_calls_share,
        the share spent in the iterator's calls, None if another thread makes them; waits, the
        seconds before each step; cpu_seconds; the sums over the batches: images, pixel_sum,
        label_sum.
    """
    step = Step(step_seconds)
    loop.watch.reset()
    cpu_before = process.cpu_seconds()
    seconds = loop.epochs(epochs, step)
    return {
        "seconds": seconds,
        "steps": step.count,
        "waiting_share": 1 - step.busy_seconds / seconds,
        "in_calls_share": None if loop.watch.elsewhere else loop.watch.seconds / seconds,
        "waits": step.waits,
        "cpu_seconds": process.cpu_seconds() - cpu_before,
        "images": step.images,
        "pixel_sum": step.pixel_sum,
        "label_sum": step.label_sum,
    }


if __name__ == "__main__":
    sys.exit(main())
