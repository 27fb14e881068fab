"""check_folder survives whatever lies in a folder, happens to it, or is short."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checked import kinds, photo, png, reasons, write
from PIL import Image

from pyloader import check
from pyloader.check import KINDS, FolderCheck, check_folder


def make_strange_things(folder: Path) -> dict[str, str]:
    """Puts everything that is no plain file under names of images; what should be said of each."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "linked pipe.jpg").symlink_to("pipe.jpg")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "tty.jpg").symlink_to("/dev/tty")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)  # the address has no room for long paths
        listener.bind("socket.jpg")
        os.chdir(here)
    special = dict.fromkeys(
        ("pipe.jpg", "linked pipe.jpg", "zero.jpg", "tty.jpg", "socket.jpg"),
        "it is not a regular file",
    )
    return {
        **special,
        "gone.jpg": "No such file or directory",
        "circle.jpg": "Too many levels of symbolic links",
    }


def test_pipes_devices_and_broken_links_are_unreadable_and_nothing_waits(tmp_path: Path) -> None:
    expected = make_strange_things(tmp_path)
    (tmp_path / "folder.jpg").mkdir()
    write(tmp_path, {"folder.jpg/good.jpg": photo(16)})
    report = check_folder(tmp_path)
    assert reasons(report) == expected
    assert report.count("unreadable") == report.images - 1 == len(expected)


