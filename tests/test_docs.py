"""The documentation: its code runs and prints what it shows, and it leaves nothing out."""

import ast
import dataclasses
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

import pyloader
from pyloader import ImageDataGenerator, LoaderOptions
from pyloader._monitor.stats import make_stats

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
PROSE = [*PAGES, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "bench").glob("*.md"))]
RUN = [
    path
    for path in [ROOT / "README.md", *PAGES]
    if any(runnable(blocks_of(path.read_text(encoding="utf-8"))))
]
NEEDS = {"training.md": ("torch", "jax", "tensorflow")}
SETS = {"train": 12, "validation": 4, "test": 4}
FLOWS = ("flow", "flow_from_directory", "flow_from_dataframe")
FOREIGN_WORDS = re.compile(
    r"colour|centre|behaviour|licence|(?:initial|normal|optim|organ|recogn|synchron)is(?:e|ing)"
    r"|for ever\b|what becomes of|whoever|\b(?:a|each|every|one|the|this) pass\b|\bpasses\b",
    re.I,
)
"""Words of other English than the pages', and "pass" for an epoch."""

RESOLVE = """
import sys
import pyloader

for name in sys.argv[1:]:
    found = pyloader
    for part in name.split(".")[1:]:
        found = getattr(found, part)
"""

OLD_SCRIPT = """
import sys
from keras.preprocessing.image import ImageDataGenerator
train_it = ImageDataGenerator().flow_from_directory(sys.argv[1] + "/train/", class_mode="binary")
batchX, batchy = train_it.next()
"""


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


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
    assert {"README.md", "tutorial.md", "data.md", "migration.md"} <= {path.name for path in RUN}


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.name)
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(path: Path, place: Path) -> None:
    for framework in NEEDS.get(path.name, ()):
        if not has(framework):
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


def test_the_table_of_options_has_names_defaults_and_flows() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+? \| `(.+?)` \| .+ \| (yes|no) \| (yes|no) \|$", page("options.md"), re.M
    )
    fields = dataclasses.fields(LoaderOptions)
    found = [(name, ast.literal_eval(default)) for name, default, _, _ in rows]
    assert found == [(field.name, field.default) for field in fields]
    for flow, column in {"flow_from_directory": 2, "flow_from_dataframe": 2, "flow": 3}.items():
        taken = inspect.signature(getattr(ImageDataGenerator, flow)).parameters
        assert [row[0] in taken for row in rows] == [row[column] == "yes" for row in rows], flow


def test_every_public_name_is_in_the_reference() -> None:
    described = set(re.findall(r"^\.\. auto\w+:: pyloader\.(\w+)", page("reference.md"), re.M))
    assert set(pyloader.__all__) - {"__version__"} <= described


def test_every_name_in_the_pages_can_be_used_after_importing_pyloader() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *PAGES])
    names = set(re.findall(r"(?<![/\w.])pyloader(?:\.[A-Za-z_]\w*)+", text))
    assert {"pyloader.check_folder", "pyloader.integrations.keras.SaveIterator"} <= names
    installed = [name for name in sorted(names) if "torch" not in name or has("torch")]
    ran = subprocess.run(
        [sys.executable, "-c", RESOLVE, *installed],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_the_map_of_rooms_is_the_tree() -> None:
    text = page("contributing.md")
    rooms = set(re.findall(r"`((?:pyloader|csrc)/\w+(?:\.py)?)`", text))
    assert [room for room in sorted(rooms) if not (ROOT / room).exists()] == []
    assert {f"csrc/{path.name}" for path in (ROOT / "csrc").iterdir() if path.is_dir()} <= rooms


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_are_in_american_english_and_call_an_epoch_an_epoch(path: Path) -> None:
    assert FOREIGN_WORDS.findall(path.read_text(encoding="utf-8")) == []


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(page("index.md").split(":hidden:")[1].split("```")[0].split())
    assert listed == {path.stem for path in PAGES} - {"index"}
