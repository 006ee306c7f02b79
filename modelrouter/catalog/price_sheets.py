"""What a price source says about one model at one operator, in one shape for all sources.

A `Sheet` holds rates per million tokens by class, with prompt-length tiers and hours of the week at which other rates
hold. `Statement` is everything that one source says of an offer: sheets by mode, each from a day on. Both know nothing
of where they came from or of what is done with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from decimal import Decimal

__all__ = [
    "DAYS",
    "DAY_MINUTES",
    "FEES",
    "MODES",
    "RATES",
    "Hours",
    "Sheet",
    "Statement",
    "clock",
    "minutes",
]

RATES: Final = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_input",
    "cached_audio",
    "audio_output",
    "image_input",
    "image_output",
)
"""Classes of tokens; a rate is an amount per million of them."""

FEES: Final = ("request", "web_search")
"""What is charged by the piece; a fee is an amount for one."""

MODES: Final = ("standard", "batch", "flex", "priority")
"""Service tiers that an operator sells the same model in."""

DAYS: Final = frozenset(range(1, 8))
"""Days of the week by ISO 8601: Monday is 1."""
DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True, order=True)
class Hours:
    """A part of certain days, UTC.

    Attributes:
        days: ISO days of the week, sorted.
        start: minute of the day, included.
        end: minute of the day, excluded; above `start`, at most 1440.
    """

    days: tuple[int, ...]
    start: int
    end: int

    def holds(self, day: int, minute: int) -> bool:
        """Whether a minute of a day of the week lies inside."""
        return day in self.days and self.start <= minute < self.end


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rates that hold from a day on.

    Attributes:
        rates: amount per million tokens by class of `RATES`, or per piece by `FEES`; a class that is absent is charged
            as the class it belongs to.
        tiers: prompt tokens above which a whole request is charged by other rates; ascending, rates that are absent
            there stay those of `rates`.
        hours: at which another sheet holds instead; that one has no hours of its own.
        starts_on: None where the source does not say since when.
    """

    rates: Mapping[str, Decimal]
    tiers: tuple[tuple[int, Mapping[str, Decimal]], ...] = ()
    hours: tuple[tuple[Hours, Sheet], ...] = ()
    starts_on: date | None = None

    def at(self, day: int, minute: int) -> Sheet:
        """The sheet that holds at a minute of a day of the week."""
        return next((sheet for hours, sheet in self.hours if hours.holds(day, minute)), self)

    def without(self, names: frozenset[str]) -> Sheet:
        """This sheet without some classes."""

        def left(rates: Mapping[str, Decimal]) -> dict[str, Decimal]:
            return {name: rate for name, rate in rates.items() if name not in names}

        return Sheet(
            left(self.rates),
            tuple((above, left(rates)) for above, rates in self.tiers),
            tuple((hours, sheet.without(names)) for hours, sheet in self.hours),
            self.starts_on,
        )

    def above(self, prompt_tokens: int) -> dict[str, Decimal]:
        """The rates of a prompt of more than so many tokens."""
        found = dict(self.rates)
        for start, rates in self.tiers:
            if start <= prompt_tokens:
                found.update(rates)
        return found

    @property
    def is_priced(self) -> bool:
        """Whether it says what both input and output cost. Zero says nothing: most zeros are fields left empty."""
        return all(self.rates.get(name, 0) > 0 for name in ("input", "output"))


@dataclass(frozen=True, slots=True)
class Statement:
    """What one source says of one offer.

    Attributes:
        source: the source's name, as `litellm`.
        ref: the source's own id of the offer.
        url: where the source says it read the price; empty where it does not say.
        currency: ISO 4217.
        modes: by mode, sheets in the order of their days.
    """

    source: str
    ref: str
    modes: Mapping[str, tuple[Sheet, ...]]
    url: str = ""
    currency: str = "USD"

    def on(self, mode: str, day: date) -> Sheet | None:
        """The sheet of a mode on a day."""
        held = [each for each in self.modes.get(mode, ()) if each.starts_on is None or each.starts_on <= day]
        return held[-1] if held and held[-1].is_priced else None

    def changes_after(self, mode: str, day: date) -> set[date]:
        """Later days from which the source says that another sheet holds."""
        starts: Iterable[date | None] = (each.starts_on for each in self.modes.get(mode, ()))
        return {start for start in starts if start is not None and start > day}


def clock(minute: int) -> str:
    """A minute of the day as `HH:MM`; the end of the day is `24:00`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def minutes(text: str) -> int:
    """`HH:MM` as a minute of the day.

    Raises:
        ValueError: no such time.
    """
    hour, _, minute = text.partition(":")
    found = int(hour) * 60 + int(minute)
    if not 0 <= found <= DAY_MINUTES or int(minute) > 59:
        raise ValueError(f"`{text}` is no time of day: write it as `16:30`")
    return found
