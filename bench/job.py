"""Shared by the benchmarks: the job's options, the packages, the name of a result."""

import argparse
from pathlib import Path
from typing import Any

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
PACKAGES = ("pyloader", "numpy", "simplejpeg", "opencv-python-headless", "pillow", "keras")
RESULTS = Path(__file__).resolve().parent / "results"


def job_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the options that describe the job, as Job.from_settings takes them."""
    return {
        "directory": str(options.data.resolve()),
        "height": options.size[0],
        "width": options.size[-1],
        "batch_size": options.batch_size,
        "threads": options.threads,
        "dtype": options.dtype,
        "interpolation": options.interpolation,
        "seed": options.seed,
    }


def default_json_path(benchmark: str, settings: dict[str, Any], cold: bool) -> Path:
    """Returns bench/results/NAME.json, named by the benchmark and its data."""
    parts = [
        benchmark,
        Path(settings["directory"]).name,
        f"{settings['height']}x{settings['width']}",
        settings["interpolation"],
        settings["dtype"],
        f"{settings['threads']}threads",
    ]
    name = "-".join(parts + ["cold"] * cold)
    return RESULTS / f"{name}.json"
