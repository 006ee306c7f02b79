"""The ledger on a real PostgreSQL server: the rules of every ledger, and what a server adds to them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from modelrouter.core.budget import Budget, Window
from modelrouter.errors import DuplicateRequestError, LedgerError, LedgerUnavailableError
from modelrouter.ledger import open_ledger
from modelrouter.ledger.audit.archive import maintain, remove_archived, write_archive
from modelrouter.ledger.audit.verify import verify
from modelrouter.ledger.postgres import PostgresLedger
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.ledger.rows import microseconds
from tests.ledger.builders import (
    START_S,
    Heard,
    StillClock,
    call_record,
    reservation,
    reserve,
    reserve_all,
    resolution,
    resolve,
)
from tests.ledger.conformance import LedgerConformance
from tests.ledger.store_conformance import StoreConformance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DAY_S = 86_400


def still_ledger(url: str, clock: StillClock | None = None, *, spool: Path | None = None) -> PostgresLedger:
    """A book whose clock stands still."""
    still = clock or StillClock()
    return PostgresLedger(url, still, spool=spool, now_us=lambda: microseconds(still.now_s()))


class TestPostgresConformance(LedgerConformance):
    """PostgreSQL keeps the rules of a ledger."""

    @pytest.fixture
    def store(self, book_url: str, tmp_path: Path) -> Iterator[PostgresLedger]:
        """A book in a schema of its own."""
        ledger = still_ledger(book_url, spool=tmp_path)
        yield ledger
        ledger.close(5)


class ServerShelf:
    """Stores on one book of a server, whose time the tests keep."""

    def __init__(self, url: str, spool: Path) -> None:
        self.clock = StillClock()
        self._url = url
        self._spool = spool
        self._opened: list[PostgresLedger] = []

    def open(self, *, budgets: Sequence[Budget] = (), lease_s: float = 30.0) -> PostgresLedger:
        """Another one."""
        store = PostgresLedger(
            self._url,
            self.clock,
            budgets=budgets,
            lease_s=lease_s,
            spool=self._spool,
            now_us=lambda: microseconds(self.clock.now_s()),
        )
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close all."""
        for store in self._opened:
            store.close(5)


class TestPostgresStoreConformance(StoreConformance):
    """PostgreSQL keeps the rules of a book that several writers share."""

    @pytest.fixture
    def shelf(self, book_url: str, tmp_path: Path) -> Iterator[ServerShelf]:
        """A book that is not there yet."""
        shelf = ServerShelf(book_url, tmp_path)
        yield shelf
        shelf.close()


@pytest.fixture
def clock() -> StillClock:
    """A clock at `START_S`."""
    return StillClock()


@pytest.fixture
def ledger(book_url: str, clock: StillClock, tmp_path: Path) -> Iterator[PostgresLedger]:
    """An empty book."""
    store = still_ledger(book_url, clock, spool=tmp_path)
    yield store
    store.close(5)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """What another connection sees."""
    address = postgres_address(url)
    with psycopg.connect(address.conninfo, options=f"-c search_path={address.schema}") as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_reservation_is_durable_when_its_callback_is_called(ledger: PostgresLedger, book_url: str) -> None:
    """A second connection sees the entry from inside the callback, 20 times of 20."""
    seen: list[int] = []
    told = threading.Semaphore(0)

    def look(name: str) -> None:
        seen.append(len(rows(book_url, f"SELECT 1 FROM entries WHERE reservation_id = '{name}'")))  # noqa: S608 - ours
        told.release()

    for number in range(20):
        ledger.reserve(reservation(f"r-{number}"), lambda error, name=f"r-{number}": look(name))  # type: ignore[misc]
    for _ in range(20):
        assert told.acquire(timeout=30)
    assert seen == [1] * 20


def test_the_writers_commits_are_durable(ledger: PostgresLedger, postgres: str) -> None:
    """Whatever the server's default is: the session that writes waits for the disk."""
    reserve(ledger, reservation())
    session = ledger._book._session
    assert session is not None
    assert session.rows("SHOW synchronous_commit") == [("on",)]


