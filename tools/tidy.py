#!/usr/bin/env python3
"""Checks what the project agreed on: module direction, foreign headers, sizes, names, leftovers.

Usage: tools/tidy.py    (exit 1 and one line per finding; exceptions: tools/tidy_baseline.txt)
"""
import pathlib
import re
import subprocess
import sys

import api_check
import module_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE_LINES_MAX, HEADER_LINES_MAX, LINE_MAX, FUNCTION_LINES_MAX = 700, 250, 120, 70
# Foreign headers and the only folders that may include them.
HOMES = {
    r"^<llama\.h>|^<ggml": {"runtime"},
    r"^<boost/": {"http"},
    r"^<glaze/": {"api", "registry", "settings", "apps"},
    r"^<minja/": {"chat"},
    r"^<spdlog/": {"base"},
    r"^<curl/": {"registry", "client"},
}
BANNED_NAMES = re.compile(r"^\s*(?:class|struct)\s+\w*(Manager|Helper|Util|Misc|Impl)\b")
BANNED_TEXT = [
    (re.compile(r"\bFIXME\b"), "FIXME: fix it or open an issue"),
    (re.compile(r"\bTODO\b(?!\(#\d+\))"), "TODO needs an issue number: TODO(#12)"),
    (re.compile(r"using namespace (?!std::(?:chrono_)?literals)"), "no using namespace"),
]
TEXT_SUFFIXES = {".cpp", ".hpp", ".py", ".sh", ".md", ".txt", ".json", ".yaml", ".cmake"}


def tracked():
    out = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in out.stdout.splitlines()]


def built_folders():
    """Folders of src/ and apps/ that belong to the whole (the first HF_MODULES and HF_PROGRAMS)."""
    text = (ROOT / "CMakeLists.txt").read_text()
    names = set()
    for variable in ("HF_MODULES", "HF_PROGRAMS"):
        match = re.search(r"^set\(%s([^)]*)\)" % variable, text, re.M)
        names |= set(match.group(1).split()) if match else set()
    return names


def module_uses():
    """Module -> (rank, modules it lists), read from the CMakeLists beside the code."""
    modules = {}
    for path in sorted((ROOT / "src").glob("*/CMakeLists.txt")):
        text = path.read_text()
        match = re.search(r"holdfast_module\(\s*(\w+)\s+RANK\s+(\d+)(.*?)\n?\)", text, re.S)
        if not match:
            continue
        uses = re.search(r"\bUSES\s+((?:[a-z_]+\s*)+)", match.group(3))
        modules[match.group(1)] = (int(match.group(2)), set(uses.group(1).split()) if uses else set())
    return modules


def reachable(modules, name, seen=None):
    seen = seen if seen is not None else set()
    for used in modules.get(name, (0, set()))[1]:
        if used not in seen:
            seen.add(used)
            reachable(modules, used, seen)
    return seen


def function_lengths(lines):
    """(first line, length) of bodies that open at column 0..2 and close at the same indent."""
    start = indent = None
    for number, line in enumerate(lines, 1):
        if start is None:
            if line.rstrip().endswith("{") and re.search(r"\)[^;]*\{\s*$", line) and not re.match(
                    r"\s*(if|for|while|switch|else|do|namespace|class|struct|enum)\b", line):
                opened = len(line) - len(line.lstrip())
                if opened <= 2:
                    start, indent = number, opened
        elif re.match(r" {%d}\}" % indent, line):
            yield start, number - start
            start = None


def check_code(path, modules, findings):
    relative = path.relative_to(ROOT)
    lines = path.read_text(errors="replace").splitlines()
    limit = HEADER_LINES_MAX if path.suffix == ".hpp" else SOURCE_LINES_MAX
    if len(lines) > limit:
        findings.append(f"{relative}: {len(lines)} lines, at most {limit}")
    home = relative.parts[1] if relative.parts[0] == "src" else relative.parts[0]
    allowed = reachable(modules, home) | {home} if home in modules else None
    for number, line in enumerate(lines, 1):
        where = f"{relative}:{number}"
        if len(line) > LINE_MAX:
            findings.append(f"{where}: {len(line)} columns, at most {LINE_MAX}")
        if BANNED_NAMES.match(line):
            findings.append(f"{where}: name says nothing; name what it does")
        include = re.match(r'#include\s+([<"][^>"]+[>"])', line)
        if not include:
            continue
        target = include.group(1)
        for pattern, homes in HOMES.items():
            if re.match(pattern, target) and home not in homes and not path.name.endswith("_test.cpp"):
                findings.append(f"{where}: {target} belongs in {', '.join(sorted(homes))} only")
        if target.startswith('"') and allowed is not None and "/" in target:
            module = target.strip('"').split("/")[0]
            if module in modules and module not in allowed and not path.name.endswith("_test.cpp"):
                findings.append(f"{where}: {home} does not list {module} in USES")
    if path.suffix == ".cpp" and not path.name.endswith("_test.cpp"):
        for start, length in function_lengths(lines):
            if length > FUNCTION_LINES_MAX:
                findings.append(f"{relative}:{start}: function of {length} lines, at most {FUNCTION_LINES_MAX}")
    if path.suffix == ".hpp" and "#pragma once" not in lines[:3]:
        findings.append(f"{relative}: no #pragma once")


def check_ranks(modules, findings):
    for name, (rank, uses) in modules.items():
        for used in uses:
            if used not in modules:
                continue
            if modules[used][0] >= rank:
                findings.append(f"src/{name}: rank {rank} uses {used} of rank {modules[used][0]}")


def main():
    findings = []
    built = built_folders()
    modules = module_uses()
    check_ranks(modules, findings)
    findings += module_table.findings() + api_check.findings()
    for path in tracked():
        if not path.is_file():
            continue
        parts = path.relative_to(ROOT).parts
        if parts[0] in ("src", "apps") and parts[1] not in built:
            continue
        if path.suffix in {".cpp", ".hpp"}:
            check_code(path, modules, findings)
        if path.suffix in TEXT_SUFFIXES and path.name != "tidy.py":
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                for pattern, advice in BANNED_TEXT:
                    if pattern.search(line):
                        findings.append(f"{path.relative_to(ROOT)}:{number}: {advice}")
    baseline_file = ROOT / "tools" / "tidy_baseline.txt"
    baseline = set(baseline_file.read_text().splitlines()) if baseline_file.exists() else set()
    fresh = [finding for finding in findings if finding not in baseline]
    for finding in fresh:
        print(finding)
    for stale in sorted(baseline - set(findings) - {""}):
        print(f"tools/tidy_baseline.txt: no longer found, remove: {stale}")
        fresh.append(stale)
    print(f"tidy: {len(fresh)} findings, {len(baseline)} accepted")
    return 1 if fresh else 0


if __name__ == "__main__":
    sys.exit(main())
