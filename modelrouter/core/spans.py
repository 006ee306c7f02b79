"""When an attempt may be under way, on the wall clock: the moments by whose price it is bounded and billed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from modelrouter.core.tariff import BilledAt, Span

if TYPE_CHECKING:
    from modelrouter.core.attempts import Plan
    from modelrouter.core.pricing import PriceList

__all__ = ["billed_span", "bounded_span"]

WEEK_S: Final = 7 * 86_400.0


def bounded_span(plan: Plan, price: PriceList, now_s: float) -> Span | None:
    """The moments by whose price an attempt that begins now may be billed.

    What is billed at its end may end after the deadline, if it is a stream: that holds its first content alone. A
    week has every hour that a price may know. Time of a machine is bounded by the deadline, see `billed_span`.
    """
    is_late = plan.stream and price.billed_at is BilledAt.END and not price.has_machine_hours
    return _span(plan, now_s, plan.deadline_s + (WEEK_S if is_late else 0))


def billed_span(plan: Plan, price: PriceList, started_s: float, now_s: float) -> Span | None:
    """When an attempt that ends now was under way.

    A machine that is paid by the hour is charged for no longer than its bound: what a stream takes beyond the
    deadline is time of a machine that is paid for anyway.
    """
    ended_s = min(now_s, plan.deadline_s) if price.has_machine_hours else now_s
    return _span(plan, started_s, ended_s)


def _span(plan: Plan, started_s: float, ended_s: float) -> Span | None:
    """A stretch of the loop's time on the wall clock, rounded outwards; None where that is not known."""
    if plan.started_us is None:
        return None
    started_us = math.floor((started_s - plan.started_s) * 1_000_000)
    ended_us = math.ceil((ended_s - plan.started_s) * 1_000_000)
    return Span(plan.started_us + started_us, plan.started_us + max(started_us, ended_us))
