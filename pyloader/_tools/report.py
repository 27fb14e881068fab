"""The report of a folder's check as text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

from pyloader.check import KINDS, Report

FORMATS = ("text", "json", "csv")

_ESCAPES = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def render(report: Report, file_format: str, encoding: str = "utf-8") -> bytes:
    """Returns the report as bytes, in one of `FORMATS`; the encoding is that of text.

    Bytes of a name that are no UTF-8 are lone surrogates in JSON, which is ASCII, as `os.fsdecode`
    makes them; CSV is UTF-8 and has these bytes as they are; text has them in a shell's `$'...'`.
    """
    if file_format == "json":
        fields = asdict(report)
        findings = fields.pop("findings")
        fields |= {"counts": {kind: report.count(kind) for kind in KINDS}, "findings": findings}
        return (json.dumps(fields, indent=1) + "\n").encode("ascii")
    if file_format == "csv":
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["kind", "path", "reason", "group"])
        writer.writerows((one.kind, one.path, one.reason, one.group) for one in report.findings)
        return table.getvalue().encode("utf-8", "surrogateescape")
    lines = [*_finding_lines(report, encoding), summarize(report, encoding), ""]
    return "\n".join(lines).encode(encoding, "backslashreplace")


def summarize(report: Report, encoding: str = "utf-8") -> str:
    """Returns one line: how many files were checked, and the number of findings."""
    checked = _count(report.checked, "image")
    if not report.complete:
        checked = f"interrupted: {report.checked:,} of {_count(report.images, 'image')}"
    notes = [f"{checked} checked in {quote(report.folder, encoding)}"]
    if report.ignored:
        notes.append(f"{_count(report.ignored, 'other file')} not")
    if report.skipped_links:
        notes.append(f"{_count(report.skipped_links, 'link')} to folders not entered")
    found = _count(len(report.findings), "finding") if report.findings else "nothing found"
    return f"{', '.join(notes)}: {found}"


def quote(path: str, encoding: str = "utf-8") -> str:
    r"""Returns a path as a shell takes it; plain ones are left alone.

    Not by `shlex.quote`, which leaves line breaks and undecodable bytes as they are.

    Example:
        >>> print(quote("cats/7.jpg"), quote("cats/7\n8.jpg"))
        cats/7.jpg $'cats/7\n8.jpg'
    """
    if path and all(_is_plain(letter, encoding) for letter in path):
        return path
    return "$'" + "".join(_escape(letter, encoding) for letter in path) + "'"


def _finding_lines(report: Report, encoding: str) -> Iterator[str]:
    for kind, findings in groupby(report.findings, key=lambda one: one.kind):
        yield f"{kind} ({report.count(kind):,})"
        for group, members in groupby(findings, key=lambda one: one.group):
            for place, finding in enumerate(members):
                path = quote(finding.path, encoding)
                if group is not None and place == 0:
                    yield f"  {finding.reason}:"
                yield f"  {path}: {finding.reason}" if group is None else f"    {path}"
        yield ""


def _is_plain(letter: str, encoding: str) -> bool:
    return letter.isprintable() and letter.encode(encoding, "ignore").decode(encoding) == letter


def _escape(letter: str, encoding: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if _is_plain(letter, encoding):
        return letter
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
