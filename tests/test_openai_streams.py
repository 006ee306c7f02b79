"""Streams through the openai face: in time, in openai's shape, and let go when they are left."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openai
import pytest

from modelrouter.core.attempts import Billing, FailureKind
from modelrouter.openai import AsyncOpenAI, OpenAI
from modelrouter.ports import StreamEnd
from modelrouter.testing import FakeTransport, MemoryLedger, failure, reply
from tests.router.configs import Served, write_config
from tests.scripted import ASK, SOON_S, WEATHER, Scripted, delta, routed, two_words
from tests.transports.servers import RawServer, sse_head

if TYPE_CHECKING:
    from pathlib import Path

    from tests.transports.servers import Peer


def test_usage_comes_once_and_only_if_asked(tmp_path: Path) -> None:
    """Usage that a server reports in every chunk is one chunk at the end, if it was asked for, as from OpenAI."""
    with routed(tmp_path, two_words()) as router, OpenAI(router) as client:
        quiet = list(client.chat.completions.create(model="chat", messages=ASK, stream=True))
    with routed(tmp_path, two_words()) as router, OpenAI(router) as client:
        asked = list(
            client.chat.completions.create(
                model="chat", messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        )
    assert [chunk.usage for chunk in quiet] == [None] * 3
    assert [chunk.usage is not None for chunk in asked] == [False, False, False, True]
    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    assert asked[-1].usage.total_tokens == 5
    assert ["modelrouter" in (chunk.model_extra or {}) for chunk in asked] == [False, False, False, True]


def test_a_stream_without_a_closing_chunk_gets_one(tmp_path: Path) -> None:
    """A lane that only hands out words still ends with a finish_reason for the client."""
    with routed(tmp_path, FakeTransport(reply("hello there", finish_reason="length"))) as router:
        chunks = list(OpenAI(router).chat.completions.create(model="chat", messages=ASK, stream=True))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["hello", " there", None]
    assert chunks[-1].choices[0].finish_reason == "length"


def test_the_first_word_comes_before_the_last_is_made(tmp_path: Path) -> None:
    """True streaming: the second word is made only after the first one has been read."""
    gate = threading.Event()
    lane = two_words(gate)
    with routed(tmp_path, lane) as router, OpenAI(router) as client:
        stream = client.chat.completions.create(model="chat", messages=ASK, stream=True)
        assert next(stream).choices[0].delta.content == "hello"
        assert lane.handed_out == 1
        gate.set()
        assert [chunk.choices[0].delta.content for chunk in stream] == [" there", None]


async def test_the_first_word_comes_early_in_async_code_too(tmp_path: Path) -> None:
    """The same for the async class."""
    gate = threading.Event()
    lane = two_words(gate)
    async with routed(tmp_path, lane) as router, AsyncOpenAI(router) as client:
        stream = await client.chat.completions.create(model="chat", messages=ASK, stream=True)
        assert (await anext(stream)).choices[0].delta.content == "hello"
        assert lane.handed_out == 1
        gate.set()
        assert [chunk.choices[0].delta.content async for chunk in stream] == [" there", None]


def test_streamed_tool_calls(tmp_path: Path) -> None:
    """The pieces of a tool call arrive as they were sent."""
    pieces = [
        delta({"tool_calls": [{"index": 0, "id": "call-1", "function": {"name": "weather", "arguments": ""}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '"Ulm"}'}}]}, "tool_calls"),
    ]
    call = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}}
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [call]}
    choices: Any = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    whole = reply("", finish_reason="tool_calls")
    lane = Scripted(*pieces, StreamEnd(replace(whole, message=message, body={**whole.body, "choices": choices})))
    with routed(tmp_path, lane) as router, OpenAI(router) as client:
        chunks = list(client.chat.completions.create(model="chat", messages=ASK, tools=[WEATHER], stream=True))
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert "".join(call.function.arguments or "" for call in calls if call.function) == '{"city": "Ulm"}'


def test_leaving_a_stream_frees_the_server(tmp_path: Path) -> None:
    """Leaving the block in the middle closes the stream below, and books what may have been billed."""
    lane, ledger = two_words(), MemoryLedger()
    with routed(tmp_path, lane, ledger) as router, OpenAI(router) as client:
        with client.chat.completions.create(model="chat", messages=ASK, stream=True) as stream:
            for _ in stream:
                break
        assert lane.closed.wait(SOON_S)
        (resolution,) = ledger.resolutions.values()
    assert resolution.billing is Billing.UNCERTAIN
    assert resolution.attempt.failure is not None
    assert resolution.attempt.failure.kind is FailureKind.CANCELLED


async def test_leaving_an_async_stream_ends_the_connection(tmp_path: Path) -> None:
    """A server that would go on for ever sees its client leave."""
    left = asyncio.Event()

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head() + b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
        await peer.gone()
        left.set()

    async with RawServer(talk) as server:
        config = write_config(tmp_path, [Served("endless", server.url)], "  chat: {try: [endless]}")
        async with AsyncOpenAI(config) as client:
            async with await client.chat.completions.create(model="chat", messages=ASK, stream=True) as stream:
                assert (await anext(stream)).choices[0].delta.content == "a"
            await asyncio.wait_for(left.wait(), SOON_S)


def test_a_stream_that_breaks_is_an_api_error(tmp_path: Path) -> None:
    """What was handed out stays handed out; then openai's own `APIError` says that it broke, and what it cost."""
    broken = failure("truncated")
    with routed(tmp_path, Scripted(delta({"content": "hel"}), broken)) as router, OpenAI(router) as client:
        stream = client.chat.completions.create(model="chat", messages=ASK, stream=True)
        assert next(stream).choices[0].delta.content == "hel"
        with pytest.raises(openai.APIError) as raised:
            next(stream)
    assert raised.value.code == "stream_broken"
    assert isinstance(raised.value.body, dict)
    assert Decimal(raised.value.body["modelrouter"]["cost_usd"]) > 0


def test_nothing_is_lost_when_the_end_breaks(tmp_path: Path) -> None:
    """The chunk that waits for the end is sent before the error of a stream that breaks after it."""
    lane = Scripted(delta({"content": "all"}), delta({"content": " of it"}, "stop"), failure("truncated"))
    with routed(tmp_path, lane) as router, OpenAI(router) as client:
        stream = client.chat.completions.create(model="chat", messages=ASK, stream=True)
        assert [next(stream).choices[0].delta.content for _ in range(2)] == ["all", " of it"]
        with pytest.raises(openai.APIError):
            next(stream)
