"""Budgets: which accounts an attempt falls under, and the one rule by which money is set aside.

A budget limits a scope over a window. What an attempt falls under is a set of **accounts**, one for each budget that
covers it and each value of what the budget is kept apart by. `admit` is the admission rule, and it exists once: every
store locks its accounts, reads their balances and asks it. Nothing here reads a clock or a database.

Spent and reserved are different things. Money that is reserved may come back: a refusal for its sake is *busy*, and
worth another try. A refusal that would stand even if nothing were reserved is *exceeded*.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date, tzinfo

__all__ = [
    "SCOPES",
    "SLOTS",
    "Account",
    "Balance",
    "Budget",
    "Position",
    "Refusal",
    "Spending",
    "Standing",
    "Window",
    "admit",
    "charges",
    "period_us",
    "span_us",
]

SCOPES: Final = ("deployment", "developer", "operator", "policy", "route")
"""What a budget may be kept apart by or limited to, beside `tag.NAME`."""
TAG: Final = "tag."
SLOTS: Final = 64
"""A rolling window is kept in so many slots. A slot leaves the window as a whole, so an amount may count for up to
1/64 of the window's length too long, and never too short."""

SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US


class Window(enum.Enum):
    """Over which time a budget adds up. Calendar windows begin by the budget's time zone, weeks on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"
    ROLLING = "rolling"


@dataclass(frozen=True)
class Budget:
    """A limit for a scope over a window.

    Attributes:
        limit_nano_usd: what may be settled, uncertain and reserved together.
        length_s: of a rolling window; 0 for the others.
        zone: of calendar windows, with the name it is known by in `zone_name`.
        each: empty is one account for all; else one for each value of `SCOPES` or `tag.NAME`.
        only: what it covers, by the same names; all of them must hold. Empty covers everything.
        wait_s: how long a request may wait for reserved money to come back.
    """

    name: str
    limit_nano_usd: int
    window: Window
    length_s: int = 0
    zone: tzinfo = field(default=UTC, compare=False)
    zone_name: str = "UTC"
    each: str = ""
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)
    wait_s: float = 0.0

    @cached_property
    def shape(self) -> str:
        """What decides which account an amount belongs to, as canonical text: a change of it needs new accounts."""
        only = {name: sorted(values) for name, values in self.only.items()}
        return _canonical(
            {
                "window": self.window.value,
                "length_s": self.length_s,
                "tz": self.zone_name,
                "each": self.each,
                "only": only,
            }
        )

    @cached_property
    def definition(self) -> str:
        """All but its waiting time, as canonical text; processes that share a book must agree on it."""
        return _canonical({"name": self.name, "limit_nano_usd": self.limit_nano_usd, "shape": json.loads(self.shape)})


@dataclass(frozen=True, slots=True)
class Spending:
    """One attempt as budgets see it.

    Attributes:
        policies: every policy that bound the request.
        tags: as they are stored: declared defaults filled in, personal values as keyed hashes.
    """

    route: str
    policies: tuple[str, ...]
    deployment: str
    operator: str
    developer: str
    tags: Mapping[str, str]

    def values(self, name: str) -> tuple[str, ...]:
        """The values under a name of `SCOPES` or `tag.NAME`. A tag that is absent is the empty value."""
        if name.startswith(TAG):
            return (self.tags.get(name.removeprefix(TAG), ""),)
        if name == "policy":
            return self.policies
        value: str = getattr(self, name)
        return (value,)


@dataclass(frozen=True, slots=True)
class Account:
    """Where amounts of one budget add up.

    Attributes:
        scope: the value it is kept for; empty for a budget without `each`.
        start_us: when its window began, or its slot of a rolling window; microseconds since 1970, UTC.
    """

    budget: str
    scope: str
    start_us: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account holds, in nano-dollars; five sums that are never mixed.

    Attributes:
        overrun: what settlements came to beyond their bound.
        correction: what late settlements and reconciliations changed; may be negative.
    """

    settled: int = 0
    uncertain: int = 0
    reserved: int = 0
    overrun: int = 0
    correction: int = 0

    @property
    def spent(self) -> int:
        """All but what is reserved."""
        return self.settled + self.uncertain + self.overrun + self.correction

    @property
    def used(self) -> int:
        """All together: what must stay within the limit."""
        return self.spent + self.reserved

    def plus(self, other: Balance) -> Balance:
        """Both together."""
        return Balance(
            self.settled + other.settled,
            self.uncertain + other.uncertain,
            self.reserved + other.reserved,
            self.overrun + other.overrun,
            self.correction + other.correction,
        )


