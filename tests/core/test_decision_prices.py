"""Decisions over prices that depend on the moment: bounded at the dearest before the deadline, expected as observed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from modelrouter.core.bounds import Size
from modelrouter.core.decision import decide
from modelrouter.core.facts import Fact
from modelrouter.core.pricing import Hours, PriceList, Rates
from modelrouter.core.request import Request
from modelrouter.core.route import Route, Try
from tests.core.test_ordering_properties import GOOD, world
from tests.strategies import TODAY, moment_on

DOUBLE = Rates(input_usd_per_mtok=Decimal(2), output_usd_per_mtok=Decimal(2))
PLAIN = PriceList(Decimal(1), Decimal(1))
MACHINE = PriceList(Decimal(0), Decimal(0), machine_hour_usd=Decimal("3.60"))  # a microsecond a nano-dollar
ROUTE = Route("r", (Try({"a": 1}),), timeout_s=60.0)


def amounts(price: PriceList, route: Route = ROUTE, **latency_s: float) -> tuple[int, int]:
    """Bound and expected cost of one request at this price, at noon."""
    there = world()
    priced = replace(there.deployments["a"], price=Fact.known(price, GOOD))
    there = replace(there, deployments={**there.deployments, "a": priced})
    moment = moment_on(TODAY, latency_s=latency_s)
    found = decide(Request("r", (), size=Size(1000)), route, (), there, moment).permitted
    return found[0].bound.nano_usd, found[0].expected_nano_usd


@pytest.mark.parametrize(("from_minute", "bounds", "expects"), [(720, 2, 2), (721, 2, 1), (722, 1, 1), (719, 2, 2)])
def test_hours_before_the_deadline_raise_the_bound_and_those_now_the_expectation(
    from_minute: int, bounds: int, expects: int
) -> None:
    """A minute to the deadline: what begins within it may be met, what begins after it may not."""
    price = replace(PLAIN, hours=(Hours(from_minute, 1440, DOUBLE),))
    plain, dearer = amounts(PLAIN), amounts(price)
    assert dearer == (plain[0] * bounds, plain[1] * expects)


def test_machine_time_is_bounded_by_the_deadline_and_expected_as_observed() -> None:
    """Nothing observed yet: all the time there is."""
    assert amounts(MACHINE) == (60_000_000, 60_000_000)
    assert amounts(MACHINE, a=2.5) == (60_000_000, 2_500_000)
