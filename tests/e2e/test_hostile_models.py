"""Model files that are broken or mean harm: a clear error for them, no harm to the others."""
import time

import pytest

import make_models
from holdfast_server import CHAT_MODEL, MODELS, holdfast, model_file, patience

LOOP = "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}"
RECURSE = "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}"
GROW = "{% set ns = namespace(s='x') %}{% for a in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}"
BROKEN = "{% for m in messages %}{{ m.content"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def data_folder(folder, name):
    settings = folder / name
    settings.mkdir()
    (settings / "holdfast.toml").write_text(f'[models]\nfolder = "{settings}/models"\n')
    return settings


def real_bytes():
    return model_file(CHAT_MODEL).read_bytes()


FILES = {
    "empty": lambda: b"",
    "no-gguf": lambda: b"this is not a model" * 1000,
    "magic-only": lambda: b"GGUF",
    "garbage-behind-magic": lambda: b"GGUF\x03\0\0\0" + bytes(range(256)) * 64,
    "huge-counts": lambda: b"GGUF\x03\0\0\0" + b"\xff" * 16 + bytes(64),
    "cut-in-header": lambda: real_bytes()[:50_000],
    "cut-in-weights": lambda: real_bytes()[:-1_000_000],
}


@pytest.mark.parametrize("name", FILES)
def test_import_refuses(store, folder, name):
    file = folder / f"{name}.gguf"
    file.write_bytes(FILES[name]())
    done = holdfast("import", str(file), "--name", "bad", data_dir=data_folder(folder, name), check=False)
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.strip()) > 20 and "terminate" not in done.stderr
    assert "bad" not in holdfast("models", data_dir=folder / name).stdout


def put_in(server_store, name, path, digest):
    """Past the import's checks, as a damaged disk would."""
    import json
    import shutil
    blob = server_store / f"blobs/sha256-{digest}"
    shutil.copy(path, blob)
    real = json.loads((MODELS / f"store/manifests/{CHAT_MODEL}.json").read_text())
    real.update(name=name, digest=digest, bytes=blob.stat().st_size)
    (server_store / f"manifests/{name}.json").write_text(json.dumps(real))


@pytest.fixture(scope="module")
def server(store, folder):
    """Its own store with the good model, broken files and files with hostile templates."""
    import os
    from holdfast_server import Server
    own = folder / "store"
    (own / "blobs").mkdir(parents=True)
    (own / "manifests").mkdir()
    real = model_file(CHAT_MODEL)
    os.symlink(real, own / f"blobs/{real.name}")
    (own / f"manifests/{CHAT_MODEL}.json").write_text((store / f"manifests/{CHAT_MODEL}.json").read_text())
    (folder / "cut.gguf").write_bytes(real_bytes()[:-20_000_000])
    put_in(own, "cut", folder / "cut.gguf", "c" * 64)
    (folder / "garbage.gguf").write_bytes(FILES["garbage-behind-magic"]())
    put_in(own, "garbage", folder / "garbage.gguf", "d" * 64)
    for at, (name, template) in enumerate((("loop", LOOP), ("recurse", RECURSE), ("grow", GROW), ("broken", BROKEN))):
        make_models.tiny_llama(folder / f"{name}.gguf", template)
        put_in(own, name, folder / f"{name}.gguf", f"{at}" * 64)
    started = Server(own)
    yield started
    assert started.process.poll() is None, started.log()
    started.stop()


def ask(server, model):
    return server.post("/v1/chat/completions", {"model": model, "max_tokens": 4,
                                                "messages": [{"role": "user", "content": "Hi"}]}, timeout=90)


@pytest.mark.parametrize("name", ["cut", "garbage"])
def test_damaged_file_is_an_error_and_nothing_more(server, name):
    answer = ask(server, name)
    assert answer.status in (400, 404, 500, 503), answer.body
    assert name in answer.error["message"] and len(answer.error["message"]) > 20
    assert ask(server, CHAT_MODEL).status == 200


@pytest.mark.parametrize("name", ["loop", "recurse", "grow", "broken"])
def test_hostile_template_is_an_error_and_nothing_more(server, name):
    started = time.monotonic()
    answer = ask(server, name)
    assert answer.status in (400, 409, 500, 503), answer.body
    assert answer.error["message"]
    assert time.monotonic() - started < 60 * patience()
    assert ask(server, CHAT_MODEL).status == 200
    # Its tokens are fine: only the template is at fault.
    plain = server.post("/v1/completions", {"model": name, "prompt": "abc", "max_tokens": 2})
    assert plain.status == 200, plain.body


def test_random_llama_serves_completions(store, folder, make_server):
    make_models.tiny_llama(folder / "tiny.gguf")
    own = data_folder(folder, "tiny-data")
    holdfast("import", str(folder / "tiny.gguf"), "--name", "tiny", data_dir=own)
    server = make_server(store=own / "models", preload=["tiny"], default_model="tiny")
    answer = server.post("/v1/completions", {"model": "tiny", "prompt": "abc", "max_tokens": 5, "temperature": 0,
                                             "ignore_eos": True})
    assert answer.status == 200 and answer.json()["usage"]["completion_tokens"] == 5
    refused = ask(server, "tiny")
    assert refused.status == 400 and "template" in refused.error["message"]
