"""The same request through both lanes: the same body on the wire, the same usage, cost and failures.

A body that differs is not sent: the litellm lane compares what litellm made with what the direct lane would send,
member by member, and refuses. So the table of differences is short, and about what the caller gets back.
"""

from __future__ import annotations

import asyncio
import socket
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.ports import Answer, Delta, StreamEnd
from modelrouter.transports.credentials import CallableKey
from modelrouter.transports.direct import DirectTransport
from modelrouter.transports.litellm import LitellmTransport
from modelrouter.transports.litellm_import import importing
from tests.transports.builders import call_to, chunk, completion, endpoint_of, events
from tests.transports.parity_cases import FAILURES, REPLIES, REQUESTS, STREAMS, USAGE, WRONG
from tests.transports.servers import RawServer, http, sse_head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from modelrouter.ports import Call, Endpoint, Transport
    from tests.real_model import LocalModel
    from tests.transports.servers import Peer

K = FailureKind

DIFFERENCES: Mapping[str, str] = {
    "created": "litellm adds a time of its own where a server gives none",
}
"""Members of what the caller gets that differ, each with why it does not matter. On the wire nothing differs: neither
address nor headers nor a member of the body."""

PRICE = PriceList(
    Decimal("2.5"),
    Decimal(10),
    cached_input_usd_per_mtok=Decimal("0.25"),
    reasoning_usd_per_mtok=Decimal(12),
    request_usd=Decimal("0.0003"),
    cache_write_usd_per_mtok=Decimal("3.125"),
)


@pytest.fixture
async def lanes() -> AsyncIterator[Mapping[str, Transport]]:
    """Both lanes, closed afterwards; litellm is imported before a call's time runs."""
    await asyncio.wrap_future(importing())
    both: dict[str, Transport] = {"direct": DirectTransport(), "litellm": LitellmTransport()}
    yield both
    for lane in both.values():
        await lane.close()


def at(server: RawServer, lane: str, **changes: Any) -> Endpoint:
    """The same endpoint for either lane."""
    return endpoint_of(server.url, **{"lane": lane, "provider": "openai" if lane == "litellm" else "", **changes})


async def take(lane: Transport, call: Call, *, stream: bool) -> tuple[str, Answer | Failure]:
    """Make a call of either kind: the text that came in pieces, and the outcome."""
    if not stream:
        return "", await lane.send(call)
    opened = await lane.open(call)
    if isinstance(opened, Failure):
        return "", opened
    text = ""
    while isinstance(piece := await opened.next(), Delta):
        text += piece.text
    await opened.close()
    return text, piece.answer if isinstance(piece, StreamEnd) else piece


def streamed(reply: Mapping[str, Any]) -> bytes:
    """A reply as a stream, one character a chunk."""
    choice = reply["choices"][0]
    message = choice["message"]
    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({"content": sign}) for sign in message.get("content") or ""]
    chunks += [chunk({"reasoning_content": sign}) for sign in message.get("reasoning_content") or ""]
    for index, call in enumerate(message.get("tool_calls") or ()):
        start = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
        chunks.append(chunk({"tool_calls": [start]}))
        for sign in call["function"]["arguments"]:
            chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": sign}}]}))
    chunks += [chunk({}, choice["finish_reason"]), chunk(choices=[], usage=reply["usage"])]
    return sse_head() + events(*chunks)


