"""The examples for the frameworks run, and the ones that promise to resume do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import write_class_folders
from needs import needs

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
PICTURES = 70  # to train with: 9 batches of 8, the last one of 6
QUIET = {
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sets of small pictures in two classes."""
    root = tmp_path_factory.mktemp("data")
    for seed, (name, count) in enumerate({"train": 35, "validation": 4, "test": 4}.items()):
        write_class_folders(root / name, {"blue": count, "red": count}, seed)
    return root


def run(
    script: str, *arguments: Any, timeout: int = 600, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs an example to its end; it must succeed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        env=os.environ | QUIET | environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_keras_fit(data: Path, backend: str) -> None:
    needs("keras", backend)
    done = run("keras_fit.py", "--data", data, "--epochs", 2, KERAS_BACKEND=backend)
    assert done.stdout.count("Epoch ") == 2
    assert "val_accuracy" in done.stdout
    names = re.findall(r"^(blue/blue\d\d\.jpg): (?:blue|red) \(\d\.\d\d\)$", done.stdout, re.M)
    assert names == [f"blue/blue{number:02d}.jpg" for number in range(4)]
    assert f" on {backend}: 70 pictures, 2 epochs" in done.stdout
    assert "ran out of data" not in done.stderr


@pytest.mark.parametrize(
    ("script", "package"), [("pytorch_loop.py", "torch"), ("jax_loop.py", "jax")]
)
def test_a_plain_loop(data: Path, script: str, package: str) -> None:
    needs(package)
    done = run(script, "--data", data, "--epochs", 2)
    losses = [float(loss) for loss in re.findall(r"^epoch \d: loss (\d\.\d+)$", done.stdout, re.M)]
    assert len(losses) == 2
    assert "on cpu: 70 pictures, 2 epochs" in done.stdout
    assert done.stderr == ""


def test_without_data_an_example_makes_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    make_data = pytest.importorskip("make_data")
    monkeypatch.setattr(make_data, "DEMO_DATA", tmp_path / "made")
    monkeypatch.setattr(make_data, "SETS", {"train": 2, "validation": 2, "test": 2})
    for output in ("Making sample pictures in made/ (only this once)\n", ""):
        assert make_data.demo_data() == tmp_path / "made"
        assert capsys.readouterr().out == output
    assert len(list((tmp_path / "made").rglob("*.jpg"))) == 6


@contextlib.contextmanager
def torchrun(processes: int, *arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """Starts torchrun_resume.py; kills what is left of it at the end."""
    launcher = subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(processes), str(EXAMPLES / "torchrun_resume.py")),
            *map(str, arguments),
        ],
        env=os.environ | QUIET,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield launcher
    finally:
        kill(launcher)


def kill(launcher: subprocess.Popen[str]) -> None:
    """Ends the launcher and all that it started at once, with no chance to clean up."""
    if launcher.poll() is None:
        family = [launcher.pid, *descendants(launcher.pid)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    launcher.communicate(timeout=600)


def descendants(pid: int) -> list[int]:
    """The process' children, their children and so on."""
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(child) for child in task.read_text().split()]
    return [each for child in children for each in (child, *descendants(child))]


def records(journal: Path) -> list[dict[str, Any]]:
    """What the processes wrote down; a kill may have cut a last line short."""
    found = []
    for path in sorted(journal.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line) | {"file": path.name})
    return found


def wait_for_step(launcher: subprocess.Popen[str], journal: Path, step: int) -> None:
    """Returns when every process that writes has got so far."""
    while True:
        assert launcher.poll() is None, launcher.communicate()
        steps: dict[str, int] = {}
        for record in records(journal):
            steps[record["file"]] = max(steps.get(record["file"], 0), record["step"])
        if steps and min(steps.values()) >= step:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            launcher.wait(0.05)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2)])
def test_a_killed_run_goes_on_with_another_number_of_processes(
    data: Path, tmp_path: Path, before: int, after: int
) -> None:
    needs("torch")
    common = ["--data", data, "--batch-size", 8, "--checkpoint", tmp_path / "run.pt"]
    common += ["--epochs", 2, "--save-every", 2]
    journals = {}
    for processes, pause in ((before, 0.2), (after, 0)):
        journals[processes] = tmp_path / f"{processes} processes"
        options = [*common, "--journal", journals[processes], "--pause", pause]
        with torchrun(processes, *options) as launcher:
            if processes == before:
                wait_for_step(launcher, journals[before], 5)
                kill(launcher)
                continue
            output, errors = launcher.communicate(timeout=600)
            assert launcher.returncode == 0, errors

    began = re.search(r"(\d) processes, 9 steps per epoch, begin at step (\d+)", output)
    assert began is not None, output
    assert int(began[1]) == after
    assert 4 <= int(began[2]) < 9
    kept = [each for each in records(journals[before]) if each["step"] <= int(began[2])]
    trained = kept + records(journals[after])
    assert sorted({each["step"] for each in trained}) == list(range(1, 19))
    assert len({each["file"] for each in trained}) == before + after
    for epoch in range(2):
        seen = Counter(i for each in trained if each["epoch"] == epoch for i in each["indices"])
        assert seen == Counter(range(PICTURES))
    sizes = {(each["step"], each["file"]): len(each["indices"]) for each in trained}
    for step in range(1, 19):
        parts = [size for (number, _), size in sizes.items() if number == step]
        assert sum(parts) == (6 if step % 9 == 0 else 8)
        assert max(parts) - min(parts) <= 1


def test_ray_train_replaces_a_worker_that_fails(data: Path, tmp_path: Path) -> None:
    needs("ray", "torch")
    done = run(
        "ray_train.py",
        *("--data", data, "--epochs", 4, "--fail-at", 6, "--storage", tmp_path / "ray"),
        timeout=600,
    )
    assert "2 workers, 4 epochs, 8 steps" in done.stdout
    assert done.stdout.endswith("the last workers began at step 4\n")
