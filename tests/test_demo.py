"""The demo and the folder that it makes."""

import subprocess
import sys
from pathlib import Path

import pytest
import simplejpeg

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SETS = {"train": 6, "validation": 2, "test": 2}


@pytest.fixture
def make_data(monkeypatch: pytest.MonkeyPatch):
    """The demo's maker of pictures, with pictures of web size only."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return pytest.importorskip("make_data")


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.jpg"))}


def test_the_same_seed_makes_the_same_jpegs_laid_out_as_in_the_tutorial(make_data, tmp_path):
    ticks: list[int] = []
    for name in ("a", "b"):
        assert make_data.make_dataset(tmp_path / name, sets=SETS, seed=3, progress=ticks.append)
    made = contents(tmp_path / "a")
    assert made == contents(tmp_path / "b")
    assert sum(ticks) == 2 * sum(SETS.values())
    assert sorted({str(Path(name).parent) for name in made}) == [
        f"{set_name}/{color}" for set_name in sorted(SETS) for color in ("blue", "red")
    ]
    for content in made.values():
        height, width, *_ = simplejpeg.decode_jpeg_header(content)
        assert min(height, width) >= 180


def test_a_complete_folder_is_kept_and_an_incomplete_one_is_made_again(make_data, tmp_path):
    root = tmp_path / "pictures"
    make_data.make_dataset(root, sets=SETS)
    assert not make_data.make_dataset(root, sets=SETS)
    complete = contents(root)
    next(root.rglob("*.jpg")).unlink()
    (tmp_path / "pictures.partial" / "train").mkdir(parents=True)  # as an interruption leaves it
    assert make_data.make_dataset(root, sets=SETS)
    assert contents(root) == complete
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_a_folder_that_the_demo_did_not_make_is_left_alone(make_data, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="holds something else"):
        make_data.make_dataset(tmp_path, sets=SETS)
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("place", ["", "train"], ids=["with the three sets", "classes directly"])
def test_the_demo_loads_a_folder_of_your_own(make_data, tmp_path, place):
    make_data.make_dataset(tmp_path / "pictures", sets=SETS)
    ran = run_demo("--data", str(tmp_path / "pictures" / place), "--epochs", "2")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "Found 6 images belonging to 2 classes."
    assert sum(line.startswith("Found") for line in lines) == (1 if place else 3)
    assert sum("images/s" in line for line in lines) == 2
    assert lines[-1] == "Batch shape=(6, 256, 256, 3), min=0.000, max=255.000"


def test_the_demo_says_how_to_lay_out_a_folder_without_pictures(tmp_path):
    ran = run_demo("--data", str(tmp_path))
    assert ran.returncode == 2
    assert f"No pictures found in {tmp_path}" in ran.stderr
    assert "one folder per class" in ran.stderr
    assert "Traceback" not in ran.stderr
