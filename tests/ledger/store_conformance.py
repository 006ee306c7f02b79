"""What every store that outlives its process must do: subclass `StoreConformance` and give it a `shelf` fixture.

A shelf keeps one book and a clock, and opens stores on it: each one is another writer, as another process would be.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.core.budget import Balance, Window
from modelrouter.core.pricing import Usage
from modelrouter.errors import (
    BudgetBusyError,
    BudgetExceededError,
    BudgetMismatchError,
    LedgerError,
)
from modelrouter.ports import Correction
from tests.ledger.budget_conformance import balances
from tests.ledger.builders import (
    Heard,
    budget,
    call_record,
    reservation,
    reserve,
    reserve_all,
    resolution,
    resolve,
    timed_out,
)
from tests.ledger.cut_off_conformance import SharedCutOffConformance
from tests.ledger.lease_conformance import LeaseConformance
from tests.ledger.share_conformance import SharedBookConformance
from tests.ledger.soundness import assert_sound, lines

if TYPE_CHECKING:
    from modelrouter.ledger.store import StoredLedger
    from tests.ledger.lease_conformance import Shelf

HOUR_S = 3_600.0


def correct(store: StoredLedger, *corrections: Correction) -> Exception | None:
    """Correct, and wait for the outcome."""
    heard = Heard()
    store.correct(corrections, heard)
    return heard.outcome()


class StoreConformance(LeaseConformance, SharedCutOffConformance, SharedBookConformance):
    """The rules of a book that several writers share."""

    # --- budgets in force -----------------------------------------------------------------------------------------

    def test_the_first_to_reserve_puts_its_budgets_in_force(self, shelf: Shelf) -> None:
        """Opening and configuring write nothing; the first reservation writes the budgets, with a line."""
        first = shelf.open(budgets=[budget("all", 100)])
        assert not first.budgets()
        reserve(first, reservation(bound_nano_usd=1))
        assert [each.name for each in first.budgets()] == ["all"]
        (line,) = [each for each in lines(first) if each["kind"] == "budgets"]
        assert json.loads(str(line["content"])) == [json.loads(budget("all", 100).definition)]
        assert_sound(first)

    def test_another_definition_is_refused_until_it_is_applied(self, shelf: Shelf) -> None:
        """A second process with another limit reserves nothing, is told which budget, and still ends its attempts."""
        first = shelf.open(budgets=[budget("all", 100), budget("same", 50)])
        second = shelf.open(budgets=[budget("all", 200), budget("same", 50)])
        reserve(first, reservation("r-1", bound_nano_usd=40))
        error = reserve(second, reservation("r-2", bound_nano_usd=1))
        assert isinstance(error, BudgetMismatchError)
        assert "`all`" in error.message
        assert "`same`" not in error.message
        assert "modelrouter budget apply" in error.message
        assert resolve(second, resolution("r-1", cost_nano_usd=30)) is None
        second.apply([budget("all", 200), budget("same", 50)])
        assert reserve(second, reservation("r-2", bound_nano_usd=1)) is None
        assert isinstance(reserve(first, reservation("r-3", bound_nano_usd=1)), BudgetMismatchError)
        first.configure(budgets=[budget("all", 200), budget("same", 50)])
        assert reserve(first, reservation("r-3", bound_nano_usd=1)) is None
        assert balances(first)["all", ""] == Balance(settled=30, reserved=2)
        assert_sound(first)

    def test_how_long_to_wait_is_nobody_s_agreement(self, shelf: Shelf) -> None:
        """Two processes may differ in `wait_s` alone, and each goes by its own."""
        first = shelf.open(budgets=[budget("all", 100)])
        second = shelf.open(budgets=[budget("all", 100, wait_s=3_600)])
        reserve(first, reservation("r-1", bound_nano_usd=100))
        waiting = Heard()
        second.reserve(reservation("r-2", bound_nano_usd=100, wait_s=3_600), waiting)
        assert isinstance(reserve(first, reservation("r-3", bound_nano_usd=1, wait_s=3_600)), BudgetBusyError)
        resolve(first, resolution("r-1", cost_nano_usd=0))
        assert waiting.outcome() is None, "another process's settlement is seen by whoever waits"

    def test_without_budgets_nothing_is_limited_and_nothing_written(self, shelf: Shelf) -> None:
        """The empty set needs no line, and somebody else's first budgets count what was spent before them."""
        first = shelf.open()
        reserve(first, reservation("r-1", bound_nano_usd=10**9))
        resolve(first, resolution("r-1", cost_nano_usd=60))
        assert not [each for each in lines(first) if each["kind"] == "budgets"]
        second = shelf.open(budgets=[budget("all", 100)])
        assert balances(second) == {("all", ""): Balance(settled=60)}
        assert isinstance(reserve(second, reservation("r-2", bound_nano_usd=41)), BudgetExceededError)
        assert isinstance(reserve(first, reservation("r-3")), BudgetMismatchError)
        assert_sound(first)

    def test_a_changed_limit_keeps_what_was_spent(self, shelf: Shelf) -> None:
        """A budget of the same shape goes on under its new limit, in the same accounts."""
        store = shelf.open(budgets=[budget("all", 100)])
        reserve(store, reservation("r-1", bound_nano_usd=90))
        store.apply([budget("all", 120)])
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=40)), BudgetBusyError)
        assert reserve(store, reservation("r-3", bound_nano_usd=30)) is None
        resolve(store, resolution("r-1", cost_nano_usd=10))
        assert balances(store) == {("all", ""): Balance(settled=10, reserved=30)}
        assert_sound(store)

    def test_a_changed_shape_counts_the_window_anew(self, shelf: Shelf) -> None:
        """Kept apart by team from now on: what each team has spent and reserved in this window is under its name."""
        store = shelf.open(budgets=[budget("x", 1_000)])
        for name, team in (("r-1", "a"), ("r-2", "b")):
            reserve(store, reservation(name, bound_nano_usd=70, call=call_record(name, tags={"team": team})))
        resolve(store, resolution("r-1", cost_nano_usd=50))
        store.apply([budget("x", 100, each="tag.team")])
        assert balances(store) == {("x", "a"): Balance(settled=50), ("x", "b"): Balance(reserved=70)}
        resolve(store, resolution("r-2", cost_nano_usd=20))
        assert balances(store) == {("x", "a"): Balance(settled=50), ("x", "b"): Balance(settled=20)}
        assert_sound(store)

    def test_other_writers_follow_a_changed_shape(self, shelf: Shelf) -> None:
        """A reservation that another process holds is settled in the accounts that it was moved to."""
        first = shelf.open(budgets=[budget("x", 1_000)])
        second = shelf.open(budgets=[budget("x", 1_000)])
        reserve(first, reservation("r-1", bound_nano_usd=70))
        second.apply([budget("y", 500, each="route"), budget("x", 1_000)])
        assert resolve(first, resolution("r-1", cost_nano_usd=5)) is None
        assert balances(second) == {("x", ""): Balance(settled=5), ("y", "support"): Balance(settled=5)}
        assert_sound(first)

    def test_a_dropped_budget_limits_nothing_and_comes_back_with_its_history(self, shelf: Shelf) -> None:
        """Out of force it counts nothing; in force again it counts what its window has seen all the same."""
        store = shelf.open(budgets=[budget("x", 100)])
        reserve(store, reservation("r-1", bound_nano_usd=90))
        store.apply([])
        assert not store.budgets()
        assert reserve(store, reservation("r-2", bound_nano_usd=90)) is None
        store.apply([budget("x", 100)])
        assert balances(store) == {("x", ""): Balance(reserved=180)}
        assert isinstance(reserve(store, reservation("r-3", bound_nano_usd=1)), BudgetBusyError)
        assert_sound(store)

    # --- windows --------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("window", "length_s", "pause_s"),
        [
            (Window.HOUR, 0, HOUR_S),
            (Window.DAY, 0, 24 * HOUR_S),
            (Window.WEEK, 0, 7 * 24 * HOUR_S),
            (Window.MONTH, 0, 31 * 24 * HOUR_S),
            (Window.ROLLING, 7_200, 7_200 * 1.02),
        ],
    )
    def test_a_window_that_is_over_is_empty(self, shelf: Shelf, window: Window, length_s: int, pause_s: float) -> None:
        """What was spent and reserved in the last window does not count in this one, for whoever asks."""
        limits = [budget("x", 100, window=window, length_s=length_s, zone_name="Europe/Berlin")]
        store = shelf.open(budgets=limits)
        reserve(store, reservation("r-1", bound_nano_usd=60))
        resolve(store, resolution("r-1", cost_nano_usd=60))
        reserve(store, reservation("r-2", bound_nano_usd=40))
        assert isinstance(reserve(store, reservation("r-3", bound_nano_usd=1)), BudgetBusyError)
        shelf.clock.at_s += pause_s
        assert reserve(store, reservation("r-4", bound_nano_usd=100)) is None
        assert resolve(store, resolution("r-2", cost_nano_usd=7)) is None
        assert balances(store) == {("x", ""): Balance(reserved=100)}
        assert_sound(store)

    def test_a_settlement_counts_in_the_window_of_its_reservation(self, shelf: Shelf) -> None:
        """Reserved before midnight, settled after it: it counts for the day before, in budgets and in reports."""
        shelf.clock.at_s = 1_789_948_799.0  # 2026-09-20, 23:59:59
        store = shelf.open(budgets=[budget("x", 100, window=Window.DAY)])
        reserve(store, reservation("r-1", bound_nano_usd=100))
        shelf.clock.at_s += 2
        assert reserve(store, reservation("r-2", bound_nano_usd=100)) is None
        resolve(store, resolution("r-1", cost_nano_usd=99))
        assert balances(store) == {("x", ""): Balance(reserved=100)}
        assert [(row.group, row.settled_nano_usd) for row in store.spend(by="day")] == [
            ("2026-09-20", 99),
            ("2026-09-21", 0),
        ]
        assert_sound(store)

    def test_a_rolling_window_forgets_little_by_little(self, shelf: Shelf) -> None:
        """Two hours in slots: what is older leaves, what is younger stays."""
        store = shelf.open(budgets=[budget("x", 100, window=Window.ROLLING, length_s=7_200)])
        for number, cost in enumerate((50, 30)):
            reserve(store, reservation(f"r-{number}", bound_nano_usd=50))
            resolve(store, resolution(f"r-{number}", cost_nano_usd=cost))
            shelf.clock.at_s += HOUR_S
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=21)), BudgetExceededError)
        shelf.clock.at_s += 120
        assert reserve(store, reservation("r-3", bound_nano_usd=70)) is None
        assert balances(store) == {("x", ""): Balance(settled=30, reserved=70)}
        assert_sound(store)

    # --- corrections ----------------------------------------------------------------------------------------------

    def test_a_correction_brings_an_attempt_to_its_true_cost(self, shelf: Shelf) -> None:
        """The difference is booked, again and again, and each time the attempt has cost what was said last."""
        store = shelf.open(budgets=[budget("x", 1_000)])
        reserve(store, reservation("r-1", bound_nano_usd=100))
        ended = resolution("r-1", billing=Billing.UNCERTAIN, cost_nano_usd=100, failure=timed_out())
        resolve(store, ended)
        assert correct(store, Correction("r-1", 30, "invoice 4", Usage(5, 6))) is None
        assert balances(store) == {("x", ""): Balance(uncertain=100, correction=-70)}
        assert correct(store, Correction("r-1", 150, "invoice 5", Usage(7, 8))) is None
        (row,) = store.attempts()
        assert (row.cost_nano_usd, row.correction_nano_usd, row.usage) == (150, 50, Usage(5, 6))
        contents = [json.loads(str(each["content"])) for each in lines(store) if each["kind"] == "correction"]
        assert contents == [{"why": "reconcile", "text": "invoice 4"}, {"why": "reconcile", "text": "invoice 5"}]
        (sums,) = store.spend(by="model")
        assert (sums.correction_nano_usd, sums.input_tokens, sums.output_tokens) == (50, 5, 6)
        assert_sound(store)

    def test_corrections_are_booked_all_or_none(self, shelf: Shelf) -> None:
        """One attempt that is not there, or has no end yet, and none is corrected."""
        store = shelf.open()
        for name in ("r-1", "r-2"):
            reserve(store, reservation(name, bound_nano_usd=100))
        resolve(store, resolution("r-1", cost_nano_usd=10))
        for wrong in ("r-2", "nobody"):
            error = correct(store, Correction("r-1", 3, "a"), Correction(wrong, 3, "a"))
            assert type(error) is LedgerError
            assert f"`{wrong}`" in error.message
        assert store.totals().correction_nano_usd == 0
        assert correct(store, Correction("r-1", 3, "a"), Correction("r-1", 4, "b")) is None
        assert store.totals().correction_nano_usd == -6
        assert_sound(store)

    def test_a_late_settlement_does_not_undo_a_reconciliation(self, shelf: Shelf) -> None:
        """Where the invoice has been booked, what the process says afterwards adds its usage and no money."""
        first, second = shelf.open(), shelf.open()
        reserve(first, reservation("r-1", bound_nano_usd=60))
        shelf.clock.at_s += 31
        reserve(second, reservation("r-2", bound_nano_usd=1))
        assert correct(second, Correction("r-1", 17, "invoice")) is None
        assert resolve(first, resolution("r-1", cost_nano_usd=22, usage=Usage(7, 3))) is None
        row = next(each for each in second.attempts() if each.reservation_id == "r-1")
        assert (row.cost_nano_usd, row.usage) == (17, Usage(7, 3))
        assert_sound(second)

    # --- personal tags --------------------------------------------------------------------------------------------

    def test_all_writers_share_a_pseudonym(self, shelf: Shelf) -> None:
        """The key is in the book, so another process has the same text for the same person."""
        first, second = shelf.open(), shelf.open()
        assert first.pseudonym("user", "anna") == second.pseudonym("user", "anna")

    def test_a_deleted_key_makes_another_person_of_everyone(self, shelf: Shelf) -> None:
        """After `forget` the same value has another text, here and, with its next batch, in every other process."""
        first, second = shelf.open(), shelf.open()
        before = first.pseudonym("user", "anna")
        assert second.pseudonym("user", "anna") == before
        kept = first.pseudonym("customer", "x")
        assert first.forget("user") is True
        assert first.forget("user") is False
        after = first.pseudonym("user", "anna")
        assert after != before
        reserve(second, reservation())
        assert second.pseudonym("user", "anna") == after
        assert second.pseudonym("customer", "x") == kept
        (line,) = [each for each in lines(first) if each["kind"] == "key_deleted"]
        assert json.loads(str(line["content"]))["tag"] == "user"
        assert_sound(first)

    # --- lines ----------------------------------------------------------------------------------------------------

    def test_a_chain_begins_with_who_writes(self, shelf: Shelf) -> None:
        """The first line of each writer says its id, process, machine and version, and nothing is written before."""
        first, second = shelf.open(), shelf.open()
        assert not lines(first)
        reserve(first, reservation("r-1"))
        reserve(second, reservation("r-2"))
        opening = [each for each in lines(first) if each["kind"] == "open"]
        said = [json.loads(str(each["content"])) for each in opening]
        assert [each["writer_id"] for each in said] == [first.writer_id, second.writer_id]
        assert [set(each) for each in said] == [{"writer_id", "pid", "host", "version", "at_us"}] * 2
        assert set(first.heads()) == {first.writer_id, second.writer_id}
        assert_sound(first)

    def test_a_refusal_alone_writes_nothing(self, shelf: Shelf) -> None:
        """A store that only ever was refused has left no line."""
        store = shelf.open(budgets=[budget("x", 5)])
        other = shelf.open(budgets=[budget("x", 6)])
        reserve(store, reservation("r-1", bound_nano_usd=5))
        before = len(lines(store))
        assert isinstance(reserve(other, reservation("r-2")), BudgetMismatchError)
        assert isinstance(reserve(store, reservation("r-3")), BudgetExceededError)
        assert len(lines(store)) == before

    def test_the_same_price_is_kept_once(self, shelf: Shelf) -> None:
        """Each reservation names its price by the hash of a text that is in the book."""
        store = shelf.open()
        reserve_all(store, [reservation(f"r-{number}") for number in range(5)])
        digests = {str(each["price"]) for each in lines(store) if each["kind"] == "reserve"}
        (digest,) = digests
        document = store.document(digest)
        assert document is not None
        assert (document.kind, document.body) == ("price", reservation().price.to_text())
        assert_sound(store)

    def test_an_overrun_names_whose_it_is(self, shelf: Shelf) -> None:
        """The line that books more than the bound says on which deployment of whom."""
        store = shelf.open()
        reserve(store, reservation("r-1", bound_nano_usd=10))
        resolve(store, resolution("r-1", cost_nano_usd=14))
        (line,) = [each for each in lines(store) if each["kind"] == "overrun"]
        assert (line["amount_nano_usd"], line["deployment"], line["operator"]) == (4, "small", "self")
        (row,) = store.attempts()
        assert (row.cost_nano_usd, row.overrun_nano_usd) == (14, 4)
        assert_sound(store)

    def test_a_long_chain_has_a_checkpoint_in_between(self, shelf: Shelf) -> None:
        """After a thousand lines of one writer comes one without being asked for."""
        store = shelf.open()
        for begin in range(0, 1_200, 200):
            heard = reserve_all(store, [reservation(f"r-{begin + number}") for number in range(200)])
            assert [ear.outcome() for ear in heard] == [None] * 200
        assert sum(each["kind"] == "checkpoint" for each in lines(store)) == 1
        assert_sound(store)

    def test_writers_that_take_turns_agree(self, shelf: Shelf) -> None:
        """Three writers under one budget, in turns and with each other's reservations: all sums stay right."""
        limits = [budget("x", 300), budget("y", 200, window=Window.DAY, each="deployment")]
        stores = [shelf.open(budgets=limits) for _ in range(3)]
        for number in range(24):
            store = stores[number % 3]
            wanted = reservation(f"r-{number}", deployment="ab"[number % 2], bound_nano_usd=20 + number)
            reserve(store, wanted)
            if number >= 2:
                resolve(stores[(number + 1) % 3], resolution(f"r-{number - 2}", cost_nano_usd=number))
            shelf.clock.at_s += 5
        assert len({str(balances(store)) for store in stores}) == 1
        assert_sound(stores[0])
