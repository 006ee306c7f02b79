"""Where a price was read, when, and what other sources say. Pure.

A price list is always in US dollars. A price that is published in another currency was multiplied by a dated rate that
the user gave, "dollars for one unit", which is exact; the rate and its day are kept here, so that the published figure
can be worked out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.tariff import check_amount

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

__all__ = ["Alternative", "PriceReference"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """What one source says, where sources differ.

    Attributes:
        source: who says it.
        amounts: by the names of the price list's fields, in USD.
        checked_on: when it was read.
    """

    source: str
    amounts: tuple[tuple[str, Decimal], ...] = ()
    checked_on: date | None = None

    def __post_init__(self) -> None:
        """Refuse what is no amount, and put the names in order."""
        for name, amount in self.amounts:
            check_amount(name, amount)
        object.__setattr__(self, "amounts", tuple(sorted(self.amounts)))


@dataclass(frozen=True, slots=True)
class PriceReference:
    """The provenance of one price list.

    Attributes:
        source: where it was read.
        checked_on: when.
        valid_from: first day, UTC, on which it holds; None: as far back as anybody knows.
        valid_until: last day, UTC, through its end; None: until further notice.
        currency: in which it is published.
        usd_per_unit: dollars for one unit of that currency; None where the price is published in dollars.
        rate_on: the day of that rate.
        rate_source: where the rate comes from.
        snapshot: hash of the file of prices that it was taken from; empty where it was written by hand.
        disputed: sources differ; the list then holds the dearest of each class.
        alternatives: what each of them says.
    """

    source: str
    checked_on: date | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    currency: str = "USD"
    usd_per_unit: Decimal | None = None
    rate_on: date | None = None
    rate_source: str = ""
    snapshot: str = ""
    disputed: bool = False
    alternatives: tuple[Alternative, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a conversion that nobody could repeat, and days in the wrong order."""
        check_amount("usd_per_unit", self.usd_per_unit)
        if (self.currency == "USD") != (self.usd_per_unit is None):
            raise ValueError("a price in another currency needs `usd_per_unit`, and one in USD has none")
        if self.usd_per_unit is not None and (not self.usd_per_unit or self.rate_on is None):
            raise ValueError("`usd_per_unit` must be above zero and needs `rate_on`, the day of the rate")
        if self.valid_from is not None and self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError("`valid_until` lies before `valid_from`")
