"""Skips tests where a framework is not installed, and says how to install it."""

import importlib.util

import pytest


def needs(*packages: str) -> None:
    """Skips the test, or the whole file that calls it, unless all are there; imports none."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"{', '.join(missing)} is not installed: say make frameworks"
        pytest.skip(reason, allow_module_level=True)