@dataclass(frozen=True, slots=True)
class Position:
    """Where one budget stands for one scope at one moment.

    Attributes:
        balance: over the whole window.
        resets_us: when a calendar window ends; for a rolling one, when its oldest slot leaves it; None for `total`.
    """

    budget: Budget
    scope: str
    balance: Balance
    resets_us: int | None

    @property
    def spent(self) -> int:
        """All but what is reserved."""
        return self.balance.spent

    @property
    def used(self) -> int:
        """What must stay within the limit."""
        return self.balance.used

    def position(self) -> Position:
        """Itself."""
        return self


class Standing(Protocol):
    """What `admit` asks of a position. A store may keep one up to date while it admits one amount after another."""

    @property
    def budget(self) -> Budget:
        """Whose limit holds."""
        ...

    @property
    def spent(self) -> int:
        """All but what is reserved."""
        ...

    @property
    def used(self) -> int:
        """What must stay within the limit."""
        ...

    def position(self) -> Position:
        """Where it stands now."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why money could not be set aside.

    Attributes:
        is_busy: it would have fitted if nothing were reserved: worth another try. Else it is spent.
        wait_s: how long the budget lets a request wait for reserved money; 0 if it is not busy.
    """

    position: Position
    needed_nano_usd: int
    is_busy: bool
    wait_s: float


def charges(budgets: Iterable[Budget], spending: Spending) -> tuple[tuple[Budget, str], ...]:
    """The budgets that an attempt falls under, each with the scope it is kept for there."""
    found: list[tuple[Budget, str]] = []
    for budget in budgets:
        if all(not values.isdisjoint(spending.values(name)) for name, values in budget.only.items()):
            scopes = spending.values(budget.each) if budget.each else ("",)
            found.extend((budget, scope) for scope in dict.fromkeys(scopes))
    return tuple(found)


def admit(needed_nano_usd: int, positions: Sequence[Standing]) -> Refusal | None:
    """Whether an amount may be set aside under all of these at once; None: yes.

    Settled, uncertain and reserved stay within the limit after every admission. Of several refusals the first that is
    exceeded is told, else the first that is busy; a request waits no longer than the least patient of them.
    """
    busy: list[Standing] = []
    for position in positions:
        limit = position.budget.limit_nano_usd
        if position.used + needed_nano_usd <= limit:
            continue
        if position.spent + needed_nano_usd > limit:
            return Refusal(position.position(), needed_nano_usd, is_busy=False, wait_s=0.0)
        busy.append(position)
    if not busy:
        return None
    wait_s = min(each.budget.wait_s for each in busy)
    return Refusal(busy[0].position(), needed_nano_usd, is_busy=True, wait_s=wait_s)


def period_us(budget: Budget, at_us: int) -> tuple[int, int | None]:
    """The account period that a moment falls into: a calendar window, or a slot of a rolling one.

    Returns:
        first microsecond, and the first that is no longer in it; None for `total`, which begins at 0 and has no end.
    """
    if budget.window is Window.TOTAL:
        return 0, None
    if budget.window is Window.ROLLING:
        slot_us = _slot_us(budget)
        start = at_us - at_us % slot_us
        return start, start + slot_us
    if budget.window is Window.HOUR:
        offset_us = _offset_us(budget, at_us)
        start = at_us - (at_us + offset_us) % HOUR_US
        return start, start + HOUR_US
    first = _first_day(budget.window, _local(budget, at_us).date())
    return _midnight_us(budget, first), _midnight_us(budget, _following(budget.window, first))


def span_us(budget: Budget, at_us: int) -> tuple[int, int | None]:
    """The account periods that count at a moment, and when the next change of them comes.

    Returns:
        the first `start_us` that counts, up to that of `at_us` itself; and when the window, or the oldest slot of a
        rolling one, is over. A slot counts until its last microsecond has left the window.
    """
    start, end = period_us(budget, at_us)
    if budget.window is not Window.ROLLING:
        return start, end
    slot_us = _slot_us(budget)
    oldest = at_us - budget.length_s * SECOND_US
    first = oldest - oldest % slot_us
    return first, first + slot_us + budget.length_s * SECOND_US


def _slot_us(budget: Budget) -> int:
    return max(-(-budget.length_s * SECOND_US // SLOTS), 1)


def _local(budget: Budget, at_us: int) -> datetime:
    whole, rest = divmod(at_us, SECOND_US)
    return datetime.fromtimestamp(whole, tz=UTC).replace(microsecond=rest).astimezone(budget.zone)


def _offset_us(budget: Budget, at_us: int) -> int:
    offset = _local(budget, at_us).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


def _midnight_us(budget: Budget, day: date) -> int:
    """The first moment of a local day. Where clocks go forward at midnight, that is the first moment after the gap."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=budget.zone)
    return int(midnight.timestamp()) * SECOND_US


def _first_day(window: Window, day: date) -> date:
    if window is Window.MONTH:
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if window is Window.WEEK else day


def _following(window: Window, first: date) -> date:
    if window is Window.MONTH:
        return (first + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=7 if window is Window.WEEK else 1)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
