"""Draws results of the scoreboard: images per second, and CPU time per image, as bars from zero."""

import io
import textwrap
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.peers.catalog import entry_of
from bench.summary import by_rate

# An opaque background, so that it is readable on dark pages too.
GROUND, INK, QUIET = "#ffffff", "#1f2328", "#59636e"
OURS, OTHERS = "#0b6e4f", "#9aa5b1"

BAR_INCHES = 0.32
PANEL_INCHES = 5.0
LINE_WIDTH = 44
DOTS_PER_INCH = 130


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Writes a PNG with a row of two panels per result; peers that failed are left out."""
    rows = [_decoding(result) for result in results]
    heights = [1.3 + BAR_INCHES * max(len(summary), 1) for summary in rows]
    size = (2 * PANEL_INCHES, sum(heights))
    figure = Figure(size, dpi=DOTS_PER_INCH, layout="constrained", facecolor=GROUND)
    axes = figure.subplots(
        len(rows), 2, squeeze=False, height_ratios=heights, gridspec_kw={"wspace": 0.03}
    )
    for (left, right), result, summary in zip(axes, results, rows, strict=True):
        settings = result["settings"]
        titles = [entry_of(name).title for name, _ in summary]
        labels = ["\n".join(textwrap.wrap(title, LINE_WIDTH)) for title in titles]
        colors = [OURS if name.startswith("pyloader") else OTHERS for name, _ in summary]
        _bars(left, [figures["images_per_second"] for _, figures in summary], colors, ".0f")
        _bars(right, [figures["cpu_ms_per_image"] for _, figures in summary], colors, ".2f")
        left.set_yticks(range(len(labels)), labels)
        right.set_yticks([])
        left.set_title(
            f"{result['title']} to {settings['height']} x {settings['width']}\n"
            "images per second: more is better",
            **_title_style(),
        )
        right.set_title(
            f"{settings['threads']} threads, {settings['interpolation']}, {settings['dtype']}, "
            f"{_cache(result)}\n"
            "CPU milliseconds per image: less is better",
            **_title_style(),
        )
    drawn = io.BytesIO()
    FigureCanvasAgg(figure).print_png(drawn, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawn.getvalue())


def _cache(result: dict[str, Any]) -> str:
    return "page cache " + ("warm" if "warm" in result["experiments"] else "cold")


def _decoding(result: dict[str, Any]) -> list[tuple[str, Any]]:
    experiments = result["experiments"]
    chosen = experiments.get("warm") or next(iter(experiments.values()))
    return by_rate(chosen["summary"])


def _bars(axes: Axes, figures: list[dict[str, float]], colors: list[str], form: str) -> None:
    """Draws medians as bars, spreads as whiskers, the figure beside each; the fastest on top."""
    medians = [figure["median"] for figure in figures]
    below = [figure["median"] - figure["min"] for figure in figures]
    above = [figure["max"] - figure["median"] for figure in figures]
    places = range(len(figures))
    axes.barh(places, medians, color=colors, height=0.72)
    axes.errorbar(medians, places, xerr=[below, above], fmt="none", ecolor=INK, elinewidth=0.9)
    most = max((figure["max"] for figure in figures), default=1.0)
    for place, figure in zip(places, figures, strict=True):
        text = format(figure["median"], form)
        axes.text(figure["max"] + 0.015 * most, place, text, va="center", fontsize=8.5, color=INK)
    axes.set_xlim(0, 1.14 * most)
    axes.set_ylim(len(figures) - 0.4, -0.6)
    axes.set_facecolor(GROUND)
    axes.tick_params(axis="y", length=0, labelsize=8.5, labelcolor=INK)
    axes.tick_params(axis="x", colors=QUIET, labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)


def _title_style() -> dict[str, Any]:
    return {"loc": "left", "fontsize": 9.5, "color": INK}
