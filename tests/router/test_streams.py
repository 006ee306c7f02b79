"""Streams: what they hold at the end, and that each way of ending one lets go of the connection and books it."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Final

import pytest

from modelrouter import errors
from modelrouter.core.attempts import Billing, FailureKind
from modelrouter.ports import StreamEnd
from modelrouter.testing import MemoryLedger, failure, reply
from tests.router.played import HANGS, SOON_S, Played, hello, in_flight, piece, played

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter import Router
    from modelrouter.ports import Resolution
    from tests.router.played import Piece

PROMPT = "hi"
BUSY = failure("rate_limited", status=429)
ENDLESS: Final[list[Piece]] = [piece(), piece("one"), piece(" two"), HANGS]


def only(ledger: MemoryLedger) -> Resolution:
    """The one resolution there is, of the one reservation there is."""
    assert list(ledger.resolutions) == list(ledger.reservations)
    (found,) = ledger.resolutions.values()
    return found


def is_cancelled_at_its_bound(ledger: MemoryLedger) -> bool:
    """Whether the one attempt was booked as given up, uncertain, at its bound."""
    resolution = only(ledger)
    (reservation,) = ledger.reservations.values()
    failed = resolution.attempt.failure
    return (
        resolution.billing is Billing.UNCERTAIN
        and resolution.cost_nano_usd == reservation.bound.nano_usd
        and failed is not None
        and failed.kind is FailureKind.CANCELLED
    )


async def later(lane: Played) -> None:
    """Wait until a stream was let go of."""
    assert await asyncio.to_thread(lane.let_go.wait, SOON_S)


# --- to the end -------------------------------------------------------------------------------------------------------


def test_nothing_happens_before_it_is_entered_or_read(tmp_path: Path) -> None:
    """A stream that is only made reserves nothing and sends nothing; a wrong request is told at once."""
    lane, ledger = Played(hello()), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        router.stream("ask", PROMPT)
        with pytest.raises(errors.RequestError, match="no route"):
            router.stream("nowhere", PROMPT)
    assert not lane.calls
    assert not ledger.reservations


def test_a_stream_that_is_read_holds_the_reply(tmp_path: Path) -> None:
    """No reply before the end; then all the facts, and reading on gives nothing more."""
    lane, ledger = Played(hello()), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router, router.stream("ask", PROMPT) as stream:
        assert next(stream).text == "hello"
        assert (stream.reply, stream.text) == (None, "hello")
        assert [each.text for each in stream] == [" there"]
        assert list(stream) == []
        assert stream.reply is not None
        assert (stream.reply.text, stream.text, stream.reply.cost_nano_usd) == ("hello there", "hello there", 550)
        assert in_flight(router) == {}
    assert only(ledger).billing is Billing.BILLED
    assert lane.closed == 1


def test_pieces_without_content_are_handed_out_too(tmp_path: Path) -> None:
    """An answer of nothing still says who speaks and why it ended, where the route wants such an answer."""
    lane = Played([piece(), piece(finish="stop"), StreamEnd(reply("", finish_reason="stop"))])
    with played(tmp_path, lane, route="{try: [a], on_empty: return}") as router, router.stream("ask", PROMPT) as stream:
        assert len(list(stream)) == 2
        assert stream.reply is not None


def test_before_content_the_next_candidate_is_tried(tmp_path: Path) -> None:
    """A failure, also one in the middle of a stream that has said nothing yet, goes on to the next candidate."""
    lane = Played(BUSY, [piece(), failure("truncated")], hello())
    with played(tmp_path, lane) as router, router.stream("ask", PROMPT) as stream:
        assert "".join(each.text for each in stream) == "hello there"
        assert stream.reply is not None
        assert stream.reply.deployment == "c"
        assert in_flight(router) == {}
    assert lane.closed == 2


@pytest.mark.parametrize("entered", [False, True])
def test_a_refusal_is_raised_where_the_stream_begins(tmp_path: Path, entered: bool) -> None:
    """Whoever enters it, or takes the first piece, hears that nobody is left."""
    with played(tmp_path, Played(BUSY)) as router:
        stream = router.stream("ask", PROMPT)
        with pytest.raises(errors.AttemptsExhaustedError):
            stream.__enter__() if entered else next(stream)
        assert in_flight(router) == {}


# --- broken -----------------------------------------------------------------------------------------------------------


def test_after_content_a_failure_is_told_with_text_and_cost(tmp_path: Path) -> None:
    """Nobody else is asked: the error has what was handed out, and what it may cost."""
    lane, ledger = Played([piece("one"), failure("truncated")]), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.stream("ask", PROMPT)
        assert next(stream).text == "one"
        with pytest.raises(errors.StreamBrokenError) as raised:
            next(stream)
        assert in_flight(router) == {}
    (reservation,) = ledger.reservations.values()
    assert raised.value.text == "one"
    assert raised.value.cost_usd is not None
    assert raised.value.cost_usd * 10**9 == reservation.bound.nano_usd
    assert lane.asked == ["a"]
    assert lane.closed == 1


def test_a_fault_of_the_lane_is_booked_and_raised(tmp_path: Path) -> None:
    """An exception of a lane's own code, before content or after it, leaves nothing open."""
    for first in (piece(), piece("one")):
        lane, ledger = Played([first, ZeroDivisionError()]), MemoryLedger()
        with played(tmp_path, lane, ledger=ledger) as router:
            with pytest.raises(ZeroDivisionError):
                list(router.stream("ask", PROMPT))
            assert in_flight(router) == {}
        assert only(ledger).billing is Billing.UNCERTAIN
        assert lane.closed == 1


