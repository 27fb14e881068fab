"""The native core: decode, resize, pool, ring. Private to the package."""

from collections.abc import Iterable
from typing import Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

class SampleHooks(Protocol):
    """What the pool asks of Python, called from its threads with the GIL held."""

    has_finish: bool
    """True when every sample must pass through `finish`, after the resize and, with
    `native_transform`, after its transform."""

    native_transform: bool
    """True when the core applies the transform row before `finish`; else `finish` does."""

    def decode_other(
        self, content: memoryview, out: NDArray[Any] | None, transform: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.uint8], bool] | None:
        """Decodes an encoded image that the core does not decode; `content` is valid meanwhile.

        Returns (H, W, C) uint8 at its natural size or the final one, C as the loader's color mode
        wants it, and whether a cache may keep it; the core resizes, transforms and stores it. Or,
        for images deeper than 8 bits,
        writes the finished sample, transformed by `transform`, to `out`, a view of the sample's
        place in the batch, and returns None.
        Raises OSError for content that cannot be decoded; anything else it raises reaches the
        caller of `wait`.
        """

    def check_beginning(self, beginning: memoryview) -> None:
        """Raises OSError where `decode_other` will refuse whatever begins like this."""

    def memory_needed(self, beginning: memoryview, size: int) -> int:
        """Bytes that `decode_other` takes for content of `size` bytes that begins like this; 0
        where its beginning does not tell."""

    def finish(
        self,
        image: NDArray[np.float32],
        out: NDArray[Any],
        transform: NDArray[np.float64] | None,
    ) -> None:
        """Transforms by `transform`, unless None, standardises one resized image (an array of its
        own, in the batch's layout) and writes the result to `out`, its place in the batch."""

class Cache:
    """Where loaders keep resized images: in memory, or in files in a folder.

    A loader that is made with the same size, colours and filter finds what the last one has kept;
    one with others starts a new cache (in memory) or goes to other files (in a folder).
    """

    def __init__(self, folder: bytes | None, limit: int) -> None:
        """None stands for memory. The limit is in bytes of pixels, 0 for a sane one."""

    @property
    def has_problem(self) -> bool:
        """Whether `state` has one. Cheap."""

    def state(self) -> CacheState:
        """Of the cache last used."""

class CacheState(TypedDict):
    bytes: int  # taken by images, in a folder by those of other processes too
    full: bool
    problem: str  # why it does less than it should; "" for nothing

