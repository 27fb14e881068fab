"""The documentation: its code runs and prints what it shows, and it leaves nothing out."""

import importlib
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from run_page import blocks_of, runnable

from pyloader import ImageDataGenerator
from pyloader._monitor.stats import make_stats

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
RUN = [
    path
    for path in [ROOT / "README.md", *PAGES]
    if any(runnable(blocks_of(path.read_text(encoding="utf-8"))))
]
NEEDS = {"training.md": ("torch", "jax")}
SETS = {"train": 12, "validation": 4, "test": 4}
FLOWS = ("flow", "flow_from_directory", "flow_from_dataframe")

OLD_SCRIPT = """
import sys
from keras.preprocessing.image import ImageDataGenerator
train_it = ImageDataGenerator().flow_from_directory(sys.argv[1] + "/train/", class_mode="binary")
batchX, batchy = train_it.next()
"""


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's folder, with pictures as the demo makes them."""
    root = tmp_path_factory.mktemp("pictures") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "examples"))
        importlib.import_module("make_data").make_dataset(root, sets=SETS)
    return root


@pytest.fixture
def place(tmp_path: Path, pictures: Path) -> Path:
    """Where a reader of the pages is: beside the folder, and beside a script of Keras 2."""
    shutil.copytree(pictures, tmp_path / "data")
    (tmp_path / "train.py").write_text(OLD_SCRIPT)
    return tmp_path


def test_pages_and_readme_have_code_to_run() -> None:
    assert {"README.md", "tutorial.md", "migration.md"} <= {path.name for path in RUN}


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.name)
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(path: Path, place: Path) -> None:
    for framework in NEEDS.get(path.name, ()):
        if importlib.util.find_spec(framework) is None:
            pytest.skip(f"{framework} is missing: make frameworks")
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "run_page.py"), str(path)],
        cwd=place,
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_page_that_shows_something_else_is_found_out(tmp_path: Path) -> None:
    wrong = tmp_path / "page.md"
    wrong.write_text('```python\nprint("one")\n```\n\n```output\ntwo\n```\n')
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "run_page.py"), str(wrong)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert f"{wrong}, line 1" in ran.stderr


def test_every_line_of_stats_is_explained() -> None:
    counters = {"files_ahead": 1, "slots_registered": 1, "batches": 1}
    table = str(make_stats(counters, samples=1, batches=1, seconds=1.0, memory=(1, 1, 0)))
    lines = {re.split(r"\s{2,}", line.strip())[0] for line in table.splitlines()}
    explained = set(re.findall(r"^\| `([^`]+)` \|", page("stats.md"), re.M))
    assert lines <= explained
    assert {"cache", "time: cache"} <= explained  # which take a cache to be printed


@pytest.mark.parametrize("name", FLOWS)
def test_every_argument_that_keras_does_not_have_is_explained(name: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    for parameter in inspect.signature(getattr(ImageDataGenerator, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert re.search(rf"`{parameter.name}\b", text), parameter.name


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(page("index.md").split(":hidden:")[1].split("```")[0].split())
    assert listed == {path.stem for path in PAGES} - {"index"}