def answers(reply: Mapping[str, Any]) -> Callable[[Peer], Awaitable[None]]:
    """A server that gives this reply in the form it is asked for."""

    async def behave(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            if asked.json.get("stream"):
                await peer.send(streamed(reply))
                return
            await peer.send(http(reply))

    return behave


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", sorted(REQUESTS))
async def test_same_request(lanes: Mapping[str, Transport], case: str, stream: bool) -> None:
    """Path, headers and body are the same, as values, with the order of members left aside."""
    changes, asked = REQUESTS[case]
    async with RawServer(answers(completion(usage=USAGE))) as server:
        for name, lane in lanes.items():
            endpoint = at(server, name, key=CallableKey(lambda: "sk-1"), headers={"X-Team": "a"}, **changes)
            _, outcome = await take(lane, call_to(endpoint, **asked), stream=stream)
            assert isinstance(outcome, Answer), outcome
        direct, litellm = server.requests
    assert direct.json == litellm.json
    assert direct.line == litellm.line
    assert dict(direct.headers) == dict(litellm.headers)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", sorted(REPLIES))
async def test_same_answer(lanes: Mapping[str, Transport], case: str, stream: bool) -> None:
    """Message, finish reason, usage and cost are the same, to the nano-dollar."""
    got: list[tuple[str, Answer]] = []
    async with RawServer(answers(REPLIES[case])) as server:
        for name, lane in lanes.items():
            text, outcome = await take(lane, call_to(at(server, name)), stream=stream)
            assert isinstance(outcome, Answer), outcome
            got.append((text, outcome))
    (text, direct), (same_text, litellm) = got
    assert text == same_text
    assert dict(direct.message) == dict(litellm.message)
    assert (direct.finish_reason, direct.usage, direct.model) == (litellm.finish_reason, litellm.usage, litellm.model)
    assert direct.usage is not None
    assert litellm.usage is not None
    assert PRICE.cost_nano_usd(direct.usage) == PRICE.cost_nano_usd(litellm.usage) > 300_000
    assert set(direct.body) ^ set(litellm.body) == set(DIFFERENCES)
    assert direct.body["usage"] == litellm.body["usage"]


async def test_several_choices(lanes: Mapping[str, Transport]) -> None:
    """All choices of a plain reply are there, in both lanes."""
    one = completion("a", usage=USAGE)
    two = {**one["choices"][0], "index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "length"}
    reply = {**one, "choices": [one["choices"][0], two]}
    bodies = []
    async with RawServer(answers(reply)) as server:
        for name, lane in lanes.items():
            outcome = await lane.send(call_to(at(server, name), parameters={"n": 2}))
            assert isinstance(outcome, Answer), outcome
            bodies.append(outcome.body["choices"])
        assert server.requests[0].json == server.requests[1].json
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", sorted(FAILURES))
async def test_same_failure(lanes: Mapping[str, Transport], case: str, stream: bool) -> None:
    """Kind, phase and status are the same; one request each; the provider's words are in neither."""
    reply, kind = FAILURES[case]

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply)

    got: list[Failure] = []
    async with RawServer(behave) as server:
        for name, lane in lanes.items():
            _, outcome = await take(lane, call_to(at(server, name)), stream=stream)
            assert isinstance(outcome, Failure), outcome
            got.append(outcome)
        assert len(server.requests) == 2
    direct, litellm = got
    assert (direct.kind, direct.phase, direct.status) == (litellm.kind, litellm.phase, litellm.status)
    assert direct.kind is kind
    assert "words of the provider" not in repr(got)


@pytest.mark.parametrize("stream", [False, True])
async def test_same_failure_without_a_server(lanes: Mapping[str, Transport], stream: bool) -> None:
    """A refused connection: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for name, lane in lanes.items():
        endpoint = endpoint_of(f"http://127.0.0.1:{port}/v1", lane=name, provider="openai")
        _, outcome = await take(lane, call_to(endpoint), stream=stream)
        assert isinstance(outcome, Failure)
        assert (outcome.kind, outcome.phase, outcome.status) == (K.UNREACHABLE, Phase.NOT_SENT, None)


@pytest.mark.parametrize("stream", [False, True])
async def test_same_timeout(lanes: Mapping[str, Transport], stream: bool) -> None:
    """A server that is silent after the request: sent, so perhaps billed."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with RawServer(behave) as server:
        for name, lane in lanes.items():
            _, outcome = await take(lane, call_to(at(server, name), timeout_s=0.3), stream=stream)
            assert isinstance(outcome, Failure)
            assert (outcome.kind, outcome.phase, outcome.status) == (K.TIMED_OUT, Phase.SENT, None)


@pytest.mark.parametrize("case", sorted(STREAMS))
async def test_same_end_of_a_stream(lanes: Mapping[str, Transport], case: str) -> None:
    """Where a stream breaks, both lanes say so, with the same text and status; where it is whole, neither complains."""
    content, kind = STREAMS[case]

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head() + content)

    got: list[tuple[str, Answer | Failure]] = []
    async with RawServer(behave) as server:
        for name, lane in lanes.items():
            got.append(await take(lane, call_to(at(server, name, name="tiny")), stream=True))
    (text, direct), (same_text, litellm) = got
    assert text == same_text
    if kind is None:
        assert isinstance(direct, Answer)
        assert isinstance(litellm, Answer), litellm
        assert direct.usage is litellm.usage is None
        return
    assert isinstance(direct, Failure)
    assert isinstance(litellm, Failure)
    assert (direct.kind, direct.status, direct.text) == (litellm.kind, litellm.status, litellm.text)
    assert (direct.usage, direct.phase) == (litellm.usage, litellm.phase)
    assert litellm.kind is kind


