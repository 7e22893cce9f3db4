"""The Responses API."""
import json

import pytest

pytestmark = pytest.mark.api


def test_text_in_text_out(client, model):
    answer = client.responses.create(model=model, input="What is the capital of Japan? One sentence.", temperature=0,
                                     max_output_tokens=48)
    assert answer.object == "response" and answer.status == "completed"
    assert "Tokyo" in answer.output_text
    assert answer.usage.output_tokens > 1
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_messages_and_instructions(client, model):
    answer = client.responses.create(
        model=model, instructions="You answer in one short sentence.", temperature=0, max_output_tokens=48,
        input=[{"role": "user", "content": [{"type": "input_text", "text": "What is the capital of Japan?"}]}])
    assert answer.output_text


def test_stream_has_its_events_in_order(client, model):
    kinds, text, done = [], "", None
    for event in client.responses.create(model=model, input="Count from one to five.", temperature=0,
                                         max_output_tokens=32, stream=True):
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type in ("response.completed", "response.incomplete"):
            done = event.response
    assert kinds[0] == "response.created"
    assert "response.output_item.added" in kinds and "response.output_text.done" in kinds
    assert done is not None and done.output_text == text


def test_length_is_told(client, model):
    answer = client.responses.create(model=model, input="Tell me a long story.", temperature=0, max_output_tokens=16)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_schema(client, model):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}},
              "required": ["n"], "additionalProperties": False}
    answer = client.responses.create(model=model, input="A number, please.", temperature=1, max_output_tokens=60,
                                     text={"format": {"type": "json_schema", "name": "n", "strict": True,
                                                      "schema": schema}})
    assert 0 <= json.loads(answer.output_text)["n"] <= 99
