"""Streams of the direct lane over real sockets: pieces, ends, breaks, time, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage
from modelrouter.ports import Delta, StreamEnd
from modelrouter.transports.direct import DirectTransport
from modelrouter.transports.stream import Stream
from tests.transports.builders import call_to, chunk, completion, endpoint_of, events
from tests.transports.servers import RawServer, http, sse_head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from modelrouter.ports import OpenStream
    from tests.transports.servers import Peer

K = FailureKind
CHUNKED = {"Transfer-Encoding": "chunked"}
HELLO = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "hel"}),
    chunk({"content": "lo 漢字"}),
    chunk({}, "stop"),
    chunk(choices=[], usage={"prompt_tokens": 12, "completion_tokens": 3}),
)


@pytest.fixture
async def lane() -> AsyncIterator[DirectTransport]:
    """A lane that is closed afterwards."""
    transport = DirectTransport()
    yield transport
    await transport.close()


async def begin(lane: DirectTransport, server: RawServer, **changes: Any) -> OpenStream:
    """A stream that has begun."""
    got = await lane.open(call_to(endpoint_of(server.url), **changes))
    assert not isinstance(got, Failure), got
    return got


async def drain(stream: OpenStream) -> tuple[list[Delta], StreamEnd | Failure]:
    """All pieces of a stream, and its end."""
    deltas: list[Delta] = []
    while isinstance(piece := await stream.next(), Delta):
        deltas.append(piece)
    await stream.close()
    return deltas, piece


def framed(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n" % len(data) + data + b"\r\n"


def streams(*pieces: bytes, ends: bool = True, stays: bool = False) -> Callable[[Peer], Awaitable[None]]:
    """Answer each request with these pieces, chunk by chunk."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(sse_head(CHUNKED))
            for piece in pieces:
                await peer.send(framed(piece))
            if ends:
                await peer.send(b"0\r\n\r\n")
            if stays:
                await peer.gone()
            if not ends:
                return

    return behave


async def test_stream(lane: DirectTransport) -> None:
    """Every byte in a piece of its own comes to the same deltas and the same answer."""
    data = b": PROCESSING\n\n" + events(*HELLO)
    async with RawServer(streams(*(data[index : index + 1] for index in range(len(data))))) as server:
        deltas, ended = await drain(await begin(lane, server))
        sent = server.requests[0]
    assert [delta.text for delta in deltas] == ["", "hel", "lo 漢字", "", ""]
    assert isinstance(ended, StreamEnd)
    assert (ended.answer.message["content"], ended.answer.usage) == ("hello 漢字", Usage(12, 3))
    assert sent.json["stream_options"] == {"include_usage": True}
    assert sent.headers["accept"] == "text/event-stream"
    assert sent.headers["accept-encoding"] == "identity"


async def test_finished_stream_gives_its_connection_back(lane: DirectTransport) -> None:
    """After a whole stream, plain calls and further streams use the same connection."""
    async with RawServer(streams(events(*HELLO))) as server:
        for _ in range(3):
            _, ended = await drain(await begin(lane, server))
            assert isinstance(ended, StreamEnd)
        assert server.connections == 1


async def test_llama_cpp_stream_is_not_given_back(lane: DirectTransport) -> None:
    """llama.cpp closes after a stream whatever its headers say: its connection is not used again."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(sse_head({**CHUNKED, "Server": "llama.cpp"}) + framed(events(*HELLO)) + b"0\r\n\r\n")

    async with RawServer(behave) as server:
        for _ in range(3):
            _, ended = await drain(await begin(lane, server))
            assert isinstance(ended, StreamEnd)
        assert server.connections == 3


@pytest.mark.parametrize("done", [True, False])
async def test_server_that_does_not_end_its_reply(lane: DirectTransport, done: bool) -> None:
    """`[DONE]` ends a stream although the connection stays open; without it the end of the connection does, however."""
    async with RawServer(streams(events(*HELLO, done=done), ends=False, stays=done)) as server:
        _, ended = await drain(await begin(lane, server))
    assert isinstance(ended, StreamEnd)


async def test_end_of_connection_ends_an_unframed_stream(lane: DirectTransport) -> None:
    """A reply without length or chunks ends with its connection; a finish_reason makes it whole, `[DONE]` or not."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head() + events(*HELLO, done=False).rstrip(b"\n"))

    async with RawServer(behave) as server:
        _, ended = await drain(await begin(lane, server))
    assert isinstance(ended, StreamEnd)
    assert ended.answer.usage == Usage(12, 3)


