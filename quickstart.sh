#!/usr/bin/env bash
# From a bare machine to the first answer: installs packages, builds, gets a model, starts the
# server and asks it one question. Running it again is quick and changes nothing that is there.
#
#   ./quickstart.sh [--model NAME] [--port N] [--data-dir DIR] [--foreground] [--build-only] [--yes]
#   ./quickstart.sh stop [--data-dir DIR]
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
cd "$root"

model="" port="" data_dir="" foreground=0 build_only=0 yes=() command=start accept=()
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit "${1:-0}"; }
value() { [ $# -ge 2 ] || { echo "quickstart: $1 needs a value" >&2; exit 2; }; printf '%s' "$2"; }
while [ $# -gt 0 ]; do
  case "$1" in
    --model) model=$(value "$@"); shift ;;
    --port) port=$(value "$@"); shift ;;
    --data-dir) data_dir=$(value "$@"); shift ;;
    --foreground) foreground=1 ;;
    --build-only) build_only=1 ;;
    --accept-licence) accept=(--accept-licence) ;;
    --yes|-y) yes=(--yes) ;;
    stop) command=stop ;;
    -h|--help) usage ;;
    *) echo "quickstart: unknown argument '$1'" >&2; usage 2 ;;
  esac
  shift
done
data_dir=${data_dir:-${HOLDFAST_DATA:-$root/data}}
mkdir -p "$data_dir"
data_dir=$(cd "$data_dir" && pwd)
pid_file=$data_dir/holdfastd.pid
bin=$root/build/release/bin
started=$SECONDS

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold="" plain=""; fi
say() { printf '%s==> [%3d s]%s %s\n' "$bold" $((SECONDS - started)) "$plain" "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

running() { [ -f "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }
stop_server() {
  if ! running; then echo "No server runs with $data_dir."; rm -f "$pid_file"; return; fi
  local pid; pid=$(cat "$pid_file")
  kill "$pid"
  for _ in $(seq 1 400); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -0 "$pid" 2>/dev/null && kill -9 "$pid"
  rm -f "$pid_file"
  echo "Stopped."
}
if [ "$command" = stop ]; then stop_server; exit 0; fi

say "Packages"
tools/setup.sh build "${yes[@]}"

say "Build (release); the first time takes some minutes"
export CCACHE_DIR="${CCACHE_DIR:-$HOME/.cache/ccache}" CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build build/release -j"$(nproc)"
if [ "$build_only" = 1 ]; then say "Built: $bin"; exit 0; fi

holdfast() { "$bin/holdfast" --data-dir "$data_dir" "$@"; }
say "Model"
catalogue_default=smollm2-135m-instruct
model=${model:-$catalogue_default}
pulled=$(holdfast pull "$model" "${accept[@]}") || die "no model; the reasons are above. Without a network: holdfast import FILE.gguf, then --model NAME"
printf '%s\n' "$pulled"
name=${pulled%%:*}

if ! running; then
  if [ ! -f "$data_dir/holdfast.toml" ]; then
    say "First configuration: $data_dir/holdfast.toml"
    holdfast init --port "${port:-8443}" --model "$name"
  elif [ -n "$port" ]; then
    sed -i "s/^port = .*/port = $port/" "$data_dir/holdfast.toml"
  fi
fi
if [ "$foreground" = 1 ]; then
  running && die "a server already runs with $data_dir; ./quickstart.sh stop first"
  say "Server in the foreground; Ctrl-C ends it"
  exec "$bin/holdfast" --data-dir "$data_dir" serve
fi
if running; then
  say "Server already runs (process $(cat "$pid_file"))"
else
  say "Starting the server"
  setsid "$bin/holdfastd" --data-dir "$data_dir" >>"$data_dir/holdfastd.log" 2>&1 </dev/null &
  echo $! >"$pid_file"
  for _ in $(seq 1 600); do
    holdfast status >/dev/null 2>&1 && break
    running || { tail -20 "$data_dir/holdfastd.log" >&2; rm -f "$pid_file"; die "the server ended at once; its log is above"; }
    sleep 0.1
  done
fi
[ -s "$data_dir/keys/cli.key" ] || holdfast key create --name cli --save-for-cli >/dev/null

say "First question: What is the capital of Japan?"
holdfast chat --model "$name" --stats --temperature 0 --max-tokens 64 "What is the capital of Japan?" ||
  { tail -20 "$data_dir/holdfastd.log" >&2; die "the first question failed; the server's log is above"; }

say "Ready"
address=$(holdfast status | head -1)
cat <<TXT

  Address       $address   (CA certificate: $(holdfast ca show --path))
  Setup token   $(holdfast setup-token)
  Try next
    $bin/holdfast --data-dir $data_dir chat
    $bin/holdfast --data-dir $data_dir key create --name my-app
    $bin/holdfast --data-dir $data_dir bench --clients 8 --requests 24
  Stop          ./quickstart.sh stop
TXT
