#!/bin/sh
# Prints the first clang++ that has libFuzzer, or nothing. CLANGXX names one to try first.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' \
    >"$folder/target.cpp"
for compiler in ${CLANGXX:-} clang++ clang++-22 clang++-21 clang++-20 clang++-19 clang++-18 \
    clang++-17 clang++-16 clang++-15 clang++-14; do
    command -v "$compiler" >/dev/null 2>&1 || continue
    if "$compiler" -fsanitize=fuzzer,address,undefined "$folder/target.cpp" -o "$folder/target" \
        2>/dev/null; then
        echo "$compiler"
        exit 0
    fi
done
