"""What the book says of buying: how much from whom over a time, and how far each vendor is from each share cap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.core.concentration import Bought, Distance
from modelrouter.core.facts import SELF
from modelrouter.core.share_demands import caps_in
from modelrouter.core.shares import ShareDemand
from modelrouter.ledger.reports import Question, report
from modelrouter.ledger.shares import holdings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from fractions import Fraction

    from modelrouter.config import Setup
    from modelrouter.core.share_demands import VendorIds
    from modelrouter.core.shares import ShareCap
    from modelrouter.ledger.session import Session

__all__ = ["bought", "caps_of", "distances", "ratio_text"]

MILLION: Final = 1_000_000


def bought(session: Session, since_us: int, until_us: int) -> list[Bought]:
    """What was bought from one moment until before another, microseconds since 1970.

    Raises:
        RequestError: the time cuts an hour whose lines are in an archive.
    """
    found = report(session, Question(("operator", "developer"), since_us, until_us))
    return [
        Bought(
            row.group[0],
            row.group[1],
            row.sums.spent_nano_usd,
            row.sums.attempts,
            row.sums.input_tokens + row.sums.output_tokens,
        )
        for row in found.rows
    ]


def caps_of(setup: Setup) -> tuple[ShareCap, ...]:
    """Every share cap that some route goes by."""
    return caps_in(layer for route in setup.routes.values() for layer in route.layers)


def distances(
    session: Session, setup: Setup, known: Collection[Bought], vendors: VendorIds, at_us: int | None = None
) -> tuple[Distance, ...]:
    """How far each vendor is from each cap; by cap, and whoever has most of it first.

    Args:
        known: whose vendors are asked too, beside those that a route could use.
        at_us: the moment at which windows end, not before the newest line; None is now.
    """
    asked = [demand for cap in caps_of(setup) for demand in _demands(setup, cap, known, vendors)]
    held = holdings(session, asked, at_us)
    found = (Distance.of(demand, holding) for demand, holding in zip(asked, held, strict=True))
    return tuple(sorted(found, key=_order))


def ratio_text(share: Fraction) -> str:
    """A share as a decimal of six places, rounded; 1 is all."""
    millionths = (2 * MILLION * share.numerator + share.denominator) // (2 * share.denominator)
    whole, part = divmod(millionths, MILLION)
    return f"{whole}.{part:06d}".rstrip("0").rstrip(".")


def _demands(setup: Setup, cap: ShareCap, known: Iterable[Bought], vendors: VendorIds) -> list[ShareDemand]:
    """A cap asked of every vendor that a route could use, or that the book knows."""
    ids = {vendor for each in setup.world.deployments.values() for vendor in vendors.of(cap.by, each)}
    for each in known:
        if cap.by == "developer":
            ids |= {each.developer} - {SELF}
        else:
            ids |= set(vendors.of_operator(cap.by, each.operator))
    return [ShareDemand(cap, vendor, vendors.members(cap.by, vendor)) for vendor in sorted(ids)]


def _order(distance: Distance) -> tuple[str, Fraction, str]:
    return distance.demand.cap.rule, -distance.share, distance.demand.vendor
