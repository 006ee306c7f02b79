"""The litellm lane on its wire: one request, to the declared address, over our own connections; what is left."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.errors import MissingDependencyError
from modelrouter.ports import Answer, Delta, StreamEnd
from modelrouter.transports import open_lane
from modelrouter.transports.credentials import CallableKey
from modelrouter.transports.litellm import LitellmTransport
from tests.transports.builders import call_to, chunk, completion, endpoint_of, events
from tests.transports.litellm_lane import drain, lane, replies, shaped
from tests.transports.providers import (
    PROVIDERS,
    SECRET,
    endpoint_at,
    play,
)
from tests.transports.servers import RawServer, http, sse_head

if TYPE_CHECKING:
    from modelrouter.ports import Endpoint, Transport
    from tests.transports.servers import Peer

__all__ = ["lane"]  # a fixture is found in the module of its test

K = FailureKind


# --- the lane itself ------------------------------------------------------------------------------------------------


def test_lane_is_opened_by_name() -> None:
    """The lane is a transport, and opening it imports nothing heavy."""
    transport: Transport = open_lane("litellm")
    assert isinstance(transport, LitellmTransport)


def test_without_litellm_the_lane_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is our own configuration, so it is an error when the lane is opened."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match="pip install litellm"):
        open_lane("litellm")


async def test_close_without_a_call(lane: LitellmTransport) -> None:
    """Closing what was never used is no fault, nor is closing twice."""
    await lane.close()
    await lane.close()


async def test_import_that_takes_longer_than_the_call(lane: LitellmTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose time ends during the import fails without having sent anything."""
    from concurrent.futures import Future

    from modelrouter.transports import litellm as module

    unfinished: Future[Any] = Future()
    monkeypatch.setattr(module, "importing", lambda: unfinished)
    async with RawServer(replies(http(completion()))) as server:
        got = await lane.send(call_to(shaped(server), timeout_s=0.01))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, server.connections) == (K.TIMED_OUT, Phase.NOT_SENT, 0)


