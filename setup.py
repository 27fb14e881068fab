"""Builds the extension; everything else is in pyproject.toml."""

import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup
from setuptools.errors import CompileError, LinkError

MISSING = """
pyloader needs libjpeg-turbo with its headers, and a C++ compiler: {problem}.
Install it with the command for your system, then try again:

    Debian, Ubuntu:  apt install libjpeg62-turbo-dev   (Ubuntu: libjpeg-turbo8-dev)
    Fedora, RHEL:    dnf install libjpeg-turbo-devel
    macOS:           brew install jpeg-turbo
                     export PYLOADER_JPEG_ROOT=$(brew --prefix jpeg-turbo)
    conda:           conda install -c conda-forge libjpeg-turbo

or set PYLOADER_JPEG_ROOT to the prefix that holds include/jpeglib.h and lib/libjpeg.so.
"""


def from_prefix(prefix):
    """Compiler settings for a libjpeg below `prefix`, or None where it has no header."""
    if not prefix or not (Path(prefix) / "include" / "jpeglib.h").is_file():
        return None
    libraries = [str(d) for name in ("lib", "lib64") if (d := Path(prefix) / name).is_dir()]
    return {
        "include_dirs": [str(Path(prefix) / "include")],
        "library_dirs": libraries,
        "runtime_library_dirs": libraries,
        "libraries": ["jpeg"],
    }


def from_pkg_config():
    """Compiler settings from pkg-config, or None."""
    try:
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "libjpeg"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return None
    pick = lambda mark: [flag[2:] for flag in flags if flag.startswith(mark)]  # noqa: E731
    return {"include_dirs": pick("-I"), "library_dirs": pick("-L"), "libraries": pick("-l")}


def find_libjpeg():
    """Settings of the first libjpeg among PYLOADER_JPEG_ROOT, pkg-config and the conda prefix."""
    root = os.environ.get("PYLOADER_JPEG_ROOT")
    if root:
        found = from_prefix(root)
        if found is None:
            sys.exit(MISSING.format(problem=f"PYLOADER_JPEG_ROOT={root} has no include/jpeglib.h"))
        return found
    found = from_pkg_config() or from_prefix(os.environ.get("CONDA_PREFIX"))
    return found or {"libraries": ["jpeg"]}  # the compiler's own paths; check_libjpeg_turbo judges


class BuildExtension(build_ext):
    """pybind11's build_ext, which first makes sure that libjpeg is libjpeg-turbo."""

    def build_extensions(self):
        for extension in self.extensions:
            self.check_libjpeg_turbo(extension)
        super().build_extensions()

    def check_libjpeg_turbo(self, extension):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.cpp"
            source.write_text(
                "#include <cstdio>\n#include <jpeglib.h>\n"
                "#if !defined(LIBJPEG_TURBO_VERSION)\n#error plain IJG libjpeg\n#endif\n"
                "int main() { jpeg_decompress_struct info; jpeg_create_decompress(&info); }\n"
            )
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, include_dirs=extension.include_dirs
                )
                self.compiler.link_executable(
                    objects,
                    str(Path(folder) / "probe"),
                    libraries=extension.libraries,
                    library_dirs=extension.library_dirs,
                )
            except (CompileError, LinkError) as error:
                problem = (
                    "a probe that uses them does not compile and link, for the reason above; a "
                    f"plain IJG libjpeg does not do ({error})"
                )
                sys.exit(MISSING.format(problem=problem))


VERSION = re.search(r'^version = "(.+)"', Path("pyproject.toml").read_text(), re.M).group(1)
libjpeg = find_libjpeg()
extension = Pybind11Extension(
    "pyloader._pyloader",
    sources=sorted(str(path) for path in Path("csrc").rglob("*.cpp")),
    depends=sorted(str(path) for path in Path("csrc").rglob("*.h")),
    include_dirs=["csrc", *libjpeg.pop("include_dirs", [])],
    define_macros=[("PYLOADER_VERSION", f'"{VERSION}"')],
    cxx_std=20,
    # Pillow's results depend on the rounding of every double: no fused multiply-add.
    extra_compile_args=["-O3", "-ffp-contract=off", "-fvisibility=hidden"],
    extra_link_args=["-pthread", "-ldl"] if platform.system() == "Linux" else [],
    **libjpeg,
)

if __name__ == "__main__":
    ParallelCompile("PYLOADER_BUILD_JOBS", default=os.cpu_count() or 1).install()
    setup(ext_modules=[extension], cmdclass={"build_ext": BuildExtension})
