"""`bench/run sampling` and `bench/run callgrind`: the program bench/kernels.cpp."""
import json
import os
import pathlib
import re
import subprocess
import tempfile

from .machine import ROOT, CannotRun, cpu_model, load_average, program, revision

BASELINE = ROOT / "bench/baseline.json"
COUNTED = ("pick_top_p", "pick_greedy", "grammar_check_100", "grammar_mask_new", "frame_delta_100")
TOLERANCE = 1.05


def _program(options):
    path = pathlib.Path(options.bin) / "kernels"
    if not os.access(path, os.X_OK):
        raise CannotRun(f"{path} is missing; build it with: cmake -B build/release -DHF_BENCH=ON && "
                        "cmake --build build/release --target kernels")
    return str(path)


def sampling(options):
    print(f"{cpu_model()}, load {load_average():.2f}, git {revision()}; 152,000 tokens, medians")
    done = subprocess.run([_program(options)], capture_output=True, text=True, check=True)
    figures, over = {}, []
    for line in done.stdout.splitlines():
        name, took, limit = line.split()
        figures[name] = float(took)
        print(f"{name:<22}{float(took):>12.1f} us" + (f"   limit {limit} us" if limit != "0" else ""))
        if limit != "0" and float(took) > float(limit):
            over.append(name)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1))
    if over:
        print(f"over the limit: {', '.join(over)}")
    print("sampling " + " ".join(f"{name}_us={took:.1f}" for name, took in figures.items()))
    return 1 if over else 0


def _instructions(binary, kernel, times):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([program("valgrind", "install valgrind (tools/setup.sh test)"), "--tool=callgrind",
                               f"--callgrind-out-file={folder}/out", binary, kernel, str(times)],
                              capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise CannotRun(f"callgrind failed on {kernel}: {done.stderr.strip()[-300:]}")
    return int(found.group(1))


def callgrind(options):
    """Instructions a run: the difference of a long and a short series, so that set-up falls out."""
    binary = _program(options)
    counted = {}
    for kernel in COUNTED:
        few, many = (1, 3) if kernel == "grammar_mask_new" else (2, 12)
        counted[kernel] = (_instructions(binary, kernel, many) - _instructions(binary, kernel, few)) // (many - few)
    if options.update:
        BASELINE.write_text(json.dumps({"instructions": counted}, indent=1) + "\n")
        print(f"{BASELINE.relative_to(ROOT)} written")
        return 0
    if not BASELINE.exists():
        raise CannotRun("there is no bench/baseline.json; make one with: bench/run callgrind --update")
    known = json.loads(BASELINE.read_text())["instructions"]
    slower = []
    for kernel, count in counted.items():
        share = count / known[kernel] if kernel in known else 1.0
        print(f"{kernel:<22}{count:>14,} instructions   {100 * (share - 1):+.1f} %")
        if share > TOLERANCE:
            slower.append(kernel)
    if slower:
        print(f"more than 5 % over the baseline: {', '.join(slower)}")
    return 1 if slower else 0