BEGUN = events(*HELLO[:2], done=False)


@pytest.mark.parametrize(
    ("rest", "kind", "status"),
    [
        pytest.param(b"", K.TRUNCATED, 200, id="the reply ends"),
        pytest.param(events(), K.TRUNCATED, 200, id="done alone"),
        pytest.param(b'data: {"choi', K.TRUNCATED, 200, id="the reply ends within a chunk"),
        pytest.param(b"data: nonsense\n\n", K.MALFORMED_REPLY, 200, id="no JSON"),
        pytest.param(events({"error": {"code": 429}}), K.RATE_LIMITED, 200, id="an error"),
        pytest.param(events(chunk({}, model="other")), K.WRONG_MODEL, 200, id="another model"),
    ],
)
async def test_broken_streams(lane: DirectTransport, rest: bytes, kind: FailureKind, status: int) -> None:
    """Whatever breaks a stream after content, the failure holds the text so far."""
    async with RawServer(streams(BEGUN, *([rest] if rest else []))) as server:
        deltas, ended = await drain(await begin(lane, server))
    assert [delta.has_content for delta in deltas] == [False, True]
    assert isinstance(ended, Failure)
    assert (ended.kind, ended.phase, ended.status, ended.text) == (kind, Phase.ANSWERING, status, "hel")


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_connection_that_breaks(lane: DirectTransport, ending: str) -> None:
    """A connection that closes without the last HTTP chunk, or is reset, truncates; what had come is given."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(BEGUN))
        await given.wait()
        if ending == "reset":
            peer.reset()

    given = asyncio.Event()
    async with RawServer(behave) as server:
        stream = await begin(lane, server)
        assert isinstance(await stream.next(), Delta)
        assert isinstance(await stream.next(), Delta)
        given.set()
        ended = await stream.next()
    assert isinstance(ended, Failure)
    assert (ended.kind, ended.phase, ended.text) == (K.TRUNCATED, Phase.ANSWERING, "hel")


async def test_first_content_has_one_deadline(lane: DirectTransport) -> None:
    """Signs of life are no content: comments and roles do not stretch the time until the first content."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(events(HELLO[0], done=False)))
        while True:
            await peer.send(framed(b": PROCESSING\n\n"))
            await asyncio.sleep(0.02)

    async with RawServer(behave) as server:
        begun = time.monotonic()
        _, ended = await drain(await begin(lane, server, timeout_s=0.4))
        assert isinstance(ended, Failure)
        assert (ended.kind, ended.phase) == (K.TIMED_OUT, Phase.ANSWERING)
        assert "first content" in ended.detail
        assert 0.3 < time.monotonic() - begun < 5


async def test_headers_that_do_not_come(lane: DirectTransport) -> None:
    """Without headers the attempt ends in its time, as sent."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with RawServer(behave) as server:
        got = await lane.open(call_to(endpoint_of(server.url), timeout_s=0.3))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.TIMED_OUT, Phase.SENT)


async def test_time_between_pieces(lane: DirectTransport) -> None:
    """After content each piece has the time anew: a long answer is fine, a long silence is not."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED))
        for _ in range(8):
            await peer.send(framed(events(chunk({"content": "a"}), done=False)))
            await asyncio.sleep(0.2)
        await peer.gone()

    async with RawServer(behave) as server:
        deltas, ended = await drain(await begin(lane, server, timeout_s=1.2))
    assert len(deltas) == 8
    assert isinstance(ended, Failure)
    assert (ended.kind, ended.text) == (K.TIMED_OUT, "a" * 8)
    assert "next piece" in ended.detail


