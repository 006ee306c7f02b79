"""A report made ready to be shown: rows in the order in which people read them, the rest of them as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelrouter.cli.spend.compare import estimate_nano_usd
from modelrouter.ledger.reports import ReportRow, Sums

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from modelrouter.cli.spend.compare import Comparison
    from modelrouter.core.budget import Position
    from modelrouter.ledger.reports import Question, Report

__all__ = ["MONEY", "Line", "View", "view_of"]

TIMES: Final = ("day", "hour", "month")
MONEY: Final = ("settled", "uncertain", "reserved", "overrun", "correction", "failed", "saved")
"""The kinds of money of a row, each a field of `Sums`. They are never added up: `failed` is a part of the others."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row, with what its tokens would have cost elsewhere, where that was asked for."""

    group: tuple[str, ...]
    sums: Sums
    compared_nano_usd: int | None = None

    def money(self, name: str) -> int:
        """An amount by its name in `MONEY`."""
        value: int = getattr(self.sums, f"{name}_nano_usd")
        return value

    @property
    def difference_nano_usd(self) -> int | None:
        """How much more the same tokens would have cost there than what is known of their cost here."""
        return None if self.compared_nano_usd is None else self.compared_nano_usd - self.sums.known_nano_usd


@dataclass(frozen=True, slots=True)
class View:
    """What is shown.

    Attributes:
        ledger: the book's address as it may be shown.
        others: what `limit` left out, as one row; None where it left out nothing.
        others_count: how many rows that is.
        baseline: what savings are measured against; None where nothing is.
        positions: where budgets stand now.
        budget_note: what to know about them; empty where there is nothing.
        personal: groups whose values are keyed hashes.
    """

    question: Question
    ledger: str
    lines: tuple[Line, ...] = ()
    total: Line = Line(("total",), Sums())
    others: Line | None = None
    others_count: int = 0
    baseline: str | None = None
    comparison: Comparison | None = None
    positions: tuple[Position, ...] = ()
    budget_note: str = ""
    personal: tuple[str, ...] = ()

    @property
    def zone(self) -> tzinfo:
        """Whose clock times are shown by."""
        return self.question.zone


def view_of(report: Report, blank: View, limit: int | None) -> View:
    """Order, limit and compare the rows of a report.

    Rows by time stay in the order of time, and a limit keeps the newest; other rows begin with the dearest.

    Args:
        report: what was found.
        blank: a view with all that does not come from the report.
        limit: how many rows are shown; None is all.
    """
    question, comparison = blank.question, blank.comparison
    rows = _ordered(question, report.rows)
    by_time = bool(question.by) and question.by[0] in TIMES
    kept: Sequence[ReportRow] = rows
    left: Sequence[ReportRow] = ()
    if limit is not None and len(rows) > limit:
        cut = len(rows) - limit if by_time else limit
        kept, left = (rows[cut:], rows[:cut]) if by_time else (rows[:cut], rows[cut:])
    others = Sums()
    for row in left:
        others = others.plus(row.sums)
    return replace(
        blank,
        lines=tuple(_line(row, comparison) for row in kept),
        total=_line(ReportRow(("total",), report.total), comparison),
        others=_line(ReportRow(("others",), others), comparison) if left else None,
        others_count=len(left),
    )


def _ordered(question: Question, rows: Sequence[ReportRow]) -> list[ReportRow]:
    if any(name in TIMES for name in question.by):
        return list(rows)
    return sorted(rows, key=lambda row: -(row.sums.spent_nano_usd + row.sums.reserved_nano_usd))


def _line(row: ReportRow, comparison: Comparison | None) -> Line:
    compared = None if comparison is None else estimate_nano_usd(comparison.price, row.sums)
    return Line(row.group, row.sums, compared)
