#!/usr/bin/env python3
"""The table of modules in ARCHITECTURE.md, made from what the build reads.

Usage: tools/module_table.py            prints the table
       tools/module_table.py --check    exit 1 if ARCHITECTURE.md has another one
       tools/module_table.py --write    puts it there

Rank, USES and LIBS come from src/*/CMakeLists.txt, the purpose from the heading of the module's
README ("# name: purpose"), that of a program from the first line of its main.cpp ("// name: ...").
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- modules -->", "<!-- /modules -->"
KEYWORDS = r"\b(RANK|SOURCES|USES|LIBS|TESTS|TEST_USES|TEST_LIBS|FUZZ)\b"
LIBRARIES = {
    "OpenSSL::Crypto": "OpenSSL", "OpenSSL::SSL": "OpenSSL", "spdlog::spdlog": "spdlog",
    "CURL::libcurl": "libcurl", "PkgConfig::LIBZIP": "libzip", "PkgConfig::LIBEDIT": "libedit",
    "hf_boost": "Boost.Beast", "hf_glaze": "glaze", "hf_llama": "libllama", "hf_minja": "minja",
    "hf_nlohmann": "nlohmann-json", "hf_cli11": "CLI11", "hf_omp_team": "", "Threads::Threads": "",
}


def declared(text, function):
    """(name, keyword -> words) of the call in one CMakeLists.txt, or nothing."""
    call = re.search(r"^%s\(\s*([\w-]+)(.*?)\n?\)" % function, text, re.S | re.M)
    if not call:
        return None
    parts = re.split(KEYWORDS, call.group(2))
    return call.group(1), {key: words.split() for key, words in zip(parts[1::2], parts[2::2])}


def purpose(file, pattern):
    """First line of the file, without the name; empty if it does not look as it should."""
    first = file.read_text().split("\n", 1)[0] if file.exists() else ""
    match = re.match(pattern, first)
    return match.group(1).rstrip(".") if match else ""


def libraries(words):
    return ", ".join(dict.fromkeys(name for name in (LIBRARIES.get(w, w) for w in words) if name))


def table():
    rows, programs = [], []
    for file in sorted((ROOT / "src").glob("*/CMakeLists.txt")):
        found = declared(file.read_text(), "holdfast_module")
        if found:
            name, parts = found
            rows.append((int(parts["RANK"][0]), name, purpose(file.parent / "README.md", r"# [\w-]+: (.*)"),
                         " ".join(parts.get("USES", [])), libraries(parts.get("LIBS", []))))
    for file in sorted((ROOT / "apps").glob("*/CMakeLists.txt")):
        found = declared(file.read_text(), "holdfast_program")
        if found:
            name, parts = found
            programs.append(("top", "apps/" + name, purpose(file.parent / "main.cpp", r"// [\w-]+: ([^.]*)"),
                             " ".join(parts.get("USES", [])), libraries(parts.get("LIBS", []))))
    lines = ["| rank | module | purpose | uses | foreign |", "|---|---|---|---|---|"]
    for row in programs + sorted(rows, key=lambda row: (-row[0], row[1])):
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join(lines)


def findings():
    """What tools/tidy.py reports."""
    text = PAGE.read_text() if PAGE.exists() else ""
    if BEGIN + "\n" + table() + "\n" + END in text:
        return []
    return ["ARCHITECTURE.md: its table of modules differs; run tools/module_table.py --write"]


def write():
    before, rest = PAGE.read_text().split(BEGIN, 1)
    PAGE.write_text(before + BEGIN + "\n" + table() + "\n" + END + rest.split(END, 1)[1])


def main():
    if sys.argv[1:] == ["--write"]:
        write()
    elif sys.argv[1:] == ["--check"]:
        for finding in findings():
            print(finding)
        return 1 if findings() else 0
    elif sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    else:
        print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