def test_what_is_queued_together_is_committed_together(ledger: PostgresLedger) -> None:
    """While one commit is held up, 64 more reservations queue up; they take one commit more, not 64."""
    reached, go_on = threading.Event(), threading.Event()

    def hold(error: Exception | None) -> None:
        reached.set()
        assert go_on.wait(30)

    ledger.reserve(reservation("first"), hold)
    assert reached.wait(30)
    ears = [Heard() for _ in range(64)]
    for number, ear in enumerate(ears):
        ledger.reserve(reservation(f"r-{number}"), ear)
    before = ledger.commits
    go_on.set()
    assert [ear.outcome() for ear in ears] == [None] * 64
    assert ledger.commits == before + 1


def test_times_are_the_servers(book_url: str, tmp_path: Path) -> None:
    """A program whose clock is days off writes lines by the time of the server."""
    store = open_ledger(book_url, StillClock(), spool=tmp_path)
    assert reserve(store, reservation()) is None
    (row,) = store.attempts()
    assert abs(row.reserved_us / 1_000_000 - time.time()) < 60
    assert abs(row.reserved_us / 1_000_000 - START_S) > DAY_S
    store.close(5)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_text_that_cannot_be_stored_is_refused_alone(ledger: PostgresLedger, text: str) -> None:
    """An entry that no column holds is refused by itself, and those it was queued with are written."""
    wanted = [reservation("r-1"), reservation("r-2", call=call_record("c-2", session=text)), reservation("r-3")]
    first, second, third = (ear.outcome() for ear in reserve_all(ledger, wanted))
    assert (first, third) == (None, None)
    assert isinstance(second, LedgerError)
    assert not isinstance(second, LedgerUnavailableError)
    assert {row.reservation_id for row in ledger.attempts()} == {"r-1", "r-3"}


def test_two_stores_know_each_others_requests(ledger: PostgresLedger, book_url: str, tmp_path: Path) -> None:
    """A request that one store has written is a duplicate for the other; an end may be written by either."""
    other = still_ledger(book_url, spool=tmp_path)
    assert reserve(ledger, reservation("r-1", call=call_record("first", request_id="order-7"))) is None
    error = reserve(other, reservation("r-2", call=call_record("second", request_id="order-7")))
    assert isinstance(error, DuplicateRequestError)
    assert error.first_call_id == "first"
    assert resolve(other, resolution("r-1", cost_nano_usd=3)) is None
    assert ledger.totals().settled_nano_usd == 3
    other.close(5)


def test_old_lines_move_to_an_archive(ledger: PostgresLedger, clock: StillClock, book_url: str, tmp_path: Path) -> None:
    """Lines leave the book for a file, sums stay, the triggers are back, and the auditor is content."""
    ledger.configure(budgets=[Budget("day", 10**12, Window.DAY), Budget("ever", 10**12, Window.TOTAL)])
    for day in range(4):
        for number in range(5):
            assert reserve(ledger, reservation(f"r-{day}-{number}")) is None
            assert resolve(ledger, resolution(f"r-{day}-{number}", cost_nano_usd=7)) is None
        clock.at_s += DAY_S
    before = ledger.totals()
    with ledger.reading() as session:
        written = write_archive(session, tmp_path / "archive.jsonl", microseconds(START_S + 2 * DAY_S))
    assert not isinstance(written, str), written
    moved = maintain(ledger.access, lambda session: remove_archived(session, written, "0.2.0"))
    assert moved.calls == 10
    assert rows(book_url, "SELECT count(*) FROM calls") == [(10,)]
    assert ledger.totals() == before
    with ledger.reading() as session:
        report = verify(session)
    assert report.is_good, report.faults
    assert reserve(ledger, reservation("after")) is None
    with pytest.raises(psycopg.errors.RestrictViolation):
        rows(book_url, "DELETE FROM entries")
