#!/bin/sh
# Makes sure that what pip cannot bring is there: libjpeg-turbo with its headers, a C++ compiler,
# Python's headers and its venv module. Installs Debian or Ubuntu packages where it may (as root, or
# with a sudo that asks nothing); otherwise says what to type and stops.
#
# Usage: tools/system_packages.sh PYTHON [clang]
#
# clang: a clang with libFuzzer, too.
set -eu
python=$1

has_turbo() {
    root=${PYLOADER_JPEG_ROOT:-}
    flags=$(pkg-config --cflags libjpeg 2>/dev/null || true)
    [ -z "$root" ] || flags="-I$root/include"
    [ -z "${CONDA_PREFIX:-}" ] || flags="$flags -I$CONDA_PREFIX/include"
    # shellcheck disable=SC2086
    printf '#include <cstdio>\n#include <jpeglib.h>\n#ifndef LIBJPEG_TURBO_VERSION\n#error\n#endif\n' |
        ${CXX:-c++} $flags -x c++ -fsyntax-only - 2>/dev/null
}

missing=
command -v "${CXX:-c++}" >/dev/null 2>&1 || missing="$missing g++"
has_turbo || missing="$missing libjpeg-dev"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
"$python" -c 'import os, sysconfig, sys
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    missing="$missing python3-dev"
if [ "${2:-}" = clang ] && [ -z "$("$(dirname "$0")/../tests/fuzz/find_clang.sh")" ]; then
    missing="$missing clang libclang-rt-dev"
fi
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1; then
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root="sudo"
        sudo -n true 2>/dev/null || {
            echo "Missing system packages. Type this, then try again:" >&2
            echo "    sudo apt-get install$missing" >&2
            exit 1
        }
    fi
    echo "Installing system packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    $as_root apt-get -qq update && $as_root apt-get -qq install -y --no-install-recommends $missing
    exit 0
fi
cat >&2 <<TEXT
Missing:$missing (Debian's names). Install libjpeg-turbo with headers, a C++20 compiler and Python's
headers, then try again:
    Fedora, RHEL:  dnf install gcc-c++ libjpeg-turbo-devel python3-devel    (clang compiler-rt)
    macOS:         brew install jpeg-turbo && export PYLOADER_JPEG_ROOT=\$(brew --prefix jpeg-turbo)
    conda:         conda install -c conda-forge cxx-compiler libjpeg-turbo
TEXT
exit 1
