"""The request body: everything that was said is in it, or the call is refused."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import orjson
import pytest

from modelrouter.core.request import Reasoning
from modelrouter.transports.wire import body_of, encode, refuse
from tests.transports.builders import MESSAGES, call_to, endpoint_of

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}


@pytest.mark.parametrize(
    ("endpoint", "call", "expected"),
    [
        pytest.param({}, {}, {"max_tokens": 50}, id="nothing but the limit"),
        pytest.param(
            {},
            {"parameters": {"temperature": 0, "n": 2, "seed": None}},
            {"max_tokens": 50, "temperature": 0, "n": 2, "seed": None},
            id="as said, null included",
        ),
        pytest.param(
            {},
            {"parameters": {"tools": [TOOL], "response_format": SCHEMA}},
            {"max_tokens": 50, "tools": [TOOL], "response_format": SCHEMA},
            id="tools and schema",
        ),
        pytest.param(
            {"parameters": {"temperature": 1, "top_p": 0.5}},
            {"parameters": {"temperature": 0}},
            {"max_tokens": 50, "temperature": 0, "top_p": 0.5},
            id="the request wins over the deployment",
        ),
        pytest.param(
            {"parameter_names": {"max_tokens": "max_completion_tokens"}},
            {},
            {"max_completion_tokens": 50},
            id="the limit under its other name",
        ),
        pytest.param(
            {"parameter_names": {"seed": "random_seed"}},
            {"parameters": {"seed": 7}},
            {"max_tokens": 50, "random_seed": 7},
            id="a renamed parameter",
        ),
        pytest.param(
            {"parameters": {"seed": 1}, "parameter_names": {"seed": "random_seed"}},
            {"parameters": {"seed": 7}},
            {"max_tokens": 50, "random_seed": 7},
            id="renamed on both sides",
        ),
        pytest.param(
            {"parameters": {"max_tokens": 9, "max_completion_tokens": 9}},
            {},
            {"max_tokens": 50},
            id="the bound's limit is the only one",
        ),
        pytest.param(
            {"parameters": {"model": "other", "stream": True, "messages": []}},
            {},
            {"max_tokens": 50},
            id="a deployment cannot replace our members",
        ),
        pytest.param({"pins": {"max_tokens": 9, "model": "other"}}, {}, {"max_tokens": 50}, id="nor can a pin"),
        pytest.param(
            {"pins": {"provider": {"only": ["a"], "allow_fallbacks": False}}},
            {},
            {"max_tokens": 50, "provider": {"only": ["a"], "allow_fallbacks": False}},
            id="pins",
        ),
        pytest.param(
            {"parameters": {"provider": {"sort": "price", "only": ["b"]}}, "pins": {"provider": {"only": ["a"]}}},
            {},
            {"max_tokens": 50, "provider": {"sort": "price", "only": ["a"]}},
            id="a pin wins member by member",
        ),
        pytest.param(
            {"reasoning": {Reasoning.HIGH: {"reasoning_effort": "high"}}},
            {"reasoning": Reasoning.HIGH},
            {"max_tokens": 50, "reasoning_effort": "high"},
            id="reasoning",
        ),
        pytest.param(
            {
                "reasoning": {Reasoning.NONE: {"chat_template_kwargs": {"enable_thinking": False}}},
                "supported_parameters": frozenset({"chat_template_kwargs"}),
            },
            {"reasoning": Reasoning.NONE, "parameters": {"chat_template_kwargs": {"a": 1}}},
            {"max_tokens": 50, "chat_template_kwargs": {"a": 1, "enable_thinking": False}},
            id="reasoning joined with the request's own",
        ),
        pytest.param(
            {}, {"reasoning": Reasoning.NONE}, {"max_tokens": 50}, id="no reasoning, and nothing to switch off"
        ),
        pytest.param({"reasoning": {Reasoning.LOW: {"x": 1}}}, {}, {"max_tokens": 50}, id="no level asked for"),
    ],
)
def test_body(endpoint: dict[str, Any], call: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each body holds model, messages and exactly what the deployment and the request say."""
    made = call_to(endpoint_of(**endpoint), **call)
    assert refuse(made) is None
    assert orjson.loads(encode(made, stream=False)) == {"model": "tiny", "messages": list(MESSAGES), **expected}


def test_stream_always_asks_for_usage() -> None:
    """A stream differs from a plain body by two members, whatever the deployment says."""
    endpoint = endpoint_of(parameters={"stream_options": {"include_usage": False}}, pins={"stream": False})
    call = call_to(endpoint)
    plain, streamed = body_of(call, stream=False), body_of(call, stream=True)
    assert streamed == {**plain, "stream": True, "stream_options": {"include_usage": True}}