async def test_comments_do_not_stretch_the_time_between_pieces(lane: DirectTransport) -> None:
    """A server that only says that it is still there says nothing."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(BEGUN))
        while True:
            await peer.send(framed(b": processing\n\n"))
            await asyncio.sleep(0.05)  # that it drips is the fault

    async with RawServer(behave) as server:
        begun_s = time.monotonic()
        _, ended = await drain(await begin(lane, server, timeout_s=0.5))
    assert isinstance(ended, Failure)
    assert ended.kind is K.TIMED_OUT
    assert time.monotonic() - begun_s < 5


@pytest.mark.parametrize("end", ["silence", "cut", "reset"])
@pytest.mark.parametrize("reported", [False, True])
async def test_answer_that_is_whole_survives_its_connection(lane: DirectTransport, end: str, reported: bool) -> None:
    """Once it was said why the answer ended, a connection that breaks or stays silent takes the usage report alone."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(events(*HELLO[: 5 if reported else 4], done=False)))
        if end == "silence":
            await peer.gone()
        elif end == "reset":
            peer.reset()

    async with RawServer(behave) as server:
        _, ended = await drain(await begin(lane, server, timeout_s=0.5))
    assert isinstance(ended, StreamEnd)
    assert (ended.answer.usage is not None) == reported


async def test_a_slow_reader_loses_nothing_when_the_connection_breaks(lane: DirectTransport) -> None:
    """What had come before the fault is handed out before it, whenever it is asked for."""
    broken = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(BEGUN))
        await going_on.wait()
        await peer.send(framed(events(chunk({"content": "lo"}), done=False)) + b"5\r\nda")
        peer.writer.close()
        await peer.writer.wait_closed()
        broken.set()

    going_on = asyncio.Event()
    async with RawServer(behave) as server:
        stream = await begin(lane, server)
        assert isinstance(stream, Stream)
        assert [isinstance(await stream.next(), Delta) for _ in range(2)] == [True, True]
        going_on.set()
        await broken.wait()
        while stream._reply.content.exception() is None:  # noqa: ASYNC110 - what aiohttp has noticed
            await asyncio.sleep(0)
        deltas, ended = await drain(stream)
    assert [each.text for each in deltas] == ["lo"]
    assert isinstance(ended, Failure)
    assert (ended.kind, ended.text) == (K.TRUNCATED, "hello")


async def test_html_is_no_stream(lane: DirectTransport) -> None:
    """The page of a portal with status 200 is told as what it is, and not as a stream that was cut."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(b"<html/>", headers={"Content-Type": "text/html; charset=utf-8"}))

    async with RawServer(behave) as server:
        got = await lane.open(call_to(endpoint_of(server.url)))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.MALFORMED_REPLY, Phase.ANSWERING)


@pytest.mark.parametrize(
    ("sent", "limits", "words"),
    [
        (HELLO[:1], {"first_token_s": 0.3}, "the first content did not come in 0.3 s"),
        (HELLO[:2], {"between_chunks_s": 0.3}, "the next piece did not come in 0.3 s"),
        (HELLO[:1], {"between_chunks_s": 0.1, "timeout_s": 0.4}, "the first content did not come in 0.4 s"),
    ],
)
async def test_first_content_and_further_pieces_have_limits_of_their_own(
    lane: DirectTransport, sent: list[dict[str, Any]], limits: dict[str, float], words: str
) -> None:
    """Each apart, and both far below what the attempt may take."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(events(*sent, done=False)))
        await peer.gone()

    async with RawServer(behave) as server:
        begun = time.monotonic()
        _, ended = await drain(await begin(lane, server, **{"timeout_s": 30.0, **limits}))
    assert isinstance(ended, Failure)
    assert (ended.kind, ended.detail) == (K.TIMED_OUT, words)
    assert time.monotonic() - begun < 5


