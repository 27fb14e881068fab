"""The rules of the house that can be checked by reading: who includes whom, how long files are."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "csrc"
SOURCES = sorted([*CORE.rglob("*.h"), *CORE.rglob("*.cpp")])
OTHERS = sorted(
    path
    for folder in ("pyloader", "tests", "bench", "examples", "tools")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".pyi", ".sh", ".c", ".h", ".cpp"}
)

# What each room may include besides itself and base/ (DESIGN: arrows point at what is used).
MAY_USE = {
    "base": set(),
    "io": set(),
    "jpeg": set(),
    "image": set(),
    "memory": set(),
    "ring": {"memory"},
    "loader": {"io", "jpeg", "image", "augment", "cache", "ring", "memory"},
    "bind": {"loader", "io", "jpeg", "image", "augment", "cache", "ring", "memory"},
    "augment": set(),
    "cache": set(),
}


def room_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CORE)))
def test_a_room_includes_only_the_rooms_below_it(path: Path) -> None:
    allowed = MAY_USE[room_of(path)] | {room_of(path), "base"}
    included = re.findall(r'#include "(\w+)/', path.read_text())
    assert set(included) <= allowed


def test_only_bind_knows_python_and_only_jpeg_knows_libjpeg() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert room_of(path) == "bind" or "pybind11" not in text, path
        assert room_of(path) == "jpeg" or "<jpeglib.h>" not in text, path


def test_the_module_file_stays_a_table_of_contents() -> None:
    assert len((CORE / "bind" / "module.cpp").read_text().splitlines()) <= 40


def count_code_lines(path: Path) -> int:
    """Lines of a file; for Python without blank lines, comments and documentation strings."""
    text = path.read_text()
    if path.suffix != ".py":
        return len(text.splitlines())
    documented = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return sum(
        line.strip() != "" and not line.strip().startswith("#") and number not in documented
        for number, line in enumerate(text.splitlines(), 1)
    )


@pytest.mark.parametrize("path", [*SOURCES, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_grows_past_four_hundred_lines_of_code(path: Path) -> None:
    assert count_code_lines(path) <= 400


def test_the_core_neither_prints_nor_exits() -> None:
    forbidden = re.compile(r"\b(std::cout|std::cerr|printf|std::exit|std::abort|std::terminate)\b")
    for path in SOURCES:
        assert not forbidden.search(path.read_text()), path


def test_setjmp_stands_behind_one_wall() -> None:
    users = [path for path in SOURCES if re.search(r"\bsetjmp\(", path.read_text())]
    assert users == [CORE / "jpeg" / "libjpeg.h"]


def test_import_brings_in_numpy_and_the_extension_only() -> None:
    heavy = ["cv2", "tqdm", "simplejpeg", "PIL", "keras", "tensorflow", "torch", "jax", "scipy"]
    code = f"import sys, pyloader; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"
