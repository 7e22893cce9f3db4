"""Output that must parse: JSON Schema, JSON, regular expressions, choices."""
import json
import re

import pytest

PERSON = {"type": "object", "additionalProperties": False, "required": ["name", "age", "tags"],
          "properties": {"name": {"type": "string", "maxLength": 30},
                         "age": {"type": "integer", "minimum": 0, "maximum": 150},
                         "tags": {"type": "array", "maxItems": 3, "items": {"enum": ["red", "green", "blue"]}}}}


def is_person(value):
    return (set(value) == {"name", "age", "tags"} and isinstance(value["name"], str) and len(value["name"]) <= 30
            and isinstance(value["age"], int) and 0 <= value["age"] <= 150 and len(value["tags"]) <= 3
            and all(tag in ("red", "green", "blue") for tag in value["tags"]))


@pytest.mark.api
@pytest.mark.parametrize("seed", range(5))
def test_json_schema_always_parses(client, model, seed):
    answer = client.chat.completions.create(
        model=model, temperature=1.2, seed=seed, max_tokens=200,
        messages=[{"role": "user", "content": "Write whatever you like."}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}})
    assert answer.choices[0].finish_reason == "stop"
    assert is_person(json.loads(answer.choices[0].message.content))


@pytest.mark.api
def test_json_schema_streams(client, model):
    chunks = client.chat.completions.create(
        model=model, temperature=0, max_tokens=200, stream=True,
        messages=[{"role": "user", "content": "Describe Ann, who is 30."}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}})
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert is_person(json.loads(text))


@pytest.mark.api
def test_json_object(client, model):
    answer = client.chat.completions.create(
        model=model, temperature=0, max_tokens=400, response_format={"type": "json_object"},
        messages=[{"role": "user", "content": 'Answer in JSON with one key "city": the capital of France.'}])
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    else:
        assert answer.choices[0].message.content.lstrip().startswith("{")


def test_regex(server):
    answer = server.chat("Give me a date.", guided_regex=r"[12][0-9]{3}-(0[1-9]|1[0-2])-[0-3][0-9]", max_tokens=40)
    assert answer.status == 200, answer.body
    text = answer.json()["choices"][0]["message"]["content"]
    assert re.fullmatch(r"[12][0-9]{3}-(0[1-9]|1[0-2])-[0-3][0-9]", text)


@pytest.mark.parametrize("seed", range(3))
def test_choice(server, seed):
    answer = server.chat("Is the sky blue?", structured_outputs={"choice": ["yes", "no", "perhaps"]}, temperature=2,
                         seed=seed)
    assert answer.json()["choices"][0]["message"]["content"] in ("yes", "no", "perhaps")


def test_grammar_text(server):
    answer = server.chat("Say it.", guided_grammar='root ::= "left" | "right" [0-9]')
    assert re.fullmatch("left|right[0-9]", answer.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize("fields, word", [
    ({"guided_regex": "(["}, "regular expression"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}}, "type"),
    ({"guided_grammar": "root ::= missing"}, "missing"),
    ({"guided_regex": "a", "guided_choice": ["a"]}, "guided"),
])
def test_bad_constraints_are_refused_by_name(server, fields, word):
    answer = server.chat("Hello", **fields)
    assert answer.status == 400, answer.body
    assert word in answer.error["message"] + str(answer.error["param"])
    assert server.chat("Hello").status == 200
