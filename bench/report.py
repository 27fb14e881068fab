"""Medians, spreads, ratios paired by round, and tables of them."""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = Sequence[str]


def median_and_spread(values: Sequence[float]) -> dict[str, float]:
    """Returns median, min and max of one or more figures."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> float:
    """Returns the median over rounds of value / reference, each pair from the same round."""
    return statistics.median(a / b for a, b in zip(values, reference, strict=True))


def format_table(header: Row, rows: Sequence[Row]) -> str:
    """Returns a table, the first column aligned left and the others right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Row) -> str:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return "  ".join(cells).rstrip()

    rule = ["-" * width for width in widths]
    return "\n".join(line(row) for row in [header, rule, *rows])


def progress(text: str) -> None:
    """Prints progress to the error stream; standard output has the result alone."""
    print(text, file=sys.stderr, flush=True)


def write_json(path: Path, result: dict[str, Any]) -> None:
    """Writes the result; creates the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
