"""Providers that litellm translates for: what each is sent, what its answers and errors come to."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.core.request import Reasoning
from modelrouter.ports import Answer, StreamEnd
from modelrouter.transports.credentials import EnvKey
from tests.transports.builders import call_to, endpoint_of
from tests.transports.litellm_lane import drain, lane, replies
from tests.transports.providers import (
    PROVIDERS,
    SECRET,
    anthropic_events,
    bedrock_frames,
    endpoint_at,
    frame,
    gemini_events,
    play,
)
from tests.transports.servers import RawServer, http, sse_head

if TYPE_CHECKING:
    from modelrouter.transports.litellm import LitellmTransport

__all__ = ["lane"]  # a fixture is found in the module of its test

K = FailureKind

USAGES = {
    "anthropic": Usage(117, 5, 100, 0, 7),
    "bedrock": Usage(117, 5, 100, 0, 7),
    "gemini": Usage(117, 5, 100, 2, 0),
}


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
async def test_provider_answers(lane: LitellmTransport, provider: str) -> None:
    """Each provider's own wire, plain and streaming; input tokens include those of the cache, whoever counts."""
    async with RawServer(play) as server:
        endpoint = endpoint_at(server, provider)
        answer = await lane.send(call_to(endpoint))
        text, end = await drain(await lane.open(call_to(endpoint)))
    assert isinstance(answer, Answer), answer
    assert isinstance(end, StreamEnd), end
    assert text == answer.message["content"] == end.answer.message["content"] == "hello"
    assert answer.finish_reason == end.answer.finish_reason == "stop"
    assert answer.usage == end.answer.usage == USAGES[provider]
    assert answer.model == end.answer.model == ("" if provider == "bedrock" else endpoint.name)


async def test_our_usage_is_litellms_own(lane: LitellmTransport) -> None:
    """What we read from Anthropic's wire is what litellm counts: its `prompt_tokens` includes the cache."""
    async with RawServer(play) as server:
        assert isinstance(await lane.send(call_to(endpoint_at(server, "anthropic"))), Answer)
        from litellm.llms.anthropic.chat.transformation import AnthropicConfig

        theirs = AnthropicConfig().calculate_usage(
            usage_object={"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7}
            | {"output_tokens": 5},
            reasoning_content=None,
        )
    assert (theirs.prompt_tokens, theirs.completion_tokens) == (117, 5)
    assert theirs.prompt_tokens_details.cached_tokens == 100
    assert theirs.prompt_tokens_details.cache_creation_tokens == 7


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
async def test_what_a_provider_is_sent(lane: LitellmTransport, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our key, our limit, our pins, and nothing from the environment or of litellm's own choice."""
    monkeypatch.setenv("OPENAI_ORGANIZATION", "org-of-the-host")
    async with RawServer(play) as server:
        endpoint = endpoint_at(server, provider, pins={"pinned": "yes"}, headers={"X-Team": "a"})
        assert isinstance(await lane.send(call_to(endpoint, parameters={"top_p": 0.5})), Answer)
    (sent,) = server.requests
    assert sent.json["pinned"] == "yes"
    assert sent.headers["x-team"] == "a"
    assert sent.headers["user-agent"] == "modelrouter"
    assert sum(SECRET in value for value in sent.headers.values()) == 1
    assert "org-of-the-host" not in repr(sent)
    assert "stainless" not in repr(sent.headers)
    assert "temperature" not in sent.body.decode()
    assert {"anthropic": b'"max_tokens":50', "gemini": b'"max_output_tokens":50', "bedrock": b'"maxTokens":50'}[
        provider
    ] in sent.body


async def test_messages_of_the_caller_are_left_alone(lane: LitellmTransport) -> None:
    """What litellm writes into messages is a copy; the caller's stay as they were."""
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "thinking_blocks": []},
        {"role": "user", "content": "And now?"},
    )
    before = repr(messages)
    async with RawServer(play) as server:
        assert isinstance(await lane.send(call_to(endpoint_at(server, "anthropic"), messages=messages)), Answer)
    assert repr(messages) == before


