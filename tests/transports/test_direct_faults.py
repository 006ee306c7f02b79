"""The direct lane when the network or the server misbehaves: the phase says what may have been billed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Failure, FailureKind, Phase
from modelrouter.ports import Answer
from modelrouter.transports.direct import DirectTransport
from tests.transports.builders import call_to, completion, endpoint_of
from tests.transports.servers import RawServer, http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.transports.servers import Peer

K = FailureKind


@pytest.fixture
async def lane() -> AsyncIterator[DirectTransport]:
    """A lane that is closed afterwards."""
    transport = DirectTransport()
    yield transport
    await transport.close()


async def failed(lane: DirectTransport, endpoint: Any, **changes: Any) -> Failure:
    """The failure of a plain call."""
    got = await lane.send(call_to(endpoint, **changes))
    assert isinstance(got, Failure), got
    return got


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on: it is bound and never listens, so nobody else can take it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("method", ["send", "open"])
async def test_refused_connection(lane: DirectTransport, closed_port: int, method: str) -> None:
    """Nobody listens: nothing was sent."""
    got = await getattr(lane, method)(call_to(endpoint_of(f"http://127.0.0.1:{closed_port}/v1")))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase, got.status) == (K.UNREACHABLE, Phase.NOT_SENT, None)
    assert not got.fresh_connection_helps


async def test_unknown_name(lane: DirectTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no resolver knows: nothing was sent."""

    async def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    got = await failed(lane, endpoint_of("http://nowhere.invalid/v1", hosts=frozenset({"nowhere.invalid"})))
    assert (got.kind, got.phase) == (K.UNREACHABLE, Phase.NOT_SENT)
    assert "name" in got.detail


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A port whose queue of connections is full: further ones get no answer."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@pytest.mark.parametrize("method", ["send", "open"])
async def test_connection_that_takes_too_long(lane: DirectTransport, full_backlog: int, method: str) -> None:
    """The connection has a limit of its own, far below that of the attempt."""
    begun = time.monotonic()
    endpoint = endpoint_of(f"http://127.0.0.1:{full_backlog}/v1")
    got = await getattr(lane, method)(call_to(endpoint, timeout_s=30.0, connect_s=0.2))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.UNREACHABLE, Phase.NOT_SENT)
    assert 0.15 < time.monotonic() - begun < 5


@pytest.mark.parametrize("method", ["send", "open"])
async def test_attempt_that_ends_while_connecting(lane: DirectTransport, full_backlog: int, method: str) -> None:
    """The attempt's own time may be shorter than the connection's: timed out, nothing sent."""
    endpoint = endpoint_of(f"http://127.0.0.1:{full_backlog}/v1")
    got = await getattr(lane, method)(call_to(endpoint, timeout_s=0.2, connect_s=30.0))
    assert isinstance(got, Failure)
    assert (got.kind, got.phase) == (K.TIMED_OUT, Phase.NOT_SENT)


async def silent(peer: Peer) -> None:
    """Read the request and never answer."""
    await peer.request()
    await peer.gone()


async def half_a_head(peer: Peer) -> None:
    """Begin an answer and go away."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-")


async def half_a_body(peer: Peer) -> None:
    """Announce more than comes."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{")


async def half_a_chunk(peer: Peer) -> None:
    """Leave out the last chunk."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{")


async def half_and_reset(peer: Peer) -> None:
    """Begin a body and reset."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
    peer.reset()


