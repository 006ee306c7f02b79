"""What the stores write passes the audit of somebody who shares no code with them, on a file and on a server."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from modelrouter.core.attempts import Attempt, Billing, Failure, FailureKind, Phase
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.budget import Budget, Window
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.errors import BudgetBusyError, BudgetExceededError
from modelrouter.ledger.audit.archive import maintain, remove_archived, write_archive
from modelrouter.ledger.audit.archive_check import check_archives
from modelrouter.ledger.audit.export import EXPORT_COLUMNS, export_rows
from modelrouter.ledger.audit.reconcile import reconcile
from modelrouter.ledger.audit.statement import Charge
from modelrouter.ledger.audit.verify import current_head, verify
from modelrouter.ledger.postgres import PostgresLedger
from modelrouter.ledger.rows import microseconds
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ports import CallRecord, Reservation, Resolution
from tests.ledger.builders import Heard, StillClock, reserve, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelrouter.ledger.audit.verify import Report
    from modelrouter.ledger.store import StoredLedger

PRICE = PriceList(Decimal("0.0333"), Decimal("0.4"))
DAY_S = 86_400
DAY = Budget("day", 10**9, Window.DAY)
TEAM = Budget("team", 2 * 10**6, Window.ROLLING, length_s=7_200, each="tag.team")
EVER = Budget("ever", 10**9, Window.TOTAL, each="deployment")
MODEL = "qwen3-32b"


@pytest.fixture
def clock() -> StillClock:
    """A clock that tests move."""
    return StillClock()


@pytest.fixture(params=["sqlite", "postgres"])
def opening(request: pytest.FixtureRequest, tmp_path: Path, clock: StillClock) -> Iterator[Callable[..., StoredLedger]]:
    """Opens one and the same book, again and again, with budgets."""
    opened: list[StoredLedger] = []
    url = request.getfixturevalue("book_url") if request.param == "postgres" else ""

    def another(*budgets: Budget) -> StoredLedger:
        store: StoredLedger
        if url:
            now: Callable[[], int] = lambda: microseconds(clock.now_s())  # noqa: E731 - a clock
            store = PostgresLedger(url, clock, budgets=budgets, spool=tmp_path, now_us=now)
        else:
            store = SqliteLedger(tmp_path / "book.db", clock, budgets=budgets)
        opened.append(store)
        return store

    yield another
    for store in opened:
        store.close(10)


def audited(store: StoredLedger, **options: Any) -> Report:
    """What the audit says."""
    with store.reading() as session:
        return verify(session, **options)


def wanted(number: int, bound: int, team: str = "a") -> Reservation:
    """A reservation of a call of its own."""
    call = CallRecord(f"c-{number}", f"q-{number}", "support", {"team": team}, '{"epoch":"e"}', ("house",))
    size = Bound(bound, 100, 50, BoundBasis.PROVED)
    return Reservation(f"r-{number}", call, 1, "small", "self", MODEL, size, PRICE, "alibaba")


def ended(reservation: Reservation, billing: Billing, usage: Usage | None = None) -> Resolution:
    """Its end."""
    bound = reservation.bound
    failure = None if billing is Billing.BILLED else Failure(FailureKind.TIMED_OUT, Phase.SENT, "no byte within 2 s")
    cost = bound.nano_usd if billing is Billing.UNCERTAIN else 0
    cost = PRICE.settle_nano_usd(usage) if usage is not None else cost
    attempt = Attempt(1, "small", bound, PRICE, 1.0, 2.5, failure, usage, billing, cost)
    return Resolution(reservation.reservation_id, billing, cost, attempt, 5)


def play(stores: list[StoredLedger], clock: StillClock, chance: random.Random, steps: int, first: int = 0) -> int:
    """Reserve and resolve at random, some so late that the lease has lapsed; how many were refused."""
    held: list[tuple[StoredLedger, Reservation]] = []
    refused = 0
    for number in range(first, first + steps):
        clock.at_s += chance.choice((0, 0.001, 1, 5, 31))
        if chance.random() < 0.55 or not held:
            store = chance.choice(stores)
            reservation = wanted(number, chance.choice((500, 60_000, 300_000)), chance.choice("abc"))
            outcome = reserve(store, reservation)
            if outcome is None:
                held.append((store, reservation))
            else:
                assert isinstance(outcome, BudgetExceededError | BudgetBusyError)
                refused += 1
        else:
            store, reservation = held.pop(chance.randrange(len(held)))
            billing = chance.choice((Billing.BILLED, Billing.BILLED, Billing.UNCERTAIN, Billing.UNBILLED))
            usage = Usage(chance.randrange(1, 900), chance.randrange(1, 300)) if billing is Billing.BILLED else None
            assert resolve(store, ended(reservation, billing, usage)) is None
    for store, reservation in held:
        assert resolve(store, ended(reservation, Billing.UNBILLED)) is None
    return refused


def test_what_several_writers_wrote_passes(opening: Callable[..., StoredLedger], clock: StillClock) -> None:
    """Three writers in turn, refusals, lapsed leases, late settlements, overruns, and budgets put in force between."""
    stores = [opening(DAY, TEAM) for _ in range(3)]
    chance = random.Random(7)
    assert play(stores, clock, chance, 150) > 3
    first = audited(stores[0])
    assert first.faults == ()
    assert {"expire", "correction", "overrun", "uncertain", "release"} <= set(first.kinds)
    stores[1].apply((DAY, EVER))
    for store in stores:
        store.configure(budgets=(DAY, EVER))
    play(stores, clock, chance, 150, 150)
    report = audited(stores[2], against=first.head)
    assert report.faults == ()
    assert report.lines > first.lines
    for store in stores:
        store.close(10)
    again = opening(DAY, EVER)
    assert audited(again, against=report.head).faults == ()
    with again.reading() as session:
        assert current_head(session) == audited(again).head


def test_a_reconciled_book_passes_and_is_exported(opening: Callable[..., StoredLedger], clock: StillClock) -> None:
    """A correction goes through the store, and all of it stands in the export."""
    store = opening(DAY)
    unsure, paid = wanted(1, 60_000), wanted(2, 60_000)
    assert [reserve(store, each) for each in (unsure, paid)] == [None, None]
    clock.at_s += 2
    assert resolve(store, ended(unsure, Billing.UNCERTAIN)) is None
    assert resolve(store, ended(paid, Billing.BILLED, Usage(500, 20))) is None
    charge = Charge(2, 777, microseconds(clock.now_s()), MODEL, 12, 3)
    with store.reading() as session:
        found = reconcile(session, [charge, Charge(3, 24_650, call_id="c-2")])
    assert [each.correction().cost_nano_usd for each in found.corrections] == [777]
    heard = Heard()
    store.correct([each.correction() for each in found.corrections], heard)
    assert heard.outcome() is None
    assert audited(store).faults == ()
    with store.reading() as session:
        assert reconcile(session, [charge, Charge(3, 24_650, call_id="c-2")]).corrections == []
        rows = [dict(zip(EXPORT_COLUMNS, row, strict=True)) for row in export_rows(session)]
    assert [(row["state"], row["booked_usd"], row["input_tokens"]) for row in rows] == [
        ("uncertain", "0.000000777", 12),
        ("settled", "0.00002465", 500),
    ]


def test_a_book_goes_on_after_its_old_days_were_archived(
    opening: Callable[..., StoredLedger], clock: StillClock, tmp_path: Path
) -> None:
    """Lines leave under the store's own lock; its writers go on, what they write passes, and the file does too."""
    stores = [opening(DAY, EVER) for _ in range(2)]
    chance = random.Random(11)
    play(stores, clock, chance, 60)
    clock.at_s += 3 * DAY_S
    for number in (1_000, 1_001):
        assert reserve(stores[0], wanted(number, 500)) is None
        assert resolve(stores[0], ended(wanted(number, 500), Billing.UNCERTAIN)) is None
    file = tmp_path / "old.jsonl"
    with stores[1].reading() as session:
        head = current_head(session)
        made = write_archive(session, file, microseconds(clock.now_s()) - DAY_S * 1_000_000)
    assert not isinstance(made, str), made
    moved = maintain(stores[1].access, lambda session: remove_archived(session, made, "0.2.0"))
    assert moved.lines > 60
    play(stores, clock, chance, 60, 2_000)
    report = audited(stores[0], against=head)
    assert report.faults == ()
    assert report.first_seq == moved.last_seq + 1
    with stores[0].reading() as session:
        assert check_archives(session, [file])[0].faults == ()


def test_a_budget_that_comes_after_an_archive_counts_what_it_took(
    opening: Callable[..., StoredLedger], clock: StillClock, tmp_path: Path
) -> None:
    """Without an end, it covers all that was ever spent, also in lines that are no longer in the book."""
    store = opening()
    for number in range(3):
        assert reserve(store, wanted(number, 60_000)) is None
        assert resolve(store, ended(wanted(number, 60_000), Billing.UNCERTAIN)) is None
    clock.at_s += 3 * DAY_S
    assert reserve(store, wanted(3, 500)) is None
    with store.reading() as session:
        made = write_archive(session, tmp_path / "old.jsonl", microseconds(clock.now_s()) - DAY_S * 1_000_000)
    assert not isinstance(made, str), made
    maintain(store.access, lambda session: remove_archived(session, made, "0.2.0"))
    ever = Budget("ever", 180_501, Window.TOTAL)
    store.apply([ever])
    [position] = store.positions()
    assert (position.balance.uncertain, position.balance.reserved) == (180_000, 500)
    assert audited(store).faults == ()
    assert isinstance(reserve(store, wanted(4, 2)), BudgetExceededError | BudgetBusyError)
    assert reserve(store, wanted(5, 1)) is None
    assert audited(store).faults == ()