async def test_an_end_that_is_interrupted_while_it_lets_go_is_booked(tmp_path: Path) -> None:
    """Once the last piece has come the cost is known, whatever becomes of the connection."""
    ledger = MemoryLedger()
    async with played(tmp_path, Played(hello()), ledger=ledger) as router:
        stream = router.astream("ask", PROMPT)
        assert [(await anext(stream)).text, (await anext(stream)).text] == ["hello", " there"]
        last = asyncio.ensure_future(stream.next())
        await asyncio.sleep(0)  # the end has come, and closing waits for its turn
        last.cancel()
        with pytest.raises(asyncio.CancelledError):
            await last
        assert only(ledger).cost_nano_usd == 550


# --- given up ---------------------------------------------------------------------------------------------------------


def test_close_and_leaving_the_block_book_and_let_go(tmp_path: Path) -> None:
    """By hand, twice, or by `with`: one resolution, one closing, and nothing more to read."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        with router.stream("ask", PROMPT) as stream:
            next(stream)
            stream.close()
            stream.close()
            assert list(stream) == []
            assert stream.reply is None
        assert is_cancelled_at_its_bound(ledger)
        assert in_flight(router) == {}
    assert lane.closed == 1


async def test_a_dropped_stream_is_booked_at_once(tmp_path: Path) -> None:
    """The last reference goes, and with it the connection; no timer keeps it for a minute."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    async with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.astream("ask", PROMPT)
        await anext(stream)
        del stream
        gc.collect()
        assert is_cancelled_at_its_bound(ledger)
        await later(lane)


def test_a_dropped_sync_stream_is_booked_at_once(tmp_path: Path) -> None:
    """The same for sync code, whose stream belongs to another thread's loop."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.stream("ask", PROMPT)
        next(stream)
        del stream
        gc.collect()
        assert is_cancelled_at_its_bound(ledger)
        assert lane.let_go.wait(SOON_S)


@pytest.mark.parametrize("collects_each", [1, 5, 25, 75, 150, 225, 700])
async def test_a_stream_dropped_in_a_circle_is_booked_by_the_collection(tmp_path: Path, collects_each: int) -> None:
    """Earlier collections shuffle the order in which the parts of a circle are finalised: none may end the call."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    usual = gc.get_threshold()
    async with played(tmp_path, lane, ledger=ledger) as router:
        gc.collect()
        gc.set_threshold(collects_each, 1000, 1000)
        try:
            circle: list[object] = [stream := router.astream("ask", PROMPT)]
            circle.append(circle)
            await anext(stream)
        finally:
            gc.set_threshold(*usual)
        del stream, circle
        gc.collect()
        assert is_cancelled_at_its_bound(ledger)
        await later(lane)