def test_messages_are_untouched() -> None:
    """Vision parts, tool results and unknown members of messages arrive as they were given, read-only mappings too."""
    messages = (MappingProxyType(PICTURE), {"role": "tool", "tool_call_id": "t1", "content": "ü\n", "x": {"y": (1, 2)}})
    body = orjson.loads(encode(call_to(endpoint_of(), messages=messages), stream=False))
    assert body["messages"] == [PICTURE, {"role": "tool", "tool_call_id": "t1", "content": "ü\n", "x": {"y": [1, 2]}}]


def test_encoding_leaves_the_call_as_it_was() -> None:
    """Neither the endpoint's nor the caller's mappings change, so they can be shared by every call."""
    pins = {"provider": {"only": ["a"]}}
    parameters = {"provider": {"sort": "price"}}
    endpoint = endpoint_of(pins=pins, parameters=parameters)
    encode(call_to(endpoint), stream=True)
    assert pins == {"provider": {"only": ["a"]}}
    assert parameters == {"provider": {"sort": "price"}}


@pytest.mark.parametrize(
    ("endpoint", "call", "says"),
    [
        pytest.param({}, {"parameters": {"top_k": 4}}, "does not take parameter `top_k`", id="beyond OpenAI's"),
        pytest.param(
            {"supported_parameters": frozenset({"temperature"})},
            {"parameters": {"tools": [TOOL]}},
            "`tools`",
            id="not supported",
        ),
        pytest.param({}, {"parameters": {"model": "other"}}, "`model`", id="model"),
        pytest.param({}, {"parameters": {"stream": True}}, "`stream`", id="stream"),
        pytest.param({}, {"parameters": {"messages": []}}, "`messages`", id="messages"),
        pytest.param({}, {"parameters": {"stream_options": {}}}, "`stream_options`", id="stream options"),
        pytest.param(
            {"parameter_names": {"seed": "model"}}, {"parameters": {"seed": 1}}, "`model`", id="renamed into ours"
        ),
        pytest.param({}, {"parameters": {"max_tokens": 5}}, "max_output_tokens", id="limit"),
        pytest.param({}, {"parameters": {"max_completion_tokens": 5}}, "max_output_tokens", id="limit, other name"),
        pytest.param(
            {"parameter_names": {"max_tokens": "limit"}, "supported_parameters": frozenset({"limit"})},
            {"parameters": {"limit": 5}},
            "max_output_tokens",
            id="limit, its name there",
        ),
        pytest.param(
            {"pins": {"provider": {"only": ["a"]}}, "supported_parameters": frozenset({"provider"})},
            {"parameters": {"provider": {"only": ["b"]}}},
            "pinned",
            id="over a pin",
        ),
        pytest.param(
            {"pins": {"provider": {"only": ["a"]}}, "supported_parameters": frozenset({"provider"})},
            {"parameters": {"provider": {"sort": "price"}}},
            "pinned",
            id="beside a pin",
        ),
        pytest.param(
            {"parameter_names": {"seed": "top_p"}},
            {"parameters": {"seed": 1, "top_p": 1}},
            "two parameters",
            id="two for one",
        ),
        pytest.param({}, {"reasoning": Reasoning.HIGH}, "reasoning `high`", id="a level that cannot be asked for"),
        pytest.param(
            {"reasoning": {Reasoning.LOW: {"reasoning_effort": "low"}}},
            {"reasoning": Reasoning.LOW, "parameters": {"reasoning_effort": "high"}},
            "contradicts",
            id="against the level",
        ),
        pytest.param({}, {"parameters": {"temperature": float("nan")}}, "finite", id="no number"),
    ],
)
def test_what_cannot_be_sent_as_said_is_refused(endpoint: dict[str, Any], call: dict[str, Any], says: str) -> None:
    """Nothing is dropped or replaced silently: the refusal names the parameter."""
    reason = refuse(call_to(endpoint_of(**endpoint), **call))
    assert reason is not None
    assert says in reason


def test_a_parameter_equal_to_its_pin_passes() -> None:
    """A request that says what the pin says contradicts nothing."""
    endpoint = endpoint_of(pins={"service_tier": "default"})
    assert refuse(call_to(endpoint, parameters={"service_tier": "default"})) is None


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 2**80, "\ud800"])
def test_what_has_no_form_in_json_raises(value: object) -> None:
    """A value that JSON cannot hold is a TypeError, not something of our choosing on the wire."""
    with pytest.raises(TypeError):
        encode(call_to(endpoint_of(), parameters={"metadata": {"x": value}}), stream=False)
