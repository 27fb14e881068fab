"""Statistics of an iterator: a snapshot that prints as a table, and the counter of deliveries."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_MAX_CONSUMER_WAIT = 0.05  # fraction of its time; a consumer that waits less is the bottleneck
_MIN_OWN_WORK = 0.3  # fraction of the workers' time from which one stage is the bottleneck
_MIN_MAIN_WORK = 0.5  # the same for reading, which also takes long where threads share cores
_MIN_CPU = 0.7  # fraction of its time that a working thread should have a core


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the native loader started; times of workers are summed over threads.

    `samples` and `batches` count deliveries; the workers' counters include prefetched batches. An
    iterator whose settings change starts a new loader, and with it new counters.
    """

    samples: int  #: Images delivered
    batches: int  #: Batches delivered
    prepared: int  #: Images that workers have finished, delivered or not
    errors: int  #: Images that could not be loaded
    seconds: float  #: Wall time from the first request to the last delivery
    bytes_read: int  #: Bytes of image files read
    jpegs_own: int  #: JPEGs decoded by pyloader's own entropy decoder
    jpegs_libjpeg: int  #: JPEGs decoded by libjpeg: progressive, unusual or damaged ones
    read_seconds: float  #: Workers reading files, or waiting for a file that is being read ahead
    files_ahead: int  #: Files read ahead of the workers; 0 while reads are fast.
    files_ahead_waits: int  #: Of these, files that a worker had to wait for
    reading_threads: int  #: Threads that read ahead, active or sleeping
    decode_seconds: float  #: Workers decoding JPEGs
    resize_seconds: float  #: Workers resizing, converting colors and storing
    other_seconds: float  #: Workers decoding other formats
    hook_seconds: float  #: Workers in the preprocessing_function
    cache_seconds: float  #: Workers searching the cache, and copying from it and to it
    idle_seconds: float  #: Workers idle: the consumer is slower than the loader
    cpu_seconds: float  #: Processor time of the workers, without the threads that read ahead
    wait_seconds: float  #: Consumers waiting for a batch: the loader is slower than the consumer
    num_threads: int  #: Threads of the pool
    cores: int  #: Processor cores that this process may use
    depth: int  #: Batches prefetched, at most
    slots: int  #: Batch buffers allocated
    slots_leased: int  #: Batch buffers behind arrays that the program still holds
    slot_bytes: int  #: Bytes of all batch buffers
    memory_limit: int  #: Bytes that the loader may hold; 0 for no limit.
    slot_limit: int  #: Of these, bytes for all batch buffers
    image_limit: int  #: Of these, bytes for decoding large images
    slots_registered: int  #: Batch buffers page-locked by the CUDA runtime
    slots_locked: int  #: Batch buffers page-locked by the operating system
    pin_memory: bool | None  #: The option, as given; `pinning` is the result.
    cache_hits: int  #: Images found in the cache
    cache_misses: int  #: Images not found in it
    cache_bytes: int
    """Bytes of the images in it, including those of other processes where it is a folder."""
    cache: str  #: Its place, and whether it is full or has a problem; "" without a cache.
    batch_p50: float  #: Seconds from a request to its batch: median of the last 1,000
    batch_p99: float  #: The same: 99th percentile

    @property
    def images_per_second(self) -> float:
        """Images delivered per second of wall time, 0.0 before the first delivery."""
        return self.samples / self.seconds if self.seconds > 0 else 0.0

    @property
    def wait_per_batch(self) -> float:
        """Mean seconds that a consumer waited for a batch."""
        return self.wait_seconds / self.batches if self.batches else 0.0

    @property
    def cpu_per_1000(self) -> float:
        """Processor seconds of the workers for 1,000 images, 0.0 before the first one."""
        return 1000 * self.cpu_seconds / self.prepared if self.prepared else 0.0

    @property
    def pinning(self) -> str:
        """How the batch buffers are page-locked, and if they are not, why."""
        if self.pin_memory is False:
            return "off"
        if self.slots_registered:
            return f"{self.slots_registered} slots, by CUDA"
        if self.slots_locked:
            return f"{self.slots_locked} slots, by the system: no CUDA runtime is loaded"
        if not self.slots:
            return "nothing yet"
        refused = ", and the system refused (see ulimit -l)" if self.pin_memory else ""
        return f"nothing: no CUDA runtime is loaded{refused}"

    @property
    def limit(self) -> str:
        """The bottleneck of the run and a remedy, in one line."""
        if self.batches < 5 or self.seconds <= 0:
            return "too few batches to tell"
        total = self.num_threads * self.seconds
        working = total - self.idle_seconds
        waiting = self.wait_seconds / self.seconds
        if waiting < _MAX_CONSUMER_WAIT:
            possible = total / working if working > 0 else float("inf")
            return (
                f"the consumer, which waits {waiting:.0%} of its time; up to {possible:.1f}x is "
                "possible"
            )
        return f"the loader: the consumer waits {waiting:.0%} of its time; " + self._remedy(working)

    def _remedy(self, working: float) -> str:
        """Names the workers' bottleneck; `working` is the seconds that they were not idle."""
        shares = self.shares()
        if shares["preprocessing"] > _MIN_OWN_WORK:
            return "Python code for each image runs one at a time: make it cheaper"
        if shares["other formats"] > _MIN_OWN_WORK:
            return "formats other than JPEG are decoded by Pillow: convert the files"
        if shares["read"] > _MIN_MAIN_WORK:
            if self.reading_threads:
                threads = f"{self.reading_threads} threads that read ahead"
                return f"reading files takes long, for all of {threads}: a faster disk"
            threads = f"more than {self.num_threads} threads"
            return f"reading files takes long: a faster disk, or {threads}"
        if self.num_threads < self.cores:
            return f"num_threads={self.cores} would use all cores"
        if working > 0 and self.cpu_seconds < _MIN_CPU * working:
            return "its threads share their cores with other work"
        if shares["cache"] > _MIN_MAIN_WORK:
            return "copying images from the cache, as fast as the memory is"
        if self.cache:
            return "decoding: more cores, or smaller image files"
        return 'decoding: cache="memory" for later epochs, more cores, or smaller image files'

    def shares(self) -> dict[str, float]:
        """Fractions of the workers' time by stage; all 0.0 before any work."""
        parts = {
            "read": self.read_seconds,
            "decode": self.decode_seconds,
            "resize + store": self.resize_seconds,
            "other formats": self.other_seconds,
            "preprocessing": self.hook_seconds,
            "cache": self.cache_seconds,
            "idle": self.idle_seconds,
        }
        total = sum(parts.values())
        return {name: part / total if total else 0.0 for name, part in parts.items()}

    def as_dict(self) -> dict[str, int | float | str | None]:
        """All fields and properties, for JSON."""
        names = ("images_per_second", "wait_per_batch", "cpu_per_1000", "pinning", "limit")
        return {**asdict(self), **{name: getattr(self, name) for name in names}}

    def __str__(self) -> str:
        rows = [
            ("samples", f"{self.samples} in {self.batches} batches, {self.errors} errors"),
            ("speed", f"{self.images_per_second:.0f} images/s over {self.seconds:.2f} s"),
            ("read", f"{self.bytes_read / 1e6:.1f} MB"),
            ("JPEGs", f"{self.jpegs_own} by pyloader's decoder, {self.jpegs_libjpeg} by libjpeg's"),
            *(
                (f"  time: {name}", f"{share:6.1%}")
                for name, share in self.shares().items()
                if self.cache or name != "cache"
            ),
            ("processor", f"{self.cpu_per_1000:.2f} s per 1000 images"),
            ("consumer waits", f"{1e3 * self.wait_per_batch:.2f} ms per batch"),
            (
                "request to batch",
                f"{1e3 * self.batch_p50:.2f} ms in the median, p99 {1e3 * self.batch_p99:.2f} ms",
            ),
            ("threads", f"{self.num_threads}"),
            ("depth", f"{self.depth} batches"),
            (
                "slots",
                f"{self.slots} ({self.slots_leased} leased), {self.slot_bytes / 1e6:.1f} MB held",
            ),
        ]
        if self.files_ahead:
            ahead = (
                f"{self.files_ahead} files by {self.reading_threads} threads, "
                f"{self.files_ahead_waits} waited for"
            )
            rows.insert(3, ("read ahead", ahead))
        if self.pin_memory or self.slots_registered:
            rows.append(("pinned", self.pinning))
        if self.cache:
            found = f"{self.cache_hits} hits, {self.cache_misses} misses"
            rows.append(("cache", f"{found}, {self.cache_bytes / 1e6:.1f} MB in {self.cache}"))
        if self.memory_limit:
            parts = [self.memory_limit, self.slot_limit, self.image_limit]
            whole, slots, images = (f"{part / 1e6:.0f} MB" for part in parts)
            rows.append(("memory limit", f"{whole}: {slots} for slots, {images} for large images"))
        rows.append(("limit", self.limit))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


