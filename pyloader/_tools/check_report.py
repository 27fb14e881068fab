"""The report of a folder's check as text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from itertools import groupby

from pyloader.check import KINDS, Finding, Report

__all__ = ["FORMATS", "quote", "render", "summarize"]

_ESCAPES = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def render(report: Report, file_format: str, encoding: str = "utf-8") -> bytes:
    """Writes a report down.

    In JSON, which is ASCII, bytes of a name that are no UTF-8 are lone surrogates, as Python's
    `os.fsdecode` makes them; CSV is UTF-8 with these bytes as they are; and text shows them, and
    all else that is not printed as it is, in a shell's `$'...'`.

    Args:
        report: The report.
        file_format: One of `FORMATS`.
        encoding: Of text, such as the terminal's.

    Returns:
        The whole file, or what to print.
    """
    return FORMATS[file_format](report, encoding)


def summarize(report: Report, encoding: str = "utf-8") -> str:
    """Says in a line what was checked and how much was found.

    Args:
        report: The report.
        encoding: What the line will be encoded in.

    Returns:
        The line.
    """
    checked = f"{report.checked:,}"
    if not report.complete:
        checked = f"interrupted: {checked} of {report.images:,}"
    notes = [f"{checked} {_plural(report.checked, 'image')} checked in "]
    notes[0] += quote(report.folder, encoding)
    if report.ignored:
        notes.append(f"{report.ignored:,} other {_plural(report.ignored, 'file')} not")
    if report.skipped_links:
        links = _plural(report.skipped_links, "link")
        notes.append(f"{report.skipped_links:,} {links} to folders not entered")
    count = len(report.findings)
    found = f"{count:,} {_plural(count, 'finding')}" if count else "nothing found"
    return f"{', '.join(notes)}: {found}"


def quote(path: str, encoding: str = "utf-8") -> str:
    r"""A path as a shell would take it; plain ones are left alone.

    Args:
        path: The path; undecodable bytes as surrogate escapes.
        encoding: What it will be encoded in.

    Returns:
        Printable text without a line break.

    Example:
        >>> print(quote("cats/7.jpg"), quote("cats/7\n8.jpg"))
        cats/7.jpg $'cats/7\n8.jpg'
    """
    if path and all(_is_plain(letter, encoding) for letter in path):
        return path
    return "$'" + "".join(_escaped(letter, encoding) for letter in path) + "'"


def _text(report: Report, encoding: str) -> bytes:
    lines = []
    for kind, findings in groupby(report.findings, key=lambda finding: finding.kind):
        lines += [f"{kind} ({report.count(kind):,})", *_lines(list(findings), encoding), ""]
    lines.append(summarize(report, encoding) + "\n")
    return "\n".join(lines).encode(encoding, "backslashreplace")


def _lines(findings: list[Finding], encoding: str) -> list[str]:
    lines = []
    for group, members in groupby(findings, key=lambda finding: finding.group):
        for place, finding in enumerate(members):
            path = quote(finding.path, encoding)
            if group is None:
                lines.append(f"  {path}: {finding.reason}")
                continue
            if place == 0:
                lines.append(f"  {finding.reason}:")
            lines.append(f"    {path}")
    return lines


def _json(report: Report, encoding: str) -> bytes:
    fields = asdict(report)
    findings = fields.pop("findings")
    fields["counts"] = {kind: report.count(kind) for kind in KINDS}
    return (json.dumps({**fields, "findings": findings}, indent=1) + "\n").encode("ascii")


def _csv(report: Report, encoding: str) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["kind", "path", "reason", "group"])
    for finding in report.findings:
        writer.writerow([finding.kind, finding.path, finding.reason, finding.group])
    return table.getvalue().encode("utf-8", "surrogateescape")


FORMATS: dict[str, Callable[[Report, str], bytes]] = {"text": _text, "json": _json, "csv": _csv}
"""Names of the formats, and what writes them."""


def _is_plain(letter: str, encoding: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return letter.isprintable()


def _escaped(letter: str, encoding: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if _is_plain(letter, encoding):
        return letter
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))


def _plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"
