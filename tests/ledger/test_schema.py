"""From one version of the tables to the next, forward only."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.schema import MIGRATIONS, VERSION, migrate, version_of
from modelrouter.ledger.sqlite import SqliteLedger
from tests.ledger.builders import StillClock, reservation, reserve

if TYPE_CHECKING:
    from pathlib import Path

NEXT = (*MIGRATIONS, ("ALTER TABLE entries ADD COLUMN chain BLOB", "CREATE TABLE more (writer INTEGER)"))
BROKEN = (*MIGRATIONS, ("ALTER TABLE entries ADD COLUMN chain BLOB", "CREATE TABLE entries (again)"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A book with one reservation."""
    store = SqliteLedger(tmp_path / "book.db", StillClock())
    assert reserve(store, reservation(bound_nano_usd=5)) is None
    store.close(5)
    return tmp_path / "book.db"


def connected(path: Path) -> closing[sqlite3.Connection]:
    """A connection as the store opens them."""
    return closing(sqlite3.connect(path, isolation_level=None, timeout=30))


def columns(connection: sqlite3.Connection) -> set[str]:
    """The columns of the book."""
    return {str(row[1]) for row in connection.execute("PRAGMA table_info(entries)")}


def test_a_file_goes_forward_and_keeps_its_lines(path: Path) -> None:
    """The next version's step is applied once, and what was booked stays."""
    with connected(path) as connection:
        migrate(connection, NEXT)
        migrate(connection, NEXT)
        assert version_of(connection) == VERSION + 1
        assert "chain" in columns(connection)
        booked = connection.execute("SELECT amount_nano_usd FROM entries WHERE kind = 'reserve'").fetchall()
        assert booked == [(5,)]


def test_a_step_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    """Half a step is no step."""
    with connected(path) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, BROKEN)
        assert version_of(connection) == VERSION
        assert "chain" not in columns(connection)
    store = SqliteLedger(path, StillClock())
    assert reserve(store, reservation("r-2")) is None
    store.close(5)


def test_a_newer_file_is_refused(path: Path) -> None:
    """Written by a newer version: said in a sentence with both numbers, and nothing is changed."""
    with connected(path) as connection:
        migrate(connection, NEXT)
    with pytest.raises(LedgerUnavailableError, match=f"version {VERSION + 1}.*knows {VERSION}: update"):
        SqliteLedger(path, StillClock())
    with connected(path) as connection:
        assert version_of(connection) == VERSION + 1


@pytest.mark.parametrize("value", ["", "one", "-1"])
def test_a_version_that_is_no_number_is_refused(path: Path, value: str) -> None:
    """A meta table that makes no sense is not ours."""
    with connected(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (value,))
    with pytest.raises(LedgerUnavailableError, match="another program"):
        SqliteLedger(path, StillClock())


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """A file that a crash left empty, before its tables were made, is begun again."""
    (tmp_path / "book.db").touch()
    store = SqliteLedger(tmp_path / "book.db", StillClock())
    assert reserve(store, reservation()) is None
    store.close(5)


def test_many_may_begin_a_file_at_once(tmp_path: Path) -> None:
    """Eight stores opened on no file at the same moment share one book."""
    start = threading.Barrier(8)
    faults: list[BaseException] = []

    def work(name: int) -> None:
        try:
            start.wait(30)
            store = SqliteLedger(tmp_path / "book.db", StillClock())
            assert reserve(store, reservation(f"r-{name}")) is None
            store.close(5)
        except BaseException as error:  # noqa: BLE001 - carried to the test's thread
            faults.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert SqliteLedger(tmp_path / "book.db", StillClock()).totals().attempts == 8
