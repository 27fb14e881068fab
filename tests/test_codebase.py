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
        lines = (line.strip() for line in text.splitlines())
        return sum(line != "" and not line.startswith(("//", "#")) for line in lines)
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


PACKAGE = ROOT / "pyloader"

# Rooms of the Python package from the top down: a room uses the rooms behind it, in any distance.
# Rooms in one line are siblings, which never use each other.
FLOORS = [
    {"__init__", "__main__"},
    {"_tools"},  # the command line, whose `run` is an integration
    {"integrations"},
    {"generator", "check"},
    {"iterators"},
    {"_native", "_data", "_distributed", "_monitor"},
    {"_order"},
    {"_augment"},
    {"options", "errors"},
]
# `iterators` joins what `_data`, `_distributed` and `_monitor` know; those know no other room.
ISOLATED = {"_data", "_distributed", "_monitor"}


def python_modules() -> dict[str, Path]:
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def python_arrows() -> dict[str, set[str]]:
    """Which modules each module imports, in functions and for types too."""
    modules = python_modules()
    arrows: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            found: list[str] = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} has a relative import"
                found = [f"{node.module}.{alias.name}" for alias in node.names]
            for target in found:
                if target.startswith("pyloader._pyloader"):  # the native core
                    continue
                while target and target not in modules:
                    target = target.rpartition(".")[0]
                if target and target != name:
                    arrows[name].add(target)
    return arrows


def python_room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def test_python_arrows_point_down() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    wrong = []
    for module, targets in python_arrows().items():
        room = python_room(module)
        for target in targets:
            other = python_room(target)
            if room == other:
                continue
            down = floor[room] < floor[other]
            isolated = room in ISOLATED and other not in {"options", "errors"}
            if not down or isolated:
                wrong.append(f"{module} -> {target}")
    assert not wrong, "arrows that do not point down:\n" + "\n".join(sorted(wrong))


def test_python_modules_have_no_circles() -> None:
    arrows = {
        module: {target for target in targets if target not in ("pyloader", "pyloader.iterators")}
        for module, targets in python_arrows().items()
        if module not in ("pyloader", "pyloader.iterators")
    }
    done: set[str] = set()
    while left := set(arrows) - done:
        ready = {module for module in left if arrows[module] <= done}
        assert ready, f"modules in circles, or above them: {sorted(left)}"
        done |= ready


def test_the_top_of_the_package_is_the_public_api() -> None:
    import pyloader

    flat = [path.stem for path in PACKAGE.glob("*.py")]
    assert len(flat) <= 14, flat
    names = set(dir(pyloader))
    assert names == {*pyloader.__all__, "integrations"}
    assert len(names) <= 32
    for name in names:
        getattr(pyloader, name)
    public = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert {name for name in public if not name.startswith("_")} == {"integrations", "iterators"}
