"""`python -m pyloader check DIR` prints, writes and exits as it says."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import shlex
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import tqdm
from checked import photo, png, write

from pyloader._tools.cli import main
from pyloader._tools.report import quote, render, summarize
from pyloader.check import Finding, Report, check_folder

ODD = os.fsdecode(b"caf\xe9\n'\x1b[31m,\"\\.jpg")
"""Latin-1, a line break, quotes, color for a terminal."""


@pytest.fixture
def bad_folder(tmp_path: Path) -> Path:
    """Five images, four of which give a finding, and another file."""
    files = {"a.jpg": photo(1), "b.jpg": b"", "c/d.jpg": photo(1), "e.jpg": photo(2)}
    return write(tmp_path / "data", {**files, ODD: png(3), "notes.txt": b""})


def run(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "pyloader", "check", *words]
    return subprocess.run(command, capture_output=True, check=False, timeout=600, **options)


def test_the_text_lists_findings_by_kind(
    bad_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(bad_folder)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "unreadable (1)",
        "  b.jpg: the file is empty",
        "",
        "mislabelled (1)",
        r"""  $'caf\xe9\n\'\x1b[31m,"\\.jpg': PNG under the name of JPEG""",
        "",
        "duplicate (2)",
        "  2 files of equal content, in 2 folders:",
        "    a.jpg",
        "    c/d.jpg",
        "",
        f"5 images checked in {bad_folder}, 1 other file not: 4 findings",
    ]
    assert not captured.err  # which is no terminal


def test_nothing_found_is_success(class_folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(class_folders), "--threads", "3"]) == 0
    assert capsys.readouterr().out == f"23 images checked in {class_folders}: nothing found\n"


def test_json_has_the_whole_report_and_paths_come_back(
    bad_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(bad_folder), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    report = check_folder(bad_folder)
    assert [Finding(**finding) for finding in found.pop("findings")] == list(report.findings)
    assert found == {
        "folder": str(bad_folder),
        "images": 5,
        "checked": 5,
        "ignored": 1,
        "skipped_links": 0,
        "complete": True,
        "counts": {
            **dict.fromkeys(("damaged", "oversized", "tiny"), 0),
            **{"unreadable": 1, "mislabelled": 1, "duplicate": 2},
        },
    }
    (odd,) = (finding.path for finding in report.findings if finding.kind == "mislabelled")
    assert (bad_folder / odd).exists()


def test_csv_has_a_row_for_each_finding_and_paths_come_back(
    bad_folder: Path,
) -> None:
    done = run(bad_folder, "--format", "csv")
    assert done.returncode == 1
    text = done.stdout.decode("utf-8", "surrogateescape")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["kind", "path", "reason", "group"]
    assert rows == [
        [found.kind, found.path, found.reason, str(found.group or "")]
        for found in check_folder(bad_folder).findings
    ]
    assert ODD in [row[1] for row in rows]


@pytest.mark.parametrize("file_format", ["text", "json", "csv"])
def test_a_file_gets_the_report_and_the_terminal_a_line(
    bad_folder: Path, file_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = bad_folder.parent / "report"
    words = ["check", str(bad_folder), "--format", file_format, "--output", str(file)]
    assert main(words) == 1
    report = check_folder(bad_folder)
    assert file.read_bytes() == render(report, file_format)
    assert capsys.readouterr().out == summarize(report) + "\n"


def test_what_is_ignored_neither_shows_nor_counts(
    bad_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", str(bad_folder), "--ignore", "mislabelled,unreadable"]
    assert main(words) == 1
    assert capsys.readouterr().out.startswith("duplicate (2)")
    assert main([*words, "--no-duplicates"]) == 0
    assert main(["check", str(bad_folder), "--ignore", "duplicate,mislabelled,unreadable"]) == 0
    assert "duplicate" not in capsys.readouterr().out


def test_options_reach_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside = write(tmp_path / "outside", {"f.jpg": b""})
    folder = write(tmp_path / "data", {"a/b.jpg": photo(4, 50, 60), "c.webp": b""})
    (folder / "a" / "link").symlink_to(outside)
    assert main(["check", str(folder)]) == 0
    assert "1 link to folders not entered" in capsys.readouterr().out
    assert main(["check", str(folder), "--max-pixels", "2999"]) == 1
    assert "a/b.jpg: 60 x 50 pixels, more than 2,999" in capsys.readouterr().out
    assert main(["check", str(folder), "--max-pixels", "3000", "--follow-links"]) == 1
    assert "a/link/f.jpg" in capsys.readouterr().out
    assert main(["check", str(folder), "--extensions", ".webp, gif"]) == 1
    assert "c.webp" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--threads", "0"],
        ["--max-pixels", "many"],
        ["--format", "xml"],
        ["--ignore", "ugly"],
        ["--extensions", ","],
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_a_usage_error(
    class_folders: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = [str(class_folders)] if words else []
    with pytest.raises(SystemExit) as caught:
        main(["check", *folder, *words])
    assert caught.value.code == 2
    assert "usage: python -m pyloader check" in capsys.readouterr().err


def test_folders_and_reports_that_cannot_be_opened_are_errors(
    bad_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, text in (
        ([str(bad_folder / "none")], f"cannot check {bad_folder}/none: No such file or directory"),
        ([str(bad_folder / "a.jpg")], f"cannot check {bad_folder}/a.jpg: Not a directory"),
        ([str(bad_folder), "--output", "/none/such"], "cannot write the report: No such file"),
        ([str(bad_folder), "--output", "/dev/full"], "cannot write the report: No space left"),
    ):
        assert main(["check", *words]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith(f"error: {text}")
        assert not captured.out.startswith("unreadable")


def test_ctrl_c_reports_what_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {f"{number:02}.jpg": b"" for number in range(30)})
    update = tqdm.tqdm.update

    def interrupt(bar: Any, count: float = 1) -> Any:
        result = update(bar, count)
        if bar.total == 30 and len(seen) == 11:
            signal.raise_signal(signal.SIGINT)
        seen.append(count)
        return result

    seen: list[float] = []
    monkeypatch.setattr(tqdm.tqdm, "update", interrupt)
    assert main(["check", str(tmp_path), "--format", "json"]) == 130
    found = json.loads(capsys.readouterr().out)
    assert (found["checked"], found["images"], found["complete"]) == (12, 30, False)
    assert len(found["findings"]) == 12
    seen.clear()
    assert main(["check", str(tmp_path)]) == 130
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert last_line.startswith("interrupted: 12 of 30 images checked in ")


def test_a_terminal_sees_progress_and_a_pipe_does_not(bad_folder: Path) -> None:
    assert not run(bad_folder).stderr
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = [sys.executable, "-m", "pyloader", "check", str(bad_folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=False, timeout=600)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # what a terminal without another end says
        pass
    os.close(ours)
    assert b"img" in shown
    assert b"img" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_terminal_can_show_every_name(tmp_path: Path, encoding: str) -> None:
    names = ["plain.jpg", "caf\u00e9.jpg", "\u732b.jpg", ODD]
    write(tmp_path, dict.fromkeys(names, b""))
    done = run(tmp_path, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 1, done.stderr
    lines = done.stdout.decode(encoding).splitlines()
    assert len(lines) == 7
    shell = "".join(f"test -e {line[2:].split(': the file')[0]} || exit 9\n" for line in lines[1:5])
    bash = subprocess.run(
        ["bash", "-c", shell.encode(encoding)],
        cwd=tmp_path, check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    assert bash.returncode == (9 if encoding == "latin-1" else 0)  # whose bytes are no UTF-8


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    # More than a pipe and a reader's buffer hold.
    write(tmp_path, {f"{number:0200}.jpg": b"" for number in range(3000)})
    script = f"{sys.executable} -m pyloader check {tmp_path} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=600)
    assert done.stdout.split() == [b"unreadable", b"(3,000)", b"1"]
    assert not done.stderr


def test_without_a_standard_output_there_is_no_report(class_folders: Path) -> None:
    command = shlex.join([sys.executable, "-m", "pyloader", "check", str(class_folders)])
    done = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: cannot write the report: standard output is closed\n"


def test_a_limit_beyond_all_counting_is_none(
    class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(class_folders), "--max-pixels", str(10**30)]) == 0
    assert capsys.readouterr().err == ""


def test_names_are_quoted_as_a_shell_takes_them() -> None:
    assert quote("a b/c.jpg") == "a b/c.jpg"
    assert quote("\u00e9.jpg") == "\u00e9.jpg"
    assert quote("\u00e9.jpg", "ascii") == r"$'\xc3\xa9.jpg'"
    assert quote("a\tb\r'\\") == r"$'a\tb\r\'\\'"
    assert quote("") == "$''"


def test_the_summary_counts_in_words() -> None:
    one = Report("d", (Finding("tiny", "a", "b"),), 1, 1, 1, 1, True)
    assert summarize(one) == (
        "1 image checked in d, 1 other file not, 1 link to folders not entered: 1 finding"
    )
    many = Report("d", (Finding("tiny", "a", "b"),) * 1200, 5000, 2000, 3000, 2, False)
    assert summarize(many) == (
        "interrupted: 2,000 of 5,000 images checked in d, 3,000 other files not, "
        "2 links to folders not entered: 1,200 findings"
    )
