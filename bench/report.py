"""Figures to table: medians, spreads, ratios paired by round."""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = Sequence[str]


def median_and_spread(values: Sequence[float]) -> dict[str, float]:
    """median, min and max of one or more figures."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    """Median over rounds of value / reference, each pair from the same round."""
    return statistics.median(a / b for a, b in zip(values, reference, strict=True))


def format_table(header: Row, rows: Sequence[Row]) -> str:
    """Columns aligned, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Row) -> str:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join(cells).rstrip()

    rule = ["-" * width for width in widths]
    return "\n".join(line(row) for row in [header, rule, *rows])


def progress(text: str) -> None:
    """Tells the person who waits; the error stream, so that the output stays the result."""
    print(text, file=sys.stderr, flush=True)


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Writes the result, making the folder where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
