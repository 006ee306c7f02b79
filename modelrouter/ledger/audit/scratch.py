"""An archive put back into tables, in a file that goes away again: what can be restored can be audited like a book."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelrouter.errors import RequestError
from modelrouter.ledger.audit.archive_file import records
from modelrouter.ledger.audit.lines import CALL_COLUMNS, COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger.audit.archive_file import Header
    from modelrouter.ledger.session import Column, Row

__all__ = ["Scratch", "restored"]

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "entries": COLUMNS,
    "calls": CALL_COLUMNS,
    "documents": ("digest", "kind", "name", "body", "at_us"),
    "writers": ("writer", "writer_id", "pid", "host", "version", "at_us"),
}
RECORDS: Final = {"entry": "entries", "call": "calls", "document": "documents"}
TOGETHER: Final = 1_000


class Scratch:
    """A `Reader` on the tables of an archive."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, values: Sequence[Column] = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        return self._connection.execute(sql, values).fetchall()


@contextmanager
def restored(path: Path, header: Header) -> Iterator[tuple[Scratch, dict[str, int]]]:
    """The tables of a file, and what its last record says that it holds.

    Raises:
        RequestError: a record cannot be read; says which line of the file.
    """
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "restored.db")) as connection:
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        _add(connection, "writers", list(header.writers))
        counts = _fill(connection, path)
        for table, column in (("entries", "seq"), ("entries", "call_id"), ("entries", "resolves"),
                              ("entries", "corrects"), ("calls", "call_id"), ("documents", "digest")):  # fmt: skip
            connection.execute(f"CREATE INDEX {table}_by_{column} ON {table} ({column})")
        yield Scratch(connection), counts


def _fill(connection: sqlite3.Connection, path: Path) -> dict[str, int]:
    waiting: dict[str, list[Row]] = {table: [] for table in RECORDS.values()}
    counts: dict[str, int] = {}
    for number, (name, columns) in enumerate(records(path), 2):
        if name == "end" and isinstance(columns, dict):
            counts = columns
            continue
        table = RECORDS.get(name)
        if table is None or not isinstance(columns, list) or len(columns) != len(TABLES[table]):
            raise RequestError(f"`{path}` line {number} is no record of an archive")
        waiting[table].append(tuple(columns))
        if len(waiting[table]) >= TOGETHER:
            _add(connection, table, waiting[table])
            waiting[table] = []
    for table, rows in waiting.items():
        _add(connection, table, rows)
    return counts


def _add(connection: sqlite3.Connection, table: str, rows: list[Row]) -> None:
    marks = ", ".join("?" * len(TABLES[table]))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - our own names
