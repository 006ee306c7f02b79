"""No budget is passed, line by line, whoever writes at once; and what is nobody's comes back."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Billing
from modelrouter.core.budget import Balance, Window, charges
from modelrouter.errors import BudgetError, LedgerUnavailableError
from modelrouter.ledger import AttemptState
from modelrouter.ledger.derive import booked_since
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ledger.sqlite_session import SqliteSession
from tests.ledger.budget_conformance import balances
from tests.ledger.builders import StillClock, budget, call_record, reservation, reserve, resolution, resolve
from tests.ledger.soundness import assert_sound, lines

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = (
    budget("all", 2_000, wait_s=5),
    budget("team", 900, window=Window.MONTH, each="tag.team", wait_s=5),
    budget("day", 1_500, window=Window.ROLLING, length_s=86_400, only={"deployment": {"small"}}, wait_s=5),
)
TOTAL = budget("all", 1)


def most_used(store: SqliteLedger) -> dict[tuple[str, str], int]:
    """The most that was ever used of each budget and scope, following the book line by line."""
    with store.reading() as session:
        spending = {each.seq: each.spending for each in booked_since(session, 0)}
    used: dict[tuple[str, str], int] = {}
    most: dict[tuple[str, str], int] = {}
    bounds: dict[object, int] = {}
    for line in lines(store):
        seq = line["seq"] if line["kind"] == "reserve" else line["resolves"] or line["corrects"]
        if seq is None:
            continue
        amount = int(line["amount_nano_usd"] or 0)
        if line["kind"] == "reserve":
            bounds[seq] = amount
        elif line["resolves"] is not None:
            amount -= bounds[seq]
        for each, scope in charges(LIMITS, spending[int(seq)]):
            key = each.name, scope
            used[key] = used.get(key, 0) + amount
            most[key] = max(most.get(key, 0), used[key])
    return most


@pytest.mark.parametrize("seed", range(3))
def test_no_line_of_the_book_passes_a_limit(tmp_path: Path, seed: int) -> None:
    """Two stores with three threads each, three budgets at once, waiting and not: no prefix of the book is too much."""
    path = tmp_path / "book.db"
    stores = [SqliteLedger(path, StillClock(), budgets=LIMITS) for _ in range(2)]
    spent: list[int] = []
    faults: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        store = stores[number % 2]
        try:
            for turn in range(30):
                name, bound = f"{number}-{turn}", chance.randrange(50, 300)
                wanted = reservation(
                    name,
                    deployment=chance.choice(("small", "large")),
                    bound_nano_usd=bound,
                    call=call_record(name, tags={"team": chance.choice("ab")}),
                    wait_s=chance.choice((0.0, 0.2)),
                )
                error = reserve(store, wanted)
                assert error is None or isinstance(error, BudgetError)
                if error is None:
                    cost = chance.choice((0, 1, bound // 9))
                    billing = Billing.BILLED if cost else Billing.UNBILLED
                    assert resolve(store, resolution(name, billing=billing, cost_nano_usd=cost)) is None
                    spent.append(cost)
        except BaseException as fault:  # noqa: BLE001 - carried to the test's thread
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    limits = {each.name: each.limit_nano_usd for each in LIMITS}
    most = most_used(stores[0])
    assert all(used <= limits[name] for (name, _), used in most.items()), most
    assert balances(stores[1])["all", ""] == Balance(settled=sum(spent))
    for store in stores:
        store.close(5)
    assert_sound(stores[0])


def test_a_grant_that_was_told_as_failed_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that was durable although it reported a failure: the money does not stay set aside for nobody."""
    store = SqliteLedger(tmp_path / "book.db", StillClock(), budgets=[budget("all", 100)])
    assert reserve(store, reservation("r-0", bound_nano_usd=1)) is None
    genuine = SqliteSession.commit

    def lying(self: SqliteSession) -> None:
        genuine(self)
        raise LedgerUnavailableError("the disk did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSession, "commit", lying)
        assert isinstance(reserve(store, reservation("r-1", bound_nano_usd=60)), LedgerUnavailableError)
    assert not store.holds("r-1")
    assert store.totals().reserved_nano_usd == 61
    assert reserve(store, reservation("r-2", bound_nano_usd=99)) is None
    assert store.holds("r-0"), "what had been granted before stands"
    states = {row.reservation_id: row.state for row in store.attempts()}
    assert states["r-1"] is AttemptState.RELEASED
    assert balances(store) == {("all", ""): Balance(reserved=100)}
    store.close(5)
    assert_sound(store)


def test_a_restart_forgets_no_balance(tmp_path: Path) -> None:
    """Closed and opened again between all entries: the balances are those of one long run."""
    path = tmp_path / "book.db"
    for number in range(12):
        store = SqliteLedger(path, StillClock(), budgets=LIMITS)
        assert reserve(store, reservation(f"r-{number}", bound_nano_usd=100)) is None
        assert resolve(store, resolution(f"r-{number}", cost_nano_usd=number)) is None
        store.close(5)
    assert balances(store)["all", ""] == Balance(settled=66)
    assert_sound(store)


def test_the_key_of_a_tag_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    """After `forget` neither the file nor its log holds the bytes of the key."""
    path = tmp_path / "book.db"
    store = SqliteLedger(path, StillClock())
    store.pseudonym("user", "anna")
    with store.reading() as session:
        ((secret,),) = session.rows("SELECT secret FROM tag_keys")
    text = str(secret).encode()

    def holding() -> list[str]:
        return [each.name for each in path.parent.iterdir() if text in each.read_bytes()]

    assert holding()
    assert store.forget("user")
    assert not holding()
    store.close(5)