async def test_litellm_that_cannot_be_imported(lane: LitellmTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is a failure of each attempt, so that other lanes can serve."""
    from concurrent.futures import Future

    from modelrouter.transports import litellm as module

    broken: Future[Any] = Future()
    broken.set_exception(ImportError(SECRET))
    monkeypatch.setattr(module, "importing", lambda: broken)
    got = await lane.send(call_to(endpoint_of(provider="openai")))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.PORTABILITY, Phase.NOT_SENT)
    assert SECRET not in got.detail


# --- the wire -------------------------------------------------------------------------------------------------------


async def test_redirect_is_not_followed(lane: LitellmTransport) -> None:
    """The host that a redirect leads to sees no connection, and no key goes there."""
    async with RawServer(replies(http(completion()))) as target:
        for status in (301, 302, 303, 307, 308):
            moved = http(b"", status, headers={"Location": f"{target.url}/chat/completions"})
            async with RawServer(replies(moved, moved)) as server:
                for endpoint in (shaped(server, key=CallableKey(lambda: SECRET)), endpoint_at(server, "anthropic")):
                    for got in (await lane.send(call_to(endpoint)), await lane.open(call_to(endpoint))):
                        assert isinstance(got, Failure)
                        assert (got.kind, got.status) == (K.UNREACHABLE, status)
                assert len(server.requests) == 4
    assert target.connections == 0


async def test_one_request_for_one_attempt(lane: LitellmTransport) -> None:
    """Where a connection breaks, litellm asks again on a new client; here the attempt is over."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with RawServer(behave) as server:
        for endpoint in (shaped(server), endpoint_at(server, "anthropic")):
            got = await lane.send(call_to(endpoint, fresh_connection=True))
            assert isinstance(got, Failure)
            assert (got.kind, got.phase, got.fresh_connection_helps) == (K.UNREACHABLE, Phase.SENT, False)
        assert len(server.requests) == 2


async def test_dead_kept_alive_connection_asks_for_a_fresh_one(lane: LitellmTransport) -> None:
    """A connection that the server closed while it lay idle is worth one quiet retry, and only a kept one is."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(completion()))
        await peer.request()  # the second request of a connection gets no answer

    async with RawServer(behave) as server:
        endpoint = shaped(server)
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        got = await lane.send(call_to(endpoint))
        assert isinstance(got, Failure)
        assert (got.kind, got.phase, got.fresh_connection_helps) == (K.UNREACHABLE, Phase.SENT, True)
        assert isinstance(await lane.send(call_to(endpoint, fresh_connection=True)), Answer)
        assert server.connections == 2


async def test_connection_is_kept_for_the_next_call(lane: LitellmTransport) -> None:
    """Calls of all kinds share one connection, although litellm gets a client of its own for each."""
    stream = events(chunk({"content": "hello"}), chunk({}, "stop"))
    framed = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(stream) + stream

    async def behave(peer: Peer) -> None:
        while True:
            asked = await peer.request()
            await peer.send(framed if asked.json.get("stream") else http(completion()))

    async with RawServer(behave) as server:
        endpoint = shaped(server)
        for _ in range(2):
            assert isinstance(await lane.send(call_to(endpoint)), Answer)
            text, end = await drain(await lane.open(call_to(endpoint)))
            assert (text, type(end)) == ("hello", StreamEnd)
        assert server.connections == 1


async def test_stream_is_let_go_at_once(lane: LitellmTransport) -> None:
    """Closing a stream closes its connection, so that the server stops; closing again is no fault."""
    gone = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head() + events(chunk({"content": "hel"}), done=False))
        await peer.gone()
        gone.set()

    async with RawServer(behave) as server:
        stream = await lane.open(call_to(shaped(server)))
        assert not isinstance(stream, Failure)
        assert isinstance(await stream.next(), Delta)
        await stream.close()
        await stream.close()
        await asyncio.wait_for(gone.wait(), 5)


async def test_stream_closed_by_another_task_wakes_its_reader(lane: LitellmTransport) -> None:
    """A generator of litellm's that runs cannot be closed: its reader is woken first, and the connection goes."""
    gone = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head() + events(chunk({"content": "hel"}), done=False))
        await peer.gone()
        gone.set()

    async with RawServer(behave) as server:
        stream = await lane.open(call_to(shaped(server)))
        assert not isinstance(stream, Failure)
        assert isinstance(await stream.next(), Delta)
        reading = asyncio.create_task(stream.next())
        await asyncio.sleep(0)
        await stream.close()
        await asyncio.wait_for(gone.wait(), 5)
        assert isinstance(await reading, Failure)


WHOLE = events(chunk({"content": "hello"}), chunk({}, "stop"), done=False)


@pytest.mark.parametrize("end", ["silence", "cut"])
async def test_answer_that_is_whole_survives_its_connection(lane: LitellmTransport, end: str) -> None:
    """Once it was said why the answer ended, a connection that breaks or stays silent takes the usage report alone."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head({"Content-Length": "9999"}) + WHOLE)
        if end == "silence":
            await peer.gone()

    async with RawServer(behave) as server:
        text, ended = await drain(await lane.open(call_to(shaped(server), timeout_s=0.5)))
    assert isinstance(ended, StreamEnd)
    assert (text, ended.answer.finish_reason, ended.answer.usage) == ("hello", "stop", None)


async def test_refusal_in_a_stream_is_not_lost(lane: LitellmTransport) -> None:
    """A stream's `refusal` is dropped by litellm; an answer of nothing would be left."""
    said = events(chunk({"role": "assistant"}), chunk({"refusal": "I "}), chunk({"refusal": "will not"}, "stop"))
    async with RawServer(replies(sse_head() + said)) as server:
        text, ended = await drain(await lane.open(call_to(shaped(server))))
    assert isinstance(ended, Failure)
    assert (text, ended.kind) == ("", K.REFUSED)


async def test_error_in_a_choice_of_a_stream(lane: LitellmTransport) -> None:
    """One that litellm reads over, and would wait for more."""
    said = events(chunk(choices=[{"index": 0, "error": {"code": 502, "message": "no"}}]))
    async with RawServer(replies(sse_head() + said)) as server:
        _, ended = await drain(await lane.open(call_to(shaped(server))))
    assert isinstance(ended, Failure)
    assert (ended.kind, ended.status) == (K.SERVER_ERROR, 502)


