#!/bin/sh
# Runs the Python suite on an extension that is built with the address and undefined-behavior
# sanitizers, in a copy of the tree below build/, so that the ordinary build stays as it is.
#
# Usage: tools/sanitize_python.sh PYTHON [PYTEST ARGUMENT ...]
#
# Needs gcc; twenty minutes for the whole suite. Leaks are not looked for: the interpreter and the
# packages that the tests import keep memory until the process ends, which would bury everything
# else. tests/cpp looks for them. Not run are
#   tests/frameworks: gigabytes of other packages' code, slow under a sanitizer;
#   tests that put a library of slow files before all others: that is the sanitizer's place;
#   the test of locked memory: the address sanitizer makes mlock do nothing.
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
cd "$(dirname "$0")/.."
tree=$PWD/build/sanitized
mkdir -p "$tree"
cp -Rpu Makefile README.md CHANGELOG.md LICENSE MANIFEST.in pyproject.toml setup.py licenses csrc \
    pyloader tests bench docs examples tools "$tree"
[ ! -e .ci ] || cp -Rpu .ci "$tree"
cd "$tree"
for extension in pyloader/*.so; do # the ordinary one may have been copied
    grep -q __asan_init "$extension" 2>/dev/null || rm -f "$extension"
done
"$python" -m pip --disable-pip-version-check --quiet install 'setuptools>=77' 'pybind11>=2.13'
flags="-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined"
CFLAGS="$flags -g1 -O1 -fno-omit-frame-pointer" LDFLAGS="$flags" \
    "$python" setup.py -q build_ext --inplace

# The sanitizer's library comes first in the process; libstdc++ with it, or its exceptions are not
# found.
LD_PRELOAD="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so)"
PYTHONPATH=$tree # before an installed pyloader
report=$tree/report # pytest keeps what is said on stderr, and a process that ends loses it
# Memory that is free is kept back from reuse, which counts where tests measure the process.
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16:log_path=$report
UBSAN_OPTIONS=print_stacktrace=1:log_path=$report
export LD_PRELOAD PYTHONPATH ASAN_OPTIONS UBSAN_OPTIONS
rm -f "$report".*
status=0
slow_files=tests/test_bench.py::test_slow_files_are_measured_with_and_without_reading_ahead
locked=tests/test_pinning.py::test_the_system_locks_slots_and_forgets_them_with_the_iterator
"$python" -m pytest -q -p no:cacheprovider -p no:faulthandler --ignore=tests/frameworks \
    --ignore=tests/test_readahead.py --deselect "$slow_files" --deselect "$locked" "$@" || status=$?
unset LD_PRELOAD
for file in "$report".*; do
    [ -e "$file" ] || continue
    status=1
    cat "$file"
done
exit $status