async def test_slow_consumer_is_not_timed_out(lane: DirectTransport) -> None:
    """The time counts while a piece is waited for, not while the caller does something else."""
    async with RawServer(streams(events(*HELLO[:2], done=False), events(*HELLO[2:]))) as server:
        stream = await begin(lane, server, timeout_s=0.6)
        await stream.next()
        await stream.next()
        await asyncio.sleep(1.0)
        _, ended = await drain(stream)
    assert isinstance(ended, StreamEnd)


@pytest.mark.parametrize("how", ["close", "cancel", "timeout"])
async def test_stream_that_is_left_drops_its_connection(lane: DirectTransport, how: str) -> None:
    """Closing, cancelling or running out of time makes the server see the end at once, so that it stops generating."""
    gone = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(BEGUN))
        await peer.gone()
        gone.set()

    async with RawServer(behave) as server:
        stream = await begin(lane, server, timeout_s=0.8 if how == "timeout" else 10.0)
        await stream.next()
        await stream.next()
        if how == "cancel":
            task = asyncio.create_task(stream.next())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif how == "timeout":
            assert isinstance(await stream.next(), Failure)
        else:
            await stream.close()
        await asyncio.wait_for(gone.wait(), 5)
        await stream.close()


async def test_stream_that_never_ends_is_cut() -> None:
    """All events together have a limit too."""
    lane = DirectTransport()
    piece = events(chunk({"content": "x" * 500}), done=False)

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED))
        while True:
            await peer.send(framed(piece))

    async with RawServer(behave) as server:
        stream = await lane.open(call_to(endpoint_of(server.url, reply_bytes_max=20_000)))
        assert not isinstance(stream, Failure)
        deltas, ended = await drain(stream)
        assert len(deltas) < 45
        assert isinstance(ended, Failure)
        assert (ended.kind, ended.phase) == (K.MALFORMED_REPLY, Phase.ANSWERING)
        await lane.close()


async def test_streams_side_by_side(lane: DirectTransport) -> None:
    """Fifty streams at once keep their pieces apart."""

    async def behave(peer: Peer) -> None:
        asked = await peer.request()
        word = asked.json["messages"][0]["content"]
        await peer.send(sse_head(CHUNKED))
        for _ in range(5):
            await peer.send(framed(events(chunk({"content": word}), done=False)))
        await peer.send(framed(events(chunk({}, "stop"))) + b"0\r\n\r\n")

    async def one(word: str) -> str:
        stream = await begin(lane, server, messages=({"role": "user", "content": word},))
        _, ended = await drain(stream)
        assert isinstance(ended, StreamEnd)
        return str(ended.answer.message["content"])

    async with RawServer(behave) as server:
        words = [f"<{index}>" for index in range(50)]
        assert await asyncio.gather(*map(one, words)) == [word * 5 for word in words]


async def test_closing_the_lane_ends_open_streams() -> None:
    """A stream that nobody closed does not survive its lane, and using it afterwards is a failure, not an exception."""
    lane = DirectTransport()
    gone = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(sse_head(CHUNKED) + framed(BEGUN))
        await peer.gone()
        gone.set()

    async with RawServer(behave) as server:
        stream = await begin(lane, server)
        await stream.next()
        await lane.close()
        await asyncio.wait_for(gone.wait(), 5)
        while isinstance(piece := await stream.next(), Delta):
            pass
        assert isinstance(piece, Failure)


async def test_lane_can_be_used_again_after_close(lane: DirectTransport) -> None:
    """Closing lets connections go; the next call makes new ones."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(http(completion()))

    async with RawServer(behave) as server:
        for _ in range(2):
            assert not isinstance(await lane.send(call_to(endpoint_of(server.url))), Failure)
            await lane.close()
        assert server.connections == 2
