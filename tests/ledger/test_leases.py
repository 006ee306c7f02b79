"""Signs of life, and budgets that come after lines were archived: what needs a real thread, or a real archive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from modelrouter.core.budget import Balance, Window
from modelrouter.ledger.audit.archive import maintain, remove_archived, write_archive
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.router.outside import SystemClock
from tests.ledger.budget_conformance import balances
from tests.ledger.builders import StillClock, budget, call_record, reservation, reserve, resolution, resolve
from tests.ledger.test_outage import until

if TYPE_CHECKING:
    from pathlib import Path


def leases(path: Path) -> list[int]:
    """Until when each writer is taken to be alive, in the order of writers."""
    with closing(sqlite3.connect(path)) as connection:
        return [int(until_us) for (until_us,) in connection.execute("SELECT until_us FROM leases ORDER BY writer")]


def test_a_writer_with_nothing_to_do_gives_signs_of_life(tmp_path: Path) -> None:
    """While something of its own is pending its lease is renewed by itself; once nothing is, no more."""
    path = tmp_path / "book.db"
    store = SqliteLedger(path, SystemClock(), lease_s=0.3)
    reserve(store, reservation())
    (first,) = leases(path)
    until(lambda: leases(path)[0] > first + 400_000)
    assert store.holds("r-1")
    resolve(store, resolution(cost_nano_usd=1))
    assert store._book.renew_in_s() is None
    store.close(5)
    assert leases(path) == [0]


def test_a_lease_outlives_a_close_with_something_pending(tmp_path: Path) -> None:
    """What is still open at the end is not given up before its time."""
    path = tmp_path / "book.db"
    store = SqliteLedger(path, StillClock(), lease_s=30)
    reserve(store, reservation())
    before = leases(path)
    store.close(5)
    assert leases(path) == before != [0]


def test_a_budget_that_comes_after_an_archive_counts_what_is_in_it(tmp_path: Path) -> None:
    """Lines that were moved out of the book still count under a budget whose window reaches back to them."""
    path, clock = tmp_path / "book.db", StillClock()
    store = SqliteLedger(path, clock)
    for number in range(12):
        team = call_record(f"c-{number}", tags={"team": "ab"[number % 2]})
        reserve(store, reservation(f"r-{number}", bound_nano_usd=5_000, call=team))
        resolve(store, resolution(f"r-{number}", cost_nano_usd=2**number))
        clock.at_s += 2_100  # several in an hour, so that the cut goes through one
    clock.at_s += 3_600
    limits = [
        budget("all", 10_000),
        budget("team", 10_000, each="tag.team"),
        budget("month", 10_000, window=Window.MONTH),
        budget("hours", 10_000, window=Window.ROLLING, length_s=7 * 3_600),
    ]
    store.apply(limits)
    before = balances(store)
    assert before["all", ""] == Balance(settled=2**12 - 1)
    store.apply([])
    store.close(5)
    access = store._access
    with access.reading() as session:
        written = write_archive(session, tmp_path / "old.jsonl", clock.now_us() - 5 * 3_600_000_000)
        assert not isinstance(written, str), written
    archived = maintain(access, lambda session: remove_archived(session, written, "test"))
    assert archived.lines > 8
    again = SqliteLedger(path, clock)
    again.apply(limits)
    after = balances(again)
    assert {key: after[key] for key in before if key[0] != "hours"} == {
        key: balance for key, balance in before.items() if key[0] != "hours"
    }
    assert after["hours", ""].settled >= before["hours", ""].settled, "whole hours leave a window late, never early"
    again.close(5)
