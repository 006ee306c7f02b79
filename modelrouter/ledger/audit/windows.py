"""Budgets as the book's own lines define them: whom they cover, and which account a moment belongs to.

A second telling of the rules in `core.budget`, so that a mistake there is seen from here. Tests compare the two.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Definition", "Shape", "Subject", "definitions_of", "subject_of"]

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
SLOTS: Final = 64
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
WINDOWS: Final = frozenset({"hour", "day", "week", "month", "total", "rolling"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What of an attempt budgets look at: each name with its values."""

    values: Mapping[str, tuple[str, ...]]
    tags: Mapping[str, str]

    def under(self, name: str) -> tuple[str, ...]:
        """The values under `route`, `policy`, …, or `tag.NAME`; a tag that is absent is the empty text."""
        return (self.tags.get(name[4:], ""),) if name.startswith("tag.") else self.values[name]


@dataclass
class Shape:
    """Over which time a budget adds up, kept apart by what, for whom."""

    text: str
    window: str
    length_s: int
    zone: ZoneInfo
    each: str
    only: dict[str, frozenset[str]]
    _now: tuple[int, int] = field(default=(0, 0))  # the period found last: the next line mostly lies in it

    def scopes(self, subject: Subject) -> tuple[str, ...]:
        """The accounts' scopes that an attempt falls under; none where the budget does not cover it."""
        if any(values.isdisjoint(subject.under(name)) for name, values in self.only.items()):
            return ()
        return tuple(dict.fromkeys(subject.under(self.each))) if self.each else ("",)

    def start_us(self, at_us: int) -> int:
        """When the account begins that a moment belongs to."""
        if self.window == "total":
            return 0
        if self.window == "rolling":
            return at_us // self.slot_us * self.slot_us
        if self.window == "hour":
            local = self._local(at_us)
            into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            return at_us - into // timedelta(microseconds=1)
        first, last = self._now
        if not first <= at_us < last:
            first, _ = self._now = self._days(at_us)
        return first

    def counts_from_us(self, at_us: int) -> int:
        """The first account that counts at a moment; all from there to that of the moment do."""
        if self.window != "rolling":
            return self.start_us(at_us)
        return (at_us - self.length_s * SECOND_US) // self.slot_us * self.slot_us

    @functools.cached_property
    def slot_us(self) -> int:
        """The length of a slot of a rolling window."""
        return max((self.length_s * SECOND_US + SLOTS - 1) // SLOTS, 1)

    def _days(self, at_us: int) -> tuple[int, int]:
        """The days, from midnight to midnight by the budget's own clocks, that a moment lies in."""
        day = self._local(at_us).date()
        if self.window == "week":
            day -= timedelta(days=day.isoweekday() - 1)
        elif self.window == "month":
            day = day.replace(day=1)
        after = day + timedelta(days={"day": 1, "week": 7, "month": 31}[self.window])
        if self.window == "month":
            after = after.replace(day=1)
        return self._midnight_us(day.year, day.month, day.day), self._midnight_us(after.year, after.month, after.day)

    def _local(self, at_us: int) -> datetime:
        return (EPOCH + timedelta(microseconds=at_us)).astimezone(self.zone)

    def _midnight_us(self, year: int, month: int, day: int) -> int:
        return (datetime(year, month, day, tzinfo=self.zone).astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Definition:
    """One budget in force: `text` is the whole of it in canonical form."""

    name: str
    limit_nano_usd: int
    shape: Shape
    text: str

    @property
    def named(self) -> tuple[str, str]:
        """Its name and its shape: while both stay, its accounts go on."""
        return self.name, self.shape.text


def definitions_of(content: str | None) -> tuple[Definition, ...]:
    """The budgets that a line of kind `budgets` puts in force.

    Raises:
        ValueError: it holds something else.
    """
    try:
        written = json.loads(content or "")
        return tuple(_definition(each) for each in written)
    except (KeyError, TypeError, AttributeError, OSError) as error:  # an unknown time zone is a KeyError or OSError
        raise ValueError(f"not a list of budgets ({type(error).__name__})") from error


def subject_of(*, route: str, policies: str, tags: str, deployment: str, operator: str, developer: str) -> Subject:
    """The subject of a reservation, from its line and its call.

    Raises:
        ValueError: tags or policies are not the JSON that they must be.
    """
    names, pairs = json.loads(str(policies)), json.loads(str(tags))
    if not isinstance(names, list) or not isinstance(pairs, dict):
        raise ValueError("`policies` must be a JSON list and `tags` a JSON object")  # noqa: TRY004 - one kind for both
    values = {
        "route": (route,),
        "policy": tuple(str(name) for name in names),
        "deployment": (deployment,),
        "operator": (operator,),
        "developer": (developer,),
    }
    return Subject(values, {str(name): str(value) for name, value in pairs.items()})


def _definition(written: dict[str, Any]) -> Definition:
    shape = written["shape"]
    if shape["window"] not in WINDOWS:
        raise ValueError(f"`{shape['window']}` is no window")
    return Definition(
        name=str(written["name"]),
        limit_nano_usd=int(written["limit_nano_usd"]),
        shape=Shape(
            text=_sorted(shape),
            window=shape["window"],
            length_s=int(shape["length_s"]),
            zone=ZoneInfo(shape["tz"]),
            each=shape["each"],
            only={name: frozenset(values) for name, values in shape["only"].items()},
        ),
        text=_sorted(written),
    )


def _sorted(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
