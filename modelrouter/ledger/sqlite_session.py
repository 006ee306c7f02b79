"""A SQLite connection as the book sees it."""

from __future__ import annotations

import ctypes
import functools
import sqlite3
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from modelrouter.errors import LedgerError
from modelrouter.ledger.access import BusyError
from modelrouter.ledger.schema import guard, unguard
from modelrouter.ledger.sqlite_file import is_busy, primary_code, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelrouter.ledger.session import Column, Row

__all__ = ["SqliteSession"]

T = TypeVar("T")

FILE_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_SCHEMA,
    }
)
"""Errors that speak of the file and not of what was to be written."""
CHUNKS: Final = (64, 16, 4, 1)
"""Rows of one statement: few sizes, so that SQLite prepares few statements."""
VALUES_MAX: Final = 32_766
"""Values of one statement, SQLite's default since 3.32 (sqlite.org/limits.html, 9)."""


class SqliteSession:
    """A `Session` on one open connection.

    Args:
        connection: opened by `sqlite_file`; closed by `close`.
        path: for messages.
        now_us: the clock.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, now_us: Callable[[], int]) -> None:
        self._connection = connection
        self._path = path
        self._now_us = now_us

    @classmethod
    def unnamed(cls, connection: sqlite3.Connection) -> SqliteSession:
        """A session inside somebody else's transaction, who knows the file and deals with errors."""
        return cls(connection, Path(), lambda: 0)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection itself."""
        return self._connection

    def begin(self) -> None:
        """Take the write lock.

        Raises:
            BusyError: somebody else has it.
        """
        self._execute("BEGIN IMMEDIATE", ())

    def snapshot(self) -> None:
        """Begin to read one picture of the book; ended by `rollback`."""
        self._execute("BEGIN", ())
        self._execute("SELECT 1 FROM state", ())  # only a read makes the picture that of now

    def commit(self) -> None:
        """Make it durable before returning."""
        self._execute("COMMIT", ())

    def rollback(self) -> None:
        """Leave nothing of it; harmless outside a transaction."""
        if self._connection.in_transaction:
            self._execute("ROLLBACK", ())

    def lift(self, tables: Sequence[str]) -> None:
        """Let rows of these tables be removed, until `protect` or a rollback."""
        for statement in unguard(tables, "DELETE"):
            self._execute(statement, ())

    def protect(self, tables: Sequence[str]) -> None:
        """Refuse again what `lift` allowed."""
        for statement in guard(tables, "DELETE"):
            self._execute(statement, ())

    def now_us(self) -> int:
        """The machine's clock."""
        return self._now_us()

    def rows(self, sql: str, values: Sequence[Column] = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except Exception as error:
            raise self._translated(error) from error

    def run(self, sql: str, values: Sequence[Column] = ()) -> int:
        """Run a statement; how many rows it changed."""
        return self._execute(sql, values).rowcount

    def send(self, sql: str, values: Sequence[Column] = ()) -> None:
        """Run a statement, at once."""
        self._execute(sql, values)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows, many in one statement.

        Each statement lets go of Python's interpreter lock, and a busy event loop is slow to give it back: a batch of
        64 in as many statements would wait for it 64 times.
        """
        names = tuple(columns)
        for chunk in _chunks(rows, len(names)):
            self._execute(_insert(table, names, len(chunk)), list(chain.from_iterable(chunk)))

    def member(self, column: str, name: str) -> str:
        """The text under a plain name in a column of JSON (sqlite.org/json1.html)."""
        return f"""json_extract({column}, '$."{name}"')"""

    def close(self) -> None:
        """Close the connection."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def disown(self) -> None:
        """Never close the connection, and keep the garbage collector from doing it."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    def _execute(self, sql: str, values: Sequence[Column]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except Exception as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> LedgerError:
        """The error for whoever called. What Python refuses to hand to SQLite is about the values."""
        if isinstance(error, sqlite3.Error):
            if is_busy(error):
                return BusyError(unavailable(error, self._path).message)
            if primary_code(error) in FILE_CODES or isinstance(error, sqlite3.OperationalError):
                return unavailable(error, self._path)
        return LedgerError(f"the ledger cannot hold this entry ({type(error).__name__}: {error})")


def _chunks(rows: Sequence[Row], width: int) -> Iterator[Sequence[Row]]:
    begin = 0
    for size in CHUNKS:
        if size > 1 and size * width > VALUES_MAX:
            continue
        while len(rows) - begin >= size:
            yield rows[begin : begin + size]
            begin += size


@functools.lru_cache(maxsize=256)
def _insert(table: str, columns: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"  # noqa: S608 - our own names
