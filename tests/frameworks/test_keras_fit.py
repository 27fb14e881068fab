"""Keras' own loops on our iterators, on every backend that is installed.

A process has one Keras backend, so the cases run in processes of their own, one for each backend
and file of cases, on all cores. One by hand: `KERAS_BACKEND=torch python -m pytest
tests/frameworks/fit_cases.py`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BACKENDS = ["jax", "tensorflow", "torch"]

pytestmark = pytest.mark.slow


def run_cases(name: str, **environment: str) -> str | None:
    """Runs a file of cases in an interpreter of its own; what it said, where one failed."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / name],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=HERE.parent.parent,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
    )
    return ran.stdout if ran.returncode else None


def run_on_backends(name: str, backends: Sequence[str] = BACKENDS) -> None:
    """Runs a file of cases on those backends that are installed, on as many at once as cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {
            backend: pool.submit(run_cases, name, KERAS_BACKEND=backend)
            for backend in backends
            if importlib.util.find_spec(backend)
        }
    failed = [f"on {backend}\n{run.result()}" for backend, run in runs.items() if run.result()]
    if failed:
        pytest.fail("\n\n".join(failed), pytrace=False)
    if not runs:
        pytest.skip("no backend is installed")


def need(*packages: str) -> None:
    """Skips the test where a package is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def test_keras_trains_evaluates_and_predicts() -> None:
    need("keras", "pandas")
    run_on_backends("fit_cases.py")


def test_epochs_have_their_steps_and_pictures() -> None:
    need("keras", "pandas")
    run_on_backends("steps_cases.py")


def test_every_step_learns_what_it_learns_with_keras_own_iterator() -> None:
    need("keras", "scipy")
    run_on_backends("parity_cases.py")


def test_nothing_grows_over_two_hundred_epochs() -> None:
    need("keras")
    run_on_backends("long_cases.py", ["jax", "torch"])  # TensorFlow takes half a minute: by hand


def test_keras_2_trains_evaluates_and_predicts() -> None:
    need("tf_keras")
    if said := run_cases("tf_keras_cases.py"):
        pytest.fail(said, pytrace=False)
