"""What reports add up, and where: sums of hours in `rollups`, and of single lines in `entries`.

The statements are SQL that SQLite and PostgreSQL share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.tallies import HOUR_US, ROLLUP_SUMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from modelrouter.ledger.session import Column, Row, Session

__all__ = [
    "ADDED",
    "CHANGES",
    "ENDS",
    "LATEST_US",
    "NAMES",
    "ROLLUPS",
    "TAG",
    "Source",
    "grouped",
    "is_plain_tag",
    "whole",
    "within",
]

NAMES: Final = ("deployment", "route", "operator", "developer", "model")
"""The columns by whose values a report can be grouped as they stand."""
ADDED: Final = ROLLUP_SUMS
"""What is added up, in the order of the fields of `reports.Sums`."""
TAG: Final = "tag."
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.~-]+", re.ASCII)
LATEST_US: Final = 2**62
"""Later than any line, and still 64 bits."""
HALF: Final = 2**31
"""SQLite's SUM ends in an error beyond 64 bits; two sums of halves do not, and Python puts them together.
Remainders are written without their sign, which is also a mark for a value in PostgreSQL's driver."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where sums are read.

    Attributes:
        keys: what each key is called there.
        moment: when an attempt was reserved, or in which hour.
        addends: what is added up for `ADDED`.
    """

    tables: str
    keys: Mapping[str, str]
    moment: str
    addends: tuple[str, ...]


ROLLUPS: Final = Source("rollups", {name: name for name in (*NAMES, "tags", "policies")}, "hour_us", ADDED)

LINE_KEYS: Final = {
    "deployment": "COALESCE(r.deployment, '')",
    "route": "c.route",
    "operator": "COALESCE(r.operator, '')",
    "developer": "COALESCE(r.developer, '')",
    "model": "COALESCE(r.model, '')",
    "tags": "c.tags",
    "policies": "c.policies",
}
ENDS: Final = Source(
    "entries r JOIN calls c ON c.call_id = r.call_id LEFT JOIN entries e ON e.resolves = r.seq",
    LINE_KEYS,
    "r.at_us",
    (
        "CASE WHEN r.call_digest IS NULL THEN 0 ELSE 1 END",
        "1",
        "CASE WHEN e.failure IS NULL THEN 0 ELSE 1 END",
        "COALESCE(e.input_tokens, 0)",
        "COALESCE(e.cached_input_tokens, 0)",
        "COALESCE(e.cache_write_tokens, 0)",
        "COALESCE(e.output_tokens, 0)",
        "COALESCE(e.reasoning_tokens, 0)",
        "CASE WHEN e.kind = 'settle' THEN e.amount_nano_usd ELSE 0 END",
        "CASE WHEN e.kind IN ('uncertain', 'expire') THEN e.amount_nano_usd ELSE 0 END",
        "CASE WHEN e.seq IS NULL THEN r.amount_nano_usd ELSE 0 END",
        "0",
        "0",
        "CASE WHEN e.failure IS NULL THEN 0 ELSE e.amount_nano_usd END",
        "COALESCE(e.saved_nano_usd, 0)",
    ),
)
"""Reservations with their ends, if they have one."""

CHANGES: Final = Source(
    """entries r JOIN calls c ON c.call_id = r.call_id JOIN entries k ON k.corrects = r.seq
        JOIN entries e ON e.resolves = r.seq""",
    LINE_KEYS,
    "r.at_us",
    (
        "0",
        "0",
        "CASE WHEN k.failure IS NULL THEN 0 ELSE 1 END",
        "COALESCE(k.input_tokens, 0)",
        "COALESCE(k.cached_input_tokens, 0)",
        "COALESCE(k.cache_write_tokens, 0)",
        "COALESCE(k.output_tokens, 0)",
        "COALESCE(k.reasoning_tokens, 0)",
        "0",
        "0",
        "0",
        "CASE WHEN k.kind = 'overrun' THEN k.amount_nano_usd ELSE 0 END",
        "CASE WHEN k.kind = 'correction' THEN k.amount_nano_usd ELSE 0 END",
        "CASE WHEN k.kind = 'overrun' AND e.failure IS NOT NULL THEN k.amount_nano_usd ELSE 0 END",
        "COALESCE(k.saved_nano_usd, 0)",
    ),
)
"""What changed amounts later: overruns, and corrections, which may bring what was not known before."""


# --- sums -------------------------------------------------------------------------------------------------------------


def within(first_us: int, end_us: int) -> tuple[str, tuple[int, ...]]:
    """The condition for hours from one to before another."""
    if first_us <= 0 and end_us >= LATEST_US:
        return "1 = 1", ()  # without a range the rows are read in their own order, which is faster
    return "hour_us >= ? AND hour_us < ?", (first_us, end_us)


def is_plain_tag(name: str) -> bool:
    """Whether the database itself can be asked for a tag; else its JSON is read here, which gives the same."""
    return name.startswith(TAG) and PLAIN_NAME.fullmatch(name.removeprefix(TAG)) is not None


def grouped(
    session: Session,
    source: Source,
    keys: tuple[str, ...],
    where: str,
    values: Sequence[Column],
    *,
    moments: bool = False,
    step_us: int = HOUR_US,
) -> Iterator[tuple[Row, tuple[int, ...]]]:
    """One statement of sums by keys, exact beyond 64 bits.

    Args:
        keys: columns of `Source.keys`, and tags for which `is_plain_tag`.
        moments: whether moments stand in front of the keys.
        step_us: to what they are rounded down.
    """
    columns = [_column(session, source, key) for key in keys]
    if moments:
        is_rounded = source is ROLLUPS and step_us == HOUR_US  # and left as it is, its index has the order
        columns.insert(0, source.moment if is_rounded else f"{source.moment} / {step_us} * {step_us}")
    width = len(columns)

    def ask(sums: Iterable[str]) -> list[Row]:
        order = ", ".join(str(place) for place in range(1, width + 1))
        grouping = f" GROUP BY {order}" if width else ""
        return session.rows(
            f"SELECT {', '.join([*columns, *sums])} FROM {source.tables} WHERE {where}{grouping}",  # noqa: S608 - ours
            values,
        )

    try:
        rows = ask(f"SUM({each})" for each in source.addends)
    except LedgerUnavailableError as error:
        if "integer overflow" not in error.message:
            raise
        halves = (f"SUM({each} / {HALF}), SUM({each} - {each} / {HALF} * {HALF})" for each in source.addends)
        for row in ask(halves):
            parts = [whole(part) for part in row[width:]]
            yield row[:width], tuple(high * HALF + low for high, low in zip(parts[::2], parts[1::2], strict=True))
        return
    for row in rows:
        yield row[:width], tuple(map(whole, row[width:]))


def _column(session: Session, source: Source, key: str) -> str:
    if key.startswith(TAG):
        return f"COALESCE({session.member(source.keys['tags'], key.removeprefix(TAG))}, '')"
    return source.keys[key]


def whole(value: Column) -> int:
    """A whole number as a driver gives it: sums of some are decimals; the sum of nothing is None."""
    return 0 if value is None else int(value)
