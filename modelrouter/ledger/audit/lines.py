# ruff: noqa: S608 - statements are put together from our own names
"""Reading the book line by line, and what a line, a call and a document hash to.

The auditor shares nothing with the code that writes the book but the names of the tables: what a line's hash is made of
is written here a second time, from the specification. A mistake in one of the two shows as a difference.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from modelrouter.ledger.tables import ENTRY_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger.session import Column, Row

__all__ = [
    "BEFORE_ALL",
    "CALL_COLUMNS",
    "COLUMNS",
    "CallRow",
    "Line",
    "Page",
    "Reader",
    "body_digest",
    "call_digest",
    "call_from",
    "compact",
    "in_parts",
    "line_from",
    "line_hash",
    "misfit",
    "pages",
    "whole",
]

COLUMNS: Final = tuple(name for name, _ in ENTRY_COLUMNS)
CALL_COLUMNS: Final = ("call_id", "request_id", "at_us", "writer", "route", "session", "tags", "policies", "decision")
PAGE: Final = 2_000
"""Lines read at once: what an audit holds of the book in memory at any time."""
VALUES: Final = 400
"""The most values put into one statement; SQLite of old took 999."""
BEFORE_ALL: Final = -(2**63)
LARGEST: Final = 2**63 - 1

INTEGER: Final = "INT"
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_wanted: Final = tuple(
    frozenset({int if kind.startswith(INTEGER) else str} | (set() if "NOT NULL" in kind else {type(None)}))
    for _, kind in ENTRY_COLUMNS
)
_seen_types: set[tuple[type, ...]] = set()


class Reader(Protocol):
    """The part of a `Session` that an audit needs."""

    def rows(self, sql: str, values: Sequence[Column] = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        ...


@dataclass(slots=True)
class Line:
    """One row of `entries`; the fields are its columns, in their order."""

    seq: int
    writer: int
    writer_seq: int
    kind: str
    at_us: int
    amount_nano_usd: int
    reservation_id: str | None
    call_id: str | None
    call_digest: str | None
    number: int | None
    deployment: str | None
    operator: str | None
    developer: str | None
    model: str | None
    bound_input_tokens: int | None
    bound_output_tokens: int | None
    basis: str | None
    price: str | None
    resolves: int | None
    corrects: int | None
    input_tokens: int | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    units: str | None
    reported_nano_usd: int | None
    failure: str | None
    phase: str | None
    status: int | None
    detail: str | None
    duration_us: int | None
    length_reached: int | None
    saved_nano_usd: int | None
    content: str | None
    hash: str


assert tuple(each.name for each in fields(Line)) == COLUMNS  # noqa: S101 - a column added to the table is added here


@dataclass(slots=True)
class CallRow:
    """One row of `calls`; `decision` is left out (None) where it is not needed."""

    call_id: str
    request_id: str | None
    at_us: int
    writer: int
    route: str
    session: str | None
    tags: str
    policies: str
    decision: str | None


def compact(value: object) -> str:
    """JSON without spaces, letters as they are."""
    return _encode(value)


def line_hash(previous: str, row: Row, writer_id: str) -> str:
    """The hash of a line: of the hash before it in its writer's chain, and of all its columns but the hash.

    Args:
        previous: empty for the first line of a writer.
        row: the columns in the order of the table; whatever follows them is ignored.
    """
    text = _encode([row[0], writer_id, *row[2 : len(COLUMNS) - 1]])
    return _sha256(f"{previous}\n{text}")


def call_digest(call: CallRow, writer_id: str) -> str:
    """What the first reservation of a call says about its record."""
    record = [
        call.call_id,
        call.request_id,
        call.at_us,
        writer_id,
        call.route,
        call.session,
        call.tags,
        call.policies,
        call.decision,
    ]
    try:
        return _sha256(_encode(record))
    except TypeError:  # bytes in a column of text: no record of ours
        return ""


def body_digest(body: str) -> str:
    """What names a document."""
    return _sha256(body)


def misfit(row: Row) -> str | None:
    """What of a row does not fit its column's type, in words; None: all of it does."""
    types = tuple(map(type, row[: len(COLUMNS)]))
    if types in _seen_types:
        return None
    for name, value, wanted in zip(COLUMNS, row, _wanted, strict=False):
        if type(value) not in wanted:
            return f"`{name}` holds {'nothing' if value is None else 'a value of the wrong type'}"
    _seen_types.add(types)
    return None


Page: TypeAlias = "list[tuple[Row, CallRow | None, int | None]]"
"""Some lines in their order: the columns of each; the call of a reservation, if it is there; the first line of that."""


def pages(session: Reader, until: int = LARGEST, after: Column = BEFORE_ALL) -> Iterator[Page]:
    """All lines after one and up to another, in their order, a page at a time."""
    text = f"""SELECT {", ".join(f"e.{name}" for name in COLUMNS)},
            {", ".join(f"c.{name}" for name in CALL_COLUMNS[:-1])},
            CASE WHEN e.call_digest IS NULL THEN NULL ELSE c.decision END,
            CASE WHEN e.kind = 'reserve' THEN (SELECT MIN(f.seq) FROM entries f WHERE f.call_id = e.call_id) END
        FROM entries e LEFT JOIN calls c ON c.call_id = e.call_id AND e.kind = 'reserve'
        WHERE e.seq > ? AND e.seq <= ? ORDER BY e.seq LIMIT {PAGE}"""
    width = len(COLUMNS)
    while True:
        rows = session.rows(text, (after, until))
        if rows:
            yield [(row, call_from(row[width:-2], row[-2]), whole(row[-1]) or None) for row in rows]
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


def in_parts(values: Sequence[Column]) -> Iterator[tuple[str, Sequence[Column]]]:
    """Values in lots that fit one statement, each with its `?, ?, …`."""
    for first in range(0, len(values), VALUES):
        lot = values[first : first + VALUES]
        yield ", ".join("?" * len(lot)), lot


def line_from(row: Row) -> Line:
    """The line whose columns these are; whatever follows them is ignored. What does not fit is for `misfit` to say."""
    columns: tuple[Any, ...] = row[: len(COLUMNS)]
    return Line(*columns)


def call_from(row: Row, decision: Column = None) -> CallRow | None:
    """The call whose columns, without the last, these are; None where there is none."""
    columns: tuple[Any, ...] = (*row, decision)
    return None if row[0] is None else CallRow(*columns)


def whole(value: object) -> int:
    """A whole number from the book; 0 for what is none, which no row's number is."""
    return value if isinstance(value, int) else 0


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
