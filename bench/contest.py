"""Runs alternating rounds of several peers and checks each answer."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.fidelity import Fidelity, compare, pillow_result
from bench.files import drop_page_cache
from bench.peers.base import PeerUnavailable
from bench.session import EpochResult, PeerSession, WorkerFailed

SAMPLES_PER_ROUND = 16
"""Images of every epoch that are compared with Pillow's, the same for all peers of a round."""

IDLE_SHARE = 0.02
IDLE_SECONDS = 0.02
"""CPU time that a peer may use between its turns: a share of its epoch's, plus a constant, plus the
time of one image for each thread, since a started image is finished."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A peer and its job. `settings` is the job as Job.from_settings takes it, `environment` adds
    variables to its process, `python` is its interpreter if not the running one."""

    label: str
    peer: str
    settings: dict[str, Any]
    files: Sequence[str]
    environment: dict[str, str] | None = None
    python: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of the rounds."""

    rounds: int
    say: Callable[[str], None]
    cold: bool = False
    overhead_calls: int = 0
    """Number of `next()` calls to time after the rounds, see worker.measure_overhead."""
    memory: bool = False
    """True to measure the memory of all of a peer's processes in an epoch after the rounds."""
    epochs: int = 1
    """Epochs in a turn; more than one if a single one is too short to measure."""
    carry_on: bool = False
    """True to skip a peer whose process ends, and to continue with the others."""


@dataclass(slots=True)
class Entry:
    """One entrant's results, a list item per round."""

    about: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    fidelity: list[Fidelity] = field(default_factory=list)
    same_order: list[bool] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    overhead: dict[str, Any] = field(default_factory=dict)
    warm_up: dict[str, Any] = field(default_factory=dict)
    memory_bytes: int = 0
    """Peak of all its processes, 0 where not measured: see PeerSession.memory_bytes."""

    def images_per_second(self) -> list[float]:
        return [epoch["images"] / epoch["seconds"] for epoch in self.epochs]

    def cpu_ms_per_image(self) -> list[float]:
        return [1000 * epoch["cpu_seconds"] / epoch["images"] for epoch in self.epochs]

    def peak_megabytes(self) -> list[float]:
        """Of its main process, a figure per round."""
        return [epoch["peak_memory_bytes"] / 2**20 for epoch in self.epochs]

    def batch_milliseconds(self) -> list[float]:
        """From request to batch, all batches of all rounds but the first of each epoch."""
        return [1000 * wait for epoch in self.epochs for wait in epoch["batch_seconds"]]

    def first_batch_seconds(self) -> float:
        """From the import of the library to the first batch that it ever delivered."""
        begin: float = self.about["import_seconds"] + self.about["construct_seconds"]
        return begin + float(self.warm_up["first_batch_seconds"][0])

    def as_json(self) -> dict[str, Any]:
        """All raw figures."""
        return {
            "about": self.about,
            "epochs": self.epochs,
            "pixels": [asdict(round_) for round_ in self.fidelity],
            "same_order": self.same_order,
            "problems": self.problems,
            "warm_up": self.warm_up,
            "memory_bytes": self.memory_bytes,
            **self.overhead,
        }


