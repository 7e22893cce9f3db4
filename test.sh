#!/usr/bin/env bash
# Installs what the tests need, builds everything and runs every suite; leaves no server behind.
#
#   ./test.sh              all suites, the slow ones short
#   ./test.sh unit|tidy|asan|tsan|e2e ...   only these
#   ./test.sh fuzz [SECONDS]                libFuzzer on every target (clang), 60 s each by default
set -euo pipefail
cd "$(dirname "$0")"
export CCACHE_DIR="${CCACHE_DIR:-$HOME/.cache/ccache}" CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(tidy unit asan e2e)
failed=()

build() { cmake --preset "$1" >/dev/null && cmake --build "build/$1" -j"$(nproc)"; }
has() { local s; for s in "${suites[@]}"; do [ "$s" = "$1" ] && return 0; done; return 1; }
step() {
  local name=$1; shift
  say "$name"
  local start=$SECONDS
  if "$@"; then say "$name: passed in $((SECONDS - start)) s"; else failed+=("$name"); say "$name: FAILED"; fi
}

say "Setting up"
tools/setup.sh test --yes

suite_tidy() { python3 tools/tidy.py; }
suite_unit() { build dev && ctest --test-dir build/dev --output-on-failure -j2; }
suite_asan() { build asan && ctest --test-dir build/asan --output-on-failure -j2; }
suite_tsan() { build tsan && ctest --test-dir build/tsan --output-on-failure -L unit; }
suite_e2e() {
  [ -x tests/e2e/run.sh ] || return 0
  build release && tests/e2e/run.sh
}
suite_fuzz() {
  tools/setup.sh fuzz --yes
  build fuzz
  local seconds=${1:-60} target name
  for target in $(find build/fuzz -type f -name '*_fuzz' -perm -u+x); do
    name=$(basename "$target"); name=${name%_fuzz}
    mkdir -p "build/fuzz/corpus/$name"
    "$target" -max_total_time="$seconds" "build/fuzz/corpus/$name" "tests/data/fuzz/$name" || return 1
  done
}

if has fuzz; then step fuzz suite_fuzz "${suites[1]:-60}"; else
  for suite in tidy unit asan tsan e2e; do has "$suite" && step "$suite" "suite_$suite"; done
fi
if [ ${#failed[@]} -gt 0 ]; then
  say "Failed: ${failed[*]}"
  exit 1
fi
say "All suites passed"