async def half_and_silent(peer: Peer) -> None:
    """Begin a body and say no more."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
    await peer.gone()


async def nothing(peer: Peer) -> None:
    """Read the request and close."""
    await peer.request()


async def reset(peer: Peer) -> None:
    """Read the request and reset."""
    await peer.request()
    peer.reset()


async def garbage(peer: Peer) -> None:
    """Answer with something that is not HTTP."""
    await peer.request()
    await peer.send(b"SSH-2.0-OpenSSH\r\n\r\n\x00\x01\x02")


async def endless_head(peer: Peer) -> None:
    """Send headers without end."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "kind", "phase"),
    [
        (silent, K.TIMED_OUT, Phase.SENT),
        (nothing, K.UNREACHABLE, Phase.SENT),
        (reset, K.UNREACHABLE, Phase.SENT),
        (half_a_head, K.UNREACHABLE, Phase.SENT),
        (half_a_body, K.TRUNCATED, Phase.ANSWERING),
        (half_a_chunk, K.TRUNCATED, Phase.ANSWERING),
        (half_and_reset, K.TRUNCATED, Phase.ANSWERING),
        (half_and_silent, K.TIMED_OUT, Phase.ANSWERING),
        (garbage, K.MALFORMED_REPLY, Phase.ANSWERING),
        (endless_head, K.MALFORMED_REPLY, Phase.ANSWERING),
    ],
)
async def test_broken_answers(
    lane: DirectTransport, behave: Callable[[Peer], Awaitable[None]], kind: FailureKind, phase: Phase
) -> None:
    """On a new connection: what came of it, how far it had come, and no wish for another connection."""
    async with RawServer(behave) as server:
        got = await failed(lane, endpoint_of(server.url), timeout_s=0.5 if kind is K.TIMED_OUT else 10.0)
        assert (got.kind, got.phase, got.status) == (kind, phase, None)
        assert not got.fresh_connection_helps
        assert server.connections == 1


async def test_slow_trickle_does_not_stretch_the_timeout(lane: DirectTransport) -> None:
    """A plain attempt has one time for everything, bytes that drip in or not."""

    async def trickle(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
        while True:
            await peer.send(b" ")
            await asyncio.sleep(0.02)

    async with RawServer(trickle) as server:
        begun = time.monotonic()
        got = await failed(lane, endpoint_of(server.url), timeout_s=0.4)
        assert (got.kind, got.phase) == (K.TIMED_OUT, Phase.ANSWERING)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_kept_alive_connection_that_died(lane: DirectTransport, ending: str) -> None:
    """The second request meets a connection that the server ends without a byte: a fresh one helps, and does."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(completion()))
        await peer.request()
        if ending == "reset":
            peer.reset()

    async with RawServer(behave) as server:
        endpoint = endpoint_of(server.url)
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        got = await failed(lane, endpoint)
        assert (got.kind, got.phase, got.fresh_connection_helps) == (K.UNREACHABLE, Phase.SENT, True)
        assert server.connections == 1
        assert isinstance(await lane.send(call_to(endpoint, fresh_connection=True)), Answer)
        assert len(server.requests) == 3


async def test_kept_alive_connection_that_began_to_answer(lane: DirectTransport) -> None:
    """Once bytes of an answer came, the request was worked on: no quiet retry."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(completion()))
        await half_a_head(peer)

    async with RawServer(behave) as server:
        endpoint = endpoint_of(server.url)
        assert isinstance(await lane.send(call_to(endpoint)), Answer)
        assert not (await failed(lane, endpoint)).fresh_connection_helps


async def test_server_that_closes_after_each_reply(lane: DirectTransport) -> None:
    """A server that announces keep-alive and closes: its connection is not used again once that is seen."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(completion(), headers={"Keep-Alive": "timeout=5"}))
        closed.release()

    closed = asyncio.Semaphore(0)
    async with RawServer(behave) as server:
        endpoint = endpoint_of(server.url)
        for _ in range(3):
            got = await lane.send(call_to(endpoint))
            if isinstance(got, Failure):
                assert got.fresh_connection_helps
                got = await lane.send(call_to(endpoint, fresh_connection=True))
            assert isinstance(got, Answer)
            await closed.acquire()


async def test_cancelled_call_lets_go_of_its_connection(lane: DirectTransport) -> None:
    """A cancelled plain call closes its connection at once, so that the server can notice."""
    gone = asyncio.Event()
    asked = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        gone.set()

    async with RawServer(behave) as server:
        task = asyncio.create_task(lane.send(call_to(endpoint_of(server.url))))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)


async def test_fault_of_our_own_raises(lane: DirectTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong in this package is not reported as the provider's failure."""

    def broken(*_: object, **__: object) -> None:
        message = "ours"
        raise KeyError(message)

    monkeypatch.setattr("modelrouter.transports.pool.Pool.session", broken)
    with pytest.raises(KeyError, match="ours"):
        await lane.send(call_to(endpoint_of()))