@pytest.mark.parametrize(
    ("provider", "cut"),
    [
        ("anthropic", sse_head() + anthropic_events(ends=False)),
        ("gemini", sse_head() + gemini_events(ends=False)),
        (
            "bedrock",
            sse_head().replace(b"text/event-stream", b"application/vnd.amazon.eventstream")
            + bedrock_frames(ends=False),
        ),
    ],
)
async def test_cut_stream_is_truncated(lane: LitellmTransport, provider: str, cut: bytes) -> None:
    """A stream that ends without its provider's end is no answer, although litellm would say `stop`."""
    async with RawServer(replies(cut)) as server:
        text, end = await drain(await lane.open(call_to(endpoint_at(server, provider))))
    assert isinstance(end, Failure)
    assert (end.kind, end.phase, end.usage) == (K.TRUNCATED, Phase.ANSWERING, None)
    assert end.text == text != ""


@pytest.mark.parametrize(
    ("provider", "reply", "kind"),
    [
        (
            "anthropic",
            sse_head()
            + anthropic_events(ends=False)
            + b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"secret words"}}\n\n',
            K.SERVER_ERROR,
        ),
        (
            "bedrock",
            sse_head().replace(b"text/event-stream", b"application/vnd.amazon.eventstream")
            + bedrock_frames(ends=False)
            + frame("throttlingException", {"message": "secret words"}, is_error=True),
            K.RATE_LIMITED,
        ),
    ],
)
async def test_error_in_a_stream(lane: LitellmTransport, provider: str, reply: bytes, kind: FailureKind) -> None:
    """An error after content is uncertain, so its status stays 200; the content came before it; no text is repeated."""
    async with RawServer(replies(reply)) as server:
        text, end = await drain(await lane.open(call_to(endpoint_at(server, provider))))
    assert isinstance(end, Failure)
    assert (end.kind, end.status, text, end.text) == (kind, 200, "hello", "hello")
    assert "secret words" not in repr(end)


@pytest.mark.parametrize("method", ["send", "open"])
@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"type": "invalid_request_error", "message": "x"}, K.INVALID_REQUEST),
        (400, {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}, K.CONTEXT_TOO_LONG),
        (401, {"type": "authentication_error", "message": f"{SECRET}"}, K.UNAUTHORIZED),
        (402, {"type": "billing_error", "message": "x"}, K.QUOTA_EXHAUSTED),
        (403, {"type": "permission_error", "message": "x"}, K.UNAUTHORIZED),
        (404, {"type": "not_found_error", "message": "x"}, K.MODEL_MISSING),
        (409, {"message": "x"}, K.SERVER_ERROR),
        (413, {"type": "request_too_large", "message": "x"}, K.CONTEXT_TOO_LONG),
        (429, {"type": "rate_limit_error", "message": "x"}, K.RATE_LIMITED),
        (500, {"type": "api_error", "message": "x"}, K.SERVER_ERROR),
        (502, {"message": "x"}, K.SERVER_ERROR),
        (503, {"message": "x"}, K.SERVER_ERROR),
        (504, {"message": "x"}, K.TIMED_OUT),
        (529, {"type": "overloaded_error", "message": "x"}, K.SERVER_ERROR),
    ],
)
async def test_error_status(
    lane: LitellmTransport, method: str, status: int, error: dict[str, str], kind: FailureKind, capfd: Any
) -> None:
    """One request, the status as it came, Retry-After read, no text of the provider's repeated or printed."""
    reply = http({"type": "error", "error": error}, status, headers={"Retry-After": "7"})
    async with RawServer(replies(reply, reply)) as server:
        got = await getattr(lane, method)(call_to(endpoint_at(server, "anthropic")))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, got.status, got.retry_after_s) == (kind, Phase.ANSWERING, status, 7.0)
    assert len(server.requests) == 1
    assert SECRET not in repr(got)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("bedrock", {"message": "Input is too long for requested model."}),
        (
            "gemini",
            {"error": {"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens"}},
        ),
    ],
)
async def test_overflow_in_a_providers_words(lane: LitellmTransport, provider: str, body: dict[str, Any]) -> None:
    """Providers without a code for a prompt that is too long are understood by a few words."""
    async with RawServer(replies(http(body, 400))) as server:
        got = await lane.send(call_to(endpoint_at(server, provider)))
    assert isinstance(got, Failure)
    assert (got.kind, got.status) == (K.CONTEXT_TOO_LONG, 400)


