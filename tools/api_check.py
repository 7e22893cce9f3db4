#!/usr/bin/env python3
"""Compares the endpoints in openapi/openapi.yaml and docs/api.md with the code's table of routes.

Usage: tools/api_check.py    (exit 1 and one line per difference; tools/tidy.py runs it, too)
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def routes_in_code():
    """(method, path pattern) -> permission."""
    text = (ROOT / "src/api/routes.cpp").read_text()
    rows = re.findall(r'\{"([A-Z]+)", "([^"]+)", Permission::(\w+),', text)
    return {(method, path): permission for method, path, permission in rows}


def routes_in_openapi():
    found, path, method = {}, None, None
    for line in (ROOT / "openapi/openapi.yaml").read_text().splitlines():
        if line == "components:":
            break
        if match := re.match(r"  (/\S*):$", line):
            path = re.sub(r"\{\w+\}", "{}", match.group(1))
        elif match := re.match(r"    (get|post|put|patch|delete):$", line):
            method = match.group(1).upper()
            found[method, path] = None
        elif match := re.match(r"      x-permission: (\w+)$", line):
            found[method, path] = match.group(1)
    return found


def findings():
    code, spec, page = routes_in_code(), routes_in_openapi(), (ROOT / "docs/api.md").read_text()
    out = []
    for route in sorted(code.keys() | spec.keys()):
        name = " ".join(route)
        if route not in spec:
            out.append(f"openapi/openapi.yaml: {name} is missing")
        elif route not in code:
            out.append(f"openapi/openapi.yaml: there is no {name}")
        elif spec[route] != code[route]:
            out.append(f"openapi/openapi.yaml: {name} needs permission {code[route]}, not {spec[route]}")
    for _, path in sorted(code):
        if not re.search(r"`[^`]*%s" % re.escape(path).replace(r"\{\}", r"\{\w+\}"), page):
            out.append(f"docs/api.md: {path} is missing")
    return out


if __name__ == "__main__":
    differences = findings()
    for difference in differences:
        print(difference)
    sys.exit(1 if differences else 0)
