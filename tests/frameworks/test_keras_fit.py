"""Keras' own loops on our iterators, on every backend that is installed.

A process has one Keras backend, so the cases run in processes of their own, one for each backend
and file of cases, on all cores. One by hand: `KERAS_BACKEND=torch python -m pytest
tests/frameworks/fit_cases.py`.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BACKENDS = ("jax", "tensorflow", "torch")
QUICK_BACKENDS = ("jax", "torch")  # TensorFlow takes half a minute for 200 epochs: by hand

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


def pass_on(said: str | None) -> None:
    """Fails with what a run has said, if one of its cases failed."""
    if said is not None:
        pytest.fail(said, pytrace=False)


@functools.cache
def started(name: str, backends: tuple[str, ...]) -> dict[str, Future[str | None]]:
    """Runs of a file of cases on the backends that are installed, on as many at once as cores."""
    with_cores = ThreadPoolExecutor(os.cpu_count())
    return {
        backend: with_cores.submit(run_cases, name, KERAS_BACKEND=backend)
        for backend in backends
        if importlib.util.find_spec(backend)
    }


def need(*packages: str) -> None:
    """Skips the test where a package is missing."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("backend", BACKENDS)
def test_keras_trains_evaluates_and_predicts(backend: str) -> None:
    need("keras", backend, "pandas")
    pass_on(started("fit_cases.py", BACKENDS)[backend].result())


@pytest.mark.parametrize("backend", BACKENDS)
def test_epochs_have_their_steps_and_pictures(backend: str) -> None:
    need("keras", backend, "pandas")
    pass_on(started("steps_cases.py", BACKENDS)[backend].result())


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_step_learns_what_it_learns_with_keras_own_iterator(backend: str) -> None:
    need("keras", backend, "scipy")
    pass_on(started("parity_cases.py", BACKENDS)[backend].result())


@pytest.mark.parametrize("backend", QUICK_BACKENDS)
def test_nothing_grows_over_two_hundred_epochs(backend: str) -> None:
    need("keras", backend)
    pass_on(started("long_cases.py", QUICK_BACKENDS)[backend].result())


def test_keras_2_trains_evaluates_and_predicts() -> None:
    need("tf_keras")
    pass_on(run_cases("tf_keras_cases.py"))
