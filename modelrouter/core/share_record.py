"""What share caps said of a call, as its record in the book keeps it: with every value that was read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from modelrouter.core.shares import Holding, Measure, ShareCap, ShareDemand, ShareMode, ShareRefusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Capped", "share_from", "share_record"]

Capped: TypeAlias = "tuple[str, ShareRefusal]"
"""A deployment that a share cap spoke against, and what it said."""


def share_record(deployment: str, refusal: ShareRefusal) -> dict[str, object]:
    """What is kept of one."""
    demand, holding = refusal.demand, refusal.holding
    return {
        "deployment": deployment,
        "rule": demand.cap.rule,
        "mode": demand.cap.mode.value,
        "of": demand.cap.of.value,
        "by": demand.cap.by,
        "vendor": demand.vendor,
        "settled": holding.settled,
        "reserved": holding.reserved,
        "needed": refusal.needed,
        "total": holding.total,
        "least": demand.cap.least,
        "max": f"{demand.cap.numerator}/{demand.cap.denominator}",
        "window_s": demand.cap.window_s,
    }


def share_from(written: Mapping[str, Any]) -> Capped:
    """The one that `share_record` wrote down; who its vendor's members were is not kept.

    Raises:
        KeyError: something is missing.
        ValueError: something has another form.
    """
    numerator, denominator = map(int, written["max"].split("/"))
    cap = ShareCap(
        rule=written["rule"],
        numerator=numerator,
        denominator=denominator,
        of=Measure(written["of"]),
        by=written["by"],
        window_s=written["window_s"],
        least=written["least"],
        mode=ShareMode(written["mode"]),
    )
    holding = Holding(written["settled"], written["reserved"], written["total"])
    return written["deployment"], ShareRefusal(
        ShareDemand(cap, written["vendor"], frozenset()), holding, written["needed"]
    )
