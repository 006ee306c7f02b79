"""How much of all that is bought each vendor has, now and before, and how far that is from every cap. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from modelrouter.core.facts import SELF
from modelrouter.core.shares import Measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelrouter.core.share_demands import VendorIds
    from modelrouter.core.shares import Holding, ShareDemand

__all__ = ["Bought", "Distance", "Portion", "concentrated", "portions"]

WHOLE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Bought:
    """What was bought from one operator of one developer's models: nano-dollars that are booked, attempts, tokens."""

    operator: str
    developer: str
    spend: int
    calls: int
    tokens: int

    def units(self, measure: Measure) -> int:
        """By measure."""
        value: int = getattr(self, measure.value)
        return value


@dataclass(frozen=True, slots=True)
class Portion:
    """What one vendor has.

    Attributes:
        vendor: `self` for what runs here; empty where the book does not say whose it was.
        units: by measure, over a window; `share` is the part of it in all.
        before: the share over the window before; None where nothing was bought then.
    """

    vendor: str
    units: Mapping[Measure, int]
    share: Mapping[Measure, Fraction]
    before: Mapping[Measure, Fraction | None]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a vendor is from a cap.

    Attributes:
        share: of the volume that the cap is taken of, what is pending included.
        room: how much more may be reserved for it now, in whole units; negative where it is over.
    """

    demand: ShareDemand
    holding: Holding
    share: Fraction
    room: int

    @staticmethod
    def of(demand: ShareDemand, holding: Holding) -> Distance:
        """By what stands in the book."""
        cap, used = demand.cap, holding.settled + holding.reserved
        base = max(cap.least, holding.total)
        return Distance(demand, holding, Fraction(used, base), cap.numerator * base // cap.denominator - used)


def portions(now: Iterable[Bought], before: Iterable[Bought], by: str, vendors: VendorIds) -> tuple[Portion, ...]:
    """Each vendor's part over a window and over the one before; who has most of the spend comes first.

    By country they may come to more than the whole: an operator counts under its own and under every parent's.
    """
    present, past = list(now), list(before)
    units, earlier = _summed(present, by, vendors), _summed(past, by, vendors)
    total, whole = _total(present), _total(past)
    found: list[Portion] = []
    for vendor in {**units, **earlier}:
        own, old = units.get(vendor, dict.fromkeys(Measure, 0)), earlier.get(vendor, dict.fromkeys(Measure, 0))
        found.append(
            Portion(
                vendor,
                own,
                {each: _part(own[each], total[each]) or Fraction(0) for each in Measure},
                {each: _part(old[each], whole[each]) for each in Measure},
            )
        )
    return tuple(sorted(found, key=lambda each: (*(-each.units[measure] for measure in Measure), each.vendor)))


def concentrated(found: Iterable[Portion], measure: Measure) -> int:
    """The Herfindahl-Hirschman index of these parts: 10,000 is one vendor alone, and little is many small ones."""
    return int(WHOLE * sum(each.share[measure] ** 2 for each in found))


def _summed(bought: Iterable[Bought], by: str, vendors: VendorIds) -> dict[str, dict[Measure, int]]:
    sums: dict[str, dict[Measure, int]] = {}
    for each in bought:
        for vendor in _vendors(each, by, vendors):
            own = sums.setdefault(vendor, dict.fromkeys(Measure, 0))
            for measure in Measure:
                own[measure] += each.units(measure)
    return sums


def _vendors(bought: Bought, by: str, vendors: VendorIds) -> tuple[str, ...]:
    if by == "developer":
        return (bought.developer,)
    if bought.operator == SELF:
        return (SELF,)
    return vendors.of_operator(by, bought.operator) or ("",)


def _total(bought: Iterable[Bought]) -> dict[Measure, int]:
    total = dict.fromkeys(Measure, 0)
    for each in bought:
        for measure in Measure:
            total[measure] += each.units(measure)
    return total


def _part(units: int, whole: int) -> Fraction | None:
    return Fraction(units, whole) if whole > 0 else None
