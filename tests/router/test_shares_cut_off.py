"""Share caps beside what else becomes of a call: somebody is cut off, and what the book tells of it afterwards."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from modelrouter import ShareCapError
from modelrouter.core.assurance import ROLES_OF, Revocation, RevokedKind, told_of
from modelrouter.errors import RevokedError
from modelrouter.ledger import open_ledger
from modelrouter.ledger.decisions import rederive
from modelrouter.ledger.refused import refused_since
from modelrouter.ledger.told import told_calls
from modelrouter.testing import FakeClock, MemoryLedger
from tests.router.test_shares import HARD, REFUSE, SOFT, answered, config, routed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelrouter.ledger import Ledger
    from modelrouter.ports import Committed, Reservation


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A book that is not there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/book.db"
    found: str = request.getfixturevalue("book_url")
    return found


@pytest.fixture
def book(address: str) -> Iterator[Ledger]:
    """The book of a Router."""
    found = open_ledger(address, FakeClock())
    yield found
    found.close(5)


def cut_off(address: str, vendor: str) -> None:
    """By another process, in every role."""
    other = open_ledger(address, FakeClock())
    other.revoke(Revocation(RevokedKind.VENDOR, vendor, "contract ended", ROLES_OF[RevokedKind.VENDOR]))
    other.close(5)


@pytest.mark.parametrize(("gone", "left"), [("south", "a"), ("north", "b")])
def test_a_vendor_that_is_alone_after_a_revocation_goes_on(
    tmp_path: Path, address: str, book: Ledger, gone: str, left: str
) -> None:
    """Each has its share; the call that first meets the revocation goes to the one that is left, and is not refused."""
    with routed(tmp_path, config(HARD), book) as router:
        assert answered(router, "near", 4) == ["a", "a", "b", "b"]
        cut_off(address, gone)
        found = router.complete("near", "hi")
        assert found.deployment == left
        assert all("share" not in why for _, why in found.decision.not_granted), "nothing was asked of it"
        assert answered(router, "near", 2) == [left, left]


def test_who_is_cut_off_while_money_is_reserved_passes_no_cap(tmp_path: Path) -> None:
    """A drill begins between the decision and the reserve: what a cap refuses then is not reserved without it."""

    class Drilled(MemoryLedger):
        def reserve(self, reservation: Reservation, done: Committed) -> None:
            if len(self.reservations) == 2:
                drill.enter_context(router.losing("a"))
            super().reserve(reservation, done)

    book = Drilled()
    with contextlib.ExitStack() as drill, routed(tmp_path, config(HARD), book) as router:
        assert answered(router, "ask", 3) == ["a", "a", "b"]
    assert [each.deployment for each in book.reservations.values()] == ["a", "a", "b"]


@pytest.mark.parametrize(("rule", "told"), [(HARD, "not granted: a: "), (SOFT, "put off: a: ")])
def test_what_a_cap_said_is_derived_with_the_decision(tmp_path: Path, book: Ledger, rule: str, told: str) -> None:
    """The book says why the first candidate was not asked, with the figures of that moment."""
    with routed(tmp_path, config(rule), book) as router:
        assert answered(router, "ask", 2) == ["a", "a"]
        found = router.complete("ask", "hi")
        assert found.deployment == "b"
        with book.reading() as session:
            past = rederive(session, found.call_id)
            calls = {each.call_id: each.told for each in told_calls(session, 0)}
    assert past is not None
    assert past.faults == ()
    assert past.decision is not None
    [(_, why)] = found.decision.not_granted
    assert f"  {told}{why}" in past.decision.explain().splitlines()
    assert calls[found.call_id] == told_of(found.decision)


def test_a_call_that_share_caps_refused_is_in_the_book(tmp_path: Path, book: Ledger) -> None:
    """Counted under its caps, explained by its id, and without a reservation; the next of the kind share a line."""
    with routed(tmp_path, config(REFUSE), book, clock=FakeClock()) as router:
        assert answered(router, "alone", 2) == ["a", "a"]
        ids = []
        for _ in range(3):
            with pytest.raises(ShareCapError) as caught:
                router.complete("alone", "hi")
            ids.append(caught.value.call_id)
    with book.reading() as session:
        lines = list(refused_since(session))
        past = rederive(session, str(ids[0]))
        calls = [each for each in told_calls(session, 0) if not each.attempted]
    assert [(each.count, each.rules) for each in lines] == [
        (count, {"a": "two/vendors.share", "a2": "two/vendors.share"}) for count in (1, 2)
    ]
    assert past is not None
    assert past.faults == ()
    assert past.decision is not None
    assert [name for name, _ in past.decision.not_granted] == ["a", "a2"]
    assert "`two/vendors.share` caps operator `north` at 50 % of calls" in past.decision.explain()
    assert {name: [each.rule for each in found] for name, found in calls[0].told.refused.items()} == {
        "a": ["vendors.share"], "a2": ["vendors.share"],
    }  # fmt: skip


def test_a_call_that_met_a_revocation_when_money_was_reserved_is_in_the_book(
    tmp_path: Path, address: str, book: Ledger
) -> None:
    """Everybody was cut off after it was decided: it is explained like the calls after it, which knew."""
    with routed(tmp_path, config(HARD), book) as router:
        assert answered(router, "near", 1) == ["a"]
        with book.reading():  # its end is in the book, or writing it might tell the Router of the revocation
            pass
        for vendor in ("north", "south"):
            cut_off(address, vendor)
        with pytest.raises(RevokedError, match="at the moment of sending") as caught:
            router.complete("near", "hi")
        with pytest.raises(RevokedError, match="0 of 2 deployments permitted"):
            router.complete("near", "hi")
    with book.reading() as session:
        lines = list(refused_since(session))
        past = rederive(session, str(caught.value.call_id))
    assert [(each.count, each.rules) for each in lines] == [(1, {"a": "cut-off/revoked", "b": "cut-off/revoked"})] * 2
    assert past is not None
    assert past.faults == ()
    assert past.decision is not None
    assert past.decision.permitted == ()
    assert "the vendor `south` was revoked as operator by entry" in past.decision.explain()
