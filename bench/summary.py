"""One peer's figures over all rounds, and the printed table."""

from typing import Any

import numpy as np

from bench import report
from bench.contest import Entry
from bench.fidelity import psnr

HEADER = (
    "peer",
    "images/s",
    "[min .. max]",
    "ratio",
    "CPU ms/image",
    "p50 ms",
    "p99 ms",
    "first s",
    "peak MB",
    "max diff",
    "mean diff",
    "PSNR dB",
    "",
)

Summary = dict[str, Any]


def summarize(entries: dict[str, Entry], name: str, reference: str) -> Summary:
    """Returns one peer's figures; None for missing ones."""
    entry = entries[name]
    rates = entry.images_per_second()
    waits = entry.batch_milliseconds()
    pixels = entry.fidelity
    mean_square = float(np.mean([round_.mean_square for round_ in pixels])) if pixels else None
    return {
        "images_per_second": report.median_and_spread(rates),
        "ratio_to_reference": report.paired_ratio(rates, entries[reference].images_per_second()),
        "cpu_ms_per_image": report.median_and_spread(entry.cpu_ms_per_image()),
        "batch_ms_p50": float(np.percentile(waits, 50)) if waits else None,
        "batch_ms_p99": float(np.percentile(waits, 99)) if waits else None,
        "first_batch_seconds": entry.first_batch_seconds(),
        "prepare_seconds": entry.about["prepare_seconds"],
        "peak_megabytes": entry.memory_bytes / 2**20 or max(entry.peak_megabytes()),
        "images_checked": sum(round_.images for round_ in pixels),
        "max_difference": max((round_.max_difference for round_ in pixels), default=None),
        "mean_difference": max((round_.mean_difference for round_ in pixels), default=None),
        "mean_square_difference": mean_square,
        "psnr": psnr(mean_square) if mean_square is not None else None,
        "correct": not entry.problems,
    }


def format_results(entries: dict[str, Entry], reference: str) -> str:
    """Returns the table, and below it every problem in words."""
    rows = []
    for name in entries:
        figures = summarize(entries, name, reference)
        rate = figures["images_per_second"]
        rows.append(
            (
                name,
                f"{rate['median']:.0f}",
                f"[{rate['min']:.0f} .. {rate['max']:.0f}]",
                f"{figures['ratio_to_reference']:.2f}",
                f"{figures['cpu_ms_per_image']['median']:.2f}",
                _or_dash(figures["batch_ms_p50"], ".1f"),
                _or_dash(figures["batch_ms_p99"], ".1f"),
                f"{figures['first_batch_seconds']:.2f}",
                f"{figures['peak_megabytes']:.0f}",
                _or_dash(figures["max_difference"], ".3g"),
                _or_dash(figures["mean_difference"], ".3g"),
                psnr_text(figures),
                "" if figures["correct"] else "WRONG",
            )
        )
    lines = [report.format_table(HEADER, rows)]
    lines.append(
        f"images/s: median of the rounds; ratio: images/s to {reference}'s, paired by round; "
        "diff: levels of 255 from Pillow's exact result"
    )
    for name, entry in entries.items():
        lines += [f"WRONG {name}, {problem}" for problem in entry.problems]
        if not all(entry.same_order):
            lines.append(f"note: {name} delivered the images in another order")
    return "\n".join(lines)


def by_rate(summary: dict[str, Summary]) -> list[tuple[str, Summary]]:
    """Returns the correct peers and their figures, the fastest first."""
    correct = [(name, figures) for name, figures in summary.items() if figures["correct"]]
    return sorted(correct, key=lambda item: -item[1]["images_per_second"]["median"])


def psnr_text(figures: Summary) -> str:
    """Returns decibels, or "exact" if no checked pixel differs."""
    if figures["images_checked"] and figures["max_difference"] == 0:
        return "exact"
    return _or_dash(figures["psnr"], ".1f")


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
