"""What the machine is and how busy it is; processes that are started and surely stopped."""
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class CannotRun(Exception):
    """Says what is missing and how to get it."""


def cores():
    return len(os.sched_getaffinity(0))


def load_average():
    return os.getloadavg()[0]


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def revision():
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    name = git("rev-parse", "--short", "HEAD") or "no git"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "apps")
    return name + (" with changes" if changed else "")


def program(name, hint):
    found = shutil.which(name)
    if not found:
        raise CannotRun(f"{name} is not installed; {hint}")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def resident_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def children(pid):
    """Children of every thread of a process, and theirs."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            words = task.read_text().split()
        except OSError:
            continue  # The thread has ended.
        for word in words:
            found += [int(word), *children(int(word))]
    return found


def command_name(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def kernels_of(pid):
    """Names of the ggml and BLAS libraries a process has mapped: the same names, the same kernels."""
    names = set()
    try:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            name = os.path.basename(line.split()[-1])
            if name.startswith(("libggml", "libopenblas", "libblas")):
                names.add(name.split(".so")[0])
    except OSError:
        pass
    return sorted(names)


def die_with_parent():
    """For a child before exec: it never outlives the benchmark, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A child with its output in a file. `stop` ends it and waits."""

    def __init__(self, words, log_file, env=None):
        self.log_file = pathlib.Path(log_file)
        with open(log_file, "wb") as log:
            self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                          start_new_session=True, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def log_tail(self, lines=15):
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, patience_s=20):
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


def wait_until(condition, seconds, step=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step)
    return False


class BusyNeighbour:
    """One process that computes without end, as another program on the machine would."""

    def __enter__(self):
        self.child = subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=die_with_parent)
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