class DeliveryCounter:
    """Counts the deliveries of one native loader."""

    samples: int  #: Images delivered
    batches: int  #: Batches delivered
    batch_seconds: deque[float]  #: Seconds from request to batch, of the last 1,000

    def __init__(self) -> None:
        self.batch_seconds = deque(maxlen=1000)
        self.restart()

    @property
    def seconds(self) -> float:
        """Wall time from the first request to the last delivery."""
        return max(0.0, self._last_delivery - self._first_request)

    def restart(self) -> None:
        """Sets all to zero, at the first request."""
        self.samples = self.batches = 0
        self.batch_seconds.clear()
        self._first_request = self._last_delivery = time.perf_counter()

    def add(self, samples: int, requested: float) -> None:
        """Counts one batch of so many images, requested at that `time.perf_counter()`."""
        self.samples += samples
        self.batches += 1
        self._last_delivery = time.perf_counter()
        self.batch_seconds.append(self._last_delivery - requested)


_COUNTS = (
    *("errors", "bytes_read", "jpegs_own", "jpegs_libjpeg", "files_ahead", "files_ahead_waits"),
    *("reading_threads", "num_threads", "depth", "slots", "slots_leased", "slot_bytes"),
    *("slots_registered", "slots_locked", "cache_hits", "cache_misses"),
)
_TIMES = ("read", "decode", "resize", "other", "hook", "cache", "idle", "cpu", "wait")


