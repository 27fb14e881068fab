"""The examples in docstrings do what they show."""

import doctest
import importlib
import pkgutil

import pytest

import pyloader

MODULES = [
    module.name
    for module in pkgutil.walk_packages(pyloader.__path__, "pyloader.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert not failed