class Loader:
    """A pool of threads and a ring of batch slots over one list of image files.

    Nothing starts before the first `submit`. All methods may be called from any thread.
    """

    def __init__(
        self,
        paths: Iterable[bytes],
        hooks: SampleHooks,
        *,
        height: int,
        width: int,
        color_mode: str,  # "grayscale" | "rgb" | "rgba"
        interpolation: str,  # nearest bilinear bicubic box hamming lanczos
        keep_aspect_ratio: bool,
        pad_to_aspect_ratio: bool,  # instead, not both
        channels_first: bool,
        store_table: NDArray[Any],  # (256,): the batch value of every byte, in the batch's dtype
        num_threads: int,
        depth: int,
        array: NDArray[np.float32] | None = None,  # instead of paths: rank 4 in the batch's layout
        fill_mode: str = "nearest",  # nearest constant reflect wrap
        cval: float = 0.0,
        order: int = 1,  # 0 or 1
        rescale: float = 0.0,  # 0.0: none; has its part in store_table too
        samplewise_center: bool = False,
        samplewise_std: bool = False,
        mean: NDArray[np.float64] | None = None,  # what is subtracted: (C,), or (H, W, C)
        std: NDArray[np.float64] | None = None,  # what is divided by, likewise
        fidelity: str = "exact",  # or fast
        pinning: str = "off",  # off for_cuda always: page-locked slots
        cache: Cache | None = None,  # without effect on arrays
        cache_base: bytes = b"",  # the folder that relative paths are meant from
        on_error: str = "raise",  # raise drop replace
        max_pixels: int = 178_956_970,
        load_truncated: bool = False,  # offers JPEGs that fail to `decode_other`
        slot_room: int = 0,  # bytes of all batches, those in the users' hands too; 0: no bound
        image_room: int = 0,  # bytes that decoding large images takes; 0: no bound
        files_ahead: int = 64,  # windows of 1 MiB for reading ahead; 0: none
    ) -> None: ...
    def submit(
        self,
        indices: NDArray[np.int64],
        transforms: NDArray[np.float64] | None = None,
        substitutes: NDArray[np.int64] | None = None,
    ) -> int:
        """Queues one batch (1 or more positions in `paths` or `array`, in order), with a transform
        row for each (`_augment.transforms`, (k, 11), C-contiguous), and with the samples that
        on_error="replace" tries in place of each, (k, any), and returns its ticket at
        once. Work starts when a slot is free: at most `depth` batches are being filled or wait
        to be fetched."""

    def wait(self, ticket: int) -> tuple[NDArray[Any], list[tuple[int, int, str]]]:
        """The batch of a ticket, (len(indices), H, W, C) or (len(indices), C, H, W): a writable,
        C-contiguous array whose slot returns to the ring when the last view of it dies. And its
        images that could not be loaded, unless on_error is "raise": position in the batch, which
        substitute took its place (-1: none, the content there is undefined), and the reason.

        Waits without the GIL. KeyboardInterrupt leaves the ticket valid; otherwise it is used up.
        Raises ImageError for the first bad sample of the batch (by position) that on_error does
        not deal with, MemoryLimitError when the batches in the users' hands leave no room in
        slot_room, whatever a hook
        raised, RuntimeError when the loader is closed or the ticket unknown.
        """

    def cancel(self) -> None:
        """Drops every ticket that was not waited for; their slots return to the ring."""

    def close(self) -> None:
        """Stops the threads and wakes all waiters. Delivered arrays stay valid. Idempotent."""

    @property
    def closed(self) -> bool: ...
    @property
    def files_wanted(self) -> int:
        """How many files beyond the ring's it would use to have submitted, to read them ahead: 0
        while reads are fast."""
    def stats(self) -> dict[str, int]:
        """Counters since construction. Times are nanoseconds summed over threads:
        samples, batches, bytes_read, jpegs_own and jpegs_libjpeg (by entropy decoder), errors,
        read_ns, decode_ns, resize_ns (with the store), other_ns (other formats), hook_ns
        (preprocessing_function), cache_hits, cache_misses, cache_ns (copying from and to the
        cache), idle_ns (workers without work: backpressure), cpu_ns (processor
        time of the workers), wait_ns (callers inside `wait`), slots (in existence), slot_bytes
        (held by them), slots_leased (in the users' hands), slots_locked, slots_registered
        (page-locked by the system, with CUDA), files_ahead (read by other threads before their
        worker came, or while it waited), files_ahead_waits (of those, waited for),
        reading_threads (that read ahead, or rest), num_threads, depth.
        """

def load_image(
    source: bytes,
    is_path: bool,
    hooks: SampleHooks,
    *,
    color_mode: str,
    height: int,  # 0 and 0: natural size
    width: int,
    interpolation: str,
    keep_aspect_ratio: bool,
    fidelity: str = "exact",
    max_pixels: int = 178_956_970,
    load_truncated: bool = False,
) -> NDArray[np.uint8] | None:
    """One image, (H, W, C) uint8, on the calling thread; None when `hooks.decode_other` returned
    None (a deep image, which the caller decodes itself). Raises ImageError."""

def fitted_place(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width in pixels of an image of `size` that is fitted into `target`,
    both (height, width), with its aspect ratio kept, as TensorFlow computes them."""

def transform_image(
    image: NDArray[np.float32],
    transform: NDArray[np.float64],
    *,
    channels_first: bool,
    fill_mode: str,
    cval: float,
    order: int,
) -> NDArray[np.float32]:
    """One image of rank 3 transformed by one row, (11,): a new array of the same shape."""

def build_info() -> dict[str, Any]:
    """version, compiler, simd (level in use), simd_available, libjpeg_turbo (version linked at
    build time), libjpeg_file (the library in use), entropy (decoder in use: own or libjpeg),
    asserts (bool)."""
