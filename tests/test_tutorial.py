"""The tutorial's script, with only the import changed, prints what the tutorial shows."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

SCRIPT = Path(__file__).resolve().parent.parent / "examples" / "tutorial.py"
EXPECTED = """\
Found 2 images belonging to 2 classes.
Found 2 images belonging to 2 classes.
Found 2 images belonging to 2 classes.
Batch shape=(2, 256, 256, 3), min=0.000, max=255.000
"""
COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One red and one blue car in each of the three sets, in a folder called data."""
    for set_name in ("train", "validation", "test"):
        for number, (color, rgb) in enumerate(COLORS.items()):
            picture = np.full((240 + 30 * number, 320, 3), 255, np.uint8)
            picture[80:160, 60:260] = rgb
            picture[160:200, 80:240] = 0  # black and white areas, so that 0 and 255 survive JPEG
            folder = tmp_path / "data" / set_name / color
            folder.mkdir(parents=True)
            content = simplejpeg.encode_jpeg(picture, 95, "RGB", "420")
            (folder / f"car{number + 1:02d}.jpg").write_bytes(content)
    return tmp_path / "data"


@pytest.mark.parametrize("named", [False, True], ids=["beside the data", "data folder named"])
def test_the_tutorial_prints_what_its_readers_expect(data: Path, named: bool) -> None:
    arguments = [str(data)] if named else []
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=data if named else data.parent,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.stderr == ""
    assert ran.stdout == EXPECTED
    assert ran.returncode == 0