def hold(rules: Rules, entrants: Sequence[Entrant]) -> tuple[dict[str, Entry], dict[str, str]]:
    """Runs a warm-up and then the rounds, one epoch of each entrant in turn.

    Returns:
        Entries by label of those that ran, in the order given; reasons of the others.

    Raises:
        WorkerFailed: a peer's process ends in the middle, and the rules do not carry on.
    """
    entries: dict[str, Entry] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        playing: list[tuple[Entrant, PeerSession]] = []

        def drop(entrant: Entrant, reason: Exception) -> None:
            entries.pop(entrant.label, None)
            playing[:] = [player for player in playing if player[0] is not entrant]
            skipped[entrant.label] = _in_one_line(reason)
            rules.say(f"{entrant.label}: skipped, {skipped[entrant.label]}")

        def in_turn(play: Callable[[Entrant, PeerSession], None]) -> None:
            for entrant, session in list(playing):
                try:
                    play(entrant, session)
                except WorkerFailed as failure:
                    if not rules.carry_on:
                        raise
                    drop(entrant, failure)

        def warm_up(entrant: Entrant, session: PeerSession) -> None:
            entries[entrant.label].warm_up = session.epochs([]).figures
            rules.say(f"{entrant.label}: warm-up done")

        for entrant in entrants:
            try:
                session = stack.enter_context(closing(_start(entrant)))
            except PeerUnavailable as reason:
                drop(entrant, reason)
            except WorkerFailed as failure:
                if not rules.carry_on:
                    raise
                drop(entrant, failure)
            else:
                playing.append((entrant, session))
                entries[entrant.label] = Entry(session.about)
        in_turn(warm_up)
        for round_ in range(rules.rounds):
            judge = _Judge(round_, rules.epochs)

            def turn(entrant: Entrant, session: PeerSession, judge: _Judge = judge) -> None:
                if rules.cold:
                    drop_page_cache(entrant.files)
                judge.play(entrant, session, entries[entrant.label])

            in_turn(turn)
            rules.say(f"round {round_ + 1} of {rules.rounds} done")

        def measure_rest(entrant: Entrant, session: PeerSession) -> None:
            if rules.memory:
                entries[entrant.label].memory_bytes = session.memory_bytes()
            if rules.overhead_calls:
                entries[entrant.label].overhead = session.overhead(rules.overhead_calls)

        in_turn(measure_rest)
    return entries, skipped


def _start(entrant: Entrant) -> PeerSession:
    return PeerSession(entrant.peer, entrant.settings, entrant.environment, entrant.python)


def _in_one_line(reason: Exception) -> str:
    """Returns the message; of a process's last lines, the last."""
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return f"{lines[0]} {lines[-1]}" if len(lines) > 1 else "".join(lines)


class _Judge:
    """Checks one round; keeps the orders and exact images that entrants share."""

    def __init__(self, round_: int, epochs: int) -> None:
        self._round = round_
        self._epochs = epochs
        self._orders: dict[tuple[Any, ...], NDArray[np.int64]] = {}
        self._exact: dict[tuple[Any, ...], NDArray[np.uint8]] = {}

    def play(self, entrant: Entrant, session: PeerSession, entry: Entry) -> None:
        """Runs one turn of the entrant and records the result."""
        count = len(entrant.files)
        rng = np.random.default_rng([entrant.settings["seed"], self._round])
        positions = np.sort(rng.choice(count, min(SAMPLES_PER_ROUND, count), replace=False))
        result = session.epochs(positions.tolist(), self._epochs)
        entry.epochs.append(result.figures)
        entry.same_order.append(self._is_the_common_order(entrant, result))
        threads = entrant.settings["threads"]
        problems = _problems_of_delivery(result, self._epochs, count, len(positions), threads)
        if not problems:
            indices = result.order[positions].tolist()
            exact = [self._exact_image(entrant, index) for index in indices]
            fidelity = compare(list(result.samples), exact)
            entry.fidelity.append(fidelity)
            problem = fidelity.problem(exact=entry.about["exact"])
            problems = [problem] if problem else []
        entry.problems += [f"round {self._round + 1}: {problem}" for problem in problems]

    def _is_the_common_order(self, entrant: Entrant, result: EpochResult) -> bool:
        key = tuple(entrant.settings[name] for name in ("directory", "batch_size", "seed"))
        return bool(np.array_equal(result.order, self._orders.setdefault(key, result.order)))

    def _exact_image(self, entrant: Entrant, index: int) -> NDArray[np.uint8]:
        form = tuple(entrant.settings[name] for name in ("height", "width", "interpolation"))
        key = (entrant.files[index], *form)
        if key not in self._exact:
            self._exact[key] = pillow_result(entrant.files[index], *form)
        return self._exact[key]


def _problems_of_delivery(
    result: EpochResult, epochs: int, count: int, checks: int, threads: int
) -> list[str]:
    problems = []
    complete = result.order.size == epochs * count
    if not complete or (np.sort(result.order.reshape(epochs, count)) != np.arange(count)).any():
        delivered = len(np.unique(result.order))
        problems.append(f"delivered {delivered} of {count} images, or some more than once")
    elif len(result.samples) != checks:
        problems.append(f"{checks} images to check, {len(result.samples)} arrived")
    idle, busy = result.figures["idle_cpu_seconds"], result.figures["cpu_seconds"]
    if idle > (IDLE_SHARE + threads / count) * busy + IDLE_SECONDS:
        problems.append(f"worked {idle:.3f} s between its turns, so its time is too short")
    return problems
