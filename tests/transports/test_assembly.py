"""Chunks into pieces and a whole answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.ports import StreamEnd
from modelrouter.transports.assembly import Assembly
from modelrouter.transports.sse import Event
from tests.transports.builders import chunk, endpoint_of

if TYPE_CHECKING:
    from modelrouter.ports import Answer, Delta

USAGE = {"prompt_tokens": 12, "completion_tokens": 3}
COUNTED = chunk(choices=[], usage=USAGE)
DONE = b"[DONE]"


def run(*chunks: dict[str, Any] | bytes, **endpoint: Any) -> tuple[list[Delta], StreamEnd | Failure]:
    """Feed chunks until something ends the stream."""
    assembly = Assembly(endpoint_of(**endpoint))
    deltas: list[Delta] = []
    for each in chunks:
        piece = assembly.take(Event(each if isinstance(each, bytes) else orjson.dumps(each), is_error=False))
        if isinstance(piece, Failure):
            return deltas, piece
        if piece is not None:
            deltas.append(piece)
    return deltas, assembly.end()


def whole(*chunks: dict[str, Any] | bytes, **endpoint: Any) -> Answer:
    """The answer that chunks come to."""
    _, ended = run(*chunks, **endpoint)
    assert isinstance(ended, StreamEnd), ended
    return ended.answer


def failed(*chunks: dict[str, Any] | bytes, **endpoint: Any) -> Failure:
    """The failure that chunks come to."""
    _, ended = run(*chunks, **endpoint)
    assert isinstance(ended, Failure), ended
    return ended


def test_text() -> None:
    """Pieces are relayed as they come; the end holds the joined text, the usage and what stood at the head."""
    deltas, ended = run(
        chunk({"role": "assistant", "content": ""}, created=5, system_fingerprint="f"),
        chunk({"content": "hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        COUNTED,
        DONE,
    )
    assert [(delta.text, delta.has_content) for delta in deltas] == [
        ("", False),
        ("hel", True),
        ("lo", True),
        ("", False),
        ("", False),
    ]
    assert deltas[1].body == chunk({"content": "hel"})
    assert isinstance(ended, StreamEnd)
    answer = ended.answer
    assert answer.body == {
        "id": "c1",
        "object": "chat.completion",
        "created": 5,
        "system_fingerprint": "f",
        "model": "tiny",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    assert (answer.usage, answer.finish_reason, answer.model) == (Usage(12, 3), "stop", "tiny")


@pytest.mark.parametrize(
    ("delta", "has_content"),
    [
        ({"role": "assistant"}, False),
        ({"role": "assistant", "content": ""}, False),
        ({"role": "assistant", "content": None}, False),
        ({"refusal": "no"}, False),
        ({"tool_calls": []}, False),
        ({"content": "a"}, True),
        ({"content": " "}, True),
        ({"reasoning_content": "hm"}, True),
        ({"reasoning": "hm"}, True),
        ({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f"}}]}, True),
        ({"function_call": {"name": "f"}}, True),
        ({"audio": {"data": "AA"}}, True),
    ],
)
def test_what_is_content(delta: dict[str, Any], has_content: bool) -> None:
    """Text, a tool call or reasoning; a role, an empty text or a refusal is not."""
    deltas, _ = run(chunk(delta))
    assert [each.has_content for each in deltas] == [has_content]


def test_tool_calls_by_index() -> None:
    """Pieces of several calls, interleaved, with a repeated name and a later id."""
    answer = whole(
        chunk(
            {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]}
        ),
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x'}}]}),
        chunk({"tool_calls": [{"index": 0, "id": "", "function": {"name": "f", "arguments": '":1}'}}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}, "extra": 1}]}, "tool_calls"),
    )
    assert answer.message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"type": "function", "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"type": "function", "id": "b", "function": {"name": "g", "arguments": "{}"}, "extra": 1},
        ],
    }
    assert answer.finish_reason == "tool_calls"


def test_tool_calls_without_index() -> None:
    """A server that gives no index begins a new call with each id, and continues the last one without."""
    answer = whole(
        chunk({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}),
        chunk({"tool_calls": [{"function": {"arguments": "}"}}]}),
        chunk({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]}, "tool_calls"),
    )
    calls = answer.message["tool_calls"]
    assert isinstance(calls, list)
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("a", "{}"), ("b", "{}")]


def test_everything_else_is_kept() -> None:
    """Reasoning, log probabilities, lists, audio and members nobody knows survive; the chunks stay as they came."""
    first = chunk({"content": "a", "reasoning": "h", "annotations": [1], "audio": {"id": "x", "data": "AA"}})
    first["choices"][0]["logprobs"] = {"content": [{"token": "a"}], "refusal": None}
    second = chunk(
        {"content": "b", "reasoning": "m", "annotations": [2], "audio": {"data": "BB"}, "odd": 3},
        "stop",
        citations=["u"],
    )
    second["choices"][0] |= {"logprobs": {"content": [{"token": "b"}]}, "native_finish_reason": "eos"}
    deltas, ended = run(first, second)
    assert isinstance(ended, StreamEnd)
    choices = cast("list[Any]", ended.answer.body["choices"])
    (choice,) = choices
    assert choice == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "ab",
            "reasoning": "hm",
            "annotations": [1, 2],
            "audio": {"id": "x", "data": "AABB"},
            "odd": 3,
        },
        "finish_reason": "stop",
        "logprobs": {"content": [{"token": "a"}, {"token": "b"}]},
        "native_finish_reason": "eos",
    }
    assert ended.answer.body["citations"] == ["u"]
    assert [delta.body for delta in deltas] == [first, second]


def test_text_in_parts() -> None:
    """Mistral gives content as parts beside its thinking; the text of a piece is that of its text parts."""
    thinking = chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]})
    deltas, ended = run(thinking, chunk({"content": [{"type": "text", "text": "yes"}]}, "stop"))
    assert [(delta.text, delta.has_content) for delta in deltas] == [("", True), ("yes", True)]
    assert isinstance(ended, StreamEnd)


def test_several_choices() -> None:
    """Choices are told apart by index; the text of a piece is the first one's."""
    first, second = chunk({"content": "a"}), chunk({"content": "b"})
    second["choices"][0]["index"] = 1
    ends = chunk({}, "stop")
    ends["choices"].append({"index": 1, "delta": {}, "finish_reason": "length"})
    deltas, ended = run(first, second, ends)
    assert [delta.text for delta in deltas] == ["a", "", ""]
    assert isinstance(ended, StreamEnd)
    choices = cast("list[Any]", ended.answer.body["choices"])
    assert [(each["index"], each["message"]["content"], each["finish_reason"]) for each in choices] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]


