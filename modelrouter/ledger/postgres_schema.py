"""The tables of a book on PostgreSQL: made on first use, in a schema of their own, and brought forward from then on.

All of it happens in one transaction under an advisory lock, so that programs which start together make one book.
Forward only: a book newer than this version is refused. Text is kept in byte order (`COLLATE "C"`), as Python sorts it,
so an index does not depend on the server's locale or on a new release of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.access import NoBookError
from modelrouter.ledger.ddl import FORMAT, begin_state, make_tables
from modelrouter.ledger.postgres_errors import ForbiddenError
from modelrouter.ledger.tables import APPEND_ONLY

if TYPE_CHECKING:
    from modelrouter.ledger.postgres_address import PostgresAddress
    from modelrouter.ledger.postgres_session import PostgresSession
    from modelrouter.ledger.session import Column

__all__ = ["MIGRATIONS", "Migration", "prepare"]

Migration: TypeAlias = "tuple[str, ...]"

FIRST_VERSION: Final = 2
"""The version of the first books on PostgreSQL: both dialects count alike, and this one began later."""
MIGRATIONS: Final[tuple[Migration, ...]] = ()
"""Step n brings a book from version `FIRST_VERSION + n` to the next. A step that has been released never changes."""

TEXT: Final = re.compile(r"\bTEXT\b")
REWRITTEN: Final = ("accounts", "leases", "rollups")
"""Tables whose rows change with every batch: each page keeps room for new versions of its rows."""
LOCK: Final = "SELECT CAST(pg_advisory_xact_lock(hashtext(?)) AS TEXT)"
META_COLUMNS: Final = """SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ? AND c.relname = 'meta' AND a.attnum > 0"""
HAS_SCHEMA: Final = "SELECT 1 FROM pg_namespace WHERE nspname = ?"
HAS_TABLES: Final = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""


def prepare(session: PostgresSession, address: PostgresAddress, *, create: bool) -> None:
    """Make sure that a book of this version is there. The session is closed afterwards.

    Raises:
        LedgerUnavailableError: it cannot be; says what to do.
    """
    try:
        session.snapshot()
        found = _version(session, address)
        session.rollback()
        if found is None and not create:
            raise NoBookError(f"there is no ledger at `{address.shown}`: name one that exists")
        if found != FIRST_VERSION + len(MIGRATIONS):
            _bring_forward(session, address)
    finally:
        session.close()


def _version(session: PostgresSession, address: PostgresAddress) -> int | None:
    """The version of the book that is there; None: there is none, and room for one.

    Raises:
        LedgerUnavailableError: something else is there, or a book of a newer version.
    """
    tables = {name for (name,) in session.rows(HAS_TABLES, (address.schema,))}
    if not tables:
        return None
    meta: dict[Column, Column] = {}
    if "meta" in tables:
        columns = {name for (name,) in session.rows(META_COLUMNS, (address.schema,))}
        if {"name", "value"} <= columns:
            rows = session.rows(f"SELECT name, value FROM {address.schema}.meta")  # noqa: S608 - a checked name
            meta = {row[0]: row[1] for row in rows}
    version = meta.get("schema_version")
    if meta.get("format") != FORMAT or not isinstance(version, str) or not version.isdecimal():
        raise LedgerUnavailableError(
            f"the ledger `{address.shown}` cannot be used: the schema holds the tables of another program: name a "
            "schema of its own"
        )
    newest = FIRST_VERSION + len(MIGRATIONS)
    if int(version) > newest:
        raise LedgerUnavailableError(
            f"the ledger `{address.shown}` has schema version {version} and this version of the package knows "
            f"{newest}: update the package"
        )
    return int(version)


def _bring_forward(session: PostgresSession, address: PostgresAddress) -> None:
    session.begin_building()
    try:
        session.rows(LOCK, (f"modelrouter ledger {address.schema}",))
        found = _version(session, address)  # asked again: another program may have been faster
        if found is None and not session.rows(HAS_SCHEMA, (address.schema,)):
            session.run(f"CREATE SCHEMA {address.schema}")
        for statement in _statements(found):
            session.run(statement)
        session.commit()
    except ForbiddenError as error:
        raise LedgerUnavailableError(
            f"the ledger `{address.shown}` cannot be made or brought to this version: the role may not create there: "
            f"have an administrator run `CREATE SCHEMA {address.schema} AUTHORIZATION` with the role's name"
        ) from error


def _statements(found: int | None) -> tuple[str, ...]:
    """What a book of a version needs to become one of the newest."""
    if found is None:
        tables = (TEXT.sub('TEXT COLLATE "C"', statement) for statement in make_tables("BIGINT"))
        room = (f"ALTER TABLE {table} SET (fillfactor = 70)" for table in REWRITTEN)
        return (*tables, *room, *_guards(), *begin_state())
    steps = MIGRATIONS[found - FIRST_VERSION :]
    if not steps:
        return ()
    mark = f"UPDATE meta SET value = '{FIRST_VERSION + len(MIGRATIONS)}' WHERE name = 'schema_version'"  # noqa: S608
    return (*(statement for step in steps for statement in step), mark)


def _guards() -> tuple[str, ...]:
    """The triggers that keep what is written."""
    keep = """CREATE FUNCTION keep_lines() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION USING MESSAGE = ''a ledger is append-only'', ERRCODE = ''23001''; END'"""
    triggers = (
        f"CREATE TRIGGER {table}_keep_{verb.lower()} BEFORE {verb} ON {table} FOR EACH {unit} "
        "EXECUTE FUNCTION keep_lines()"
        for table in APPEND_ONLY
        for verb, unit in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT"))
    )
    return (keep, *triggers)
