"""Keras' own loops on our iterators, on every backend that is installed.

A process has one Keras backend, so the cases run in processes of their own, one for each backend
and file of cases: `KERAS_BACKEND=torch python -m pytest tests/frameworks/fit_cases.py` runs one of
them by hand.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BACKENDS = ["jax", "tensorflow", "torch"]

pytestmark = pytest.mark.slow


def run_cases(name: str, **environment: str) -> None:
    """Runs a file of cases in an interpreter of its own and passes on what fails there."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / name],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=HERE.parent.parent,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
    )
    if ran.returncode:
        pytest.fail(ran.stdout, pytrace=False)


def need(*packages: str) -> None:
    """Skips the test where a package is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_trains_evaluates_and_predicts(backend: str) -> None:
    need("keras", backend, "pandas")
    run_cases("fit_cases.py", KERAS_BACKEND=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_epochs_have_their_steps_and_pictures(backend: str) -> None:
    need("keras", backend, "pandas")
    run_cases("steps_cases.py", KERAS_BACKEND=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_step_learns_what_it_learns_with_keras_own_iterator(backend: str) -> None:
    need("keras", backend, "scipy")
    run_cases("parity_cases.py", KERAS_BACKEND=backend)


@pytest.mark.parametrize("backend", ["jax", "torch"])  # TensorFlow takes half a minute: by hand
def test_nothing_grows_over_two_hundred_epochs(backend: str) -> None:
    need("keras", backend)
    run_cases("long_cases.py", KERAS_BACKEND=backend)


def test_keras_2_trains_evaluates_and_predicts() -> None:
    need("tf_keras")
    run_cases("tf_keras_cases.py")