HELLO = chunk({"content": "hel"})
SECOND = {**chunk(), "choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": None}]}


@pytest.mark.parametrize(
    ("chunks", "kind", "text"),
    [
        pytest.param([HELLO], FailureKind.TRUNCATED, "hel", id="the connection ends"),
        pytest.param([HELLO, DONE], FailureKind.TRUNCATED, "hel", id="done without a finish_reason"),
        pytest.param([DONE], FailureKind.TRUNCATED, "", id="done at once"),
        pytest.param([], FailureKind.TRUNCATED, "", id="nothing at all"),
        pytest.param([COUNTED, DONE], FailureKind.TRUNCATED, "", id="usage alone"),
        pytest.param(
            [HELLO, SECOND, chunk({}, "stop")], FailureKind.TRUNCATED, "hel", id="one of two choices unfinished"
        ),
        pytest.param([HELLO, b"{"], FailureKind.MALFORMED_REPLY, "hel", id="no JSON"),
        pytest.param([HELLO, b"[]"], FailureKind.MALFORMED_REPLY, "hel", id="no object"),
        pytest.param([{"choices": {"0": {}}}], FailureKind.MALFORMED_REPLY, "", id="no list"),
        pytest.param([{"choices": [7]}], FailureKind.MALFORMED_REPLY, "", id="no choice"),
        pytest.param(
            [chunk({"role": "assistant"}), chunk({}, "length")],
            FailureKind.OUT_OF_TOKENS_EMPTY,
            "",
            id="length, nothing said",
        ),
        pytest.param(
            [chunk({"reasoning": "hm"}), chunk({}, "length")],
            FailureKind.OUT_OF_TOKENS_EMPTY,
            "",
            id="length, only thought",
        ),
        pytest.param([HELLO, chunk({}, "content_filter")], FailureKind.CONTENT_FILTERED, "hel", id="filtered"),
        pytest.param([chunk({"refusal": "no"}), chunk({}, "stop")], FailureKind.REFUSED, "", id="refused"),
        pytest.param([HELLO, chunk({}, "error")], FailureKind.SERVER_ERROR, "hel", id="given up"),
    ],
)
def test_stream_that_is_no_answer(chunks: list[Any], kind: FailureKind, text: str) -> None:
    """Each ends as its kind, with the text so far."""
    got = failed(*chunks)
    assert (got.kind, got.phase, got.text) == (kind, Phase.ANSWERING, text)


