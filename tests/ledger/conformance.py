"""What every store must do, whatever it is made of: subclass `LedgerConformance` and give it a `store` fixture.

Only the port is used, so that the shipped fake, SQLite and later stores run the same tests.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.core.pricing import Usage
from modelrouter.errors import (
    AlreadyResolvedError,
    DuplicateRequestError,
    LedgerError,
    LedgerUnavailableError,
    ModelRouterError,
)
from modelrouter.ports import Document, SpendRow
from tests.ledger.budget_conformance import BudgetConformance
from tests.ledger.builders import (
    START_S,
    call_record,
    reservation,
    reserve,
    reserve_all,
    resolution,
    resolve,
    timed_out,
)
from tests.ledger.cut_off_conformance import CutOffConformance
from tests.ledger.share_conformance import ShareConformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.ports import LedgerStore
    from tests.ledger.builders import (
        Heard,
    )


class LedgerConformance(BudgetConformance, CutOffConformance, ShareConformance):
    """The rules of a ledger."""

    @pytest.fixture
    def store(self) -> Iterator[LedgerStore]:
        """An empty store whose clock stands at `START_S`; closed afterwards."""
        raise NotImplementedError

    def test_a_reservation_is_shown_as_reserved_at_its_bound(self, store: LedgerStore) -> None:
        """Money that is set aside is neither settled nor uncertain."""
        assert reserve(store, reservation(bound_nano_usd=777)) is None
        assert store.spend(by="deployment") == (SpendRow("small", 1, 0, 0, 0, 0, 0, 777, 0, calls=1),)

    def test_a_settlement_replaces_the_bound_by_the_cost(self, store: LedgerStore) -> None:
        """A settled attempt counts with its cost and usage, and nothing stays reserved."""
        reserve(store, reservation())
        assert resolve(store, resolution(usage=Usage(11, 22), cost_nano_usd=333, saved_nano_usd=-4)) is None
        assert store.spend(by="deployment") == (SpendRow("small", 1, 0, 11, 22, 333, 0, 0, -4, calls=1),)

    def test_an_uncertain_end_is_kept_apart(self, store: LedgerStore) -> None:
        """What may have been billed is not mixed with what was."""
        reserve(store, reservation(bound_nano_usd=900))
        ended = resolution(billing=Billing.UNCERTAIN, cost_nano_usd=900, failure=timed_out())
        assert resolve(store, ended) is None
        assert store.spend(by="deployment") == (SpendRow("small", 1, 1, 0, 0, 0, 900, 0, 0, 1, 900),)

    def test_a_release_costs_nothing(self, store: LedgerStore) -> None:
        """A released attempt is counted as an attempt, and its money is free again."""
        reserve(store, reservation())
        assert resolve(store, resolution(billing=Billing.UNBILLED, failure=timed_out())) is None
        assert store.spend(by="deployment") == (SpendRow("small", 1, 1, 0, 0, 0, 0, 0, 0, calls=1),)

    @pytest.mark.parametrize("second", list(Billing))
    def test_a_second_resolution_is_refused(self, store: LedgerStore, second: Billing) -> None:
        """A reservation ends once, whatever the second end says, and the first stands."""
        reserve(store, reservation())
        resolve(store, resolution(cost_nano_usd=50))
        assert isinstance(resolve(store, resolution(billing=second)), AlreadyResolvedError)
        assert store.spend(by="deployment")[0].settled_nano_usd == 50

    def test_the_end_of_an_unknown_reservation_is_refused(self, store: LedgerStore) -> None:
        """What was never reserved cannot be resolved."""
        error = resolve(store, resolution("nobody"))
        assert isinstance(error, LedgerError)
        assert not isinstance(error, AlreadyResolvedError)
        assert "`nobody`" in error.message
        assert not store.spend(by="deployment")

    def test_a_reservation_id_is_taken_once(self, store: LedgerStore) -> None:
        """A second reservation under the same id is refused and changes nothing."""
        reserve(store, reservation(bound_nano_usd=1))
        again = reserve(store, reservation(bound_nano_usd=2, call=call_record("another")))
        assert isinstance(again, LedgerError)
        assert store.spend(by="deployment")[0].reserved_nano_usd == 1

    def test_a_known_request_id_never_reserves(self, store: LedgerStore) -> None:
        """The second request with an idempotency key is told who was first, and nothing is set aside for it."""
        reserve(store, reservation("r-1", call=call_record("first", request_id="order-7"), bound_nano_usd=1))
        error = reserve(store, reservation("r-2", call=call_record("second", request_id="order-7"), bound_nano_usd=2))
        assert isinstance(error, DuplicateRequestError)
        assert error.first_call_id == "first"
        assert "`order-7`" in error.message
        assert store.spend(by="deployment")[0].reserved_nano_usd == 1
        assert isinstance(resolve(store, resolution("r-2")), LedgerError)

    def test_a_call_may_reserve_again_for_its_next_attempt(self, store: LedgerStore) -> None:
        """A fallback of the same call is no duplicate of it."""
        call = call_record("first", request_id="order-7")
        assert reserve(store, reservation("r-1", call=call)) is None
        assert reserve(store, reservation("r-2", call=call, number=2)) is None
        assert store.spend(by="route")[0].attempts == 2

    def test_requests_without_an_id_are_never_duplicates(self, store: LedgerStore) -> None:
        """Absent idempotency keys do not collide."""
        assert reserve(store, reservation("r-1")) is None
        assert reserve(store, reservation("r-2")) is None

    @pytest.mark.parametrize(
        ("by", "groups"),
        [
            ("deployment", ["large", "small"]),
            ("route", ["drafts", "support"]),
            ("operator", ["mistral", "self"]),
            ("model", ["medium", "qwen3-32b"]),
            ("tag.team", ["", "billing"]),
        ],
    )
    def test_spend_is_grouped_in_order(self, store: LedgerStore, by: str, groups: list[str]) -> None:
        """Each grouping has its rows in the order of their names; calls without the tag have the empty name."""
        other = call_record("other", route="drafts", tags={"team": "billing", "user": "u'\"1"})
        reserve(store, reservation("r-1", bound_nano_usd=1))
        reserve(
            store,
            reservation("r-2", call=other, deployment="large", operator="mistral", model="medium", bound_nano_usd=2),
        )
        assert [row.group for row in store.spend(by=by)] == groups
        assert sum(row.reserved_nano_usd for row in store.spend(by=by)) == 3

    def test_an_unknown_grouping_is_refused(self, store: LedgerStore) -> None:
        """The error names what was asked for."""
        with pytest.raises(ModelRouterError, match="`colour`"):
            store.spend(by="colour")

    def test_sums_are_exact_beyond_what_a_float_holds(self, store: LedgerStore) -> None:
        """Amounts whose sum needs more than 53 bits are added to the last digit."""
        amounts = [2**53, 2**53 - 1, 1]
        for index, amount in enumerate(amounts):
            reserve(store, reservation(f"r-{index}", bound_nano_usd=amount))
        assert store.spend(by="deployment")[0].reserved_nano_usd == sum(amounts)

    def test_every_callback_is_called_once(self, store: LedgerStore) -> None:
        """Good and bad entries among one another: each is answered exactly once, with its own outcome."""
        wanted = [reservation(f"r-{number % 70}") for number in range(100)]
        heard = reserve_all(store, wanted)
        store.close(5)
        assert [len(ear.outcomes) for ear in heard] == [1] * 100
        assert [ear.outcome() is None for ear in heard] == [True] * 70 + [False] * 30

    def test_many_threads_may_write(self, store: LedgerStore) -> None:
        """Eight threads lose nothing and disturb nobody."""
        heard: list[Heard] = []

        def work(name: int) -> None:
            heard.extend(reserve_all(store, [reservation(f"{name}-{number}") for number in range(40)]))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [ear.outcome() for ear in heard] == [None] * 320
        assert store.spend(by="deployment")[0].attempts == 320

    def test_documents_may_be_given_again(self, store: LedgerStore) -> None:
        """The same texts at every start are nothing special, and reserving goes on."""
        document = Document("sha256:1", "policy", "house", "rules: {}")
        store.remember([document])
        store.remember([document, document])
        assert reserve(store, reservation()) is None

    def test_a_closed_store_refuses_at_once(self, store: LedgerStore) -> None:
        """After `close` nothing is taken, closing again is harmless, and the book can still be read."""
        reserve(store, reservation(bound_nano_usd=9))
        store.close(5)
        store.close(5)
        assert isinstance(reserve(store, reservation("late")), LedgerUnavailableError)
        assert isinstance(resolve(store, resolution()), LedgerUnavailableError)
        assert store.spend(by="deployment")[0].reserved_nano_usd == 9

    def test_spend_since_counts_from_the_reservation(self, store: LedgerStore) -> None:
        """A moment after the reservation leaves it out; the moment itself has it."""
        reserve(store, reservation())
        assert len(store.spend(by="deployment", since_s=START_S)) == 1
        assert not store.spend(by="deployment", since_s=START_S + 1)
