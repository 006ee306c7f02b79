"""The period of an audit: a year, a quarter, a month, or any days; whole days, UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import typer

__all__ = ["Period", "period_of"]

QUARTER: Final = re.compile(r"([0-9]{4})-?Q([1-4])", re.ASCII | re.IGNORECASE)
MONTH: Final = re.compile(r"([0-9]{4})-([0-9]{2})", re.ASCII)
YEAR: Final = re.compile(r"[0-9]{4}", re.ASCII)
DAYS: Final = ".."
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """From a first day through a last one, UTC.

    Attributes:
        name: as it was written, fit for the name of a folder.
    """

    name: str
    first: date
    last: date

    @property
    def since_us(self) -> int:
        """Its first microsecond since 1970."""
        return _us(self.first)

    @property
    def until_us(self) -> int:
        """The first microsecond behind it."""
        return _us(self.last + timedelta(days=1))

    @property
    def words(self) -> str:
        """As `2026-10-01 through 2026-12-31 (UTC)`."""
        return f"{self.first} through {self.last} (UTC)"


def period_of(text: str) -> Period:
    """The period that `2026-Q4`, `2026-11`, `2026` or `2026-10-01..2026-12-31` means.

    Raises:
        BadParameter: it is none of them, or ends before it begins.
    """
    try:
        first, last = _bounds(text.strip())
        _ = last + timedelta(days=1)  # the day behind it must exist
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"`{text}` is no period: write it as `2026-Q4`, `2026-11`, `2026` or `2026-10-01..2026-12-31`",
            param_hint="--period",
        ) from None
    if last < first:
        raise typer.BadParameter(f"`{text}` ends before it begins: swap the days", param_hint="--period")
    return Period(text.strip().upper(), first, last)


def _bounds(text: str) -> tuple[date, date]:
    if DAYS in text:
        first, _, last = text.partition(DAYS)
        return date.fromisoformat(first), date.fromisoformat(last)
    if quarter := QUARTER.fullmatch(text):
        month = 3 * int(quarter[2]) - 2
        return date(int(quarter[1]), month, 1), _before_month(int(quarter[1]), month + 3)
    if month_of := MONTH.fullmatch(text):
        return date(int(month_of[1]), int(month_of[2]), 1), _before_month(int(month_of[1]), int(month_of[2]) + 1)
    if YEAR.fullmatch(text):
        return date(int(text), 1, 1), date(int(text), 12, 31)
    raise ValueError(text)


def _before_month(year: int, month: int) -> date:
    """The last day before a month; month 13 is the next January."""
    first = date(year + 1, 1, 1) if month == 13 else date(year, month, 1)
    return first - timedelta(days=1)


def _us(day: date) -> int:
    return (datetime.combine(day, time(), UTC) - EPOCH) // MICROSECOND
