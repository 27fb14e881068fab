"""check_folder finds what is wrong with a folder's images, with Pillow's verdict on each."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import other_pictures as zoo
import pytest
from checked import kinds, photo, png, reasons, write
from pictures import SUBSAMPLINGS, all_kinds, picture, subsampled_jpeg, with_pillow
from PIL import Image

import pyloader
from pyloader._data.dataset_files import ALLOWED_FORMATS
from pyloader.check import EXTENSIONS, KINDS, Finding, Report, check_folder

NOT_LOADED = {"unreadable", "damaged", "oversized"}


def test_a_sound_folder_has_no_findings(class_folders: Path) -> None:
    report = check_folder(class_folders)
    assert report == Report(str(class_folders), (), 23, 23, 0, 0, True)


def test_an_empty_folder_is_checked_at_once(tmp_path: Path) -> None:
    assert check_folder(tmp_path) == Report(str(tmp_path), (), 0, 0, 0, 0, True)


def test_each_kind_is_found_with_its_reason(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/empty.jpg": b"",
            "a/page.jpg": b"\n<!DOCTYPE HTML><title>404</title>",
            "a/zeros.png": bytes(5000),
            "a/text.bmp": b"certainly no image",
            "b/cut.jpg": photo(1)[:-100],
            "b/cut.png": png(1)[:-40],
            "c/huge.jpg": photo(2, 101, 100),
            "d/png.jpg": png(3),
            "d/jpeg.PNG": photo(4),
            "e/line.png": png(5, 1, 12),
            "f/one.jpg": photo(6),
            "f/two.jpg": photo(6),
            "g/good.jpg": photo(7, 100, 100),
            "g/good.tif": zoo.saved(zoo.picture(np.random.default_rng(8), "L", 5, 4), "TIFF"),
            "g/notes.txt": b"not an image",
        },
    )
    report = check_folder(tmp_path, max_pixels=10_000)
    page = "not an image that pyloader knows"
    assert list(report.findings) == [
        Finding("unreadable", "a/empty.jpg", "the file is empty"),
        Finding("unreadable", "a/page.jpg", f"{page}: it looks like an HTML page"),
        Finding("unreadable", "a/text.bmp", page),
        Finding("unreadable", "a/zeros.png", f"{page}: nothing but zeros"),
        Finding("damaged", "b/cut.jpg", "the file is truncated"),
        Finding("damaged", "b/cut.png", reasons(report)["b/cut.png"]),
        Finding("oversized", "c/huge.jpg", "100 x 101 pixels, more than 10,000"),
        Finding("mislabelled", "d/jpeg.PNG", "JPEG under the name of PNG"),
        Finding("mislabelled", "d/png.jpg", "PNG under the name of JPEG"),
        Finding("tiny", "e/line.png", "12 x 1 pixels"),
        Finding("duplicate", "f/one.jpg", "2 files of equal content", 1),
        Finding("duplicate", "f/two.jpg", "2 files of equal content", 1),
    ]
    assert reasons(report)["b/cut.png"]
    assert (report.images, report.checked, report.ignored) == (14, 14, 1)
    assert [report.count(kind) for kind in KINDS] == [4, 2, 1, 2, 1, 2]


def every_kind_damaged() -> list[bytes]:
    """Files of all kinds, whole, cut at many places, and with bytes changed."""
    random = np.random.default_rng(11)
    sound = [content for _, content in (*all_kinds(random, 19, 27), *zoo.one_of_each())]
    files = list(sound)
    for content in sound:
        for end in np.unique(np.linspace(0, len(content), 9).astype(int)):
            files += [content[:end], content[: len(content) - int(end % 12)]]
        for _ in range(6):
            changed = bytearray(content)
            for place in random.integers(0, len(content), 2):
                changed[place] = random.integers(256)
            files.append(bytes(changed))
    return files


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_verdicts_on_damaged_files_are_pillows(tmp_path: Path) -> None:
    files = every_kind_damaged()
    write(tmp_path, {f"{number:05}.png": content for number, content in enumerate(files)})
    found = kinds(check_folder(tmp_path))
    wrong = loaded = 0
    for number, content in enumerate(files):
        try:
            with_pillow(content)
            theirs = True
        except Exception:
            theirs = False
        ours = not NOT_LOADED.intersection(found.get(f"{number:05}.png", []))
        wrong += ours != theirs
        loaded += theirs
    assert 200 < loaded < len(files) - 200
    assert wrong <= len(files) // 500  # libjpeg's and libtiff's versions may differ


def test_every_format_under_another_name_is_told_and_under_its_own_is_not(tmp_path: Path) -> None:
    random = np.random.default_rng(12)
    endings = {"JPEG": "jpeg", "PNG": "png", "BMP": "bmp", "PPM": "ppm", "TIFF": "tif"}
    files = {}
    for file_format in (*endings, "GIF", "WEBP"):
        content = zoo.saved(zoo.picture(random, "RGB", 8, 7), file_format)
        for ending in endings.values():
            files[f"{file_format}.{ending}"] = content
    found = kinds(check_folder(write(tmp_path, files), duplicates=False))
    own = {f"{file_format}.{ending}" for file_format, ending in endings.items()}
    assert found == {name: ["mislabelled"] for name in files.keys() - own}


def test_duplicates_are_equal_to_the_last_byte_and_grouped(tmp_path: Path) -> None:
    one, other = photo(13), photo(14)
    changed = bytearray(one)
    changed[-40] ^= 1
    write(
        tmp_path,
        {
            "z/1.jpg": one,
            "a/1.jpg": other,
            "a/2.jpg": other,
            "b/2.jpg": one,
            "b/same-size.jpg": bytes(changed),
            "b/longer.jpg": one + b"\0",
            "c/3.jpg": one,
            "d/cut.jpg": one[:200],  # does not load: one finding is enough
            "d/cut too.jpg": one[:200],
        },
    )
    os.link(tmp_path / "a/1.jpg", tmp_path / "a/hard.jpg")
    (tmp_path / "b/soft.jpg").symlink_to(tmp_path / "z/1.jpg")
    found = [one for one in check_folder(tmp_path).findings if one.kind == "duplicate"]
    assert [(one.group, one.path) for one in found] == [
        *((1, path) for path in ("a/1.jpg", "a/2.jpg", "a/hard.jpg")),
        *((2, path) for path in ("b/2.jpg", "b/soft.jpg", "c/3.jpg", "z/1.jpg")),
    ]
    assert found[0].reason == "3 files of equal content"
    assert found[3].reason == "4 files of equal content, in 3 folders"
    assert not check_folder(tmp_path, duplicates=False).count("duplicate")


def test_the_report_is_the_same_for_any_number_of_threads(tmp_path: Path) -> None:
    random = np.random.default_rng(15)
    files = {}
    for number in range(120):
        content = (photo, png)[number % 2](int(random.integers(40)))
        if number % 5 == 0:
            content = content[: int(random.integers(len(content)))]
        files[f"{random.integers(4)}/{number}.{('jpg', 'png')[int(random.integers(2))]}"] = content
    write(tmp_path, files)
    alone = check_folder(tmp_path, num_threads=1)
    assert {finding.kind for finding in alone.findings} >= {"damaged", "mislabelled", "duplicate"}
    for num_threads in (2, 7, 500):
        assert check_folder(tmp_path, num_threads=num_threads) == alone


def test_no_folder_and_a_file_instead_of_one_are_errors(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": photo(23)})
    with pytest.raises(FileNotFoundError):
        check_folder(tmp_path / "none")
    with pytest.raises(NotADirectoryError):
        check_folder(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    "options", [{"num_threads": 0}, {"max_pixels": 0}], ids=["no thread", "no pixel"]
)
def test_arguments_that_make_no_sense_are_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        check_folder(tmp_path, **options)


def test_names_of_variants_are_those_of_their_formats(tmp_path: Path) -> None:
    image = zoo.picture(np.random.default_rng(17), "RGB", 8, 7)
    other = zoo.picture(np.random.default_rng(18), "RGB", 8, 7)
    stereo = io.BytesIO()
    image.save(stereo, "MPO", save_all=True, append_images=[other])
    with Image.open(stereo) as opened:
        assert opened.format == "MPO"
    files = {"stereo.jpg": stereo.getvalue(), "icon.png": zoo.saved(image, "ICO")}
    files |= {"a.pgm": zoo.saved(image, "PPM"), "b.jpe": photo(19), "c.JFIF": photo(20)}
    names = [name.rpartition(".")[2] for name in files]
    found = kinds(check_folder(write(tmp_path, files), extensions=names))
    assert not NOT_LOADED.intersection(found.pop("stereo.jpg", []))
    assert set(found) == {"icon.png"}


def test_the_limit_of_pixels_is_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.jpg": photo(21, 30, 40), "b.png": png(22, 30, 41)})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    assert reasons(check_folder(tmp_path)) == {"b.png": "41 x 30 pixels, more than 1,200"}
    assert not check_folder(tmp_path, max_pixels=1230).count("oversized")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert not check_folder(tmp_path).findings


def test_the_function_and_the_report_are_public(tmp_path: Path) -> None:
    report = pyloader.check_folder(os.fsencode(tmp_path))  # type: ignore[arg-type]
    assert isinstance(report, pyloader.Report)
    assert report.folder == str(tmp_path)


def test_which_names_are_checked(tmp_path: Path) -> None:
    assert EXTENSIONS == ("bmp", "gif", "jpeg", "jpg", "png", "ppm", "tif", "tiff")
    assert {f".{ending}" for ending in EXTENSIONS} >= set(ALLOWED_FORMATS)
    names = ["a.JPG", "b.jpg.txt", "notajpg", ".jpg", "c.webp", "d", "._e.png"]
    write(tmp_path, dict.fromkeys(names, b""))
    report = check_folder(tmp_path)
    assert list(kinds(report)) == sorted(["a.JPG", "notajpg", ".jpg", "._e.png"])
    assert report.ignored == 3
    report = check_folder(tmp_path, extensions=[".WEBP", "txt"])
    assert list(kinds(report)) == ["b.jpg.txt", "c.webp"]


@pytest.mark.parametrize("kind", SUBSAMPLINGS)
def test_hostile_sizes_are_oversized_before_anything_is_decoded(tmp_path: Path, kind: str) -> None:
    content = subsampled_jpeg(picture(np.random.default_rng(24), 16, 16), kind, 80)
    at = content.index(b"\xff\xc0") + 5
    huge = content[:at] + b"\xff\xdc\xff\xdc" + content[at + 4 :]
    report = check_folder(write(tmp_path, {"a.jpg": huge}))
    assert reasons(report) == {"a.jpg": "65500 x 65500 pixels, more than 178,956,970"}
