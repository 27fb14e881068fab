"""Makes the files below a folder slow for a process, as a network file system does."""

import os
import shlex
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().with_suffix(".c")


def compile_library(folder: Path) -> Path:
    """Compiles slow_files.c into `folder`.

    Raises:
        OSError: There is no C compiler (`CC`, else `cc`).
        subprocess.CalledProcessError: Compiling fails.
    """
    library = folder / "slow_files.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run(
        [*compiler, "-shared", "-fPIC", "-O2", SOURCE, "-o", library, "-ldl"], check=True
    )
    return library


def slow_environment(
    library: Path,
    below: Path,
    *,
    open_ms: float = 0,
    read_ms: float = 0,
    report: Path | None = None,
) -> dict[str, str]:
    """Returns the environment variables that make files slow for a process.

    Args:
        library: The path from `compile_library`.
        below: The folder; its files are slow when opened by a path that begins with it.
        open_ms: Delay of each open.
        read_ms: Delay of each read that returns data.
        report: Receives, when the process ends, the number of files opened and the maximum of
            simultaneous delays.

    Returns:
        Names and values.
    """
    environment = {
        "LD_PRELOAD": str(library),
        "SLOW_FILES_BELOW": f"{below}/",
        "SLOW_FILES_OPEN_US": str(round(1000 * open_ms)),
        "SLOW_FILES_READ_US": str(round(1000 * read_ms)),
    }
    return environment if report is None else environment | {"SLOW_FILES_REPORT": str(report)}
