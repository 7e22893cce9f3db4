#!/usr/bin/env bash
# End-to-end tests with the real programs, a real model and OpenAI's own clients.
#
#   tests/e2e/run.sh [--bin FOLDER] [PYTEST ARGUMENTS]      programs: build/release/bin
#   tests/e2e/run.sh --url URL [--model NAME]               the `api` tests against any server
#
# Models and Node packages are kept in build/e2e-models and build/e2e-node.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/e2e
bin=${HOLDFAST_E2E_BIN:-$root/build/release/bin}
external=0 arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --bin) bin=$(cd "$2" && pwd); shift ;;
    --url|--model) external=1; arguments+=("$1" "$2"); shift ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
python=/usr/bin/python3
"$python" -c 'import openai, pytest, gguf' || { echo "e2e: run tools/setup.sh test first" >&2; exit 2; }
if [ "$external" = 0 ]; then
  for program in holdfast holdfastd holdfast-engine; do
    [ -x "$bin/$program" ] || { echo "e2e: $bin/$program is missing; run ./quickstart.sh --build-only" >&2; exit 2; }
  done
fi

node_folder=$root/build/e2e-node
mkdir -p "$node_folder"
if ! cmp -s "$here/node/package-lock.json" "$node_folder/package-lock.json" || [ ! -d "$node_folder/node_modules" ]; then
  cp "$here/node/package.json" "$here/node/package-lock.json" "$node_folder/"
  (cd "$node_folder" && npm ci --no-audit --no-fund --loglevel=error)
fi
cp "$here"/node/*.mjs "$node_folder/"

# Everything the tests start carries this folder in its arguments or environment.
HOLDFAST_E2E_FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-e2e-XXXXXX")
export HOLDFAST_E2E_FOLDER HOLDFAST_E2E_BIN="$bin" PYTHONDONTWRITEBYTECODE=1
left() {
  local entry
  for entry in /proc/[0-9]*; do
    if { tr "\0" "\n" <"$entry/cmdline"; } 2>/dev/null | grep -qF -- "$HOLDFAST_E2E_FOLDER/"; then echo "${entry#/proc/}"; fi
  done
}
finish() {
  local status=$? pid pids
  for _ in 1 2 3 4 5 6 7 8 9 10; do pids=$(left); [ -z "$pids" ] && break; sleep 0.5; done
  for pid in $pids; do
    echo "e2e: still running: $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" >&2
    kill -9 "$pid" 2>/dev/null || true
    status=1
  done
  rm -rf "$HOLDFAST_E2E_FOLDER"
  exit "$status"
}
trap finish EXIT
cd "$here"
"$python" -m pytest -q -p no:cacheprovider --durations=8 "${arguments[@]+"${arguments[@]}"}"
