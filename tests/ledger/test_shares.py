"""Share caps on a book whose old lines have left it, and on the SQL of the store that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.pricing import Usage
from modelrouter.core.shares import Holding, Measure
from modelrouter.ledger.audit.archive import remove_archived, write_archive
from modelrouter.ledger.audit.verify import verify
from modelrouter.ledger.sqlite import SqliteLedger
from modelrouter.ledger.sqlite_session import SqliteSession
from tests.ledger.audit_book import session_on
from tests.ledger.builders import PRICE, StillClock, reservation, reserve, resolution, resolve, share
from tests.ledger.share_conformance import asked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from modelrouter.ledger.session import Column, Row

DAY_S = 86_400
WEEK = share(window_h=7 * 24)
USAGE = Usage(10, 5)
COST = PRICE.settle_nano_usd(USAGE, None)


def test_archived_lines_go_on_to_count(tmp_path: Path) -> None:
    """Shares are of what was bought, wherever its lines are: whoever wrote before and whoever comes see the same."""
    clock = StillClock()
    store = SqliteLedger(tmp_path / "book.db", clock)
    for name, operator in (("r-1", "azure"), ("r-2", "mistral")):
        assert reserve(store, reservation(name, operator=operator)) is None
        assert resolve(store, resolution(name, cost_nano_usd=COST, usage=USAGE)) is None
        clock.at_s += 3 * DAY_S
    assert asked(store, "r-3", 1, WEEK) == Holding(COST, 0, 2 * COST)
    store.close(5)
    now_us = clock.now_us()
    session = session_on(tmp_path / "book.db", now_us)
    session.snapshot()
    made = write_archive(session, tmp_path / "old.jsonl", now_us - 5 * DAY_S * 1_000_000)
    session.rollback()
    assert not isinstance(made, str)
    remove_archived(session, made, "0.2.0")
    session.close()
    again = SqliteLedger(tmp_path / "book.db", clock)
    assert asked(again, "r-4", 1, WEEK) == Holding(COST, 0, 2 * COST)
    by_calls = share(of=Measure.CALLS, least=1, window_h=7 * 24)
    assert asked(again, "r-5", 1, by_calls) == Holding(1, 0, 2)
    with again.reading() as picture:
        assert verify(picture).is_good
    again.close(5)


def test_a_book_without_caps_is_not_read_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a reservation that brings a cap reads the window, once; then each batch reads the lines since, at most."""
    seen: list[str] = []
    plain = SqliteSession.rows

    def noted(self: SqliteSession, sql: str, values: Sequence[Column] = ()) -> list[Row]:
        seen.append(sql)
        return plain(self, sql, values)

    monkeypatch.setattr(SqliteSession, "rows", noted)
    store, other = SqliteLedger(tmp_path / "book.db", StillClock()), SqliteLedger(tmp_path / "book.db", StillClock())
    assert reserve(store, reservation("r-1")) is None
    assert reserve(store, reservation("r-2")) is None
    assert not [sql for sql in seen if "FROM rollups WHERE hour_us >=" in sql or "seq <= ?" in sql]
    assert asked(store, "r-3", 1, WEEK) is None
    assert asked(store, "r-4", 1, WEEK) is None
    assert reserve(store, reservation("r-5")) is None
    assert asked(store, "r-6", 1, WEEK) is None
    sums = [sql for sql in seen if "FROM rollups WHERE hour_us >=" in sql]
    assert len(sums) == 1
    assert not [sql for sql in seen if "seq <= ?" in sql], "its own lines need not be read"
    assert reserve(other, reservation("r-7", operator="azure", bound_nano_usd=2)) is None
    assert asked(store, "r-8", 1_000, WEEK) == Holding(0, 5, 0)
    assert len([sql for sql in seen if "seq <= ?" in sql]) == 1
    for each in (store, other):
        each.close(5)