@pytest.mark.parametrize("reply", [completion(choices=[]), completion(choices=[{"index": 0}])])
async def test_usage_of_a_reply_that_litellm_cannot_read(lane: LitellmTransport, reply: dict[str, Any]) -> None:
    """What was reported is billed, whatever else is wrong with the reply."""
    async with RawServer(replies(http(reply))) as server:
        got = await lane.send(call_to(shaped(server)))
    assert isinstance(got, Failure)
    assert (got.kind, got.usage) == (K.MALFORMED_REPLY, Usage(12, 3))


@pytest.mark.parametrize("usage", [{"prompt_tokens": "many"}, {}, [], "12"])
async def test_usage_that_is_no_count_does_not_cost_the_answer(lane: LitellmTransport, usage: Any) -> None:
    """Litellm fails over it; the answer is good, and booked at its bound."""
    async with RawServer(replies(http(completion(usage=usage)))) as server:
        got = await lane.send(call_to(shaped(server)))
    assert isinstance(got, Answer)
    assert (got.message["content"], got.usage) == ("hello", None)


@pytest.mark.parametrize("status", [200, 429])
async def test_reply_that_is_too_long(lane: LitellmTransport, status: int) -> None:
    """It is not read on; an error status counts more than its size."""
    async with RawServer(replies(http(b"x" * 80_000, status))) as server:
        got = await lane.send(call_to(shaped(server, reply_bytes_max=50_000)))
    assert isinstance(got, Failure)
    assert got.kind is (K.MALFORMED_REPLY if status == 200 else K.RATE_LIMITED)


async def test_cancelled_call_lets_go(lane: LitellmTransport) -> None:
    """Cancelling a call closes its connection and stays a cancellation."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        gone.set()

    async with RawServer(behave) as server:
        task = asyncio.create_task(lane.send(call_to(shaped(server))))
        await asyncio.wait_for(asked.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize("method", ["send", "open"])
async def test_silence_times_out(lane: LitellmTransport, method: str) -> None:
    """A server that never answers costs the call's time and no more; it was sent, so it is uncertain."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with RawServer(behave) as server:
        got = await getattr(lane, method)(call_to(shaped(server), timeout_s=0.3))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.TIMED_OUT, Phase.SENT)


async def test_stream_that_stops_midway_times_out(lane: LitellmTransport) -> None:
    """Between two pieces the time is the call's; what came until then is kept."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head() + events(chunk({"content": "hel"}), done=False))
        await peer.gone()

    async with RawServer(behave) as server:
        text, end = await drain(await lane.open(call_to(shaped(server), timeout_s=0.5)))
    assert isinstance(end, Failure)
    assert (end.kind, end.phase, text, end.text) == (K.TIMED_OUT, Phase.ANSWERING, "hel", "hel")
    assert "the next piece did not come" in end.detail


@pytest.mark.parametrize(
    ("sent", "limits", "words"),
    [
        (b"", {"first_token_s": 0.3}, "the first content did not come in 0.3 s"),
        (
            events(chunk({"content": "hel"}), done=False),
            {"between_chunks_s": 0.3},
            "the next piece did not come in 0.3 s",
        ),
    ],
)
async def test_first_content_and_further_pieces_have_limits_of_their_own(
    lane: LitellmTransport, sent: bytes, limits: dict[str, float], words: str
) -> None:
    """Each apart, and both far below what the attempt may take."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head() + sent)
        await peer.gone()

    async with RawServer(behave) as server:
        begun = time.monotonic()
        _, end = await drain(await lane.open(call_to(shaped(server), timeout_s=30.0, **limits)))
    assert isinstance(end, Failure)
    assert (end.kind, end.detail) == (K.TIMED_OUT, words)
    assert time.monotonic() - begun < 10


async def test_three_loops_in_a_row(lane: LitellmTransport) -> None:
    """One lane serves one event loop after the other; what belongs to a loop ends with it, though nobody closes it."""

    async def once(endpoint: Endpoint) -> str:
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        text, end = await drain(await lane.open(call_to(endpoint)))
        assert isinstance(end, StreamEnd)
        return text

    async with RawServer(play) as server:
        endpoint = endpoint_at(server, "anthropic")
        said = [await asyncio.to_thread(asyncio.run, once(endpoint)) for _ in range(3)]
    assert said == ["hello"] * 3