def test_a_file_that_becomes_a_pipe_before_it_is_opened_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    write(tmp_path, {"b.jpg": photo(17)})
    code = """
import os, sys
from pyloader.check import check_folder
stat, folder = os.stat, sys.argv[1]
os.stat = lambda path: stat(folder + "/b.jpg" if path == folder + "/a.jpg" else path)
print([finding.reason for finding in check_folder(folder).findings])
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=600)
    assert done.stdout == b"['it is not a regular file']\n"


def test_files_that_vanish_or_change_in_mid_scan_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"{number:02}.jpg": photo(18) for number in range(40)})
    original = check._FileChecker.check
    is_disturbed = threading.Event()

    def wait_half_way(self: Any, path: str, with_digest: bool) -> Any:
        assert not path.endswith("20.jpg") or is_disturbed.wait(60)
        return original(self, path, with_digest)

    def disturb(checked: int, total: int) -> None:
        if checked == 1:
            for number in range(20, 30):
                (tmp_path / f"{number}.jpg").unlink()
            for number in range(30, 40):
                (tmp_path / f"{number}.jpg").write_bytes(b"short")
            is_disturbed.set()

    monkeypatch.setattr(check._FileChecker, "check", wait_half_way)
    folder_check = FolderCheck(tmp_path, num_threads=1)
    folder_check.run(disturb)
    report = folder_check.report()
    assert [report.count(kind) for kind in KINDS] == [20, 0, 0, 0, 0, 20]


def test_links_to_folders_are_entered_once_and_loops_end(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    write(data, {"a/1.jpg": photo(19), "a/deep/2.jpg": b""})
    write(elsewhere, {"3.jpg": b"", "more/4.jpg": b""})
    (data / "class").symlink_to(elsewhere)
    (data / "again").symlink_to(elsewhere)
    (data / "a" / "up").symlink_to(data)
    (data / "a" / "deep" / "self").symlink_to(".")
    (elsewhere / "back").symlink_to(data)
    (data / "a" / "out").symlink_to(elsewhere / "more")
    report = check_folder(data)
    assert list(kinds(report)) == ["a/deep/2.jpg", "again/3.jpg", "again/more/4.jpg"]
    assert (report.images, report.skipped_links) == (4, 5)  # all but the first to elsewhere
    followed = check_folder(data, follow_links=True)
    assert list(kinds(followed)) == ["a/deep/2.jpg", "a/out/4.jpg", "again/3.jpg"]
    assert (followed.images, followed.skipped_links) == (4, 4)


def test_without_permission_a_file_and_a_folder_are_unreadable() -> None:
    # Not in tmp_path, whose parents are closed to who has no privileges.
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), {"a.jpg": photo(20), "b.jpg": photo(21), "c/d.jpg": photo(22)})
        folder.chmod(0o755)
        (folder / "b.jpg").chmod(0)
        (folder / "c").chmod(0)
        is_root = os.geteuid() == 0
        if is_root:  # it may read everything
            try:
                os.seteuid(65534)
            except OSError:
                pytest.skip("root cannot become another user here")
        try:
            report = check_folder(folder)
        finally:
            if is_root:
                os.seteuid(0)
        (folder / "c").chmod(0o755)
    assert reasons(report) == {
        "b.jpg": "Permission denied",
        "c/": "the folder cannot be listed: Permission denied",
    }
    assert report.images == 2


def test_a_file_of_many_gigabytes_is_not_read(tmp_path: Path) -> None:
    for name, start in (("a.jpg", photo(25)), ("b.jpg", b"")):
        (tmp_path / name).write_bytes(start)
        os.truncate(tmp_path / name, 5 << 30)
    assert kinds(check_folder(tmp_path)) == {"a.jpg": ["oversized"], "b.jpg": ["unreadable"]}


def test_an_error_that_nobody_foresaw_is_a_finding_and_the_check_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.jpg": photo(26), "b.png": png(27), "c.gif": photo(28)[:50]})
    original = check.load_img

    def fail(source: io.BytesIO, **options: Any) -> Any:
        content = source.getvalue()
        if content.startswith(b"\x89PNG"):
            raise IndexError("out of range")
        if len(content) == 50:
            raise MemoryError
        return original(source, **options)

    monkeypatch.setattr(check, "load_img", fail)
    assert reasons(check_folder(tmp_path)) == {
        "b.png": "pyloader fails on it, which is a bug: IndexError: out of range",
        "c.gif": "there is not enough memory for it",
    }


def test_an_interrupted_check_reports_what_it_knows(tmp_path: Path) -> None:
    write(tmp_path, {f"{number:02}.jpg": b"" for number in range(50)})
    folder_check = FolderCheck(tmp_path, num_threads=2)

    def interrupt(checked: int, total: int) -> None:
        assert total == 50
        if checked == 7:
            raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        folder_check.run(interrupt)
    assert threading.active_count() == threads
    report = folder_check.report()
    assert (report.checked, report.images, report.complete) == (7, 50, False)
    assert len(report.findings) == 7


def test_fewer_threads_than_asked_for_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"{number}.jpg": b"" for number in range(9)})
    submit = ThreadPoolExecutor.submit
    started = []

    def refuse(pool: Any, *work: Any) -> Any:
        if len(started) >= granted:
            raise RuntimeError("can't start new thread")
        started.append(work)
        return submit(pool, *work)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    for granted in (2, 0):
        started.clear()
        assert len(check_folder(tmp_path, num_threads=5).findings) == 9
        assert len(started) == granted


def test_images_beyond_the_bound_are_checked_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 5_000  # pixels
    monkeypatch.setattr(check, "_PIXEL_MEMORY", bound * check._JPEG_PIXEL_BYTES)
    monkeypatch.setattr(check, "_CONTENT_MEMORY", 12_000)
    original, lock = check.load_img, threading.Lock()
    large: list[int] = []
    most, total = 0, 0

    def watch(source: io.BytesIO, **options: Any) -> Any:
        nonlocal most, total
        with Image.open(io.BytesIO(source.getvalue())) as image:
            pixels = image.width * image.height
        is_large = pixels > bound or check._CONTENT_COPIES * len(source.getvalue()) > 12_000
        with lock:
            large.extend([pixels] * is_large)
            most, total = max(most, len(large)), total + is_large
        try:
            return original(source, **options)
        finally:
            with lock:
                for _ in range(is_large):
                    large.remove(pixels)

    monkeypatch.setattr(check, "load_img", watch)
    random = np.random.default_rng(30)
    files = {
        f"{n}.jpg": photo(n, *(int(s) for s in random.integers(20, 170, 2))) for n in range(60)
    }
    assert not check_folder(write(tmp_path, files), num_threads=4).findings
    assert 10 < total < 50
    assert most == 1
