#!/usr/bin/env bash
# Searches for inputs that break a target: run.sh SECS [TARGET…]. New inputs go to target/fuzz/corpus, findings to
# target/fuzz/findings; exit code 1 if there is one.
set -euo pipefail
cd "$(dirname "$0")/../.."
secs=${1:?"usage: run.sh SECS [TARGET…]"}
shift
export PATH="$PWD/.tools/bin:$PATH"
work=$PWD/target/fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls tests/fuzz/corpus)

# The pinned toolchain is stable: coverage needs no other, only sanitizers would.
(cd tests/fuzz && cargo fuzz build --sanitizer none --target-dir "$work/build")
search=$work/build/$(rustc -vV | sed -n 's/^host: //p')/release/search

found=0
for target in "${targets[@]}"; do
    mkdir -p "$work/corpus/$target" "$work/findings/$target"
    dictionary=tests/fuzz/dictionaries/${target%%_*}.dict
    options=(-max_total_time="$secs" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1)
    [ ! -e "$dictionary" ] || options+=(-dict="$dictionary")
    echo "== $target: $secs s"
    FUZZ_TARGET=$target "$search" "${options[@]}" -artifact_prefix="$work/findings/$target/" \
        "$work/corpus/$target" "tests/fuzz/corpus/$target" > "$work/$target.log" 2>&1 || found=1
    grep -E '^#[0-9]+\s+DONE|ERROR|panicked|Test unit written' "$work/$target.log" | tail -4 || true
    grep -E 'stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "$work/$target.log" || true
done
exit $found
