"""Interruptions at every place: cancelled tasks, faults, a Router closed in the middle. All is booked, once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from modelrouter import errors
from modelrouter.core.attempts import Billing, Failure, Phase
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ports import StreamEnd
from modelrouter.testing import ListSink, MemoryLedger, failure
from tests.router.played import HANGS, SOON_S, Played, hello, in_flight, piece, played

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from modelrouter import Router
    from modelrouter.ports import Reservation
    from tests.router.played import Piece

PROMPT = "a secret plan"
ENDLESS: Final[list[Piece]] = [piece("one"), HANGS]


class SlowLedger(MemoryLedger):
    """A book whose reservations wait until the test lets them be durable."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.held: list[Callable[[], None]] = []

    def reserve(self, reservation: Reservation, done: Callable[[Exception | None], None]) -> None:
        """Keep the callback back."""
        write = super().reserve
        self.held.append(lambda: write(reservation, done))
        self.asked.set()


async def until(event: threading.Event) -> None:
    """Wait for something that another thread does."""
    assert await asyncio.to_thread(event.wait, SOON_S)


def ends(ledger: MemoryLedger) -> list[tuple[Billing, Phase | None]]:
    """How each reservation ended; all of them must have."""
    assert list(ledger.resolutions) == list(ledger.reservations)
    failures = [(each.billing, each.attempt.failure) for each in ledger.resolutions.values()]
    return [(billing, None if failed is None else failed.phase) for billing, failed in failures]


# --- cancelled --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("committed_first", [False, True])
async def test_cancelled_while_reserving_nothing_is_sent_and_nothing_stays(
    tmp_path: Path, committed_first: bool
) -> None:
    """The grant comes to nobody, before or after the cancellation: it is released at nothing."""
    lane, ledger = Played(hello()), SlowLedger()
    async with played(tmp_path, lane, ledger=ledger) as router:
        call = asyncio.ensure_future(router.acomplete("ask", PROMPT))
        await until(ledger.asked)
        if committed_first:
            ledger.held.pop()()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        while ledger.held:
            ledger.held.pop()()
        assert ends(ledger) == [(Billing.UNBILLED, Phase.NOT_SENT)]
        assert in_flight(router) == {}
    assert not lane.calls


@pytest.mark.parametrize("turn", [HANGS, [piece(), HANGS]])
async def test_cancelled_while_an_answer_is_awaited(tmp_path: Path, turn: Any) -> None:
    """It may have been billed: uncertain, at the bound, and no longer in flight; a stream is let go of."""
    lane, ledger = Played(turn), MemoryLedger()
    async with played(tmp_path, lane, ledger=ledger) as router:
        stream = router.astream("ask", PROMPT)
        call = asyncio.ensure_future(stream.next() if isinstance(turn, list) else router.acomplete("ask", PROMPT))
        await until(lane.hanging)
        assert in_flight(router) == {"a": 1}
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert in_flight(router) == {}
        assert [billing for billing, _ in ends(ledger)] == [Billing.UNCERTAIN]
    assert lane.closed == isinstance(turn, list)


async def test_a_fault_of_a_lane_is_booked_before_it_is_raised(tmp_path: Path) -> None:
    """What a lane's own code raises is not swallowed, and its attempt is uncertain."""
    ledger = MemoryLedger()
    async with played(tmp_path, Played(ZeroDivisionError()), ledger=ledger) as router:
        with pytest.raises(ZeroDivisionError):
            await router.acomplete("ask", PROMPT)
        assert in_flight(router) == {}
    assert ends(ledger) == [(Billing.UNCERTAIN, Phase.SENT)]


NONSENSE: Final[list[Any]] = [
    failure("server_error", status="500"),  # type: ignore[arg-type]
    replace(hello(), usage=object()),  # type: ignore[arg-type]
    replace(hello(), message=None),  # type: ignore[arg-type]
]
"""What a lane of the caller's own may give that is none of what a lane gives."""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_what_a_lane_gives_that_makes_no_sense_is_booked_all_the_same(
    tmp_path: Path, nonsense: Any, stream: bool
) -> None:
    """The mistake is raised as it is; its attempt may have been billed, and its room is free again."""
    ledger = MemoryLedger()
    lane = Played(
        [piece("one"), nonsense if isinstance(nonsense, Failure) else StreamEnd(nonsense)] if stream else nonsense
    )
    with played(tmp_path, lane, ledger=ledger) as router:
        with pytest.raises((TypeError, AttributeError)):
            list(router.stream("ask", PROMPT)) if stream else router.complete("ask", PROMPT)
        assert in_flight(router) == {}
    assert [billing for billing, _ in ends(ledger)] == [Billing.UNCERTAIN]


# --- the ledger and the sink ------------------------------------------------------------------------------------------


def test_without_a_ledger_nothing_is_sent(tmp_path: Path) -> None:
    """A book that cannot be written stops the call before its first byte."""
    lane, ledger = Played(hello()), MemoryLedger()
    ledger.fault = LedgerUnavailableError("the disk is full")
    with played(tmp_path, lane, ledger=ledger) as router:
        with pytest.raises(LedgerUnavailableError, match="the disk is full"):
            router.complete("ask", PROMPT)
        with pytest.raises(LedgerUnavailableError):
            next(router.stream("ask", PROMPT))
    assert not lane.calls


def test_a_ledger_that_fails_in_the_middle_says_what_was_spent(tmp_path: Path) -> None:
    """The error of the second hop has the first attempt and its cost."""
    ledger = MemoryLedger()

    def fill_the_disk(call: object) -> Any:
        ledger.fault = LedgerUnavailableError("the disk is full")
        return failure("timed_out")

    lane = Played(fill_the_disk)
    with played(tmp_path, lane, ledger=ledger) as router, pytest.raises(LedgerUnavailableError) as raised:
        router.complete("ask", PROMPT)
    assert lane.asked == ["a"]
    assert [each.deployment for each in raised.value.attempts] == ["a"]
    assert raised.value.cost_usd
    assert raised.value.call_id


def test_events_tell_of_attempts_and_never_of_words(tmp_path: Path) -> None:
    """One event for each attempt, without prompt or answer."""
    sink = ListSink()
    with played(tmp_path, Played(failure("server_error", status=500), hello()), events=sink) as router:
        router.complete("ask", PROMPT)
        with router.stream("ask", PROMPT) as stream:
            next(stream)
    assert [(event, fields["deployment"], fields["failure"]) for event, fields in sink.events] == [
        ("attempt", "a", "server_error"),
        ("attempt", "b", None),
        ("attempt", "a", "cancelled"),
    ]
    assert "secret" not in repr(sink.events)
    assert "hello" not in repr(sink.events)


def test_the_ledger_never_sees_words(tmp_path: Path) -> None:
    """What is reserved and its record hold no prompt, and what is resolved no answer beside the attempt's own text."""
    ledger = MemoryLedger()
    with played(tmp_path, Played(hello()), ledger=ledger) as router:
        router.complete("ask", PROMPT)
    assert "secret" not in repr((ledger.reservations, ledger.resolutions))
    assert "hello" not in repr((ledger.reservations, ledger.resolutions))


def test_a_sink_that_raises_costs_nobody_an_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The answer was paid for: it is given, and the sink's fault is logged."""

    class Broken:
        def emit(self, event: str, fields: Mapping[str, object]) -> None:
            raise StopIteration

    with played(tmp_path, Played(hello()), events=Broken()) as router:
        assert router.complete("ask", PROMPT).text == "hello there"
        assert "".join(each.text for each in router.stream("ask", PROMPT)) == "hello there"
    assert "the event sink raised" in caplog.text


# --- closed in the middle ---------------------------------------------------------------------------------------------


def test_closing_ends_sync_calls_and_books_them(tmp_path: Path) -> None:
    """A thread that waits for an answer is told that the Router was closed; the attempt is uncertain."""
    lane, ledger = Played(HANGS), MemoryLedger()
    router = played(tmp_path, lane, ledger=ledger)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(router.complete, "ask", PROMPT)
        assert lane.hanging.wait(SOON_S)
        router.close()
        assert isinstance(call.exception(SOON_S), errors.ClosedError)
    assert [billing for billing, _ in ends(ledger)] == [Billing.UNCERTAIN]
    for ask in (lambda: router.complete("ask", PROMPT), lambda: router.stream("ask", PROMPT), router.reload):
        with pytest.raises(errors.ClosedError):
            ask()
    router.close()


def test_closing_books_a_stream_that_nobody_reads_at_the_moment(tmp_path: Path) -> None:
    """Between two pieces a stream has no task to be cancelled: it is booked all the same, and its reader told."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    router = played(tmp_path, lane, ledger=ledger)
    with router.stream("ask", PROMPT) as stream:
        next(stream)
        router.close()
        assert [billing for billing, _ in ends(ledger)] == [Billing.UNCERTAIN]
        assert lane.closed == 1
        with pytest.raises((errors.ClosedError, errors.StreamBrokenError)):
            next(stream)


async def test_aclose_lets_calls_of_this_loop_end(tmp_path: Path) -> None:
    """A call that is about to be answered is answered and booked before the book is closed."""
    ledger = SlowLedger()
    router = played(tmp_path, Played(hello()), ledger=ledger)
    call = asyncio.ensure_future(router.acomplete("ask", PROMPT))
    await until(ledger.asked)
    closing = asyncio.ensure_future(router.aclose())
    while not router._engine_now or not router._engine_now.closed:  # noqa: ASYNC110 - a flag is all there is to see
        await asyncio.sleep(0)
    ledger.held.pop()()
    assert (await call).cost_nano_usd == 550
    await closing
    assert ends(ledger) == [(Billing.BILLED, None)]


async def test_no_hop_begins_after_closing(tmp_path: Path) -> None:
    """A call under way may end, but asks nobody else; what it spent is told."""
    ledger = MemoryLedger()
    routers: list[Router] = []

    def closing(call: object) -> Any:
        engine = routers[0]._engine_now
        assert engine is not None
        engine.closed = True  # as `aclose` in another thread does first
        return failure("timed_out")

    lane = Played(closing)
    routers.append(played(tmp_path, lane, ledger=ledger))
    with pytest.raises(errors.ClosedError) as raised:
        await routers[0].acomplete("ask", PROMPT)
    assert lane.asked == ["a"]
    assert len(raised.value.attempts) == 1


async def test_aclose_ends_an_open_stream_and_tells_its_reader(tmp_path: Path) -> None:
    """The stream is booked before the book is closed; the next piece is an error with the text so far."""
    lane, ledger = Played(ENDLESS), MemoryLedger()
    router = played(tmp_path, lane, ledger=ledger)
    stream = router.astream("ask", PROMPT)
    await anext(stream)
    await router.aclose()
    assert [billing for billing, _ in ends(ledger)] == [Billing.UNCERTAIN]
    with pytest.raises(errors.StreamBrokenError, match="closed") as raised:
        await anext(stream)
    assert raised.value.text == "one"


async def test_closing_inside_the_loop_does_not_wait_for_its_own_calls(tmp_path: Path) -> None:
    """Sync `close` in async code books this loop's streams and returns, though calls of this loop are under way."""
    lane, ledger = Played(ENDLESS, HANGS), MemoryLedger()
    router = played(tmp_path, lane, ledger=ledger)
    stream = router.astream("ask", PROMPT)
    await anext(stream)
    call = asyncio.ensure_future(router.acomplete("ask", PROMPT))
    await until(lane.hanging)
    router.close()
    assert len(ledger.resolutions) == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(errors.StreamBrokenError):
        await anext(stream)


def test_a_forgotten_router_closes_itself(tmp_path: Path) -> None:
    """No thread stays behind a Router that nobody names any more."""
    router = played(tmp_path, Played(hello()))
    router.complete("ask", PROMPT)
    (thread,) = [each for each in threading.enumerate() if each.name == "modelrouter-loop"]
    del router
    gc.collect()
    thread.join(SOON_S)
    assert not thread.is_alive()


# --- from the wrong place ---------------------------------------------------------------------------------------------


def test_a_sync_call_from_the_router_s_own_loop_is_refused(tmp_path: Path) -> None:
    """A function that runs on that loop, as one that reads a key, would wait for itself for ever."""
    raised: list[BaseException] = []

    def ask_again(call: object) -> Any:
        try:
            router.complete("ask", PROMPT)
        except errors.RequestError as error:
            raised.append(error)
        return hello()

    with played(tmp_path, Played(ask_again)) as router:
        assert router.complete("ask", PROMPT).text == "hello there"
    assert "would wait for itself" in str(raised[0])


def test_the_router_may_be_closed_from_its_own_loop(tmp_path: Path) -> None:
    """As by the garbage collector that happens to run there: nobody waits for himself, the caller is told."""

    def close(call: object) -> Any:
        router.close()
        return hello()

    ledger = MemoryLedger()
    router = played(tmp_path, Played(close), ledger=ledger)
    with contextlib.suppress(errors.ClosedError):  # or it was answered before the loop ended
        router.complete("ask", PROMPT)
    with pytest.raises(errors.ClosedError):
        router.complete("ask", PROMPT)


def test_the_child_of_a_fork_neither_books_nor_reads_its_parent_s_stream(tmp_path: Path) -> None:
    """The child drops the stream without a word, and reading it there is an error, not a wait for ever."""
    lane, ledger = Played([piece("one"), piece(" two"), StreamEnd(hello())]), MemoryLedger()
    router = played(tmp_path, lane, ledger=ledger)
    stream = router.stream("ask", PROMPT)
    next(stream)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            next(stream)
        except errors.ClosedError:
            del stream
            gc.collect()
            code = 0 if not ledger.resolutions else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [each.text for each in stream] == [" two"]
    router.close()
    assert ends(ledger) == [(Billing.BILLED, None)]