def test_done_is_not_needed() -> None:
    """A finish_reason makes a stream whole, with or without `[DONE]`, usage before or after it."""
    assert whole(HELLO, chunk({}, "stop", usage=USAGE)).usage == Usage(12, 3)
    assert whole(HELLO, chunk({}, "stop"), COUNTED).usage == Usage(12, 3)
    assert whole(HELLO, chunk({}, "stop"), DONE).usage is None


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"error": {"code": 429, "message": "x"}}, FailureKind.RATE_LIMITED, 429),
        ({"error": {"message": "x", "type": "overloaded_error"}}, FailureKind.SERVER_ERROR, 500),
        ({"object": "error", "message": "x", "code": 400}, FailureKind.INVALID_REQUEST, 400),
        (chunk({}, None, error={"code": "insufficient_quota"}), FailureKind.QUOTA_EXHAUSTED, 402),
    ],
)
def test_error_in_the_stream(error: dict[str, Any], kind: FailureKind, status: int) -> None:
    """Before any content it carries an error status (unbilled), after content 200 (uncertain)."""
    early = failed(chunk({"role": "assistant"}), error)
    assert (early.kind, early.phase, early.status) == (kind, Phase.ANSWERING, status)
    late = failed(HELLO, error)
    assert (late.kind, late.phase, late.status, late.text) == (kind, Phase.ANSWERING, 200, "hel")


def test_error_event_and_error_choice() -> None:
    """An event named `error` and an error inside a choice are errors too."""
    named = Assembly(endpoint_of()).take(Event(b'{"message": "x", "code": 503}', is_error=True))
    assert isinstance(named, Failure)
    assert (named.kind, named.status) == (FailureKind.SERVER_ERROR, 503)
    inside = {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 429}}]}
    assert failed(HELLO, inside).kind is FailureKind.RATE_LIMITED


def test_partial_usage_is_not_taken_for_the_whole() -> None:
    """A server that counts along has reported only a part when it breaks: the failure holds no usage."""
    assert failed(chunk({"content": "a"}, usage={"prompt_tokens": 5, "completion_tokens": 1})).usage is None
    assert failed(chunk({"content": "a"}, "content_filter", usage=USAGE)).usage == Usage(12, 3)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_another_model_anywhere_in_the_stream(place: int) -> None:
    """The chunk that names another model ends the stream, and a chunk without a name does not matter."""
    chunks = [chunk({"role": "assistant"}), chunk({"content": "a"}, model=""), chunk({"content": "b"})]
    chunks[place]["model"] = "other"
    deltas, ended = run(*chunks)
    assert isinstance(ended, Failure)
    assert ended.kind is FailureKind.WRONG_MODEL
    assert len(deltas) == place


def test_another_provider_in_the_stream() -> None:
    """An aggregator that says mid-stream who serves is held to its pin."""
    pins = {"provider": {"only": ["deepinfra"]}}
    assert whole(chunk({"content": "a"}, "stop", provider="DeepInfra"), pins=pins).served_by == "DeepInfra"
    assert failed(chunk({"content": "a"}, provider="Novita"), pins=pins).kind is FailureKind.WRONG_MODEL


def test_stream_without_a_name_is_noted() -> None:
    """As for a plain reply, a missing name is a note."""
    assert whole(chunk({"content": "a"}, "stop", model=None)).notes == ("the reply names no model",)