async def test_parameter_that_litellm_cannot_give(lane: LitellmTransport, capfd: Any) -> None:
    """A parameter that the provider has no word for is refused by name, not dropped, and nothing is printed."""
    async with RawServer(play) as server:
        endpoint = endpoint_at(server, "anthropic")
        got = await lane.send(call_to(endpoint, parameters={"seed": 1}))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, server.connections) == (K.PORTABILITY, Phase.NOT_SENT, 0)
    assert "`seed`" in got.detail
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("extra", "kind", "says"),
    [
        ({"max_tokens": 51}, K.PORTABILITY, "output limit"),
        ({"model": "anthropic/claude-y"}, K.PORTABILITY, "another model"),
        ({"api_key": "sk-of-somebody"}, K.UNAUTHORIZED, "another key"),
        ({"api_base": "http://localhost:1"}, K.PORTABILITY, "another address"),
        ({"api_base": "https://elsewhere.example"}, K.UNREACHABLE, "host `elsewhere.example`"),
    ],
)
async def test_what_leaves_is_checked(
    lane: LitellmTransport, extra: dict[str, Any], kind: FailureKind, says: str
) -> None:
    """Whatever makes litellm write another limit, model, key or address, the request is stopped on the wire."""
    async with RawServer(play) as server:
        endpoint = endpoint_at(server, "anthropic", extra=extra)
        for got in (await lane.send(call_to(endpoint)), await lane.open(call_to(endpoint))):
            assert isinstance(got, Failure)
            assert (got.kind, got.phase, server.connections) == (kind, Phase.NOT_SENT, 0)
            assert says in got.detail


async def test_reasoning_reaches_the_provider(lane: LitellmTransport) -> None:
    """A reasoning level is asked for in the provider's own words, within the same output limit."""
    levels = {Reasoning.NONE: {"thinking": {"type": "disabled"}}, Reasoning.HIGH: {"reasoning_effort": "high"}}
    async with RawServer(play) as server:
        endpoint = endpoint_at(server, "anthropic", name="claude-3-7-sonnet-20250219", reasoning=levels)
        endpoint = replace(endpoint, answers_as=frozenset({"claude-x"}))
        for level in levels:
            got = await lane.send(call_to(endpoint, reasoning=level, max_output_tokens=9000))
            assert isinstance(got, Answer), got
    none, high = (each.json for each in server.requests)
    assert none["thinking"] == {"type": "disabled"}
    assert high["thinking"]["type"] == "enabled"
    assert none["max_tokens"] == high["max_tokens"] == 9000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "{url}/cat.png"}},
        {"type": "image_url", "image_url": "{url}/cat.png"},
        {"type": "file", "file": {"file_id": "{url}/paper.pdf"}},
    ],
)
async def test_nothing_is_fetched(lane: LitellmTransport, part: dict[str, Any]) -> None:
    """Pictures named by address, which litellm would fetch, are refused, and nobody is asked for them."""
    async with RawServer(play) as server, RawServer(replies(http(b"picture"))) as elsewhere:
        text = repr(part).replace("{url}", elsewhere.url)
        messages = ({"role": "user", "content": [{"type": "text", "text": "See"}, ast.literal_eval(text)]},)
        got = await lane.send(call_to(endpoint_at(server, "anthropic"), messages=messages))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.PORTABILITY, Phase.NOT_SENT)
    assert (server.connections, elsewhere.connections) == (0, 0)


