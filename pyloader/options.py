"""The keyword-only options of every iterator: defined, documented and checked here, once."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, TypeGuard, get_args

import numpy as np

__all__ = ["LoaderOptions"]

ClassMode = Literal["categorical", "binary", "sparse", "input"] | None
TableClassMode = ClassMode | Literal["multi_output", "raw"]
ColorMode = Literal["grayscale", "rgb", "rgba"]
DataFormat = Literal["channels_last", "channels_first"]
Fidelity = Literal["exact", "fast"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "hamming", "box", "lanczos"]
LastBatch = Literal["keep", "pad", "drop"]
OnError = Literal["raise", "drop", "replace"]
Subset = Literal["training", "validation"]
ShardSpec: TypeAlias = Literal["auto"] | tuple[int, int] | None
"""None for one process, "auto" to detect it, or (index, count)."""
CacheSpec: TypeAlias = str | os.PathLike[str] | None
"""None, "memory" or a folder."""

CHANNELS: dict[str, int] = {"grayscale": 1, "rgb": 3, "rgba": 4}
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)

DECODING_OPTIONS = ("cache", "cache_limit", "fidelity", "max_pixels", "on_error")
"""Options that can do nothing where no files are decoded."""


@dataclass(frozen=True, slots=True)
class LoaderOptions:
    """How batches are loaded; frozen, and checked when it is made.

    Args:
        num_threads: Threads of the native pool. None (default): one for each usable core.
        prefetch: Batches prepared ahead. None (default): enough to keep all threads busy.
        fidelity: "exact" (default): the bytes that Pillow gives. "fast": JPEGs are resized before
            their color conversion; mean absolute error at most 0.6 of 255, mean PSNR at least
            48 dB against Pillow on photographs.
        cache: "memory" or a folder: resized images are kept there, and later epochs decode
            nothing. None (default): no cache. It never changes a byte of a batch.
        cache_limit: Bytes that the cache may take, or text such as "2GB". None (default): until a
            quarter of the memory, or a twentieth of the disk, is left.
        on_error: What happens when an image cannot be loaded. "raise" (default): an `ImageError`,
            and its batch is skipped. "drop": the batch gets shorter. "replace": another sample of
            the epoch, deterministically chosen, takes its place with its own label. Each one is
            recorded in `errors`.
        pin_memory: Whether batches lie in page-locked memory, from which a GPU copies faster.
            None (default): where a CUDA runtime is loaded. True: locked by the operating system
            otherwise, where it allows that. False: never.
        shard: The slice of every batch that this process delivers: (index, count), or "auto" to
            detect it at the first batch. None (default): all of it. `batch_size` is the size of
            the global batch.
        last_batch: An incomplete last batch of an epoch is delivered as it is ("keep", default),
            filled up with rows of sample weight 0 ("pad"), or left out ("drop").
        memory_limit: Bytes that the loader may hold, or text such as "512MB"; what does not fit
            raises `MemoryLimitError`. None (default): no limit.
        max_pixels: Images with more pixels are refused by their header. None (default): twice
            Pillow's `Image.MAX_IMAGE_PIXELS` (178,956,970 unless a script has changed it).
        verbose: Whether to print Keras' "Found ..." line. Default True.

    Raises:
        TypeError: A value of the wrong type; the message names the option and the value.
        ValueError: A value that is not one of the possible ones, likewise.
    """

    num_threads: int | None = None
    prefetch: int | None = None
    fidelity: Fidelity = "exact"
    cache: CacheSpec = None
    cache_limit: int | str | None = None
    on_error: OnError = "raise"
    pin_memory: bool | None = None
    shard: ShardSpec = None
    last_batch: LastBatch = "keep"
    memory_limit: int | str | None = None
    max_pixels: int | None = None
    verbose: bool = True

    def __post_init__(self) -> None:
        cache_limit = check_bytes("cache_limit", self.cache_limit)
        if self.cache is None and cache_limit is not None:
            raise ValueError(f"`cache_limit` needs a `cache`. Received: {self.cache_limit!r}")
        checked = {
            "num_threads": check_count("num_threads", self.num_threads),
            "prefetch": check_count("prefetch", self.prefetch),
            "fidelity": check_choice("fidelity", self.fidelity, get_args(Fidelity)),
            "cache": _check_cache(self.cache),
            "cache_limit": cache_limit,
            "on_error": check_choice("on_error", self.on_error, get_args(OnError)),
            "pin_memory": _check_pin_memory(self.pin_memory),
            "shard": check_shard(self.shard),
            "last_batch": check_choice("last_batch", self.last_batch, get_args(LastBatch)),
            "memory_limit": check_bytes("memory_limit", self.memory_limit),
            "max_pixels": check_count("max_pixels", self.max_pixels),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        options: LoaderOptions | None,
        keywords: Mapping[str, Any],
        *,
        without: Collection[str] = (),
        where: str = "",
    ) -> LoaderOptions:
        """Returns the options of a constructor that takes either an object or keywords.

        Args:
            options: The object, or None.
            keywords: The same by name.
            without: Options that have no effect there: anything but their default is refused.
            where: The caller's name, for the messages.

        Raises:
            TypeError: Both are given, a keyword is unknown or an option has no effect.
        """
        names = [field.name for field in fields(cls)]
        unknown = [name for name in keywords if name not in names]
        if unknown:
            raise TypeError(f"{where}() got an unexpected keyword argument {unknown[0]!r}")
        if options is not None and keywords:
            raise TypeError(f"{where}() takes `options` or single options, not both")
        options = options or cls(**keywords)
        for name in without:
            if getattr(options, name) != getattr(_DEFAULTS, name):
                raise TypeError(
                    f"{where}() takes no `{name}`: it has no effect on images that are not decoded "
                    f"from files. Received: {name}={getattr(options, name)!r}"
                )
        return options

    def check_sizes(self, n: int, batch_size: int) -> None:
        """Raises a ValueError where `last_batch="drop"` would leave no batch of `n` samples."""
        if self.last_batch == "drop" and 0 < n < batch_size:
            raise ValueError(
                f'`last_batch="drop"` would leave no batch of {n} samples with '
                f"batch_size={batch_size}. Use a smaller `batch_size`."
            )


def is_integer(value: Any) -> TypeGuard[int | np.integer[Any]]:
    """Returns whether a value is an integer, of Python or NumPy, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


