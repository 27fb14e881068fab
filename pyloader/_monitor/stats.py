"""What an iterator measured: a snapshot that prints as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pyloader._monitor.deliveries import Deliveries as DeliveryCounter
from pyloader._monitor.diagnosis import limit_of

__all__ = ["Stats", "make_stats"]

_NS = 1e-9


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the native loader started; times of workers are summed over threads.

    `samples` and `batches` count what was delivered, the workers' counters also what was prepared
    ahead. An iterator whose settings change starts a new loader, and with it new counters.
    """

    samples: int
    """Images delivered."""
    batches: int
    """Batches delivered."""
    prepared: int
    """Images that workers are done with, delivered or not."""
    errors: int
    """Images that could not be loaded."""
    seconds: float
    """Wall time from the first request to the last delivery."""
    bytes_read: int
    """Bytes of image files read."""
    jpegs_own: int
    """JPEGs decoded by pyloader's own entropy decoder."""
    jpegs_libjpeg: int
    """JPEGs left to libjpeg's: progressive, unusual or damaged ones."""
    read_seconds: float
    """Workers reading files, or waiting for one that is being read ahead."""
    files_ahead: int
    """Files that were read ahead of the workers; 0 as long as reads are fast."""
    files_ahead_waits: int
    """Of these, the ones that a worker had to wait for all the same."""
    reading_threads: int
    """Threads that read ahead, or rest until reads are slow again."""
    decode_seconds: float
    """Workers decoding JPEGs."""
    resize_seconds: float
    """Workers resizing, converting colour and storing."""
    other_seconds: float
    """Workers decoding other formats."""
    hook_seconds: float
    """Workers in the preprocessing_function."""
    cache_seconds: float
    """Workers looking into the cache, and copying from it and to it."""
    idle_seconds: float
    """Workers without work: the consumer is slower than the loader."""
    cpu_seconds: float
    """Processor time of the workers, without what reads ahead of them."""
    wait_seconds: float
    """Consumers waiting for a batch: the loader is slower than the consumer."""
    num_threads: int
    """Threads of the pool."""
    depth: int
    """Batches prepared ahead, at most."""
    slots: int
    """Batch buffers in existence."""
    slots_leased: int
    """Batch buffers behind arrays that are alive."""
    slot_bytes: int
    """Bytes held by all batch buffers."""
    memory_limit: int
    """Bytes that the loader may hold in all; 0 for no limit."""
    slot_limit: int
    """Of these, what all batch buffers may take."""
    image_limit: int
    """Of these, what is kept for images that take much while they are decoded."""
    slots_registered: int
    """Batch buffers that are page-locked by CUDA's runtime."""
    slots_locked: int
    """Batch buffers that are page-locked by the system."""
    pinning: str
    """What was asked for: "off", "for_cuda" (where its runtime is loaded) or "always"."""
    cache_hits: int
    """Images that came from the cache."""
    cache_misses: int
    """Images that were not in it."""
    cache_bytes: int
    """Bytes of the images in it, of other processes too where it is a folder."""
    cache: str
    """Where it is, whether it is full, and what problem it has; "" without a cache."""
    batch_p50: float
    """Seconds from a request to its batch: the median of the last 1,000."""
    batch_p99: float
    """The same: 99 of 100 took no longer."""

    @property
    def images_per_second(self) -> float:
        """Images delivered per second of wall time, 0.0 before the first delivery."""
        return self.samples / self.seconds if self.seconds > 0 else 0.0

    @property
    def wait_per_batch(self) -> float:
        """Seconds that a consumer waited for a batch, on average."""
        return self.wait_seconds / self.batches if self.batches else 0.0

    @property
    def cpu_per_1000(self) -> float:
        """Processor seconds of the workers for 1,000 images, 0.0 before the first one."""
        return 1000 * self.cpu_seconds / self.prepared if self.prepared else 0.0

    def _pinned(self) -> str:
        """How the slots are page-locked, in words."""
        if self.slots_registered:
            return f"{self.slots_registered} slots, by CUDA"
        if self.slots_locked:
            return f"{self.slots_locked} slots, by the system: no CUDA runtime is loaded"
        if not self.slots:
            return "nothing yet"
        return "nothing: no CUDA runtime is loaded, and the system refused (see ulimit -l)"

    def shares(self) -> dict[str, float]:
        """What part of the workers' time went where, in [0, 1]; all 0.0 before any work."""
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

    def as_dict(self) -> dict[str, int | float | str]:
        """All fields, the rates and the limit in words, for JSON."""
        return {
            **asdict(self),
            "images_per_second": self.images_per_second,
            "wait_per_batch": self.wait_per_batch,
            "cpu_per_1000": self.cpu_per_1000,
            "limit": limit_of(self),
        }

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
        if self.pinning == "always" or self.slots_registered:
            rows.append(("pinned", self._pinned()))
        if self.cache:
            found = f"{self.cache_hits} hits, {self.cache_misses} misses"
            rows.append(("cache", f"{found}, {self.cache_bytes / 1e6:.1f} MB in {self.cache}"))
        if self.memory_limit:
            parts = [self.memory_limit, self.slot_limit, self.image_limit]
            whole, slots, images = (f"{part / 1e6:.0f} MB" for part in parts)
            rows.append(("memory limit", f"{whole}: {slots} for slots, {images} for large images"))
        rows.append(("limit", limit_of(self)))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def make_stats(
    counters: Mapping[str, int],
    deliveries: DeliveryCounter,
    *,
    cores: int = 1,
    pin_memory: bool | None = None,
    cache: tuple[int, str] | None = None,
    memory: tuple[int, int, int] | None = None,
) -> Stats:
    """Makes a snapshot."""
    samples, batches, seconds = deliveries.samples, deliveries.batches, deliveries.seconds
    batch_seconds = list(deliveries.batch_seconds)
    pinning = "for_cuda" if pin_memory is None else "always" if pin_memory else "off"

    def count(name: str) -> int:
        return counters.get(name, 0)

    cache_bytes, cache_words = cache or (0, "")
    return Stats(
        samples=samples,
        batches=batches,
        prepared=count("samples"),
        errors=count("errors"),
        seconds=seconds,
        bytes_read=count("bytes_read"),
        jpegs_own=count("jpegs_own"),
        jpegs_libjpeg=count("jpegs_libjpeg"),
        read_seconds=_NS * count("read_ns"),
        files_ahead=count("files_ahead"),
        files_ahead_waits=count("files_ahead_waits"),
        reading_threads=count("reading_threads"),
        decode_seconds=_NS * count("decode_ns"),
        resize_seconds=_NS * count("resize_ns"),
        other_seconds=_NS * count("other_ns"),
        hook_seconds=_NS * count("hook_ns"),
        cache_seconds=_NS * count("cache_ns"),
        idle_seconds=_NS * count("idle_ns"),
        cpu_seconds=_NS * count("cpu_ns"),
        wait_seconds=_NS * count("wait_ns"),
        num_threads=count("num_threads"),
        depth=count("depth"),
        slots=count("slots"),
        slots_leased=count("slots_leased"),
        slot_bytes=count("slot_bytes"),
        memory_limit=memory[0] if memory else 0,
        slot_limit=memory[1] if memory else 0,
        image_limit=memory[2] if memory else 0,
        slots_registered=count("slots_registered"),
        slots_locked=count("slots_locked"),
        pinning=pinning,
        cache_hits=count("cache_hits"),
        cache_misses=count("cache_misses"),
        cache_bytes=cache_bytes,
        cache=cache_words,
        batch_p50=_percentile(batch_seconds, 50),
        batch_p99=_percentile(batch_seconds, 99),
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent do not exceed; 0.0 of none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