@pytest.mark.parametrize("case", sorted(WRONG))
async def test_same_verdict_on_an_answer(lanes: Mapping[str, Transport], case: str) -> None:
    """A complete reply that is no answer is the same failure in both lanes, with its usage, for it is billed."""
    reply, kind = WRONG[case]
    async with RawServer(answers(reply)) as server:
        for name, lane in lanes.items():
            outcome = await lane.send(call_to(at(server, name)))
            assert isinstance(outcome, Failure), (name, outcome)
            assert (outcome.kind, outcome.status, outcome.usage) == (kind, 200, Usage(12, 3))


@pytest.mark.parametrize("stream", [False, True])
async def test_same_with_a_real_model(lanes: Mapping[str, Transport], local_model: LocalModel, stream: bool) -> None:
    """A real server and model: greedy decoding gives the same words, usage and cost through both lanes."""
    got: list[Answer] = []
    for name, lane in lanes.items():
        endpoint = endpoint_of(
            local_model.base_url,
            lane=name,
            provider="hosted_vllm" if name == "litellm" else "",
            name=local_model.name,
            key=CallableKey(lambda: local_model.key),
        )
        asked = call_to(endpoint, parameters={"temperature": 0, "seed": 1}, max_output_tokens=12, timeout_s=60.0)
        for _ in range(2):  # the second finds the prompt in the server's cache, in both lanes
            text, outcome = await take(lane, asked, stream=stream)
        assert isinstance(outcome, Answer), outcome
        assert not stream or text == outcome.message["content"]
        got.append(outcome)
    direct, litellm = got
    assert direct.message["content"] == litellm.message["content"] != ""
    assert (direct.finish_reason, direct.usage, direct.model) == (litellm.finish_reason, litellm.usage, litellm.model)
    assert direct.usage is not None
    assert litellm.usage is not None
    assert PRICE.cost_nano_usd(direct.usage) == PRICE.cost_nano_usd(litellm.usage)


@pytest.mark.parametrize("stream", [False, True])
async def test_same_overflow_of_a_real_model(
    lanes: Mapping[str, Transport], local_model: LocalModel, stream: bool
) -> None:
    """A prompt beyond the real server's window is the same failure, and nobody bills it."""
    messages = ({"role": "user", "content": "word " * (local_model.context_tokens + 100)},)
    for name, lane in lanes.items():
        endpoint = endpoint_of(
            local_model.base_url,
            lane=name,
            provider="openai",
            name=local_model.name,
            key=CallableKey(lambda: local_model.key),
        )
        _, outcome = await take(lane, call_to(endpoint, messages=messages, timeout_s=60.0), stream=stream)
        assert isinstance(outcome, Failure), outcome
        assert (outcome.kind, outcome.phase, outcome.status) == (K.CONTEXT_TOO_LONG, Phase.ANSWERING, 400)


async def test_many_at_once(lanes: Mapping[str, Transport]) -> None:
    """Fifty calls at once through each lane, plain and streaming, all come to their own answer."""

    async def behave(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            reply = completion(asked.json["messages"][0]["content"], usage=USAGE)
            if asked.json.get("stream"):
                await peer.send(streamed(reply))
                return
            await peer.send(http(reply))

    async with RawServer(behave) as server:
        for name, lane in lanes.items():
            endpoint = at(server, name)
            asked = [call_to(endpoint, messages=({"role": "user", "content": f"n{index}"},)) for index in range(50)]
            got = await asyncio.gather(*(take(lane, each, stream=bool(at % 2)) for at, each in enumerate(asked)))
            said = [outcome.message["content"] for _, outcome in got if isinstance(outcome, Answer)]
            assert said == [f"n{index}" for index in range(50)]
