"""Share caps: how much of all that is bought one vendor may have, and the one rule by which that is asked.

`vendors.share` caps what a vendor has of everything over a rolling window. It is asked when a reservation is made, of
the book as it stands under its lock: `settled_v + reserved_v + bound <= cap x max(least volume, settled_total)`. What
is uncertain counts with what is settled, on both sides. `admit_share` is that rule, and it exists once: every store
adds up what the vendor and everybody together have, and asks it. Everything is compared as whole numbers.

An attempt belongs to the hour of its reservation, whatever becomes of it later, and an hour counts until its last
microsecond has left the window. So a window may reach up to an hour too far back, for the vendor and the total alike.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from modelrouter.core.bounds import Bound

__all__ = [
    "BY",
    "HOUR_US",
    "Holding",
    "Measure",
    "ShareCap",
    "ShareDemand",
    "ShareMode",
    "ShareRefusal",
    "admit_share",
    "cap_text",
    "first_hour_us",
    "length_text",
    "percent",
    "share_refusal_text",
    "units_of",
    "units_text",
]

BY: Final = ("operator", "developer", "parent", "country")
"""By what vendors are told apart."""
SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
LETTERS: Final = (("d", 86_400, 2), ("h", 3_600, 1))
"""Letter, seconds, and from how many of them on it is used: a day is called 24 hours."""


class Measure(enum.Enum):
    """What a share is one of: nano-dollars, attempts, or tokens of input and output as they were reported."""

    SPEND = "spend"
    CALLS = "calls"
    TOKENS = "tokens"


class ShareMode(enum.Enum):
    """What a cap does where it is reached.

    `HARD` refuses the reservation, `SOFT` has others tried first, and `OBSERVED` is only written down.
    """

    HARD = "hard"
    SOFT = "soft"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class ShareCap:
    """One rule.

    Attributes:
        rule: as `two-vendors/vendors.share`.
        numerator: of the cap, an exact share of more than 0 and less than 1.
        denominator: the other half of it.
        by: one of `BY`.
        window_s: how far back it looks; whole hours.
        least: the volume that the cap is taken of where less has been settled: nano-dollars, attempts or tokens.
        permits_alone: it asks nothing where nobody but the vendor is left on a route.
    """

    rule: str
    numerator: int
    denominator: int
    of: Measure
    by: str
    window_s: int
    least: int
    mode: ShareMode
    permits_alone: bool = False


@dataclass(frozen=True, slots=True)
class ShareDemand:
    """A cap, asked of one vendor.

    Attributes:
        vendor: as people call it: an organisation's id, or a country.
        members: what the book calls it: the operators, or developers, that are this vendor.
    """

    cap: ShareCap
    vendor: str
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Holding:
    """What stands in the book over a window, in the units of a measure.

    Attributes:
        settled: of the vendor: booked, what is uncertain with it.
        reserved: of the vendor: pending.
        total: booked of everybody.
    """

    settled: int
    reserved: int
    total: int


@dataclass(frozen=True, slots=True)
class ShareRefusal:
    """Why a vendor may not have more.

    Attributes:
        needed: what the reservation would add at most.
    """

    demand: ShareDemand
    holding: Holding
    needed: int


def admit_share(demand: ShareDemand, needed: int, holding: Holding) -> ShareRefusal | None:
    """Whether a vendor may have so much more; None: yes."""
    cap = demand.cap
    most = cap.numerator * max(cap.least, holding.total)
    if (holding.settled + holding.reserved + needed) * cap.denominator <= most:
        return None
    return ShareRefusal(demand, holding, needed)


def units_of(measure: Measure, bound: Bound) -> int:
    """What an attempt under this bound adds at most."""
    if measure is Measure.SPEND:
        return bound.nano_usd
    return 1 if measure is Measure.CALLS else bound.input_tokens + bound.max_output_tokens


def first_hour_us(window_s: int, at_us: int) -> int:
    """The first hour that counts at a moment."""
    return (at_us - window_s * SECOND_US) // HOUR_US * HOUR_US


# --- in words ---------------------------------------------------------------------------------------------------------


def percent(numerator: int, denominator: int) -> str:
    """A share in words, as `62.5 %`, rounded to a tenth; of nothing it is `0 %`."""
    tenths = (2_000 * numerator + denominator) // (2 * denominator) if denominator > 0 else 0
    whole, tenth = divmod(tenths, 10)
    return f"{whole}.{tenth} %" if tenth else f"{whole} %"


def length_text(window_s: int) -> str:
    """A window as a config has it, as `30d`."""
    return next(
        (
            f"{window_s // unit_s}{letter}"
            for letter, unit_s, least in LETTERS
            if window_s % unit_s == 0 and window_s >= least * unit_s
        ),
        f"{window_s}s",
    )


def units_text(measure: Measure, units: int) -> str:
    """An amount in words, as `$1.5`, `1 call` or `1200 tokens`."""
    if measure is Measure.SPEND:
        return format_usd(units)
    word = measure.value.removesuffix("s") if units == 1 else measure.value
    return f"{units} {word}"


def cap_text(cap: ShareCap) -> str:
    """What a cap asks, as `at most 60 % of spend by operator over 30d`."""
    share = percent(cap.numerator, cap.denominator)
    return f"at most {share} of {cap.of.value} by {cap.by} over {length_text(cap.window_s)}"


def share_refusal_text(refusal: ShareRefusal) -> str:
    """Why a vendor may not have more, in figures, and what to do."""
    demand, holding, cap = refusal.demand, refusal.holding, refusal.demand.cap
    of = cap.of
    base = max(cap.least, holding.total)
    whole = f"{units_text(of, holding.total)} in all"
    if holding.total < cap.least:
        whole += f", counted as {units_text(of, cap.least)}"
    would = percent(holding.settled + holding.reserved + refusal.needed, base)
    return (
        f"`{cap.rule}` caps {cap.by} `{demand.vendor}` at {percent(cap.numerator, cap.denominator)} of {of.value} over "
        f"{length_text(cap.window_s)}, and this call could bring it to {would}: {units_text(of, holding.settled)} "
        f"booked ({percent(holding.settled, holding.total)}), {units_text(of, holding.reserved)} held by calls under "
        f"way, {units_text(of, refusal.needed)} needed, of {whole}; use other vendors, or raise its `max` or "
        "`min_volume`"
    )
