"""holdfastd in a temporary data folder, as an operator would run it."""
import ctypes
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("HOLDFAST_E2E_BIN", ROOT / "build/release/bin"))
MODELS = ROOT / "build/e2e-models"
CHAT_MODEL = "smollm2-135m-instruct"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def patience():
    """How much longer things may take because the machine has other work, too."""
    return max(1.0, min(8.0, os.getloadavg()[0] / len(os.sched_getaffinity(0))))


def wait_for(condition, seconds, what):
    """The first true value of `condition`; fails with `what` after `seconds` of a quiet machine."""
    begin = time.monotonic()
    while time.monotonic() < begin + seconds * patience():
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def holdfast(*words, data_dir, timeout=300, check=True, **more):
    done = subprocess.run([str(BIN / "holdfast"), "--data-dir", str(data_dir), *words], capture_output=True,
                          text=True, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"holdfast {' '.join(words)}: {done.stderr}{done.stdout}")
    return done


def store_with(*, models=(), files=()):
    """The kept model folder, with catalogue models and own files (name, path) in it."""
    settings = MODELS / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "holdfast.toml").write_text(f'[models]\nfolder = "{MODELS / "store"}"\n')
    listed = holdfast("models", data_dir=settings).stdout
    for name in models:
        if f"\n{name} " not in listed:
            holdfast("pull", name, data_dir=settings)
    for name, path in files:
        if f"\n{name} " not in listed:
            holdfast("import", str(path), "--name", name, "--licence", "test", data_dir=settings)
    return MODELS / "store"


def model_file(name):
    manifest = json.loads((MODELS / f"store/manifests/{name}.json").read_text())
    return MODELS / f"store/blobs/sha256-{manifest['digest']}"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]


class Server:
    """Started and ready. `settings`: further lines of holdfast.toml, by table."""

    def __init__(self, store, preload=(CHAT_MODEL,), default_model=CHAT_MODEL, settings=None, wait_models=True):
        parent = os.environ.get("HOLDFAST_E2E_FOLDER")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="server-", dir=parent))
        self.port = free_port()
        self.address = f"https://127.0.0.1:{self.port}"
        tables = {"server": {"port": self.port, "drain_seconds": 20},
                  "models": {"folder": str(store), "default_model": default_model, "preload": list(preload)},
                  "engine": {"cells": 8192}}
        for table, values in (settings or {}).items():
            tables.setdefault(table, {}).update(values)
        lines = []
        for table, values in tables.items():
            lines.append(f"[{table}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        (self.folder / "holdfast.toml").write_text("\n".join(lines) + "\n")
        holdfast("key", "create", "--name", "e2e", "--save-for-cli", "--permission", "infer", "--permission", "models",
                 "--permission", "metrics", data_dir=self.folder)
        self.key = (self.folder / "keys/cli.key").read_text().strip()
        self.log_file = self.folder / "server.log"
        self.preload = preload
        self.process = None
        self.start(wait_models)

    # ---- life ------------------------------------------------------------------------------------
    def start(self, wait_models=True):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([str(BIN / "holdfastd"), "--data-dir", str(self.folder)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=_die_with_parent)
        try:
            wait_for(self._up, 60, "the server answers /readyz")
            if wait_models:
                for name in self.preload:
                    wait_for(lambda name=name: self.model_state(name) == "ready", 90, f"{name} is ready")
        except AssertionError as problem:
            self.stop()
            raise AssertionError(f"{problem}\n{self.log()}") from None

    def _up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"holdfastd ended with status {self.process.returncode}")
        if not self.ca.exists():
            return False
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def stop(self, patience=40):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None

    def log(self, lines=25):
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    # ---- what it looks like from outside -----------------------------------------------------------
    @property
    def ca(self):
        return self.folder / "tls/ca.pem"

    def tls(self):
        return ssl.create_default_context(cafile=str(self.ca))

    def call(self, method, path, body=None, key=None, headers=None, timeout=120):
        """A plain request; `body` is JSON unless it is bytes."""
        raw = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {key or self.key}", **(headers or {})}
        request = urllib.request.Request(self.address + path, data=raw, method=method,
                                         headers={name: value for name, value in sent.items() if value})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=self.tls()))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as problem:
            return Answer(problem.code, problem.headers, problem.read())

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body, **more):
        return self.call("POST", path, body, **more)

    def chat(self, text, **fields):
        return self.post("/v1/chat/completions", {"model": CHAT_MODEL, "temperature": 0, "max_tokens": 16,
                                                  "messages": [{"role": "user", "content": text}], **fields})

    def model_state(self, name):
        models = self.get("/readyz?verbose").json().get("models", [])
        return next((model["state"] for model in models if model["name"] == name), "absent")

    def metric(self, name, **labels):
        """Sum over the series with these labels; 0 if there is none."""
        total = 0.0
        answer = self.get("/metrics")
        assert answer.status == 200, answer.body
        for line in answer.body.decode().splitlines():
            if not line.startswith(name) or line[len(name):len(name) + 1] not in ("{", " "):
                continue
            if all(f'{label}="{value}"' in line for label, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def running(self):
        return sum(self.metric(f"holdfast_engine_requests_{state}") for state in ("running", "waiting", "swapped"))

    def wait_idle(self, seconds=20):
        wait_for(lambda: self.running() == 0, seconds, "no request runs or waits in the engines")

    # ---- processes ---------------------------------------------------------------------------------
    def engine_pid(self, name=None):
        """The engine's process, or 0; `name` picks one of several models."""
        for pid in _children(self.process.pid):
            if os.path.basename(_exe(pid)) != "holdfast-engine":
                continue
            if name is None or str(model_file(name)) in _command(pid):
                return pid
        return 0

    def resident_kb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # ---- below HTTP --------------------------------------------------------------------------------
    def connect(self, timeout=30, context=None):
        context = context or self.tls()
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=timeout),
                                   server_hostname="127.0.0.1")

    def request_bytes(self, path, body):
        raw = json.dumps(body).encode()
        return (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n").encode() + raw


def _children(pid):
    return [int(word) for task in os.listdir(f"/proc/{pid}/task")
            for word in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()]


def _exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
