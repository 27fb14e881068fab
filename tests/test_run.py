"""Scripts of Keras 2 run unchanged under `python -m pyloader run`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder called data: train, validation and test, red and blue."""
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("cars") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        make_data = pytest.importorskip("make_data")
        patch.setattr(make_data, "_CAMERA_SHARE", 0.0, raising=False)
        make_data.make_dataset(folder, sets={"train": 6, "validation": 2, "test": 2})
    return folder


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyloader", "run", *words],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_tutorial_runs_from_its_first_line_to_its_last(data: Path) -> None:
    done = run(str(EXAMPLES / "keras2_tutorial.py"), cwd=data.parent)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "Found 6 images belonging to 2 classes.",
        "Found 2 images belonging to 2 classes.",
        "Found 2 images belonging to 2 classes.",
        "Batch shape=(6, 256, 256, 3), min=0.000, max=255.000",
    ]
    assert "16/16" in done.stdout
    assert "val_loss" in done.stdout
    assert "Loss=" in done.stdout
    assert lines[-1] == "Predictions=(48, 1)"
    assert done.stderr.count("is deprecated and will be removed in a future version") == 3
    assert "ran out of data" not in done.stderr


def test_generators_of_keras_2_run(data: Path) -> None:
    done = run(str(EXAMPLES / "keras2_generators.py"), str(data), "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "epochs: 2\n" in done.stdout
    assert "metrics: 2\n" in done.stdout
    assert done.stdout.endswith("painted: (4, 64, 64, 1)\n")
    assert "ran out of data" not in done.stderr


def test_a_script_finds_what_python_would_give_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 7\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nimport beside\n"
        "print(sys.argv, __name__, __file__ == sys.argv[0], beside.value)\n"
        "print('keras' in sys.modules)\n"
        "sys.exit(5)\n"
    )
    done = run("script.py", "-x", "--run", "a b", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "['script.py', '-x', '--run', 'a b'] __main__ True 7",
        "False",
    ]
    assert done.returncode == 5


def test_an_error_of_the_script_is_the_scripts(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise KeyError('mine')\n")
    done = run(str(script))
    assert done.returncode == 1
    assert done.stderr.endswith("KeyError: 'mine'\n")


def test_a_script_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    done = run(str(tmp_path / "none.py"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no script")
