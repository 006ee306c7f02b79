"""From any older SQLite file to the tables of this version. Forward only: a newer file is refused.

Version 1 had no budgets, leases or chain; the step from it is in `upgrade`. The tables of today are in `tables`.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.ddl import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["FIRST", "MIGRATIONS", "VERSION", "Migration", "guard", "is_fresh", "migrate", "unguard", "version_of"]

Migration: TypeAlias = "tuple[str, ...] | Callable[[sqlite3.Connection], None]"
"""Statements, or what to do with a connection inside the transaction."""

FIRST: Final[tuple[str, ...]] = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
    "INSERT INTO meta VALUES ('format', 'modelrouter-ledger'), ('schema_version', '0')",
    """CREATE TABLE documents (
        digest TEXT PRIMARY KEY NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        at_us INTEGER NOT NULL
    )""",
    """CREATE TABLE writers (
        writer INTEGER PRIMARY KEY NOT NULL,
        writer_id TEXT NOT NULL UNIQUE,
        pid INTEGER NOT NULL,
        host TEXT NOT NULL,
        version TEXT NOT NULL,
        at_us INTEGER NOT NULL
    )""",
    """CREATE TABLE calls (
        call_id TEXT PRIMARY KEY NOT NULL,
        request_id TEXT,
        at_us INTEGER NOT NULL,
        writer INTEGER NOT NULL REFERENCES writers (writer),
        route TEXT NOT NULL,
        session TEXT,
        tags TEXT NOT NULL,
        policies TEXT NOT NULL,
        decision TEXT NOT NULL
    )""",
    """CREATE TABLE entries (
        seq INTEGER PRIMARY KEY NOT NULL,
        writer INTEGER NOT NULL REFERENCES writers (writer),
        writer_seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        at_us INTEGER NOT NULL,
        amount_nano_usd INTEGER NOT NULL,

        reservation_id TEXT,
        call_id TEXT REFERENCES calls (call_id),
        number INTEGER,
        deployment TEXT,
        operator TEXT,
        model TEXT,
        bound_input_tokens INTEGER,
        bound_output_tokens INTEGER,
        basis TEXT,
        price TEXT,

        resolves INTEGER REFERENCES entries (seq),
        input_tokens INTEGER,
        cached_input_tokens INTEGER,
        cache_write_tokens INTEGER,
        output_tokens INTEGER,
        reasoning_tokens INTEGER,
        failure TEXT,
        phase TEXT,
        status INTEGER,
        detail TEXT,
        duration_us INTEGER,
        length_reached INTEGER,
        saved_nano_usd INTEGER,

        CHECK (typeof(amount_nano_usd) = 'integer'),
        CHECK (amount_nano_usd >= 0 OR (reservation_id IS NULL AND resolves IS NULL)),
        CHECK ((kind = 'reserve') = (reservation_id IS NOT NULL)),
        CHECK ((kind IN ('settle', 'uncertain', 'release')) <= (resolves IS NOT NULL)),
        CHECK (kind <> 'release' OR amount_nano_usd = 0)
    )""",
    # partial, because SQLite would give every empty column a place in the index as well
    "CREATE UNIQUE INDEX calls_of_request ON calls (request_id) WHERE request_id IS NOT NULL",
    "CREATE UNIQUE INDEX entries_reservation ON entries (reservation_id) WHERE reservation_id IS NOT NULL",
    "CREATE UNIQUE INDEX entries_resolves ON entries (resolves) WHERE resolves IS NOT NULL",
    "CREATE INDEX entries_of_call ON entries (call_id) WHERE call_id IS NOT NULL",
    *(
        f"CREATE TRIGGER {table}_keep_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'a ledger is append-only'); END"
        for table in ("documents", "writers", "calls", "entries")
        for verb in ("UPDATE", "DELETE")
    ),
)


def _second(connection: sqlite3.Connection) -> None:
    from modelrouter.ledger.upgrade import upgrade

    upgrade(connection)


MIGRATIONS: Final[tuple[Migration, ...]] = (FIRST, _second)
"""Step n brings a file from version n to n + 1. A step that has been released never changes."""
VERSION: Final = len(MIGRATIONS)


def guard(tables: Sequence[str], *verbs: str) -> Iterator[str]:
    """The triggers that refuse to change (`UPDATE`) or remove (`DELETE`) rows."""
    for table in tables:
        for verb in verbs:
            yield (
                f"CREATE TRIGGER {table}_keep_{verb.lower()} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'a ledger is append-only'); END"
            )


def unguard(tables: Sequence[str], *verbs: str) -> Iterator[str]:
    """Take such triggers away."""
    for table in tables:
        for verb in verbs:
            yield f"DROP TRIGGER {table}_keep_{verb.lower()}"


def is_fresh(connection: sqlite3.Connection) -> bool:
    """Whether nothing at all is in the file yet."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the tables in a file; 0 for an empty file.

    Raises:
        LedgerUnavailableError: the file holds something else.
    """
    if is_fresh(connection):
        return 0
    try:
        meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    except sqlite3.OperationalError as error:
        if "no such" not in str(error):
            raise
        meta = {}
    version = meta.get("schema_version")
    if meta.get("format") != FORMAT or not isinstance(version, str) or not version.isdecimal():
        raise LedgerUnavailableError(
            "the file holds the tables of another program: name a file of its own for the ledger"
        )
    return int(version)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a file to the newest version, in one transaction or not at all.

    Raises:
        LedgerUnavailableError: the file holds something else, or was written by a newer version.
    """
    if _steps(connection, migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for step in _steps(connection, migrations):  # asked again: another process may have been faster
                _apply(connection, step)
            connection.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(len(migrations)),))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _apply(connection: sqlite3.Connection, step: Migration) -> None:
    if callable(step):
        try:
            step(connection)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerUnavailableError(
                "its lines cannot be brought to this version, because they are not as the last version wrote them: "
                "restore it from a copy, or move it away to begin a new one"
            ) from error
        return
    for statement in step:
        connection.execute(statement)


def _steps(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> Sequence[Migration]:
    found = version_of(connection)
    if found > len(migrations):
        raise LedgerUnavailableError(
            f"the ledger has schema version {found} and this version of the package knows {len(migrations)}: "
            "update the package"
        )
    return migrations[found:]