async def test_picture_in_the_message_is_sent(lane: LitellmTransport) -> None:
    """A picture as `data:` URL goes through."""
    url = "data:image/png;base64,iVBORw0KGgo="
    messages = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},)
    async with RawServer(play) as server:
        assert isinstance(await lane.send(call_to(endpoint_at(server, "anthropic"), messages=messages)), Answer)
    assert b"iVBORw0KGgo=" in server.requests[0].body


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"provider": "made_up"}, K.PORTABILITY, "`made_up`"),
        ({"provider": ""}, K.PORTABILITY, "anthropic"),
        ({"key": None}, K.UNAUTHORIZED, "needs a `key`"),
        ({"key": EnvKey("NO_SUCH_KEY_HERE")}, K.UNAUTHORIZED, "`NO_SUCH_KEY_HERE`"),
        ({"hosts": frozenset()}, K.UNREACHABLE, "host `127.0.0.1`"),
        ({"hosts": frozenset({"api.anthropic.com"})}, K.UNREACHABLE, "host `127.0.0.1`"),
        ({"base_url": "", "hosts": frozenset()}, K.UNREACHABLE, "`hosts`"),
        ({"base_url": "", "hosts": frozenset({"api.example.org"})}, K.UNREACHABLE, "host `api.anthropic.com`"),
        ({"supported_parameters": frozenset()}, K.PORTABILITY, "`top_p`"),
    ],
)
async def test_refusals_send_nothing(
    lane: LitellmTransport, changes: dict[str, Any], kind: FailureKind, says: str
) -> None:
    """What cannot be bound to the declared address and key is refused, by name, with no connection."""
    async with RawServer(play) as server:
        got = await lane.send(call_to(endpoint_at(server, "anthropic", **changes), parameters={"top_p": 0.5}))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, server.connections) == (kind, Phase.NOT_SENT, 0)
    assert says in got.detail


async def test_vertex_says_what_it_lacks(lane: LitellmTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Google's own library there are no credentials for Vertex; the sentence names the package."""
    from modelrouter.transports import litellm_request

    hosts = frozenset({"europe-west4-aiplatform.googleapis.com"})
    endpoint = endpoint_of("", lane="litellm", provider="vertex_ai", name="gemini-x", hosts=hosts)
    monkeypatch.setattr(litellm_request, "_is_installed", lambda _module: False)
    got = await lane.send(call_to(endpoint))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.PORTABILITY, Phase.NOT_SENT)
    assert "google-auth" in got.detail


async def test_vertex_is_bound_to_its_region(lane: LitellmTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """With credentials, the request goes to the endpoint's region only: another one is stopped on the wire."""
    from modelrouter.transports import litellm_request

    async with RawServer(play) as server:  # any call: it imports litellm
        assert isinstance(await lane.send(call_to(endpoint_at(server, "anthropic"))), Answer)
    from litellm.llms.vertex_ai.vertex_llm_base import VertexBase

    async def token(*_args: Any, **_more: Any) -> tuple[str, str]:
        return "token", "project"

    monkeypatch.setattr(VertexBase, "get_access_token_async", token)
    monkeypatch.setattr(litellm_request, "_is_installed", lambda _module: True)
    hosts = frozenset({"europe-west4-aiplatform.googleapis.com"})
    extra = {"vertex_project": "project", "vertex_location": "us-central1"}
    endpoint = endpoint_of("", lane="litellm", provider="vertex_ai", name="gemini-x", hosts=hosts, extra=extra)
    got = await lane.send(call_to(endpoint))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.UNREACHABLE, Phase.NOT_SENT)
    assert "us-central1" in got.detail
