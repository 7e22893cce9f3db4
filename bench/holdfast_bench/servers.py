"""The two servers under test, started with the same model, threads and kernels on free ports."""
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request

from . import models
from .machine import CannotRun, Process, children, command_name, free_port, kernels_of, program, wait_until


def _get(url, key="", ca=None, timeout=5):
    context = ssl.create_default_context(cafile=ca) if ca else None
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                         *([urllib.request.HTTPSHandler(context=context)] if context else []))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode(errors="replace")
    except OSError:
        return 0, ""


class Server:
    """What the loads need: url, model name, `holdfast bench` arguments. A context manager."""

    def __init__(self, title):
        self.title = title
        self.folder = tempfile.TemporaryDirectory(prefix="holdfast-bench-")
        self.process = None
        self.port = free_port()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process:
            self.process.stop()
        self.folder.cleanup()

    def last_words(self):
        """Empty while the server lives, else how it ended."""
        if self.process.alive():
            return ""
        return f"; the server ended with status {self.process.child.returncode}:\n{self.process.log_tail(6)}"

    def wait_ready(self, seconds):
        def settled():
            return not self.process.alive() or self.ready()
        if not wait_until(settled, seconds) or not self.process.alive():
            raise CannotRun(f"{self.title} did not become ready; its log ends:\n{self.process.log_tail()}")


class Holdfast(Server):
    def __init__(self, programs, model, threads, cells, running=64, preload=True):
        super().__init__("holdfast")
        self.programs, self.model, self.threads, self.cells = programs, model, threads, cells
        self.running, self.preload = running, preload
        self.url = f"https://127.0.0.1:{self.port}"

    def start(self):
        folder = pathlib.Path(self.folder.name)
        (folder / "holdfast.toml").write_text(
            f'[server]\nport = {self.port}\nconnections_per_ip_max = 4000\n'
            f'[models]\nfolder = "{models.STORE}"\ndefault_model = "{self.model}"\nrequests_max = 2000\n'
            f'preload = {json.dumps([self.model] if self.preload else [])}\n'
            f'[engine]\ncells = {self.cells}\nthreads = {self.threads}\nrunning_max = {self.running}\n')
        made = subprocess.run([f"{self.programs}/holdfast", "--data-dir", str(folder), "key", "create", "--name",
                               "bench", "--save-for-cli", *(word for name in ("infer", "models", "metrics")
                                                            for word in ("--permission", name))], capture_output=True, text=True)
        if made.returncode != 0:
            raise CannotRun(f"holdfast key create failed: {made.stderr.strip()}")
        self.key = (folder / "keys/cli.key").read_text().strip()
        self.process = Process([f"{self.programs}/holdfastd", "--data-dir", str(folder)], folder / "log")
        self.wait_ready(120)

    def ready(self):
        status, body = self.get("/readyz?verbose")
        if status != 200:
            return False
        states = {model["name"]: model["state"] for model in json.loads(body).get("models", [])}
        if states.get(self.model) == "failed":
            raise CannotRun(f"holdfast could not load {self.model}: {body}")
        return not self.preload or states.get(self.model) == "ready"

    @property
    def ca(self):
        file = pathlib.Path(self.folder.name) / "tls/ca.pem"
        return str(file) if file.exists() else None

    def get(self, path):
        return _get(self.url + path, self.key, self.ca)

    def engine_pid(self):
        for pid in children(self.process.pid):
            if command_name(pid) == "holdfast-engine":
                return pid
        return 0

    def kernels(self):
        return kernels_of(self.engine_pid())

    def bench_arguments(self):
        return ["--data-dir", self.folder.name, "bench"]

    def adapter_load(self, number):
        return {"model": f"{self.model}:lora-{number + 1}"}


class LlamaServer(Server):
    def __init__(self, model, threads, cells, slots, adapters=(), unified=False):
        super().__init__("llama-server")
        self.model, self.threads, self.cells, self.slots = model, threads, cells, slots
        self.adapters, self.unified = adapters, unified
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        words = [program("llama-server", "install llama.cpp-tools (tools/setup.sh test)"),
                 "-m", models.path_of(self.model), "-t", str(self.threads), "-tb", str(self.threads),
                 "-c", str(self.cells), "-np", str(self.slots), "--no-ui", "--host", "127.0.0.1",
                 "--port", str(self.port)]
        if self.unified:
            words.append("-kvu")
        if self.adapters:
            words += ["--lora", ",".join(self.adapters), "--lora-init-without-apply"]
        # The BLAS library has a pool of its own; Holdfast's engine sets it to its thread count, too.
        self.process = Process(words, pathlib.Path(self.folder.name) / "log",
                               env={"OPENBLAS_NUM_THREADS": str(self.threads), **os.environ})
        self.wait_ready(120)

    def ready(self):
        return _get(f"{self.url}/health")[0] == 200

    def kernels(self):
        return kernels_of(self.process.pid)

    def bench_arguments(self):
        return ["--data-dir", self.folder.name, "bench", "--url", self.url]

    def adapter_load(self, number):
        scales = [{"id": i, "scale": 1.0 if i == number else 0.0} for i in range(len(self.adapters))]
        return {"extra": {"lora": scales}}
