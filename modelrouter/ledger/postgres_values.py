"""Between Python's texts and whole numbers and the wire: statements, values, rows. Pure; needs no psycopg.

Values travel as text, each with the type that PostgreSQL is to take it for, so that nothing is guessed. Many rows of
one table travel as one array for each column.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from modelrouter.errors import LedgerError
from modelrouter.ledger.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg.pq.abc import PGresult

    from modelrouter.ledger.session import Column, Row

__all__ = ["Outcome", "arrays", "encoded", "insertion", "numbered", "outcome_of"]

UNTYPED: Final = 0
BOOL: Final = 16
INT8: Final = 20
TEXT: Final = 25
WHOLE_NUMBERS: Final = frozenset({INT8, 21, 23, 26, 1700})
"""bigint, smallint, integer, oid, and numeric, which sums of bigint are."""
MARKS: Final = re.compile(r"'(?:[^']|'')*'|\?")


class Outcome(NamedTuple):
    """What came of one statement: its rows, its tag (as `COMMIT`), and how many rows it touched."""

    rows: list[Row]
    tag: str
    touched: int


@functools.lru_cache(maxsize=1024)
def numbered(sql: str) -> bytes:
    """A statement with `$1`, `$2` in place of our `?`; one inside a string stays."""
    count = 0

    def mark(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] != "?":
            return match[0]
        count += 1
        return f"${count}"

    return MARKS.sub(mark, sql).encode()


def encoded(values: Sequence[Column]) -> tuple[list[bytes | None], tuple[int, ...]]:
    """Values as the server reads them, and their types. An absent one takes the type of its place.

    Raises:
        LedgerError: a text that PostgreSQL cannot store.
    """
    raw: list[bytes | None] = []
    types: list[int] = []
    for value in values:
        if value is None:
            raw.append(None)
            types.append(UNTYPED)
        elif isinstance(value, int):
            raw.append(b"%d" % value)
            types.append(INT8)
        else:
            raw.append(_utf8(value))
            types.append(TEXT)
    return raw, tuple(types)


@functools.cache
def insertion(table: str, columns: tuple[str, ...]) -> str:
    """The statement that adds any number of rows, given as `arrays`; they are added in their order."""
    kinds = _kinds(table)
    marks = ", ".join(f"CAST(? AS {'BIGINT' if kinds[column] == 'INT' else 'TEXT'}[])" for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({marks})"  # noqa: S608 - names of ours


def arrays(rows: Sequence[Row]) -> list[str]:
    """One array for each column of some rows, as PostgreSQL writes arrays."""
    return [f"{{{','.join([_element(value) for value in column])}}}" for column in zip(*rows, strict=True)]


def outcome_of(result: PGresult) -> Outcome:
    """What a result holds: numbers as numbers, truth as 1 and 0, all else as text."""
    readers = [_reader(result.ftype(column)) for column in range(result.nfields)]
    value = result.get_value
    rows: list[Row] = []
    for row in range(result.ntuples):
        raw = [value(row, column) for column in range(len(readers))]
        rows.append(tuple([None if each is None else read(each) for read, each in zip(readers, raw, strict=True)]))
    return Outcome(rows, (result.command_status or b"").decode(), result.command_tuples or 0)


def _reader(kind: int) -> Callable[[bytes], Column]:
    if kind in WHOLE_NUMBERS:
        return int
    return _truth if kind == BOOL else bytes.decode


def _truth(raw: bytes) -> int:
    return int(raw == b"t")


@functools.cache
def _kinds(table: str) -> dict[str, str]:
    """Column to its kind, `INT` or `TEXT`."""
    words = [column.split() for column in TABLES[table]]
    return {name: kind for name, kind, *_ in words if kind in {"INT", "TEXT"}}


def _element(value: Column) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if '"' in value:
        value = value.replace('"', '\\"')
    return f'"{value}"'


def _utf8(value: str) -> bytes:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise LedgerError("the ledger cannot hold a text with half of a surrogate pair") from None
    if b"\0" in raw:  # libpq would send what stands before it
        raise LedgerError("the ledger cannot hold a text with U+0000")
    return raw
