# ruff: noqa
from pyloader.options import (
    CHANNELS,
    INTERPOLATIONS,
    is_integer,
    check_count,
    check_target_size,
    check_interpolation,
    check_choice,
)

MAX_PIXELS = 178_956_970
MAX_SCANS = 500


def check_limit(name, value):
    if not is_integer(value):
        raise TypeError(f"`{name}` should be an integer. Received: {value!r}")
    if value < 1:
        raise ValueError(f"`{name}` should be at least 1. Received: {value!r}")
    return min(int(value), 2**63 - 1 if name == "max_pixels" else 2**31 - 1)


def check_fidelity(f):
    return check_choice("fidelity", f, ("exact", "fast"))
