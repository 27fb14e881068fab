"""The examples in docstrings do what they show."""

import doctest
import importlib
import pkgutil

import pytest

import pyloader

NEEDS = {
    "pyloader.integrations.jax": "jax",
    "pyloader.integrations.torch": "torch",
    "pyloader.integrations.torch_transfer": "torch",
}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(pyloader.__path__, "pyloader.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is missing: make frameworks")
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert not failed
