"""What every store that outlives its process must do about leases and clocks: a part of `store_conformance`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from modelrouter.core.attempts import Billing
from modelrouter.core.budget import Balance
from modelrouter.core.pricing import Usage
from modelrouter.errors import (
    AlreadyResolvedError,
    BudgetBusyError,
    BudgetExceededError,
    LedgerUnavailableError,
)
from modelrouter.ledger import AttemptState
from tests.ledger.budget_conformance import balances
from tests.ledger.builders import budget, reservation, reserve, reserve_all, resolution, resolve, timed_out
from tests.ledger.soundness import assert_sound, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.budget import Budget
    from modelrouter.ledger.store import StoredLedger
    from tests.ledger.builders import StillClock

HOUR_S = 3_600.0


class Shelf(Protocol):
    """One book, and whoever opens it: each store is another writer, as another process would be."""

    clock: StillClock

    def open(self, *, budgets: Sequence[Budget] = (), lease_s: float = 30.0) -> StoredLedger:
        """Another store on the book, which is made by the first; closed after the test."""
        ...


class LeaseConformance:
    """Who is alive, and what time it is."""

    # --- leases ---------------------------------------------------------------------------------------------------

    def test_a_lapsed_lease_expires_at_the_bound(self, shelf: Shelf) -> None:
        """Whoever gives no sign of life for as long as a lease lasts holds nothing any more; the money is uncertain."""
        first, second = shelf.open(budgets=[budget("x", 100)]), shelf.open(budgets=[budget("x", 100)])
        reserve(first, reservation("r-1", bound_nano_usd=60))
        first.let_go()
        shelf.clock.at_s += 29
        assert reserve(second, reservation("r-2", bound_nano_usd=1)) is None
        assert balances(second) == {("x", ""): Balance(reserved=61)}
        shelf.clock.at_s += 2
        assert reserve(second, reservation("r-3", bound_nano_usd=1)) is None
        assert balances(second) == {("x", ""): Balance(uncertain=60, reserved=2)}
        states = {row.reservation_id: (row.state, row.cost_nano_usd) for row in second.attempts()}
        assert states["r-1"] == (AttemptState.EXPIRED, 60)
        assert not first.holds("r-1")
        assert_sound(second)

    def test_what_expires_is_spent_for_whoever_comes_with_it(self, shelf: Shelf) -> None:
        """The batch that expires somebody's money knows that it will not come back, and so do those after it."""
        first, second = shelf.open(budgets=[budget("x", 100)]), shelf.open(budgets=[budget("x", 100)])
        reserve(second, reservation("r-0", bound_nano_usd=1))
        reserve(first, reservation("r-1", bound_nano_usd=60))
        assert isinstance(reserve(second, reservation("r-2", bound_nano_usd=50)), BudgetBusyError)
        shelf.clock.at_s += 31
        for name in ("r-3", "r-4"):
            assert isinstance(reserve(second, reservation(name, bound_nano_usd=50)), BudgetExceededError)
        assert resolve(first, resolution("r-1", cost_nano_usd=0, billing=Billing.UNBILLED)) is None
        assert reserve(second, reservation("r-5", bound_nano_usd=99)) is None
        assert_sound(second)

    def test_a_late_settlement_becomes_a_correction(self, shelf: Shelf) -> None:
        """What had expired is corrected to its true cost, once, with usage and failure; a second end is refused."""
        first, second = shelf.open(budgets=[budget("x", 100)]), shelf.open(budgets=[budget("x", 100)])
        reserve(first, reservation("r-1", bound_nano_usd=60))
        shelf.clock.at_s += 31
        reserve(second, reservation("r-2", bound_nano_usd=1))
        late = resolution("r-1", cost_nano_usd=22, usage=Usage(7, 3), saved_nano_usd=5)
        assert resolve(first, late) is None
        assert balances(second) == {("x", ""): Balance(uncertain=60, reserved=1, correction=-38)}
        row = next(each for each in second.attempts() if each.reservation_id == "r-1")
        assert (row.state, row.cost_nano_usd, row.correction_nano_usd) == (AttemptState.EXPIRED, 22, -38)
        assert (row.usage, row.saved_nano_usd) == (Usage(7, 3), 5)
        assert isinstance(resolve(first, late), AlreadyResolvedError)
        assert second.totals().correction_nano_usd == -38
        (line,) = [each for each in lines(second) if each["kind"] == "correction"]
        assert json.loads(str(line["content"])) == {"why": "late", "billing": "billed"}
        assert_sound(second)

    def test_a_late_failure_is_a_failure(self, shelf: Shelf) -> None:
        """An attempt that expired and is then said to have failed unbilled costs nothing and counts as failed."""
        first, second = shelf.open(), shelf.open()
        reserve(first, reservation("r-1", bound_nano_usd=60))
        shelf.clock.at_s += 31
        reserve(second, reservation("r-2", bound_nano_usd=1))
        assert second.totals().failures == 0
        assert resolve(first, resolution("r-1", billing=Billing.UNBILLED, failure=timed_out())) is None
        totals = second.totals()
        assert (totals.failures, totals.uncertain_nano_usd, totals.correction_nano_usd) == (1, 60, -60)
        assert_sound(second)

    def test_a_grant_is_not_held_when_the_lease_may_have_lapsed(self, shelf: Shelf) -> None:
        """A tenth of the lease before its end nothing may be begun any more; after a sign of life it may again."""
        store = shelf.open(lease_s=30)
        reserve(store, reservation("r-1"))
        assert store.holds("r-1")
        shelf.clock.at_s += 26.9
        assert store.holds("r-1")
        shelf.clock.at_s += 0.2
        assert not store.holds("r-1")
        reserve(store, reservation("r-2"))
        assert store.holds("r-1"), "nobody had expired it"

    def test_what_was_expired_meanwhile_is_never_held_again(self, shelf: Shelf) -> None:
        """A sign of life after the lease had lapsed does not bring back what others have expired."""
        first, second = shelf.open(), shelf.open()
        reserve(first, reservation("r-1"))
        shelf.clock.at_s += 31
        reserve(second, reservation("r-2"))
        assert reserve(first, reservation("r-3")) is None
        assert (first.holds("r-1"), first.holds("r-3")) == (False, True)

    def test_a_clean_end_expires_nothing_that_has_ended(self, shelf: Shelf) -> None:
        """Closing leaves a checkpoint and no lease; what is still open then expires when the lease is over."""
        first = shelf.open()
        reserve_all(first, [reservation("r-1", bound_nano_usd=3), reservation("r-2", bound_nano_usd=4)])
        resolve(first, resolution("r-1", cost_nano_usd=1))
        first.close(5)
        second = shelf.open()
        reserve(second, reservation("r-3", bound_nano_usd=5))
        assert second.totals().uncertain_nano_usd == 0
        shelf.clock.at_s += 31
        reserve(second, reservation("r-4", bound_nano_usd=5))
        assert second.totals().uncertain_nano_usd == 4
        kinds = [each["kind"] for each in lines(second)]
        assert kinds.count("expire") == 1
        assert kinds.count("checkpoint") == 2
        assert_sound(second)

    def test_checkpoints_name_each_head_once_it_has_moved(self, shelf: Shelf) -> None:
        """Three writers one after the other: each checkpoint names its own chain and those that have grown since."""
        stores = [shelf.open() for _ in range(3)]
        for number, store in enumerate(stores):
            reserve(store, reservation(f"r-{number}"))
            resolve(store, resolution(f"r-{number}", cost_nano_usd=1))
            store.close(5)
        found = [json.loads(str(each["content"]))["heads"] for each in lines(stores[0]) if each["kind"] == "checkpoint"]
        ids = [store.writer_id for store in stores]
        assert [set(heads) for heads in found] == [{ids[0]}, {ids[0], ids[1]}, {ids[1], ids[2]}]
        assert_sound(stores[0])

    # --- clocks ---------------------------------------------------------------------------------------------------

    def test_a_clock_that_went_back_reserves_nothing(self, shelf: Shelf) -> None:
        """Three hours back: no reservation, a sentence that says by how much; ends are written at the last moment."""
        store = shelf.open()
        reserve(store, reservation("r-1"))
        at_us = lines(store)[-1]["at_us"]
        shelf.clock.set_back(3 * HOUR_S)
        error = reserve(store, reservation("r-2"))
        assert isinstance(error, LedgerUnavailableError)
        assert "went back by 3 h" in error.message
        assert resolve(store, resolution("r-1", cost_nano_usd=1)) is None
        assert lines(store)[-1]["at_us"] == at_us
        shelf.clock.set_back(-3 * HOUR_S)
        assert reserve(store, reservation("r-2")) is None
        assert_sound(store)

    def test_a_clock_that_jumped_forward_reserves_nothing(self, shelf: Shelf) -> None:
        """A day ahead of the clock that only counts: refused with a sentence, and the book's time does not follow."""
        store = shelf.open()
        reserve(store, reservation("r-1"))
        at_us = int(lines(store)[-1]["at_us"] or 0)
        shelf.clock.set_back(-24 * HOUR_S)
        error = reserve(store, reservation("r-2"))
        assert isinstance(error, LedgerUnavailableError)
        assert "went forward by 24 h" in error.message
        assert resolve(store, resolution("r-1", cost_nano_usd=1)) is None
        assert lines(store)[-1]["at_us"] == at_us
        shelf.clock.set_back(24 * HOUR_S)
        assert reserve(store, reservation("r-2")) is None
        shelf.clock.at_s += 24 * HOUR_S
        assert reserve(store, reservation("r-3")) is None, "time that really went by is no jump"
        assert_sound(store)

    def test_a_new_program_takes_the_clock_as_it_is(self, shelf: Shelf) -> None:
        """After a restart the present time is believed."""
        store = shelf.open()
        reserve(store, reservation("r-1"))
        store.close(5)
        shelf.clock.set_back(-24 * HOUR_S)
        assert reserve(shelf.open(), reservation("r-2")) is None
