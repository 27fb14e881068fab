"""Scripts that take TensorFlow into a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys


def says_same(code: str, *arguments: str) -> None:
    """Runs a script, which must end well and print "same".

    Args:
        code: The script.
        *arguments: What it finds in `sys.argv`.
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr
