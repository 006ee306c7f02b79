"""Locks that come twice: from signal handlers, sinks, the garbage collector, and from two who reload at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from modelrouter.errors import ClosedError, LedgerUnavailableError
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ledger.waiting import Waiting
from modelrouter.ports import Document
from modelrouter.router.outside import SystemClock
from modelrouter.testing import MemoryLedger
from tests.router.configs import write_config
from tests.router.played import SOON_S, Played, hello, played, served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pytest

    from modelrouter import Router
    from modelrouter.core.budget import Budget

BUDGETS = "budgets: {month: {usd: 5, window: month}}"


def ends(work: Callable[[], object]) -> object:
    """What something comes to that may wait for itself; it must end, and so it runs in a thread that can be left."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(work())
        except Exception as error:  # noqa: BLE001 - told to the test
            came.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SOON_S)
    assert came, "it waits for itself"
    return came[0]


def test_a_sink_may_ask_the_router_that_tells_it_of_its_budgets(tmp_path: Path) -> None:
    """The first event comes from the first call, which has built what the sink asks for."""
    asked: list[object] = []

    class AskingSink:
        def emit(self, event: str, fields: Mapping[str, object]) -> None:
            if event == "budget":
                asked.append(router.budgets()[0].budget)

    with played(tmp_path, Played(hello()), events=AskingSink(), top=BUDGETS) as router:
        ends(lambda: router.complete("ask", "x"))
        router.reload()
    assert len(asked) == 2


class ClosingLedger(MemoryLedger):
    """A ledger during whose first use the program is told to end, as by a signal whose handler closes the Router."""

    router: Router

    def configure(self, *, budgets: Sequence[Budget]) -> None:
        """Be interrupted."""
        self.router.close()
        super().configure(budgets=budgets)


def test_a_router_that_a_signal_closes_while_it_is_opened_makes_no_call(tmp_path: Path) -> None:
    """The handler does not wait for the call that it has interrupted, and the call is refused."""
    lane, ledger = Played(hello()), ClosingLedger()
    ledger.router = router = played(tmp_path, lane, ledger=ledger)
    assert isinstance(ends(lambda: router.complete("ask", "x")), ClosedError)
    assert not lane.calls
    assert not ledger.reservations


def test_a_ledger_that_is_closed_while_its_thread_is_started_does_not_wait_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Router that shares it may be collected just then. What was asked of it is answered."""
    ledger = SqliteLedger(tmp_path / "book.db", SystemClock())
    told: list[object] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if thread.name == "modelrouter-ledger":
            ledger.close(SOON_S)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    ends(lambda: ledger.remember([Document("d", "policy", "p", "text")], told.append))
    ledger.close(SOON_S)
    assert len(told) == 1
    assert told[0] is None or isinstance(told[0], LedgerUnavailableError)


async def test_a_task_that_is_collected_while_it_is_told_leaves() -> None:
    """The garbage collector runs wherever it is due, also in the ledger's thread with the lock of this very wait."""
    begun: list[Callable[[Exception | None], None]] = []
    late: list[bool] = []
    waiting = Waiting(begun.append)
    outcome = waiting.outcome(lambda: late.append(True))
    outcome.send(None)

    guard = waiting._guard

    def told_inside() -> None:
        with guard:  # as `_done` does, when the collector comes
            outcome.close()
        begun[0](None)

    ends(told_inside)
    assert late == [True]


def test_of_two_reloads_at_once_the_one_that_read_last_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow reload that has read the old file does not take back what a later one has put in force."""
    has_read, goes_on = threading.Event(), threading.Event()
    with played(tmp_path, Played(hello())) as router:
        read = router._read

        def slow(now_s: float) -> Any:
            setup = read(now_s)
            if threading.current_thread() is first:
                has_read.set()
                assert goes_on.wait(SOON_S)
            return setup

        monkeypatch.setattr(router, "_read", slow)
        first = threading.Thread(target=router.reload)
        first.start()
        assert has_read.wait(SOON_S)
        write_config(tmp_path, served("a", "b", "c"), "  ask: {try: [c]}")
        second = threading.Thread(target=router.reload)
        second.start()
        second.join(0.2)  # it waits for the first one, or would be through by now
        goes_on.set()
        first.join(SOON_S)
        second.join(SOON_S)
        assert router.complete("ask", "x").deployment == "c"
