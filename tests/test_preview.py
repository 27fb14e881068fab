"""`python -m pyloader preview DIR` writes a contact sheet of one augmented batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checked import photo, write
from numpy.typing import NDArray
from PIL import Image

from pyloader import ImageDataGenerator
from pyloader._tools.cli import main
from pyloader._tools.preview import Layout, draw_sheet, plan_layout

LABELS = ("cats", "dogs", "a class with a name that is far too long for its cell", "\u732b", "\x7f")
SIZES = [(1, 8, 8), (2, 40, 30), (7, 32, 96), (10, 200, 160), (16, 256, 256), (33, 20, 400)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of photographs."""
    names = ("cats", "dogs", "wombats")
    files = {f"{name}/{n}.jpg": photo(10 * i + n) for i, name in enumerate(names) for n in range(4)}
    return write(tmp_path / "data", files)


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return np.asarray(image)


def cell_of(sheet: NDArray[np.uint8], layout: Layout, index: int) -> NDArray[np.uint8]:
    top, left = layout.corner(index)
    return sheet[top : top + layout.height, left : left + layout.width]


def label_of(sheet: NDArray[np.uint8], layout: Layout, index: int) -> NDArray[np.uint8]:
    top, left = layout.corner(index)
    bottom = top + layout.height
    return sheet[bottom : bottom + layout.label, left : left + layout.width]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (
            ["--rotation-range", "30", "--zoom-range", "0.3", "--horizontal-flip"],
            {"rotation_range": 30, "zoom_range": 0.3, "horizontal_flip": True},
        ),
        (
            ["--shift", "0.2", "--brightness-range", "0.5", "1.5", "--vertical-flip"],
            {
                **{"width_shift_range": 0.2, "height_shift_range": 0.2, "vertical_flip": True},
                "brightness_range": [0.5, 1.5],
            },
        ),
        (
            ["--width-shift-range", "0.3", "--height-shift-range", "3"],
            {"width_shift_range": 0.3, "height_shift_range": 3.0},
        ),
    ],
    ids=["plain", "turned", "shifted", "shifted apart"],
)
def test_the_cells_are_the_images_of_the_batch(
    folder: Path, words: list[str], options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    output = folder.parent / "sheet.png"
    common = ["--target-size", "120", "150", "--count", "9", "--seed", "4"]
    assert main(["preview", str(folder), "--output", str(output), *common, *words]) == 0
    assert capsys.readouterr().out.endswith(f"wrote {output}: 9 images\n")
    sheet, layout = pixels_of(output), plan_layout(9, 120, 150)
    assert sheet.shape[:2] == layout.sheet_size
    images, labels = next(
        ImageDataGenerator(**options).flow_from_directory(
            folder, target_size=(120, 150), batch_size=9, seed=4, class_mode="sparse",
            interpolation="bilinear", verbose=False,
        )
    )  # fmt: skip
    expected = np.rint(np.clip(images, 0, 255)).astype(np.uint8)
    strips: dict[int, list[bytes]] = {}
    for index, label in enumerate(labels):
        np.testing.assert_array_equal(cell_of(sheet, layout, index), expected[index])
        strips.setdefault(int(label), []).append(label_of(sheet, layout, index).tobytes())
    assert all(len(set(same)) == 1 for same in strips.values())
    assert len({same[0] for same in strips.values()}) == len(strips) == 3


@pytest.mark.parametrize(("count", "height", "width"), SIZES)
def test_cells_are_apart_and_labels_are_written_within_them(
    count: int, height: int, width: int
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (count, height, width, 3), np.uint8)
    layout = plan_layout(count, height, width)
    sheet = draw_sheet(images, [LABELS[index % len(LABELS)] for index in range(count)])
    assert layout.columns * layout.rows >= count > layout.columns * (layout.rows - 1)
    free = np.ones(sheet.shape[:2], bool)
    for index in range(count):
        enlarged = images[index].repeat(layout.scale, 0).repeat(layout.scale, 1)
        np.testing.assert_array_equal(cell_of(sheet, layout, index), enlarged)
        label = label_of(sheet, layout, index)
        dark = (label < 128).all(axis=2)
        if LABELS[index % len(LABELS)].isprintable() or index == 0:
            assert 10 < dark.sum() < 0.3 * dark.size
        assert not dark[:, :3].any()
        assert not dark[:, -3:].any()
        assert not dark[[0, -1]].any()
        top, left = layout.corner(index)
        around = slice(top, top + layout.height + layout.label), slice(left, left + layout.width)
        assert free[around].all()
        free[around] = False
    assert layout.width >= 112
    assert (sheet[free] == 232).all()
    margin = layout.margin
    assert free[:margin].all() and free[-margin:].all()  # noqa: PT018
    assert free[:, :margin].all() and free[:, -margin:].all()  # noqa: PT018


def test_labels_grow_with_the_images() -> None:
    small, large = plan_layout(6, 224, 224), plan_layout(6, 1024, 1024)
    assert large.label == 4 * small.label
    sheet = draw_sheet(np.zeros((1, 1024, 1024, 3), np.uint8), ["cats"])
    dark = (label_of(sheet, plan_layout(1, 1024, 1024), 0) < 128).all(axis=2)
    assert np.ptp(np.flatnonzero(dark.any(axis=1))) > 30  # pixels from top to bottom of the letters


def test_a_grid_is_filled_where_a_near_number_of_columns_does_it() -> None:
    for count in (4, 6, 8, 9, 12, 15, 16, 20, 24):
        layout = plan_layout(count, 256, 256)
        assert layout.columns * layout.rows == count
        assert 0.5 < layout.sheet_size[1] / layout.sheet_size[0] < 3


def test_a_seed_gives_the_same_sheet_and_fewer_images_a_smaller_one(
    folder: Path, tmp_path: Path
) -> None:
    sheets = []
    for name in ("one.png", "two.png"):
        words = [
            "--seed",
            "1",
            "--count",
            "50",
            "--rotation-range",
            "40",
            "--target-size",
            "8",
            "9",
        ]
        assert main(["preview", str(folder), "--output", str(tmp_path / name), *words]) == 0
        sheets.append((tmp_path / name).read_bytes())
    assert sheets[0] == sheets[1]
    assert pixels_of(tmp_path / "one.png").shape[:2] == plan_layout(12, 8, 9).sheet_size


def test_without_options_the_sheet_lies_in_the_working_folder(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyloader", "preview", "data"],
        cwd=folder.parent, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "wrote preview.png: 12 images"
    sheet = pixels_of(folder.parent / "preview.png")
    assert sheet.shape[:2] == plan_layout(12, 256, 256).sheet_size


def test_what_cannot_be_previewed_is_an_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flat").mkdir()
    write(tmp_path / "bad", {"a/1.jpg": b"no image"})
    for words, status, text in (
        ([str(tmp_path / "none")], 1, "no such folder"),
        ([str(tmp_path / "flat")], 1, "preview needs a folder with one subfolder per class"),
        ([str(tmp_path / "bad")], 1, "cannot load image"),
        ([str(folder), "--output", "/none/such.png"], 2, "cannot write /none/such.png: No such"),
        ([str(folder), "--count", "0"], None, "should be at least 1, not 0"),
    ):
        if status is None:
            with pytest.raises(SystemExit):
                main(["preview", *words])
        else:
            assert main(["preview", *words]) == status
        assert text in capsys.readouterr().err
