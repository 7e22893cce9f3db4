"""The models both servers run: the pulled Q4_1, a Q8_0 of it, two random adapters. Kept in build/bench-models."""
import json
import subprocess

from . import gguf_file
from .machine import ROOT, CannotRun, program

FOLDER = ROOT / "build/bench-models"
STORE = FOLDER / "store"
Q4_1 = "smollm2-135m-instruct"
Q8_0 = "smollm2-135m-q8_0"
_LAYERS, _WIDTH, _VALUE_WIDTH = 30, 576, 192


def _settings_folder():
    folder = FOLDER / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "holdfast.toml").write_text(f'[models]\nfolder = "{STORE}"\n')
    return folder


def _holdfast(programs, *words):
    command = [f"{programs}/holdfast", "--data-dir", str(_settings_folder()), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotRun(f"'holdfast {' '.join(words)}' failed: {(done.stderr or done.stdout).strip()}")


def path_of(name):
    """The model's file in the store, or None."""
    manifest = STORE / f"manifests/{name}.json"
    if not manifest.exists():
        return None
    file = STORE / f"blobs/sha256-{json.loads(manifest.read_text())['digest']}"
    return str(file) if file.exists() else None


def ensure(programs, name):
    """Gets or makes the model; gives its file."""
    if path_of(name):
        return path_of(name)
    if name == Q4_1:
        _holdfast(programs, "pull", Q4_1)
    else:
        source, target = ensure(programs, Q4_1), FOLDER / f"{Q8_0}.gguf"
        quantise = program("llama-quantize", "install llama.cpp-tools (tools/setup.sh test)")
        done = subprocess.run([quantise, "--allow-requantize", source, str(target), "Q8_0"], capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise CannotRun(f"llama-quantize failed: {done.stderr.strip()[-400:]}")
        _holdfast(programs, "import", str(target), "--name", Q8_0, "--licence", "Apache-2.0")
        target.unlink()
    return path_of(name)


def adapters(programs):
    """Files of two random LoRA adapters for the model, also imported as lora-1 and lora-2."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for seed in (1, 2):
        if not path_of(f"lora-{seed}"):
            file = FOLDER / f"lora-{seed}.gguf"
            gguf_file.write_lora(file, seed, _LAYERS, _WIDTH, _VALUE_WIDTH)
            _holdfast(programs, "import", str(file), "--name", f"lora-{seed}", "--base", Q4_1, "--licence", "none")
            file.unlink()
    return [path_of("lora-1"), path_of("lora-2")]
