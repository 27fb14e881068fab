"""Writes results of the scoreboard as a chart, and as tables between two markers of a page.

python -m bench publish RESULT.json [RESULT.json ...] --chart PNG [--report bench/RESULTS.md]
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from bench.peers.catalog import entry_of
from bench.summary import by_rate, psnr_text

BEGIN, END = "<!-- scoreboard -->", "<!-- /scoreboard -->"

DECODING_HEADER = (
    "loader",
    "images/s",
    "cold",
    "CPU ms per image",
    "p99 batch ms",
    "first batch s",
    "peak MB",
    "PSNR dB",
    "pixels",
)
CACHED_HEADER = ("epochs from a cache", "images/s", "CPU ms per image", "peak MB", "PSNR dB")
NUMBERS = set(DECODING_HEADER[1:-1])


class NoMarkers(Exception):
    """The page has no pair of markers."""


def main(arguments: list[str] | None = None) -> int:
    """Publishes results; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench publish", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--chart", type=Path, required=True, help="PNG (needs matplotlib)")
    parser.add_argument("--report", type=Path, help="page for the tables, between its markers")
    options = parser.parse_args(arguments)
    try:
        results = [json.loads(path.read_text()) for path in options.results]
        publish(results, options.chart, options.report)
    except (OSError, json.JSONDecodeError, NoMarkers, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def publish(results: list[dict[str, Any]], chart: Path, report: Path | None) -> None:
    """Draws the chart, and writes it with the tables into the report if there is one.

    Raises:
        NoMarkers: The report has no markers; nothing is written then.
        ImportError: matplotlib is not installed.
    """
    from bench.chart import draw

    text = report.read_text() if report else ""
    if report:
        place = os.path.relpath(chart.resolve(), report.resolve().parent)
        text = between_markers(text, f"![images/s and CPU time]({place})\n\n{tables(results)}")
    draw(results, chart)
    if report:
        report.write_text(text)


def between_markers(text: str, content: str) -> str:
    """Returns the text with everything between its two markers replaced.

    Raises:
        NoMarkers: The text does not have each marker once, in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise NoMarkers(f"the page needs one {BEGIN} and after it one {END}")
    return f"{before}{BEGIN}\n{content.strip()}\n{END}{after}"


def tables(results: list[dict[str, Any]]) -> str:
    """Returns all figures, a section per result."""
    return "\n\n".join(_section(result) for result in results)


def _section(result: dict[str, Any]) -> str:
    settings, about = result["settings"], result["machine"]
    parts = [
        f"### {result['title']}\n\n{result['files']:,} files to {settings['height']} x "
        f"{settings['width']}, {settings['interpolation']}, `{settings['dtype']}`, batches of "
        f"{settings['batch_size']}, {settings['threads']} threads; {about['processor']}, "
        f"{about['usable_cores']} cores, {about['python']}, {result['date']}; "
        f"median of {result['rounds']} rounds [min .. max]."
    ]
    experiments = result["experiments"]
    decoding = experiments.get("warm") or experiments.get("cold")
    if decoding:
        cold = experiments.get("cold", {"summary": {}})["summary"]
        rows = [
            _decoding_row(name, figures, cold.get(name))
            for name, figures in by_rate(decoding["summary"])
        ]
        parts.append(_markdown(DECODING_HEADER, rows))
    if "cached" in experiments:
        rows = [
            (
                _title(name),
                _rate(figures),
                f"{figures['cpu_ms_per_image']['median']:.2f}",
                f"{figures['peak_megabytes']:.0f}",
                psnr_text(figures),
            )
            for name, figures in by_rate(experiments["cached"]["summary"])
            if entry_of(name).cached
        ]
        parts.append(_markdown(CACHED_HEADER, rows))
    parts += _skipped(experiments)
    return "\n\n".join(parts)


def _decoding_row(name: str, figures: dict[str, Any], cold: dict[str, Any] | None) -> list[str]:
    wait = figures["batch_ms_p99"]
    return [
        _title(name),
        _rate(figures),
        f"{cold['images_per_second']['median']:.0f}" if cold else "-",
        f"{figures['cpu_ms_per_image']['median']:.2f}",
        "-" if wait is None else f"{wait:.0f}",
        f"{figures['first_batch_seconds']:.1f}",
        f"{figures['peak_megabytes']:.0f}",
        psnr_text(figures),
        entry_of(name).difference,
    ]


def _rate(figures: dict[str, Any]) -> str:
    rate = figures["images_per_second"]
    return f"{rate['median']:.0f} [{rate['min']:.0f} .. {rate['max']:.0f}]"


def _title(name: str) -> str:
    title = entry_of(name).title
    return f"**{title}**" if name.startswith("pyloader") else title


def _skipped(experiments: dict[str, Any]) -> list[str]:
    """Lists the peers that are missing or wrong, with the experiments and the reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for experiment, result in experiments.items():
        for name, reason in result["skipped"].items():
            reasons.setdefault((name, reason), []).append(experiment)
        for name, figures in result["summary"].items():
            if not figures["correct"]:
                problem = result["peers"][name]["problems"][0]
                reasons.setdefault((name, f"wrong, {problem}"), []).append(experiment)
    lines = [
        f"- {entry_of(name).title} ({', '.join(where)}): {reason}"
        for (name, reason), where in reasons.items()
    ]
    return ["Left out:\n\n" + "\n".join(lines)] if lines else []


def _markdown(header: tuple[str, ...], rows: list[Any]) -> str:
    rule = ["---:" if title in NUMBERS else "---" for title in header]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