def check_choice(name: str, value: Any, choices: Iterable[str]) -> Any:
    """Returns a value that is one of some strings; else a ValueError."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        *most, last = (f'"{choice}"' for choice in choices)
        raise ValueError(f"`{name}` should be {', '.join(most)} or {last}. Received: {value!r}")
    return value


def check_count(name: str, value: Any) -> int | None:
    """Returns an optional number, at least 1, as an int."""
    if value is None:
        return None
    if not is_integer(value):
        raise TypeError(f"`{name}` should be an integer or None. Received: {value!r}")
    if value < 1:
        raise ValueError(f"`{name}` should be at least 1. Received: {value!r}")
    return min(int(value), 2**63 - 1)


def check_batch_size(value: Any) -> int:
    """Returns a batch size as an int."""
    if not is_integer(value):
        raise TypeError(f"`batch_size` should be an integer, at least 1. Received: {value!r}")
    if value < 1:
        raise ValueError(f"`batch_size` should be at least 1. Received: {value!r}")
    return int(value)


def check_seed(value: Any) -> int | None:
    """Returns an optional seed for `numpy.random.seed`, as an int."""
    if value is None:
        return None
    try:
        seed = operator.index(value)
    except TypeError:
        raise TypeError(f"`seed` should be an integer or None. Received: {value!r}") from None
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` should be between 0 and 2**32 - 1. Received: {value!r}")
    return seed


def check_target_size(value: Any) -> tuple[int, int]:
    """Returns (height, width) in pixels as ints."""
    wanted = "`target_size` should be two positive integers, (height, width)."
    try:
        sizes = [operator.index(size) for size in value]
    except TypeError:
        raise TypeError(f"{wanted} Received: {value!r}") from None
    if len(sizes) != 2 or min(sizes) < 1 or max(sizes) >= 2**31:
        raise ValueError(f"{wanted} Received: {value!r}")
    return sizes[0], sizes[1]


def check_interpolation(value: Any) -> str:
    """Returns the name of one of Pillow's filters; else Keras' ValueError."""
    if not isinstance(value, str) or value not in INTERPOLATIONS:
        raise ValueError(
            f"Invalid interpolation method {value} specified. "
            f"Supported methods are {', '.join(INTERPOLATIONS)}"
        )
    return value


_UNITS = ("", "k", "m", "g", "t")


def check_bytes(name: str, value: Any) -> int | None:
    """Returns an optional amount of memory in bytes.

    Text is a number with a unit: a "kB" is 1,000 bytes, a "KiB" 1,024, and so on.
    """
    if value is None:
        return None
    wanted = f'`{name}` should be bytes, text like "2GB" or None.'
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", value.lower())
        if found is None or (found[3] and not found[2]):
            raise ValueError(f"{wanted} Received: {value!r}")
        amount = float(found[1]) * (1024 if found[3] else 1000) ** _UNITS.index(found[2])
    elif is_integer(value):
        amount = int(value)
    else:
        raise TypeError(f"{wanted} Received: {value!r}")
    if not 1 <= amount < 2**63:
        raise ValueError(f"`{name}` should be at least one byte. Received: {value!r}")
    return int(amount)


def _check_pin_memory(value: Any) -> bool | None:
    if value is not None and not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`pin_memory` should be None, True or False. Received: {value!r}")
    return value if value is None else bool(value)


def _check_cache(value: Any) -> str | None:
    """Returns "memory", an absolute path, or None."""
    if value is None or (isinstance(value, str) and value == "memory"):
        return value
    wanted = f'`cache` should be "memory", a folder or None. Received: {value!r}'
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(wanted)
    folder = os.fspath(value)
    if not isinstance(folder, str) or not folder:
        raise ValueError(wanted)
    return os.path.abspath(folder)  # noqa: PTH100


def check_shard(spec: Any) -> ShardSpec:
    """Returns None, "auto" or (index, count); other processes are not looked for yet.

    Example:
        >>> check_shard([1, np.int64(2)])
        (1, 2)
    """
    if spec is None or (isinstance(spec, str) and spec == "auto"):
        return spec  # type: ignore[return-value]
    if not isinstance(spec, (tuple, list)) or len(spec) != 2 or not all(map(is_integer, spec)):
        raise TypeError(
            f'`shard` should be None, "auto" or two integers, (index, count). Received: {spec!r}'
        )
    index, count = int(spec[0]), int(spec[1])
    if count < 1:
        raise ValueError(
            f"`shard` is (index, count): a count of {count} processes, with index {index}, "
            f"is less than 1. Received: {spec!r}"
        )
    if not 0 <= index < count:
        world = "1 process (0 only)" if count == 1 else f"{count} processes (0 to {count - 1})"
        raise ValueError(
            f"`shard` is (index, count): index {index} is outside a world of {world}. "
            f"Received: {spec!r}"
        )
    return index, count


_DEFAULTS = LoaderOptions()
