"""What users and accidents do to an iterator, at random, while every batch is looked at."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from soak_subjects import Subject, UserError, WrongBatchError, random_subject
from soak_world import World

from pyloader import ImageError, MemoryLimitError

PATIENCE = 120
"""Seconds that no step takes; whoever takes longer hangs."""


class Interrupt(KeyboardInterrupt):
    """A Ctrl-C from a timer."""


class Round:
    """One iterator from its making to its end.

    Args:
        dice: Decides about everything.
        world: The images.
        scratch: A folder for caches.
        counts: Everything is counted in it: batches, images, steps, faults, errors.
    """

    def __init__(
        self, dice: random.Random, world: World, scratch: Path, counts: Counter[str]
    ) -> None:
        self._dice = dice
        self._world = world
        self._scratch = scratch
        self._counts = counts
        self.subject: Subject = random_subject(dice, world, scratch)
        self._its: list[Any] = []
        self._kept: list[Any] = []

    def run(self) -> None:
        """Makes the iterator, does random things with it, and lets it go.

        Raises:
            WrongBatchError: A batch is wrong.
            Exception: An error that nothing explains.
        """
        self._counts[f"iterator: {self.subject.kind}"] += 1
        try:
            it = self.subject.make()
        except MemoryLimitError:
            self._forgive("memory limit", self.subject.options["memory_limit"] is not None)
            return
        except ValueError as error:
            few = "batch_size" in str(error) and self.subject.options["last_batch"] == "drop"
            self._forgive("last batch", few)
            return
        self._its.append(it)
        steps: list[Callable[[Any], None]] = [
            *[self._take] * 8,
            *[self._item] * 3,
            *[self._fault] * 4,
            self._epoch,
            self._reset,
            self._end_epoch,
            self._resume,
            self._pickle,
            self._interrupt,
            self._crowd,
            self._hold,
            self._damage_cache,
            self._look,
        ]
        if hasattr(os, "fork") and self._dice.random() < 0.2:
            steps.append(self._fork)
        for _ in range(self._dice.randrange(2, 25)):
            step = self._dice.choice(steps)
            self._counts[f"step: {step.__name__.strip('_')}"] += 1
            step(it)
        self._dice.choice([self._close, self._close_while_waiting, self._drop, self._cycle])(it)

    def end(self) -> None:
        """Lets go of everything; cycles are left to the collector."""
        self._kept.clear()
        for it in self._its:
            leased = it.stats().slots_leased
            if leased:
                raise WrongBatchError(f"{leased} slots are still leased when nobody has a batch")
            it.close()
        self._its.clear()

    def _take(self, it: Any) -> None:
        self._deliver(it, it.next)

    def _item(self, it: Any) -> None:
        index = self._dice.randrange(-len(it), len(it))
        self._deliver(it, lambda: it[index])

    def _epoch(self, it: Any) -> None:
        batches = iter(it) if self.subject.kind == "dataset" else it.remaining()
        for _ in range(len(it) + 1):
            try:
                batch = next(batches)
            except StopIteration:
                break
            except (ImageError, UserError, MemoryLimitError) as error:
                self._judge_error(error)
                break  # a generator that raised has ended
            self._count(self.subject.judge(it, batch, True))
        with contextlib.suppress(AttributeError):
            batches.close()

    def _reset(self, it: Any) -> None:
        it.reset()

    def _end_epoch(self, it: Any) -> None:
        it.on_epoch_end()

    def _resume(self, it: Any) -> None:
        """Another iterator that goes on from here delivers the same samples."""
        other = self._another()
        if other is None:
            return
        other.load_state_dict(it.state_dict())
        self._deliver(other, other.next)
        self._deliver(it, it.next)
        if it.state_dict() != other.state_dict():
            raise WrongBatchError("a resumed iterator stands elsewhere after one batch")

    def _pickle(self, it: Any) -> None:
        copy = pickle.loads(pickle.dumps(it))
        self._its.append(copy)
        self._deliver(copy, copy.next)
        self._its.pop()
        copy.close()

    def _look(self, it: Any) -> None:
        str(it.stats())
        len(it.errors)

    def _hold(self, it: Any) -> None:
        """Keeps some batches; they stay as they are."""
        for _ in range(self._dice.randrange(1, 4)):
            self._deliver(it, it.next, keep=True)
        if self._dice.random() < 0.5:
            self._kept.clear()

    def _fault(self, it: Any) -> None:
        self._counts[f"fault: {self._world.fault()}"] += 1

    def _damage_cache(self, it: Any) -> None:
        cache = self.subject.options.get("cache")
        if not isinstance(cache, Path) or not cache.is_dir():
            return
        how = self._dice.choice(["deleted", "damaged", "cut"])
        self._counts[f"cache folder: {how}"] += 1
        if how == "deleted":
            shutil.rmtree(cache, ignore_errors=True)
            return
        files = sorted(path for path in cache.iterdir() if path.is_file())
        if not files:
            return
        path = self._dice.choice(files)
        size = path.stat().st_size
        if how == "cut":
            os.truncate(path, self._dice.randrange(size + 1))
        elif size:
            with path.open("r+b") as file:
                file.seek(self._dice.randrange(size))
                file.write(self._dice.randbytes(self._dice.randrange(1, 200)))

    def _interrupt(self, it: Any) -> None:
        """A Ctrl-C at some moment; the position tells whether the batch was handed over."""

        def interrupt(number: int, frame: Any) -> None:
            raise Interrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, self._dice.uniform(1e-4, 5e-3))
            self._deliver(it, it.next)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupt:
            self._counts["error: interrupt"] += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _crowd(self, it: Any) -> None:
        """Several threads take batches."""
        taken: list[Any] = []
        problems: list[BaseException] = []

        def take() -> None:
            for _ in range(3):
                try:
                    taken.append(it.next())
                except BaseException as error:
                    problems.append(error)

        threads = [threading.Thread(target=take, daemon=True) for _ in range(3)]
        _run_all(threads)
        for batch in taken:
            self._count(self.subject.judge(it, batch, False))
        taken.clear()
        for problem in problems:
            self._judge_error(problem)
        problems.clear()

    def _fork(self, it: Any) -> None:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(PATIENCE)
                for _ in range(3):
                    self._take(it)
                status = 0
            except BaseException as error:
                print(f"in a forked child: {type(error).__name__}: {error}", flush=True)
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise WrongBatchError(f"a forked child ended with {status}; {self.subject}")

    def _close(self, it: Any) -> None:
        it.close()
        try:
            it.next()
        except RuntimeError as error:
            if "is closed" not in str(error):
                raise
        else:
            raise WrongBatchError("a closed iterator delivers")

    def _close_while_waiting(self, it: Any) -> None:
        """Another thread closes while this one takes batches."""
        closer = threading.Thread(target=it.close, daemon=True)
        for number in range(1000):
            if number == 3:
                closer.start()
            try:
                self._deliver(it, it.next)
            except RuntimeError as error:
                if "is closed" not in str(error):
                    raise
                break
        else:
            raise WrongBatchError("an iterator that is closed goes on for 1000 batches")
        _run_all([closer])

    def _drop(self, it: Any) -> None:
        self._its.remove(it)

    def _cycle(self, it: Any) -> None:
        it.itself = [it]
        self._its.remove(it)

    def _another(self) -> Any:
        """An iterator with the same settings; None where the files that are found differ."""
        other = self.subject.make()
        self._its.append(other)
        ours = getattr(self._its[0], "filepaths", None) or getattr(self._its[0], "file_paths", None)
        theirs = getattr(other, "filepaths", None) or getattr(other, "file_paths", None)
        if ours == theirs:
            return other
        other.close()
        return None

    def _deliver(self, it: Any, call: Callable[[], Any], keep: bool = False) -> None:
        """Takes a batch and looks at it; errors must have a reason."""
        try:
            batch = call()
        except (ImageError, UserError, MemoryLimitError) as error:
            self._judge_error(error)
            return
        self._count(self.subject.judge(it, batch, True))
        if keep:
            self._kept.append(batch)

    def _judge_error(self, error: BaseException) -> None:
        """Counts an error that something explains, and raises any other."""
        if isinstance(error, ImageError):
            look = self.subject.judge._look  # type: ignore[attr-defined]
            path = str(error.path)
            if not self._world.may_fail(path, look):
                raise WrongBatchError(f"{path} could be loaded all the time: {error}") from error
            self._counts[f"error: image: {_kind_of(error.reason)}"] += 1
        elif isinstance(error, UserError):
            self._forgive("the user's function", True)
        elif isinstance(error, MemoryLimitError):
            self._forgive("memory limit", self.subject.options["memory_limit"] is not None)
        else:
            raise error

    def _forgive(self, kind: str, justified: bool) -> None:
        """Counts the error that is being handled, or raises it again."""
        if not justified:
            raise WrongBatchError(f"{kind}, for no reason: {self.subject}")
        self._counts[f"error: {kind}"] += 1

    def _count(self, samples: int) -> None:
        self._counts["batches"] += 1
        self._counts["images"] += samples


def _run_all(threads: list[threading.Thread]) -> None:
    """Runs threads to their end, which must come."""
    for thread in threads:
        if thread.ident is None:
            thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            raise WrongBatchError("a thread hangs")


def _kind_of(reason: str) -> str:
    """A reason without its numbers and details."""
    return " ".join(word for word in reason.split()[:6] if not any(map(str.isdigit, word)))


@contextlib.contextmanager
def counted_warnings(counts: Counter[str]) -> Iterator[None]:
    """Counts warnings by their first words instead of showing them."""
    import warnings

    def count(message: Any, category: type[Warning], *details: Any, **more: Any) -> None:
        text = str(message)
        kind = "images were bad" if text.startswith("epoch ") else _kind_of(text.split(":")[0])
        counts[f"warning: {category.__name__}: {kind}"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = count
        yield
