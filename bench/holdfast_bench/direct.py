"""An engine process asked over its own socket, without server, TLS and HTTP: see bench/engine_direct.cpp."""
import json
import os
import subprocess

from .load import LoadFailed
from .machine import CannotRun


class Engine:
    def __init__(self, programs, model, threads, cells):
        self.program = f"{programs}/engine_direct"
        if not os.access(self.program, os.X_OK):
            raise CannotRun(f"{self.program} is missing; build it with: cmake -B build/release -DHF_BENCH=ON && "
                            "cmake --build build/release --target engine_direct")
        self.words = [self.program, f"{programs}/holdfast-engine", "--model", model, "--threads", str(threads),
                      "--cells", str(cells)]

    def __enter__(self):
        self.child = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()
        return self

    def _answer(self):
        line = self.child.stdout.readline()
        if not line.startswith("{"):
            self.child.kill()
            self.child.wait()
            raise LoadFailed(f"engine_direct: {line.strip() or 'ended without an answer'}")
        return json.loads(line)

    def ask(self, seed, requests):
        """Medians over `requests` one-token answers to the prompts `holdfast bench` makes from `seed`."""
        self.child.stdin.write(f"{seed} {requests}\n")
        self.child.stdin.flush()
        return self._answer()

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
