"""Connections belong to a loop and go with it: loops in a row, loops side by side, a fork, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Failure
from modelrouter.ports import Answer
from modelrouter.transports import exchange
from modelrouter.transports.direct import DirectTransport
from modelrouter.transports.exchange import Exchange
from tests.transports.builders import call_to, chunk, completion, endpoint_of, events
from tests.transports.servers import RawServer, http, sse_head

if TYPE_CHECKING:
    from modelrouter.transports.pool import Pool
    from tests.transports.servers import Peer

ROOT = Path(__file__).resolve().parents[2]


async def answer(peer: Peer) -> None:
    """Answer every request; streams stay open."""
    while True:
        asked = await peer.request()
        if asked.json.get("stream"):
            await peer.send(sse_head() + events(chunk({"content": "a"}), done=False))
            await peer.gone()
        await peer.send(http(completion()))


class Background:
    """A server in a thread of its own, for tests that run several loops."""

    def __enter__(self) -> RawServer:
        self._ready = threading.Event()
        self._over: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server = RawServer(answer)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(10)
        return self._server

    async def _run(self) -> None:
        self._over, self._loop = asyncio.Event(), asyncio.get_running_loop()
        async with self._server:
            self._ready.set()
            await self._over.wait()

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("streams", [False, True])
def test_loops_in_a_row_leave_nothing_behind(streams: bool) -> None:
    """Three `asyncio.run` with one lane and no `close`: all answer, no warning, no socket, no pool."""

    async def use(base_url: str) -> None:
        call = call_to(endpoint_of(base_url))
        assert isinstance(await lane.send(call), Answer)
        if streams:
            stream = await lane.open(call)
            assert not isinstance(stream, Failure)
            await stream.next()

    lane = DirectTransport()
    with Background() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            asyncio.run(use(server.url))
            gc.collect()
            assert lane._held_exchange is not None
            assert not lane._held_exchange.pools._by_loop
        assert server.connections == 3


def test_threads_each_have_their_loop() -> None:
    """Eight threads with a loop each share one lane; every call answers on a connection of its own loop."""
    lane = DirectTransport()
    got: list[object] = []

    async def use(base_url: str) -> None:
        endpoint = endpoint_of(base_url)
        got.extend([await lane.send(call_to(endpoint)) for _ in range(20)])

    with Background() as server:
        threads = [threading.Thread(target=lambda: asyncio.run(use(server.url))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert server.connections == 8
    assert len(got) == 160
    assert all(isinstance(each, Answer) for each in got)


def test_loop_that_was_closed_without_a_word() -> None:
    """A loop that ended without telling its generators is forgotten when the next one begins."""
    lane = DirectTransport()
    with Background() as server:
        call = call_to(endpoint_of(server.url))
        loop = asyncio.new_event_loop()
        assert isinstance(loop.run_until_complete(lane.send(call)), Answer)
        pools = lane._held_exchange
        assert pools is not None
        (left,) = pools.pools._by_loop.values()
        for transport in _transports(left):
            transport.abort()  # what an orderly loop would have done
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        assert isinstance(asyncio.run(_send(lane, server.url)), Answer)
        gc.collect()


def _transports(pool: Pool) -> list[asyncio.Transport]:
    """The kept-alive connections of a pool."""
    connectors = [session.connector for session in pool._sessions.values()]
    kept = [conns for connector in connectors if connector is not None for conns in connector._conns.values()]
    return [protocol.transport for conns in kept for protocol, _ in conns if protocol.transport is not None]


async def _send(lane: DirectTransport, base_url: str) -> Answer | Failure:
    return await lane.send(call_to(endpoint_of(base_url)))


def test_fork_leaves_the_parents_connections_alone(tmp_path: Path) -> None:
    """The child forgets what it inherited and makes its own connection; the parent goes on with its old one."""
    script = """
import asyncio, gc, os, sys, threading
from modelrouter.ports import Answer
from modelrouter.transports import exchange
from modelrouter.transports.direct import DirectTransport
from modelrouter.transports.exchange import Exchange
from tests.transports.builders import call_to, endpoint_of

lane = DirectTransport()
call = call_to(endpoint_of(sys.argv[1]))
asked, forked = threading.Event(), threading.Event()
good = []

async def work():
    good.append(isinstance(await lane.send(call), Answer))
    asked.set()
    await asyncio.to_thread(forked.wait)
    for _ in range(3):
        good.append(isinstance(await lane.send(call), Answer))

thread = threading.Thread(target=lambda: asyncio.run(work()))
thread.start()
asked.wait()
child = os.fork()
if child == 0:
    lane.abandon()
    gc.collect()
    os._exit(0 if isinstance(asyncio.run(lane.send(call)), Answer) else 1)
status = os.waitpid(child, 0)[1]
forked.set()
thread.join()
print(status, good)
"""
    file = tmp_path / "fork.py"
    file.write_text(script)
    with Background() as server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-W", "error::ResourceWarning", str(file), server.url]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.stdout.strip(), done.stderr) == ("0 [True, True, True, True]", "")
        assert server.connections == 2


def test_lane_loads_aiohttp_with_its_first_call() -> None:
    """Opening the lane costs no aiohttp; refusing a call does not either."""
    script = """
import asyncio, sys
from modelrouter.transports import open_lane
from tests.transports.builders import call_to, endpoint_of
lane = open_lane("direct")
asyncio.run(lane.send(call_to(endpoint_of(hosts=frozenset()))))
assert "aiohttp" not in sys.modules
asyncio.run(lane.send(call_to(endpoint_of())))
assert "aiohttp" in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_close_leaves_no_task_and_no_socket() -> None:
    """After `close` the loop has no task but this one, and the server sees its connections end."""
    lane = DirectTransport()
    ended = 0

    async def behave(peer: Peer) -> None:
        nonlocal ended
        await peer.request()
        await peer.send(http(completion()))
        await peer.gone()
        ended += 1
        if ended == 10:
            everybody.set()

    everybody = asyncio.Event()
    async with RawServer(behave) as server:
        begun = time.monotonic()
        call = call_to(endpoint_of(server.url))
        await asyncio.gather(*(lane.send(call) for _ in range(10)))
        before = asyncio.all_tasks()
        await lane.close()
        await asyncio.wait_for(everybody.wait(), 5)
        assert not asyncio.all_tasks() - before
        assert time.monotonic() - begun < 5


def test_first_calls_of_two_threads_share_their_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to set up, it is done once: what a second one held would be nobody's to close."""
    made: list[Exchange] = []

    def slowly() -> Exchange:
        made.append(Exchange())
        threading.Event().wait(0.05)  # time for the others to come along
        return made[-1]

    monkeypatch.setattr(exchange, "Exchange", slowly)
    lane, start, used = DirectTransport(), threading.Barrier(4), list[Exchange]()

    def first_call() -> None:
        start.wait(10)
        used.append(lane._exchange())

    threads = [threading.Thread(target=first_call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(made), used) == (1, made * 4)