def test_a_call_dropped_with_its_loop_is_booked_by_the_collection(tmp_path: Path) -> None:
    """A task that nobody waits for any more, in a circle, when its loop is closed: nothing of it stays reserved."""
    lane, ledger = Played(HANGS), MemoryLedger()

    async def ask(router: Router) -> object:
        circle: list[object] = [asyncio.ensure_future(router.acomplete("ask", PROMPT))]
        circle.append(circle)
        await asyncio.to_thread(lane.hanging.wait, SOON_S)
        return circle

    with played(tmp_path, lane, ledger=ledger) as router:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # a loop tells of each task that is dropped
        circle = loop.run_until_complete(ask(router))
        loop.close()
        del circle
        gc.collect()
        assert is_cancelled_at_its_bound(ledger)
        assert in_flight(router) == {}


def test_a_stream_that_outlives_its_loop_is_booked_when_it_goes(tmp_path: Path) -> None:
    """The loop has ended and its connections with it: the money is not forgotten."""
    ledger = MemoryLedger()
    router = played(tmp_path, Played(ENDLESS), ledger=ledger)
    stream = router.astream("ask", PROMPT)
    asyncio.run(stream.__aenter__())
    assert not ledger.resolutions
    del stream
    gc.collect()
    assert is_cancelled_at_its_bound(ledger)
    router.close()


def test_a_stream_may_be_the_last_to_know_its_router(tmp_path: Path) -> None:
    """A Router that nobody names any more is not closed while its stream is read."""
    stream = played(tmp_path, Played(hello())).stream("ask", PROMPT)
    gc.collect()
    assert "".join(each.text for each in stream) == "hello there"


async def test_an_idle_stream_is_given_up_and_whoever_comes_back_is_told(tmp_path: Path) -> None:
    """A consumer that was away too long must not take half an answer for a whole one."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    async with played(tmp_path, lane, ledger=ledger, idle_stream_s=0.01) as router:
        stream = router.astream("ask", PROMPT)
        assert [(await anext(stream)).text, (await anext(stream)).text] == ["", "one"]
        await later(lane)
        assert is_cancelled_at_its_bound(ledger)
        with pytest.raises(errors.StreamBrokenError, match="nobody took a piece") as raised:
            await anext(stream)
        assert raised.value.text == "one"
        assert raised.value.cost_usd
        assert in_flight(router) == {}


async def test_a_reader_that_waits_is_not_idle(tmp_path: Path) -> None:
    """While somebody waits for the next piece, the server's slowness is no idleness."""
    lane, ledger = Played([piece("one"), HANGS]), MemoryLedger()
    async with played(tmp_path, lane, ledger=ledger, idle_stream_s=0.01) as router:
        stream = router.astream("ask", PROMPT)
        await anext(stream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.1)
        failed = only(ledger).attempt.failure
    assert failed is not None
    assert failed.detail == "the stream was cancelled"


def test_a_stream_may_be_closed_by_another_thread(tmp_path: Path) -> None:
    """A stop button: the reader that waits for the next piece comes to an end without an error."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.stream("ask", PROMPT)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.extend(each.text for each in stream))
        reader.start()
        assert lane.hanging.wait(SOON_S)
        stream.close()
        reader.join(SOON_S)
        assert not reader.is_alive()
    assert read == ["", "one", " two"]
    assert is_cancelled_at_its_bound(ledger)


async def test_a_stream_closed_while_it_is_opened_stays_closed(tmp_path: Path) -> None:
    """Closing wins over an answer that begins at the same moment."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    async with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.astream("ask", PROMPT)
        opening = asyncio.ensure_future(stream.next())
        while not lane.calls:
            await asyncio.sleep(0)
            if ledger.reservations:
                await stream.aclose()
        assert await opening is None
        assert is_cancelled_at_its_bound(ledger)
        assert lane.closed == 1
