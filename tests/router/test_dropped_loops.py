"""Event loops that are closed in the middle of calls: what was under way is booked, and stands in nobody's way."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter import Router
from modelrouter.core.attempts import Billing
from modelrouter.testing import FakeClock, MemoryLedger
from tests.router.configs import Served, write_config
from tests.router.loopback import LoopbackServer
from tests.router.played import HANGS, SOON_S, Played, hello, in_flight, piece, played, served

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

ONE = "limits: {max_in_flight: 1}"
PROMPT = "hi"
TURNS: Final = 20
MODEL = "smollm2-135m-instruct"


class HalfServer(LoopbackServer):
    """Says the same beginning of an answer to everybody, and never more.

    Attributes:
        said: set when it has.
    """

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self.said = threading.Event()
        self._beginning = beginning.encode()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request by half."""
        await self.request(reader)
        writer.write(self._beginning)
        await writer.drain()
        self.said.set()
        await asyncio.Event().wait()


def event(delta: str) -> str:
    """A stream with one chunk."""
    chunk = f'{{"object": "chat.completion.chunk", "model": "{MODEL}", "choices": [{{"index": 0, "delta": {delta}}}]}}'
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {chunk}\n\n"


def begin(
    loop: asyncio.AbstractEventLoop, call: Coroutine[Any, Any, object], begun: threading.Event | None = None
) -> asyncio.Future[object]:
    """Begin a call on a loop, and leave both where they are: the task lives as long as it is kept."""

    async def begin() -> asyncio.Future[object]:
        task = asyncio.ensure_future(call)
        for _ in range(TURNS):  # it has gone as far as it can without anybody else
            await asyncio.sleep(0)
        if begun is not None:
            assert await asyncio.to_thread(begun.wait, SOON_S)
            await asyncio.get_running_loop().shutdown_default_executor()
        return task

    return loop.run_until_complete(begin())


def drop(call: Coroutine[Any, Any, object], begun: threading.Event | None = None) -> asyncio.Future[object]:
    """Begin a call on a loop of its own, and close the loop in the middle."""
    loop = asyncio.new_event_loop()
    task = begin(loop, call, begun)
    loop.close()
    return task


async def read(router: Router) -> None:
    """Read a stream to its end."""
    async for _ in router.astream("ask", PROMPT):
        pass


@pytest.fixture
def _collected() -> Iterator[None]:
    """What the garbage collector, and with it every destructor of other libraries, has to say, it says at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_collected")
@pytest.mark.parametrize(
    ("stream", "beginning"),
    [
        (False, ""),
        (False, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"),
        (True, ""),
        (True, event('{"role": "assistant"}')),
        (True, event('{"content": "one"}')),
    ],
)
def test_a_call_whose_loop_was_closed_is_booked_though_its_connection_holds_it(
    tmp_path: Path, stream: bool, beginning: str
) -> None:
    """A real connection keeps such a task from being collected. The next call books it, and has its room."""
    ledger = MemoryLedger()
    with HalfServer(beginning) as server:
        config = write_config(tmp_path, [Served("a", server.base_url, more=ONE)], "  ask: {try: [a]}")
        with Router.from_config(config, ledger=ledger, close_timeout_s=SOON_S) as router:
            for so_far in range(2):
                server.said.clear()
                drop(read(router) if stream else router.acomplete("ask", PROMPT), server.said)
                assert (len(ledger.reservations), len(ledger.resolutions)) == (so_far + 1, so_far)
    assert list(ledger.resolutions) == list(ledger.reservations)
    assert [each.billing for each in ledger.resolutions.values()] == [Billing.UNCERTAIN] * 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_collected")
def test_what_such_a_task_says_later_changes_nothing(tmp_path: Path) -> None:
    """They were booked by the end of the Router; then the garbage collector comes for them."""
    ledger, lane = MemoryLedger(), Played([piece("one"), HANGS], HANGS)
    with played(tmp_path, lane, ledger=ledger, deployments=served("a", "b", "c", more=ONE)) as router:
        stream = router.astream("ask", PROMPT)
        kept = [drop(stream.next()), drop(router.acomplete("ask", PROMPT))]
        assert in_flight(router) == {"a": 1}
    booked = dict(ledger.resolutions)
    assert list(booked) == list(ledger.reservations)
    assert len(booked) == 2
    kept.clear()
    asyncio.run(stream.aclose())
    del stream
    gc.collect()
    assert ledger.resolutions == booked


class StandingClock(FakeClock):
    """Whoever sleeps by it is never woken."""

    async def sleep(self, seconds: float) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_collected")
def test_nobody_waits_behind_a_call_whose_loop_was_closed(tmp_path: Path) -> None:
    """Who stands first in a line and will never come for its turn is passed by whoever comes."""
    clock, lane = StandingClock(), Played(hello())
    deployments = served("a", more="limits: {requests_per_minute: 1}")
    with played(tmp_path, lane, deployments=deployments, route="{try: [a]}", clock=clock) as router:
        router.complete("ask", PROMPT)
        kept = drop(router.acomplete("ask", PROMPT))
        clock.move(61)
        assert router.complete("ask", PROMPT, timeout_s=1).text == "hello there"
    assert not kept.done()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("_collected")
async def test_the_next_in_line_is_woken_past_one_whose_loop_was_closed(tmp_path: Path) -> None:
    """Room that comes free is not offered to somebody who will never take it."""
    lane, first = Played(HANGS, hello()), asyncio.new_event_loop()
    deployments = served("a", more=ONE)
    async with played(tmp_path, lane, deployments=deployments, route="{try: [a]}") as router:
        under_way = asyncio.ensure_future(router.acomplete("ask", PROMPT))
        assert await asyncio.to_thread(lane.hanging.wait, SOON_S)
        kept = await asyncio.to_thread(begin, first, router.acomplete("ask", PROMPT))
        behind = asyncio.ensure_future(router.acomplete("ask", PROMPT))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        first.close()
        under_way.cancel()
        async with asyncio.timeout(SOON_S):
            assert (await behind).text == "hello there"
    assert not kept.done()