async def test_several_loops_at_once(lane: LitellmTransport) -> None:
    """Threads with a loop each share a lane."""

    async def once(endpoint: Endpoint) -> list[bool]:
        got = await asyncio.gather(*(lane.send(call_to(endpoint)) for _ in range(5)))
        await lane.close()
        return [isinstance(each, Answer) for each in got]

    async with RawServer(play) as server:
        endpoint = endpoint_at(server, "anthropic")
        got = await asyncio.gather(*(asyncio.to_thread(asyncio.run, once(endpoint)) for _ in range(4)))
    assert got == [[True] * 5] * 4


async def test_nothing_is_logged(lane: LitellmTransport, caplog: pytest.LogCaptureFixture) -> None:
    """With logging wide open neither prompt, answer nor key is in any record; a host's own litellm logs as before."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="LiteLLM")
    async with RawServer(play) as server:
        for operator in PROVIDERS:
            endpoint = endpoint_at(server, operator)
            messages = ({"role": "user", "content": "words of the prompt"},)
            assert isinstance(await lane.send(call_to(endpoint, messages=messages)), Answer)
            await drain(await lane.open(call_to(endpoint, messages=messages)))
    text = caplog.text + "".join(repr(vars(each)) for each in caplog.records)
    assert "words of the prompt" not in text
    assert SECRET not in text
    assert [each for each in caplog.records if each.name.startswith("LiteLLM")] == []
    logging.getLogger("LiteLLM").debug("of the host")
    assert "of the host" in caplog.text


async def test_address_with_a_query(lane: LitellmTransport) -> None:
    """A query in `base_url` stays where it belongs."""
    async with RawServer(replies(http(completion()))) as server:
        endpoint = replace(shaped(server), base_url=f"{server.url}/?api-version=1")
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
    assert server.requests[0].line == "POST /v1/chat/completions?api-version=1 HTTP/1.1"


async def test_no_choices_beyond_the_first_in_a_stream(lane: LitellmTransport) -> None:
    """As litellm loses the end of further choices, so a stream of several is refused before it is sent."""
    async with RawServer(replies(http(completion()))) as server:
        got = await lane.open(call_to(shaped(server), parameters={"n": 2}))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, server.connections) == (K.PORTABILITY, Phase.NOT_SENT, 0)


async def test_no_key_means_no_key(lane: LitellmTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a declared key none is sent, least of all one from the environment."""
    for name in ("OPENAI_API_KEY", "HOSTED_VLLM_API_KEY", "LITELLM_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    async with RawServer(replies(http(completion()))) as server:
        assert isinstance(await lane.send(call_to(shaped(server))), Answer)
    assert "authorization" not in server.requests[0].headers
    assert SECRET not in repr(server.requests)


# --- dangerous globals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("callbacks", ["langfuse"]),
        ("success_callback", [print]),
        ("failure_callback", [print]),
        ("input_callback", ["cache", "sentry"]),
        ("_async_success_callback", [print]),
        ("cache", object()),
        ("drop_params", True),
        ("modify_params", True),
        ("api_base", "http://127.0.0.1:1"),
        ("api_key", SECRET),
        ("fallbacks", [{"a": ["b"]}]),
        ("model_fallbacks", ["b"]),
        ("num_retries", 2),
        ("custom_provider_map", [{"provider": "openai"}]),
        ("pre_call_rules", [print]),
        ("model_alias_map", {"tiny": "gpt-4o"}),
        ("headers", {"x": "y"}),
        ("aclient_session", object()),
        ("set_verbose", True),
    ],
)
async def test_dangerous_global_of_the_host(
    lane: LitellmTransport, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    """The lane refuses, names what is set and shows none of it; without it the same call is answered."""
    async with RawServer(play) as server:
        endpoint = endpoint_at(server, "anthropic")
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        import litellm

        with monkeypatch.context() as host:
            host.setattr(litellm, name, value)
            for got in (await lane.send(call_to(endpoint)), await lane.open(call_to(endpoint))):
                assert isinstance(got, Failure)
                assert (got.kind, got.phase) == (K.PORTABILITY, Phase.NOT_SENT)
                assert f"`litellm.{name}`" in got.detail
                assert SECRET not in got.detail
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        assert len(server.requests) == 2
