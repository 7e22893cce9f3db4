"""Tool calls."""
import json

import pytest

pytestmark = pytest.mark.api
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30},
                                                    "unit": {"enum": ["celsius", "fahrenheit"]}},
                   "required": ["city", "unit"], "additionalProperties": False}}}
TIME = {"type": "function", "function": {
    "name": "get_time", "description": "Time in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 30}}, "required": ["city"],
                   "additionalProperties": False}}}
ASK = [{"role": "user", "content": "What is the weather in Paris in celsius?"}]


def check_call(call, names):
    assert call.type == "function" and call.id
    assert call.function.name in names
    arguments = json.loads(call.function.arguments)
    assert isinstance(arguments["city"], str)
    if call.function.name == "get_weather":
        assert arguments["unit"] in ("celsius", "fahrenheit")


@pytest.mark.parametrize("seed", range(3))
def test_required_call_parses(client, model, seed):
    answer = client.chat.completions.create(model=model, messages=ASK, tools=[WEATHER, TIME], tool_choice="required",
                                            parallel_tool_calls=False, temperature=1, seed=seed, max_tokens=400)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    for call in choice.message.tool_calls:
        check_call(call, {"get_weather", "get_time"})


def test_named_call_is_that_function(client, model):
    answer = client.chat.completions.create(
        model=model, messages=ASK, tools=[WEATHER, TIME], temperature=0, max_tokens=200,
        tool_choice={"type": "function", "function": {"name": "get_time"}})
    calls = answer.choices[0].message.tool_calls
    assert calls and all(call.function.name == "get_time" for call in calls)
    check_call(calls[0], {"get_time"})


def test_streamed_call_adds_up(client, model):
    name = arguments = ident = ""
    finish = None
    for chunk in client.chat.completions.create(model=model, messages=ASK, tools=[WEATHER], tool_choice="required",
                                                temperature=0, max_tokens=200, stream=True):
        if not chunk.choices:
            continue
        finish = chunk.choices[0].finish_reason or finish
        for call in chunk.choices[0].delta.tool_calls or []:
            if call.index == 0:
                ident += call.id or ""
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert finish == "tool_calls" and ident and name == "get_weather"
    assert json.loads(arguments)["unit"] in ("celsius", "fahrenheit")


def test_result_of_a_call_goes_back_in(client, model):
    answer = client.chat.completions.create(
        model=model, temperature=0, max_tokens=40, tools=[WEATHER],
        messages=[*ASK, {"role": "assistant", "tool_calls": [
            {"id": "call_1", "type": "function",
             "function": {"name": "get_weather", "arguments": '{"city":"Paris","unit":"celsius"}'}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"temperature": 21}'}])
    assert answer.choices[0].message.content or answer.choices[0].message.tool_calls


def test_none_gives_text(client, model):
    answer = client.chat.completions.create(model=model, messages=ASK, tools=[WEATHER], tool_choice="none",
                                            temperature=0, max_tokens=20)
    assert not answer.choices[0].message.tool_calls
    assert answer.choices[0].message.content
