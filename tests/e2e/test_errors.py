"""What callers do wrong, and what they are told."""
import re

import openai
import pytest

from holdfast_server import CHAT_MODEL, holdfast, wait_for

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def still_serves(server):
    yield
    assert server.chat("Hello", max_tokens=2).status == 200


def test_unknown_model_is_404_with_the_name(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert "no-such-model" in str(caught.value)
    assert caught.value.body["code"] == "model_not_found"


def test_unknown_path_is_404(server):
    answer = server.get("/v1/nothing-here")
    assert answer.status == 404 and "/v1/nothing-here" in answer.error["message"]


def test_wrong_method_is_405(server):
    assert server.get("/v1/chat/completions").status == 405


@pytest.mark.parametrize("key", ["wrong", "hf_" + "0" * 40])
def test_wrong_key_is_401(server, key):
    answer = server.get("/v1/models", key=key)
    assert answer.status == 401 and answer.error["code"] == "invalid_api_key"
    assert key not in answer.body.decode()


def test_missing_key_is_401(server):
    answer = server.call("GET", "/v1/models", headers={"Authorization": ""})
    assert answer.status == 401


def test_keys_over_the_api(server):
    operator = holdfast("key", "create", "--name", "operator", "--permission", "keys",
                        data_dir=server.folder).stdout.strip().splitlines()[-1]
    wait_for(lambda: server.get("/v1/keys", key=operator).status == 200, 3, "the new key is known")
    made = server.post("/v1/keys", {"name": "short-lived"}, key=operator)
    assert made.status in (200, 201), made.body
    secret, ident = made.json()["key"], made.json()["id"]
    assert server.get("/v1/models", key=secret).status == 200
    assert secret not in server.get("/v1/keys", key=operator).body.decode()
    assert server.call("DELETE", f"/v1/keys/{ident}", key=operator).status in (200, 204)
    wait_for(lambda: server.get("/v1/models", key=secret).status == 401, 3, "the revoked key is refused")


def test_a_key_without_the_permission_is_403(server):
    refused = server.post("/v1/keys", {"name": "more"})
    assert refused.status == 403 and "keys" in refused.error["message"]


@pytest.mark.parametrize("body", [b'{"model": "x",\n  "messages": [}', b'{"model"', b"not json", b'{"a": 1} trailing'])
def test_bad_json_says_where(server, body):
    answer = server.post("/v1/chat/completions", body)
    assert answer.status == 400
    assert re.search(r"line \d+, column \d+", answer.error["message"])


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"null"])
def test_bodies_that_are_no_objects(server, body):
    assert server.post("/v1/chat/completions", body).status == 400


@pytest.mark.parametrize("fields, param", [
    ({"temperature": 3}, "temperature"), ({"temperature": "hot"}, "temperature"), ({"n": 0}, "n"),
    ({"top_p": -0.1}, "top_p"), ({"max_tokens": -1}, "max_tokens"), ({"invented": 1}, "invented"),
    ({"messages": []}, "messages"), ({"messages": [{"role": "nobody", "content": "x"}]}, "messages"),
    ({"messages": "Hello"}, "messages"), ({"top_logprobs": 3}, "top_logprobs"), ({"stop": [1]}, "stop"),
])
def test_bad_parameters_are_named(server, fields, param):
    answer = server.post("/v1/chat/completions", {"model": CHAT_MODEL, "messages": HELLO, "max_tokens": 2, **fields})
    assert answer.status == 400, answer.body
    assert param in f"{answer.error['param']} {answer.error['message']}"
    assert answer.error["type"] == "invalid_request_error"


def test_too_long_a_prompt_names_both_numbers(server):
    answer = server.chat("word " * 9000)
    assert answer.status == 400 and answer.error["code"] == "context_length_exceeded"
    numbers = [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*", answer.error["message"])]
    assert any(number > 9000 for number in numbers) and any(0 < number <= 8192 for number in numbers), answer.error


def test_twenty_megabytes_of_prompt(server):
    answer = server.chat("a" * (20 << 20), timeout=120)
    assert answer.status in (400, 413)
    assert answer.error["message"]


def test_body_over_the_limit_is_413(server):
    try:
        answer = server.post("/v1/chat/completions", b"x" * (33 << 20))
    except OSError as cut:  # The server may answer and close before all of it is sent.
        assert isinstance(cut.__cause__ or cut, OSError)
        with server.connect() as raw:
            raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                        + server.key.encode() + b"\r\nContent-Length: 99999999\r\n\r\n")
            assert b" 413 " in raw.recv(4096).split(b"\r\n", 1)[0]
        return
    assert answer.status == 413


def test_invalid_utf8_is_refused(server):
    body = b'{"model":"' + CHAT_MODEL.encode() + b'","messages":[{"role":"user","content":"\xff\xfe\xc3"}]}'
    answer = server.post("/v1/chat/completions", body)
    assert answer.status == 400
    answer.body.decode("utf-8", errors="strict")


def test_deep_nesting_is_refused(server):
    answer = server.post("/v1/chat/completions", b'{"model":' + b"[" * 100000 + b"]" * 100000 + b"}")
    assert answer.status == 400


def test_embeddings_of_a_chat_model_are_refused(client, model):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=model, input="text")
    assert model in str(caught.value) or "embed" in str(caught.value)


def test_images_are_refused_by_name(server):
    answer = server.post("/v1/chat/completions", {"model": CHAT_MODEL, "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]})
    assert answer.status == 400 and "image" in answer.error["message"]


def test_errors_come_in_chinese_when_asked(server):
    answer = server.post("/v1/chat/completions", {"model": CHAT_MODEL, "messages": HELLO, "temperature": 9},
                         headers={"Accept-Language": "zh-CN"})
    assert answer.status == 400
    assert re.search(r"[\u4e00-\u9fff]", answer.error["message"])
