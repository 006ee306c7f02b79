"""What a provider itself said: who answered, which choices ended, what was used, in each provider's shape."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from modelrouter.core.pricing import Usage
from modelrouter.transports.bounded import UnreadableError
from modelrouter.transports.litellm_evidence import Evidence, Frames, output_limit
from modelrouter.transports.usage import usage_of
from tests.transports.builders import chunk, completion
from tests.transports.providers import ANTHROPIC, BEDROCK, GEMINI, frame


def seen(*reports: Any) -> Evidence:
    """Evidence of some JSON texts."""
    evidence = Evidence(64)
    for each in reports:
        evidence.take_bytes(orjson.dumps(each))
    return evidence


@pytest.mark.parametrize(
    ("reply", "model", "usage"),
    [
        (completion(), "tiny", Usage(12, 3)),
        (ANTHROPIC, "claude-x", Usage(117, 5, 100, 0, 7)),
        (GEMINI, "gemini-x", Usage(117, 5, 100, 2, 0)),
        (BEDROCK, "", Usage(117, 5, 100, 0, 7)),
    ],
)
def test_whole_reply(reply: dict[str, Any], model: str, usage: Usage) -> None:
    """Model, end and usage of a plain reply."""
    evidence = seen(reply)
    assert (evidence.model, evidence.is_whole) == (model, True)
    assert usage_of(dict(evidence.usage or {})) == usage


def test_every_choice_must_end() -> None:
    """A stream is whole when each choice that began has its reason."""
    first, second = chunk({"content": "a"}), chunk({"content": "b"})
    second["choices"][0]["index"] = 1
    evidence = seen(first, second, chunk({}, "stop"))
    assert not evidence.is_whole
    second["choices"][0]["finish_reason"] = "length"
    evidence = seen(first, second, chunk({}, "stop"))
    assert evidence.is_whole
    assert evidence.reasons == {0: "stop", 1: "length"}


def test_nothing_is_not_whole() -> None:
    """An empty stream has no end, and no usage."""
    assert not seen().is_whole
    assert not seen({"type": "ping"}, [1], "x").is_whole
    assert seen({"usage": {"input_tokens": 5}}).usage is None
    with pytest.raises(UnreadableError):
        Evidence(64).take_bytes(b"not json")


def test_tool_input_is_not_mistaken_for_the_reply() -> None:
    """Members of a tool's input that look like the reply's own are not taken for them."""
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"model": "other", "stop_reason": "x", "usage": {}}}
    evidence = seen({**ANTHROPIC, "content": [block], "stop_reason": None})
    assert evidence.model == "claude-x"
    assert evidence.reasons == {}


def test_blocked_prompt_is_an_end() -> None:
    """Google answers a blocked prompt with no candidate at all."""
    assert seen({"promptFeedback": {"blockReason": "SAFETY"}}).reasons == {0: "content_filter"}


def test_last_report_counts() -> None:
    """Anthropic reports input at the beginning and output at the end."""
    head = {"type": "message_start", "message": {**ANTHROPIC, "usage": {"input_tokens": 9, "output_tokens": 1}}}
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 40}}
    assert usage_of(dict(seen(head, last).usage or {})) == Usage(9, 40)


@pytest.mark.parametrize("cut", [1, 2, 7, 13, 1000])
def test_frames_are_read_wherever_they_are_cut(cut: int) -> None:
    """The messages of an event stream come out whole, and as they came."""
    messages = [frame("a", {"n": 1}), frame("b", {"text": "x" * 300}), frame("c", {}, is_error=True)]
    text = b"".join(messages)
    reader = Frames()
    found = [each for at in range(0, len(text), cut) for each in reader.feed(text[at : at + cut])]
    assert [each.whole for each in found] == messages
    assert [orjson.loads(each.payload) for each in found] == [{"n": 1}, {"text": "x" * 300}, {}]
    assert [each.error for each in found] == ["", "", "c"]


def test_frames_that_cannot_be() -> None:
    """A length that cannot hold its own frame is refused, not waited for."""
    with pytest.raises(ValueError, match="cannot be"):
        Frames().feed(b"\x00\x00\x00\x01" * 8)


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"generationConfig": {"maxOutputTokens": 6}}, 6),
        ({"generationConfig": {"max_output_tokens": 6}}, 6),
        ({"inferenceConfig": {"maxTokens": 7}}, 7),
        ({"inferenceConfig": {}, "max_tokens": 5}, None),
        ({}, None),
    ],
)
def test_output_limit(body: dict[str, Any], limit: int | None) -> None:
    """The limit is found where its provider has it, and only there."""
    assert output_limit(body, "max_tokens") == limit
