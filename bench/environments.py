"""One virtual environment per set of requirements, so that no peer imports another's packages."""

import hashlib
import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / ".bench-envs"
INSTALL_SECONDS = 1200
"""Time limit of one pip command."""

ALIKE = ("pillow", "simplejpeg", "opencv-python-headless", "keras")
"""Installed in every environment, in the running interpreter's version if it has one."""

POOL = ("numpy", "simplejpeg", "opencv-python-headless", "pillow")
TORCH = "torch==2.13.0"
"""Pinned: an index with a build for the CPU (2.13.0+cpu) installs that one, where another package's
requirement would install the newest, with gigabytes of CUDA."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Requirements of a set of peers: the arguments of consecutive `pip install` commands."""

    steps: tuple[tuple[str, ...], ...]
    packages: tuple[str, ...]
    """The packages whose versions are recorded in the result."""


ENVIRONMENTS = {
    "pools": Environment((POOL,), POOL),
    "keras": Environment(
        (("keras", "jax", "scipy", "numpy", "pillow"),), ("keras", "numpy", "pillow")
    ),
    "tensorflow": Environment(
        (("tensorflow-cpu", "keras", "pillow"),), ("tensorflow-cpu", "keras", "numpy")
    ),
    "torch": Environment(((TORCH,), POOL), ("torch", *POOL)),
    "dali": Environment(
        (("nvidia-dali-cuda120", "numpy"),), ("nvidia-dali-cuda120", "nvidia-nvimgcodec-cu12")
    ),
    "ffcv": Environment(
        (
            (TORCH,),
            ("numba", "numpy", "pillow", "opencv-python-headless", "setuptools", "wheel"),
            ("assertpy", "fastargs", "terminaltables", "pytorch-pfn-extras", "psutil", "tqdm"),
            ("--no-deps", "--no-build-isolation", "ffcv"),
        ),
        ("ffcv", "torch", "numba", "numpy", "pillow"),
    ),
    "spdl": Environment((("spdl", "numpy"),), ("spdl", "numpy")),
    "grain": Environment((("grain",), POOL), ("grain", *POOL)),
}
"""Name in the catalog -> what is installed. All steps together are one set of versions."""


class NotInstalled(Exception):
    """An environment that cannot be created here; the message has the reason in one line."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python of an environment."""

    path: str
    versions: dict[str, str]


class Environments:
    """Creates environments on request, and finds them again in later runs.

    Args:
        folder: The folder of all environments, one subfolder each, named by its content.
        say: Called with a line before something slow starts.
        known: The environments by name.
        install_seconds: The time limit of one pip command.
    """

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        known: dict[str, Environment] = ENVIRONMENTS,
        install_seconds: float = INSTALL_SECONDS,
    ) -> None:
        self._folder = folder.absolute()
        self._say = say
        self._known = known
        self._install_seconds = install_seconds
        self._made: dict[str, Interpreter | NotInstalled] = {}

    def interpreter(self, name: str) -> Interpreter:
        """Returns the interpreter of an environment, which is created if it does not exist.

        Raises:
            NotInstalled: pip fails. It runs once per run of the benchmark.
        """
        if name not in self._made:
            try:
                self._made[name] = self._make(name)
            except NotInstalled as reason:
                self._made[name] = reason
        made = self._made[name]
        if isinstance(made, NotInstalled):
            raise made
        return made

    def _make(self, name: str) -> Interpreter:
        environment = self._known[name]
        constraints = _constraints()
        content = json.dumps([platform.python_version(), environment.steps, constraints])
        folder = self._folder / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"
        python = folder / "bin" / "python"
        ready = folder / "ready"
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            self._say(f"making the environment {folder.name}")
            self._run([sys.executable, "-m", "venv", str(folder)])
            constraints_file = folder / "constraints.txt"
            constraints_file.write_text("".join(f"{line}\n" for line in constraints))
            for step in environment.steps:
                pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
                self._run([*pip, "-c", str(constraints_file), *step])
            ready.touch()
        return Interpreter(str(python), _versions(str(python), environment.packages))

    def _run(self, command: list[str]) -> None:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=self._install_seconds
            )
        except subprocess.TimeoutExpired:
            limit = f"{self._install_seconds:g} s"
            raise NotInstalled(f"{command[-1]}: not installed within {limit}") from None
        except OSError as error:
            raise NotInstalled(str(error)) from error
        if done.returncode:
            raise NotInstalled(_last_words(done.stderr or done.stdout))


def _constraints() -> list[str]:
    lines = []
    for package in ALIKE:
        try:
            lines.append(f"{package}=={importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return lines


def _versions(python: str, packages: tuple[str, ...]) -> dict[str, str]:
    program = (
        "import importlib.metadata as m, json\n"
        "print(json.dumps({d.name: d.version for d in m.distributions() if d.name}))"
    )
    done = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True)
    names = {name.lower().replace("_", "-"): v for name, v in json.loads(done.stdout).items()}
    return {package: names[package] for package in packages if package in names}


def _last_words(printed: str) -> str:
    """Returns the last error line of pip or of the build that it ran; else the last line."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR|[\w.]*(Error|Exception)): ", line)]
    return ([*lines, *errors] or ["it ended with an error and said nothing"])[-1]
