"""What every store must do with budgets: a part of `conformance`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.core.budget import Balance
from modelrouter.errors import BudgetBusyError, BudgetExceededError, LedgerUnavailableError
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

if TYPE_CHECKING:
    from modelrouter.ports import LedgerStore


def balances(store: LedgerStore) -> dict[tuple[str, str], Balance]:
    """Where budgets stand, by name and scope."""
    return {(each.budget.name, each.scope): each.balance for each in store.positions()}


class BudgetConformance:
    """The rules of budgets, by the port alone."""

    def test_a_budget_may_be_used_up_and_not_passed(self, store: LedgerStore) -> None:
        """What fits exactly is granted; one nano-dollar more is not."""
        store.configure(budgets=[budget(limit_nano_usd=1_000)])
        assert reserve(store, reservation("r-1", bound_nano_usd=600)) is None
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=401)), BudgetBusyError)
        assert reserve(store, reservation("r-3", bound_nano_usd=400)) is None
        assert balances(store) == {("all", ""): Balance(reserved=1_000)}

    def test_a_refusal_says_what_stands_in_the_way(self, store: LedgerStore) -> None:
        """The error has the budget, its scope, its balance and what was needed, in figures and in words."""
        store.configure(budgets=[budget("team", 1_000, each="tag.team")])
        reserve(store, reservation("r-1", bound_nano_usd=700, call=call_record("c-1", tags={"team": "a"})))
        error = reserve(store, reservation("r-2", bound_nano_usd=500, call=call_record("c-2", tags={"team": "a"})))
        assert isinstance(error, BudgetBusyError)
        refusal = error.refusal
        assert (refusal.position.budget.name, refusal.position.scope, refusal.needed_nano_usd) == ("team", "a", 500)
        assert refusal.position.balance == Balance(reserved=700)
        assert "`team`" in error.message

    def test_reserved_is_busy_and_spent_is_exceeded(self, store: LedgerStore) -> None:
        """Money that may come back is worth another try; money that is gone is not."""
        store.configure(budgets=[budget(limit_nano_usd=1_000)])
        reserve(store, reservation("r-1", bound_nano_usd=900))
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=200)), BudgetBusyError)
        resolve(store, resolution("r-1", cost_nano_usd=900))
        assert isinstance(reserve(store, reservation("r-3", bound_nano_usd=200)), BudgetExceededError)

    def test_more_than_the_whole_budget_is_exceeded_at_once(self, store: LedgerStore) -> None:
        """What could never fit is not told to come again."""
        store.configure(budgets=[budget(limit_nano_usd=100, wait_s=30)])
        assert isinstance(reserve(store, reservation(bound_nano_usd=101, wait_s=30)), BudgetExceededError)

    def test_all_budgets_or_none(self, store: LedgerStore) -> None:
        """Where the last of three has no room, nothing is set aside in the first two."""
        store.configure(
            budgets=[budget("a", 1_000), budget("b", 1_000, each="route"), budget("c", 50, each="deployment")]
        )
        assert isinstance(reserve(store, reservation("r-1", bound_nano_usd=51)), BudgetExceededError)
        assert not store.positions()
        assert reserve(store, reservation("r-2", bound_nano_usd=50)) is None
        held = Balance(reserved=50)
        assert balances(store) == {("a", ""): held, ("b", "support"): held, ("c", "small"): held}

    def test_what_a_settlement_leaves_over_is_free_again(self, store: LedgerStore) -> None:
        """A bound of 900 that came to 100 leaves room for 900."""
        store.configure(budgets=[budget(limit_nano_usd=1_000)])
        reserve(store, reservation("r-1", bound_nano_usd=900))
        resolve(store, resolution("r-1", cost_nano_usd=100))
        assert reserve(store, reservation("r-2", bound_nano_usd=900)) is None
        assert balances(store) == {("all", ""): Balance(settled=100, reserved=900)}

    def test_a_release_gives_everything_back(self, store: LedgerStore) -> None:
        """What was not billed counts under no budget."""
        store.configure(budgets=[budget(limit_nano_usd=1_000)])
        reserve(store, reservation("r-1", bound_nano_usd=1_000))
        resolve(store, resolution("r-1", billing=Billing.UNBILLED, failure=timed_out()))
        assert not store.positions()
        assert reserve(store, reservation("r-2", bound_nano_usd=1_000)) is None

    def test_what_is_uncertain_counts_as_spent(self, store: LedgerStore) -> None:
        """It is kept apart, and it is gone."""
        store.configure(budgets=[budget(limit_nano_usd=1_000)])
        reserve(store, reservation("r-1", bound_nano_usd=800))
        resolve(store, resolution("r-1", billing=Billing.UNCERTAIN, cost_nano_usd=800, failure=timed_out()))
        assert balances(store) == {("all", ""): Balance(uncertain=800)}
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=201)), BudgetExceededError)

    def test_an_overrun_is_booked_apart_and_blocks(self, store: LedgerStore) -> None:
        """A cost above its bound is settled at the bound; the rest is an overrun, and counts against the limit."""
        store.configure(budgets=[budget(limit_nano_usd=1_000)])
        reserve(store, reservation("r-1", bound_nano_usd=900))
        assert resolve(store, resolution("r-1", cost_nano_usd=1_250)) is None
        assert balances(store) == {("all", ""): Balance(settled=900, overrun=350)}
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=1)), BudgetExceededError)
        (row,) = store.spend(by="deployment")
        assert (row.settled_nano_usd, row.overrun_nano_usd) == (900, 350)

    def test_scopes_are_kept_apart(self, store: LedgerStore) -> None:
        """One team's money is no other's; requests without the tag share an account of their own."""
        store.configure(budgets=[budget("team", 100, each="tag.team")])
        for name in ("a", "b"):
            wanted = reservation(f"r-{name}", bound_nano_usd=100, call=call_record(f"c-{name}", tags={"team": name}))
            assert reserve(store, wanted) is None
        assert reserve(store, reservation("r-none", bound_nano_usd=100)) is None
        again = reservation("r-again", bound_nano_usd=1, call=call_record("c-again", tags={"team": "a"}))
        assert isinstance(reserve(store, again), BudgetBusyError)
        assert set(balances(store)) == {("team", "a"), ("team", "b"), ("team", "")}

    @pytest.mark.parametrize("name", ["route", "deployment", "operator", "developer", "policy", "tag.team"])
    def test_a_budget_covers_only_what_it_names(self, store: LedgerStore, name: str) -> None:
        """What does not match is neither limited nor counted."""
        values = {
            "route": "support", "deployment": "small", "operator": "self", "developer": "alibaba", "policy": "house",
            "tag.team": "a",
        }  # fmt: skip
        record = call_record("c-1", tags={"team": "a"})
        store.configure(
            budgets=[budget("x", 10, only={name: {values[name], "more"}}), budget("y", 10, only={name: {"z"}})]
        )
        assert isinstance(reserve(store, reservation("r-1", bound_nano_usd=11, call=record)), BudgetExceededError)
        assert reserve(store, reservation("r-2", bound_nano_usd=10, call=record)) is None
        assert set(balances(store)) == {("x", "")}

    def test_an_attempt_counts_once_under_each_policy(self, store: LedgerStore) -> None:
        """`each: policy` has an account for every policy that bound the request."""
        store.configure(budgets=[budget("p", 100, each="policy")])
        reserve(store, reservation(bound_nano_usd=60))
        assert balances(store) == {("p", "house"): Balance(reserved=60), ("p", "eu-customers"): Balance(reserved=60)}

    def test_of_many_at_once_only_as_many_as_fit_are_granted(self, store: LedgerStore) -> None:
        """A hundred that ask together for a tenth each: ten are granted, ninety are busy."""
        store.configure(budgets=[budget(limit_nano_usd=1_000)])
        heard = reserve_all(store, [reservation(f"r-{number}", bound_nano_usd=100) for number in range(100)])
        outcomes = [ear.outcome() for ear in heard]
        assert sum(outcome is None for outcome in outcomes) == 10
        assert sum(isinstance(outcome, BudgetBusyError) for outcome in outcomes) == 90
        assert balances(store) == {("all", ""): Balance(reserved=1_000)}

    def test_whoever_may_wait_gets_the_money_that_comes_back(self, store: LedgerStore) -> None:
        """A reservation that waits is granted once another has ended, first come first served."""
        store.configure(budgets=[budget(limit_nano_usd=1_000, wait_s=30)])
        reserve(store, reservation("r-1", bound_nano_usd=1_000))
        first, second = Heard(), Heard()
        store.reserve(reservation("r-2", bound_nano_usd=700, wait_s=30), first)
        store.reserve(reservation("r-3", bound_nano_usd=700, wait_s=30), second)
        store.positions()
        assert not first.outcomes
        resolve(store, resolution("r-1", cost_nano_usd=200))
        assert first.outcome() is None
        resolve(store, resolution("r-2", cost_nano_usd=1))
        assert second.outcome() is None

    def test_waiting_ends_with_the_refusal(self, store: LedgerStore) -> None:
        """Whoever has waited long enough is told that the budget is busy."""
        store.configure(budgets=[budget(limit_nano_usd=100, wait_s=0.02)])
        reserve(store, reservation("r-1", bound_nano_usd=100))
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=1, wait_s=30)), BudgetBusyError)

    def test_who_must_not_wait_is_answered_at_once(self, store: LedgerStore) -> None:
        """A request with no time to wait does not wait for as long as its budget would let it."""
        store.configure(budgets=[budget(limit_nano_usd=100, wait_s=3_600)])
        reserve(store, reservation("r-1", bound_nano_usd=100))
        assert isinstance(reserve(store, reservation("r-2", bound_nano_usd=1)), BudgetBusyError)

    def test_closing_answers_whoever_waits(self, store: LedgerStore) -> None:
        """Nobody waits for a store that is gone."""
        store.configure(budgets=[budget(limit_nano_usd=100, wait_s=3_600)])
        reserve(store, reservation("r-1", bound_nano_usd=100))
        heard = Heard()
        store.reserve(reservation("r-2", bound_nano_usd=1, wait_s=3_600), heard)
        store.close(5)
        assert isinstance(heard.outcome(), BudgetBusyError | LedgerUnavailableError)
        assert len(heard.outcomes) == 1

    def test_a_grant_is_held_until_its_end(self, store: LedgerStore) -> None:
        """What was granted may be acted on; what was refused, never asked for or resolved may not."""
        store.configure(budgets=[budget(limit_nano_usd=100)])
        reserve(store, reservation("r-1", bound_nano_usd=100))
        reserve(store, reservation("r-2", bound_nano_usd=100))
        assert [store.holds(name) for name in ("r-1", "r-2", "nobody")] == [True, False, False]
        resolve(store, resolution("r-1", cost_nano_usd=1))
        assert not store.holds("r-1")

    def test_a_personal_value_has_a_pseudonym(self, store: LedgerStore) -> None:
        """The same value of the same tag is always the same text, another is another, and none shows the value."""
        name = store.pseudonym("user", "anna@example.org")
        assert name.startswith("~")
        assert len(name) == 25
        assert store.pseudonym("user", "anna@example.org") == name
        others = {store.pseudonym("user", "ben@example.org"), store.pseudonym("customer", "anna@example.org"), name}
        assert len(others) == 3

    def test_many_threads_share_a_budget(self, store: LedgerStore) -> None:
        """Eight threads reserve and settle: at the end the balance is the sum of what was granted and settled."""
        store.configure(budgets=[budget(limit_nano_usd=700)])
        granted: list[int] = []

        def work(name: int) -> None:
            for number in range(25):
                if reserve(store, reservation(f"{name}-{number}", bound_nano_usd=100)) is None:
                    resolve(store, resolution(f"{name}-{number}", cost_nano_usd=number % 5))
                    granted.append(number % 5)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert balances(store) == {("all", ""): Balance(settled=sum(granted))}
