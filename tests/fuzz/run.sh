#!/bin/sh
# Runs fuzz targets and prints what each has executed. Fails when one has a finding, or when hardly
# any input gets to what its target is about.
#
# Usage: run.sh FOLDER OF THE TARGETS' PROGRAMS, TARGET:OPTION ...
#
# CORPUS is the folder of the corpora, FINDINGS that of what is left behind. DICTIONARY is for the
# targets that read JPEG files.
set -u
programs=$1
shift
mkdir -p "$FINDINGS"
failed=
total=0
printf '%-10s %12s %14s\n' target executions 'that reach it'
for word in "$@"; do
    target=${word%%:*} option=${word#*:}
    dictionary=
    case $target in
    header | decode | entropy) [ -z "${DICTIONARY:-}" ] || dictionary=-dict=$DICTIONARY ;;
    esac
    log=$FINDINGS/$target.log
    # shellcheck disable=SC2086
    "$programs/fuzz_$target" "$option" -seed="${SEED:-1}" -max_len=4096 -mutate_depth=3 \
        -print_final_stats=1 -artifact_prefix="$FINDINGS/$target-" $dictionary "$CORPUS/$target" >"$log" 2>&1
    status=$?
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    reached=$(sed -n 's/^stat::units_that_reached_it: *//p' "$log" | tail -1)
    printf '%-10s %12s %14s\n' "$target" "${count:-?}" "${reached:-0}"
    total=$((total + ${count:-0}))
    if [ $status -ne 0 ]; then
        failed=1
        tail -60 "$log"
        left=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
        echo "FINDING in $target: $left"
        echo "Again: $programs/fuzz_$target $left    (all it said: $log)"
    elif [ "${count:-0}" -eq 0 ] || [ $((${reached:-0} * 100)) -lt "$count" ]; then
        failed=1
        echo "Hardly an input of $target gets to what it is about: nothing is tested."
    fi
done
printf '%-10s %12s\n' total "$total"
[ -z "$failed" ]
