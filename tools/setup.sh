#!/usr/bin/env bash
# Installs what Holdfast needs from the distribution's own packages.
#
#   tools/setup.sh [run|build|test|fuzz]... [--yes]
#
#   run    libraries and tools that the programs need while they run
#   build  compiler, CMake and headers (with run)
#   test   what the test suites and benchmarks use (with build)
#   fuzz   clang with libFuzzer and clang-tidy (with build)
#
# Debian 12 lacks the compiler and libllama, so there it adds the suite "forky" below normal
# priority and takes only the packages named here from it. Debian 13 likewise. Debian 14 and
# Ubuntu 26.04 use their own suites and nothing is added.
set -euo pipefail

sets=() assume_yes=0
for arg in "$@"; do
  case "$arg" in
    run|build|test|fuzz) sets+=("$arg") ;;
    --yes|-y) assume_yes=1 ;;
    *) echo "setup: unknown argument '$arg'; use run, build, test, fuzz or --yes" >&2; exit 2 ;;
  esac
done
[ ${#sets[@]} -gt 0 ] || sets=(build)

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# ---- package lists ---------------------------------------------------------------------------
run_packages=(ca-certificates libllama0 libggml0 libggml0-backend-blas libopenblas0-pthread
  libssl3t64 libcurl4t64 libedit2 libzip5 zlib1g)
build_packages=(g++-16 g++ binutils cmake ninja-build pkgconf ccache
  libboost-dev libglaze-dev libminja-dev nlohmann-json3-dev libssl-dev libllama-dev libggml-dev
  libcurl4-openssl-dev zlib1g-dev libzip-dev libcli11-dev libspdlog-dev libedit-dev libgtest-dev)
test_packages=(git curl openssl python3 python3-openai python3-pytest python3-gguf nodejs npm gdb valgrind
  libbenchmark-dev llama.cpp-tools wrk procps iproute2 jq expect debootstrap)
fuzz_packages=(clang clang-tidy clang-format libclang-rt-dev)

# ---- which system is this --------------------------------------------------------------------
[ -r /etc/os-release ] || die "no /etc/os-release; Holdfast's set-up knows Debian 12, 13, 14 and Ubuntu 26.04"
# shellcheck disable=SC1091
. /etc/os-release
needs_forky=0
case "${ID:-}:${VERSION_ID:-}:${VERSION_CODENAME:-}" in
  debian:12:*|debian:13:*) needs_forky=1 ;;
  debian:14:*|debian:*:forky|debian:*:sid|debian::*) ;;
  ubuntu:26.*|ubuntu:27.*) ;;
  *) die "this is ${PRETTY_NAME:-unknown}; supported: Debian 12, 13, 14 and Ubuntu 26.04. On another system use a container of one of these" ;;
esac

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "run as root, or install sudo: installing packages needs it"
  sudo=(sudo)
fi

# ---- what is missing -------------------------------------------------------------------------
wanted=()
want() { local package; for package in "$@"; do wanted+=("$package"); done; }
for set in "${sets[@]}"; do
  case "$set" in
    run) want "${run_packages[@]}" ;;
    build) want "${run_packages[@]}" "${build_packages[@]}" ;;
    test) want "${run_packages[@]}" "${build_packages[@]}" "${test_packages[@]}" ;;
    fuzz) want "${run_packages[@]}" "${build_packages[@]}" "${fuzz_packages[@]}" ;;
  esac
done
# A Node.js from elsewhere brings npm inside its own package and conflicts with Debian's.
if command -v node >/dev/null && command -v npm >/dev/null; then
  kept=(); for p in "${wanted[@]}"; do case "$p" in nodejs|npm) ;; *) kept+=("$p") ;; esac; done
  wanted=("${kept[@]}")
fi
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=()
for package in $(printf '%s\n' "${wanted[@]}" | sort -u); do installed "$package" || missing+=("$package"); done
# An older compiler or CMake of the base system does not count as installed.
if printf '%s\n' "${wanted[@]}" | grep -qx cmake && command -v cmake >/dev/null; then
  major=$(cmake --version | sed -n '1s/[^0-9]*\([0-9]*\)\..*/\1/p')
  [ "${major:-0}" -ge 4 ] || missing+=(cmake g++ binutils)
fi
if [ ${#missing[@]} -eq 0 ]; then
  say "Packages: all ${#wanted[@]} present"
  exit 0
fi

if [ "$assume_yes" = 0 ] && [ -t 0 ]; then
  say "To install with apt: ${missing[*]}"
  if [ "$needs_forky" = 1 ]; then
    echo "    Some come from Debian 14 (forky), added with a low priority; libc and the compiler"
    echo "    libraries are upgraded with them. Nothing else is upgraded."
  fi
  read -r -p "Go on? [Y/n] " answer
  case "${answer:-y}" in y|Y|yes) ;; *) die "stopped; nothing was changed" ;; esac
fi

apt_options=(-y --no-install-recommends -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
export DEBIAN_FRONTEND=noninteractive

# Reuses the address and keyring of the machine's own Debian source, so mirrors keep working.
add_forky() {
  local uri="" key="" file
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -r "$file" ] || continue
    uri=$(awk 'tolower($1)=="uris:" && $0 ~ /debian/ && $0 !~ /security/ {print $2; exit}' "$file")
    key=$(awk 'tolower($1)=="signed-by:" {print $2; exit}' "$file")
    if [ -n "$uri" ] && grep -qiE '^suites:.*(bookworm|trixie|stable)' "$file"; then break; fi
    uri=""
  done
  if [ -z "$uri" ] && [ -r /etc/apt/sources.list ]; then
    uri=$(awk '$1=="deb" {for(i=2;i<=NF;i++) if($i ~ /:\/\// && $i ~ /debian/ && $i !~ /security/) {print $i; exit}}' /etc/apt/sources.list)
  fi
  [ -n "$uri" ] || die "no Debian source found in /etc/apt; add one for ${VERSION_CODENAME:-this release} first"
  [ -n "$key" ] && [ -r "$key" ] || key=/usr/share/keyrings/debian-archive-keyring.gpg
  printf 'Types: deb\nURIs: %s\nSuites: forky\nComponents: main\nSigned-By: %s\n' "$uri" "$key" |
    "${sudo[@]}" tee /etc/apt/sources.list.d/holdfast-forky.sources >/dev/null
  printf 'Package: *\nPin: release n=forky\nPin-Priority: 100\n' |
    "${sudo[@]}" tee /etc/apt/preferences.d/holdfast-forky >/dev/null
}

if [ "$needs_forky" = 1 ]; then
  add_forky
  # libcurl4-gnutls of forky takes over a file of the old libcurl3-gnutls without saying so;
  # the old one goes in the same transaction, and git (which needed it) is taken along.
  apt_options+=(-t forky -o Dpkg::Options::=--force-overwrite)
  if installed libcurl3-gnutls; then
    installed git && missing+=(git)
    missing+=(libcurl3-gnutls-)
  fi
  # Named so that apt upgrades rather than removes them.
  for package in git gdb valgrind sqlite3 cmake; do installed "$package" && missing+=("$package"); done
  if installed g++; then missing+=(g++ binutils); fi
fi
say "apt: reading package lists"
"${sudo[@]}" apt-get update -q -o Acquire::Retries=3 || echo "setup: some package lists could not be read; trying with what is there" >&2
say "apt: installing ${#missing[@]} packages"
if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install "${apt_options[@]}" "${missing[@]}"; then
  die "apt could not install the packages (its message is above). Common causes: no route to the package mirror, a held package ('apt-mark showhold'), no space ('df -h /var')"
fi
say "Packages: done"