def make_stats(
    counters: Mapping[str, int],
    *,
    samples: int,
    batches: int,
    seconds: float,
    batch_seconds: Sequence[float] = (),
    cores: int = 1,
    pin_memory: bool | None = None,
    cache: tuple[int, str] = (0, ""),
    memory: tuple[int, int, int] = (0, 0, 0),
) -> Stats:
    """Makes a snapshot.

    Args:
        counters: The native loader's counters (`_pyloader.Loader.stats`); empty before it exists.
        samples: See `DeliveryCounter`, also for `batches`, `seconds` and `batch_seconds`.
        cores: Processor cores that this process may use.
        pin_memory: The option.
        cache: Bytes in the cache, and its description.
        memory: Bytes of the memory limit: all, for batch buffers, for large images.
    """
    known: dict[str, Any] = {name: counters.get(name, 0) for name in _COUNTS}
    known |= {f"{name}_seconds": 1e-9 * counters.get(f"{name}_ns", 0) for name in _TIMES}
    return Stats(
        samples=samples,
        batches=batches,
        prepared=counters.get("samples", 0),
        seconds=seconds,
        cores=cores,
        memory_limit=memory[0],
        slot_limit=memory[1],
        image_limit=memory[2],
        pin_memory=pin_memory,
        cache_bytes=cache[0],
        cache=cache[1],
        batch_p50=_percentile(batch_seconds, 50),
        batch_p99=_percentile(batch_seconds, 99),
        **known,
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    """Returns the nearest-rank percentile; 0.0 of no values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
