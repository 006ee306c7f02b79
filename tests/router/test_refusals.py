"""Requests that nobody may serve: all counted, one a minute written for each way to be refused, nobody held up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter import errors
from modelrouter.ledger import open_ledger
from modelrouter.ledger.decisions import rederive
from modelrouter.ledger.refused import refused_since
from modelrouter.router import refusals
from modelrouter.router.outside import SystemClock
from modelrouter.testing import FakeClock, FakeTransport, MemoryLedger, reply
from tests.router.played import played

if TYPE_CHECKING:
    from pathlib import Path

    from modelrouter import Router

TOP = (
    "tags: {user: {personal: true}, team: {default: none}}\n"
    "policies: [{policy: cheap, rules: {request.cost_usd: {max: 0.000001}}}, "
    "{policy: far, applies_to: {team: [b]}, rules: {processing.country: {allow: [US]}}}]"
)


def refuse(router: Router, times: int = 1, **options: Any) -> None:
    """Ask, and be refused."""
    for _ in range(times):
        with pytest.raises((errors.NoRouteError, errors.CeilingError)):
            router.complete("ask", "Hello", **{"tags": {"team": "a"}, **options})


def counts(ledger: MemoryLedger) -> list[int]:
    """How many requests each written line stands for."""
    return [each.count for each in ledger.refused]


def test_a_burst_is_one_line_a_minute_and_a_count(tmp_path: Path) -> None:
    """The first is written at once, the others count in the next line a minute later, whoever causes it."""
    clock, ledger = FakeClock(), MemoryLedger()
    with played(tmp_path, FakeTransport(reply("x")), top=TOP, ledger=ledger, clock=clock) as router:
        refuse(router, 500)
        assert counts(ledger) == [1]
        clock.move(refusals.EVERY_S - 1)
        refuse(router)
        assert counts(ledger) == [1]
        clock.move(1)
        refuse(router)
        assert counts(ledger) == [1, 501]
        refuse(router, 3)
    assert counts(ledger) == [1, 501, 3]
    first = ledger.refused[0]
    assert set(first.rules.values()) == {"cheap/request.cost_usd"}
    assert ledger.refused[1].call.call_id != first.call.call_id
    assert not ledger.reservations


def test_ways_to_be_refused_are_told_apart(tmp_path: Path) -> None:
    """Another first rule is another line; a tag that is personal is in none of them."""
    ledger = MemoryLedger()
    with played(tmp_path, FakeTransport(reply("x")), top=TOP, ledger=ledger, clock=FakeClock()) as router:
        refuse(router, 2, tags={"user": "ann", "team": "a"})
        refuse(router, 2, tags={"team": "b"})
        assert [set(each.rules.values()) for each in ledger.refused] == [
            {"cheap/request.cost_usd"},
            {"far/processing.country"},
        ]
    assert [dict(each.call.tags) for each in ledger.refused[:2]] == [{"team": "a"}, {"team": "b"}]
    assert not any("ann" in each.call.decision for each in ledger.refused)


def test_a_permitted_request_writes_what_waits(tmp_path: Path) -> None:
    """Counts do not wait for the next refusal: any request of the process brings them along."""
    clock, ledger = FakeClock(), MemoryLedger()
    with played(tmp_path, FakeTransport(reply("x")), ledger=ledger, clock=clock) as router:
        refuse(router, 4, tags={}, max_cost_usd="0.000001")
        clock.move(refusals.EVERY_S)
        assert counts(ledger) == [1]
        assert router.complete("ask", "Hello").text == "x"
        assert counts(ledger) == [1, 3]


class Failing(MemoryLedger):
    """A book that cannot take refusals at first; each try is answered in another thread, as a real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 2

    def note_refused(self, refused: Any, done: Any) -> None:
        """Fail twice."""
        if self.failures:
            self.failures -= 1
            thread = threading.Thread(target=done, args=(errors.LedgerUnavailableError("full"),))
            thread.start()
            thread.join()
            return
        super().note_refused(refused, done)


def test_what_the_book_cannot_take_is_counted_again(tmp_path: Path) -> None:
    """The caller hears of its refusal alone, and no request is lost from the count."""
    clock, ledger = FakeClock(), Failing()
    with played(tmp_path, FakeTransport(reply("x")), top=TOP, ledger=ledger, clock=clock) as router:
        for _ in range(3):
            refuse(router, 5)
            clock.move(refusals.EVERY_S)
        refuse(router)
    assert sum(counts(ledger)) == 16


def test_a_book_that_breaks_does_not_reach_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever noting raises, the refused caller hears of the refusal, and others are served; closing works."""

    class Broken(MemoryLedger):
        def note_refused(self, refused: Any, done: Any) -> None:
            raise OSError("broken")

    clock = FakeClock()
    with played(tmp_path, FakeTransport(reply("x")), ledger=Broken(), clock=clock) as router:
        refuse(router, 2, tags={}, max_cost_usd="0.000001")
        clock.move(refusals.EVERY_S)
        assert router.complete("ask", "Hello").text == "x"
    assert "could not be written" in caplog.text


def test_too_many_ways_share_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of refusals is bounded, and still each one counts."""
    monkeypatch.setattr(refusals, "KINDS_MAX", 1)
    ledger = MemoryLedger()
    with played(tmp_path, FakeTransport(reply("x")), top=TOP, ledger=ledger, clock=FakeClock()) as router:
        refuse(router, 2)
        refuse(router, 3, tags={"team": "b"})
        refuse(router, 4, tags={"team": "b"}, policy="baseline")
    assert sum(counts(ledger)) == 9


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_refusals_in_a_real_book(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """SQLite and PostgreSQL hold them behind the hash of their writer's chain, and give them back in order."""
    url = f"sqlite:///{tmp_path}/own.db" if kind == "sqlite" else str(request.getfixturevalue("book_url"))
    ledger = open_ledger(url, SystemClock())
    with played(tmp_path, FakeTransport(reply("x")), top=TOP, ledger=ledger) as router:
        refuse(router, 3)
    reader = open_ledger(url, SystemClock())
    with reader.reading() as session:
        lines = list(refused_since(session))
        found = rederive(session, lines[0].call_id)
    reader.close(5)
    assert [each.count for each in lines] == [1, 2]
    assert {each.route for each in lines} == {"ask"}
    assert lines[0].call_id == lines[1].call_id
    assert found is not None
    assert (found.faults, found.was_refused, found.count) == ((), True, 3)
    assert lines[0].rules == dict.fromkeys("abc", "cheap/request.cost_usd")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_refused_request_is_found_by_any_id(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """Signs that mean something in JSON or in a pattern mean themselves; no other request is taken for it."""
    url = f"sqlite:///{tmp_path}/own.db" if kind == "sqlite" else str(request.getfixturevalue("book_url"))
    ledger, clock = open_ledger(url, SystemClock()), FakeClock()
    names = ("order-1", "order_1", 'a"b', "c\\d", "50%", "wh!t")
    with played(tmp_path, FakeTransport(reply("x")), top=TOP, ledger=ledger, clock=clock) as router:
        for name in names:
            refuse(router, request_id=name)
            clock.move(refusals.EVERY_S)
    reader = open_ledger(url, SystemClock())
    with reader.reading() as session:
        found = {name: rederive(session, name) for name in (*names, "order%", "_rder-1")}
    reader.close(5)
    assert {name: None if each is None else each.request_id for name, each in found.items()} == {
        **{name: name for name in names}, "order%": None, "_rder-1": None,
    }  # fmt: skip
