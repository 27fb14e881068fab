"""Measures copies from the host to a GPU: from the loader's slots and from PyTorch's pinned memory.

    python bench/gpu_handoff.py --data FOLDER

Batches lie in slots that are registered with CUDA (`pin_memory=True`), in slots that are not, in a
tensor that PyTorch pinned, and in one that it did not; each is copied in turn, round after round.
Without PyTorch or a CUDA device the exit status is 2.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from bench import report

HEADER = ("", "GB/s", "[min .. max]", "host us")


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        import torch
    except ImportError as reason:
        print(f"nothing to measure: {reason}", file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("nothing to measure: PyTorch finds no CUDA device", file=sys.stderr)
        return 2
    torch.cuda.init()
    sources = make_sources(torch, options)
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}; batches of "
        f"{next(iter(sources.values())).nbytes / 1e6:.1f} MB, {options.rounds} rounds"
    )
    rates: dict[str, list[float]] = {name: [] for name in sources}
    host: dict[str, list[float]] = {name: [] for name in sources}
    for number in range(options.rounds + 1):
        for name, tensor in sources.items():
            rate, microseconds = copy(torch, tensor)
            if number:  # the first round warms up
                rates[name].append(rate)
                host[name].append(microseconds)
    rows = [
        (
            name,
            f"{statistics.median(rates[name]):.2f}",
            f"[{min(rates[name]):.2f} .. {max(rates[name]):.2f}]",
            f"{statistics.median(host[name]):.0f}",
        )
        for name in sources
    ]
    print(report.format_table(HEADER, rows))
    print("host us: until the call returns; GB/s: by the device's clock")
    return 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="gpu_handoff", description="Measures copies of batches to a GPU."
    )
    parser.add_argument("--data", type=Path, required=True, help="one folder per class inside")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args(arguments)
    if min(options.size, options.batch_size, options.rounds) < 1:
        parser.error("--size, --batch-size and --rounds are 1 or more")
    if not options.data.is_dir():
        parser.error(f"--data must be a folder. Received: {options.data}")
    return options


def make_sources(torch: Any, options: argparse.Namespace) -> dict[str, Any]:
    """A batch in each kind of memory."""
    from pyloader import ImageDataGenerator

    def batch(pin_memory: bool) -> Any:
        iterator = ImageDataGenerator().flow_from_directory(
            options.data,
            target_size=(options.size, options.size),
            batch_size=options.batch_size,
            class_mode=None,
            pin_memory=pin_memory,
            verbose=False,
        )
        images = next(iterator)
        stats = iterator.stats()
        iterator.close()
        if pin_memory and not stats.slots_registered:
            print("the CUDA runtime did not register the slots", file=sys.stderr)
        return torch.from_numpy(images)

    slot, pageable_slot = batch(True), batch(False)
    return {
        "slot, registered": slot,
        "slot": pageable_slot,
        "torch, pinned": slot.clone().pin_memory(),
        "torch": slot.clone(),
    }


def copy(torch: Any, tensor: Any) -> tuple[float, float]:
    """Copies once; returns GB/s on the device's stream and the microseconds that the call took."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    started = time.perf_counter()
    on_device = tensor.to("cuda", non_blocking=True)
    held_up = time.perf_counter() - started
    end.record()
    end.synchronize()
    del on_device
    return tensor.nbytes / 1e6 / begin.elapsed_time(end), 1e6 * held_up


if __name__ == "__main__":
    sys.exit(main())
