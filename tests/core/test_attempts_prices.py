"""The attempt loop and prices that ask for more than counts: the moment, the time it took, fees, a reported cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import Answered, Billing, End, Opened, Reserve
from modelrouter.core.pricing import BilledAt, Hours, PriceList, Rates, Span, Usage
from tests.core.test_attempts import BOUND, COST, LATE_S, PRICE, USAGE, Script, hop, plan

if TYPE_CHECKING:
    from modelrouter.core.attempts import Plan

NOON_US = 20_000 * 86_400_000_000 + 12 * 3_600_000_000
DOUBLE = Rates(input_usd_per_mtok=Decimal(2), output_usd_per_mtok=Decimal(4))
DEARER_AFTER_NOON = PriceList(Decimal(1), Decimal(2), hours=(Hours(721, 1440, DOUBLE),), billed_at=BilledAt.END)
MACHINE = PriceList(Decimal(0), Decimal(0), machine_hour_usd=Decimal("3.60"))  # a microsecond a nano-dollar


def priced(price: PriceList, **fields: object) -> Plan:
    """A plan over one candidate at this price, which begins at noon."""
    told = plan(replace(hop("a"), price=price))
    return replace(told, **{"started_us": NOON_US, **fields})  # type: ignore[arg-type]  # fields by name


def bound_of(script: Script) -> int:
    """What was reserved."""
    return next(step.bound.nano_usd for step in script.steps if isinstance(step, Reserve))


@pytest.mark.parametrize(("ended_s", "factor"), [(59.999, 1), (60.0, 2)])
def test_the_hour_of_the_end_decides_where_the_operator_bills_by_it(ended_s: float, factor: int) -> None:
    """Reserved at the dearest hour before the deadline, settled at the one that it was."""
    script = Script(priced(DEARER_AFTER_NOON), Answered(USAGE, ended_s))
    result = script.to_the_end()
    assert result.cost_nano_usd == COST * factor
    assert bound_of(script) == 2 * BOUND
    assert result.attempts[0].span == Span(NOON_US, NOON_US + round(ended_s * 1_000_000))


@pytest.mark.parametrize(("stream", "factor"), [(False, 1), (True, 2)])
def test_a_stream_that_is_billed_at_its_end_is_reserved_for_any_hour(stream: bool, factor: int) -> None:
    """The deadline holds its first content alone: it may end in an hour that a plain call would not live to see."""
    later = replace(DEARER_AFTER_NOON, hours=(Hours(780, 1440, DOUBLE),))
    answers = (Opened(1.0), Answered(USAGE, 3_700.0)) if stream else (Answered(USAGE, 1.0),)
    script = Script(priced(later, stream=stream), *answers)
    assert script.to_the_end().cost_nano_usd == COST * factor
    assert bound_of(script) == BOUND * factor


def test_without_a_clock_the_dearest_hour_is_charged() -> None:
    """A plan that does not say when it began is never charged too little."""
    script = Script(priced(DEARER_AFTER_NOON, started_us=None), Answered(USAGE, 1.0))
    assert script.to_the_end().cost_nano_usd == 2 * COST


def test_time_on_a_machine_is_charged_as_it_passes() -> None:
    """Three seconds of a machine are settled at three seconds, and reserved at all that the deadline leaves."""
    script = Script(priced(MACHINE), Answered(USAGE, 3.0))
    assert script.to_the_end().cost_nano_usd == 3_000_000
    assert bound_of(script) == LATE_S * 1_000_000


def test_a_stream_past_the_deadline_is_charged_no_more_machine_time_than_reserved() -> None:
    """The machine is paid for anyway: the share of one request ends with its bound."""
    script = Script(priced(MACHINE, stream=True), Opened(1.0), Answered(USAGE, LATE_S + 20))
    assert script.to_the_end().cost_nano_usd == bound_of(script) == LATE_S * 1_000_000


def test_machine_time_without_a_clock_is_not_reserved() -> None:
    """Nothing bounds it, so nothing is sent."""
    script = Script(priced(MACHINE, started_us=None))
    assert script.to_the_end().end is End.CEILING
    assert script.kinds == []


def test_stated_uses_are_reserved_and_counted_ones_settled() -> None:
    """Three searches at most are reserved, two that happened are settled."""
    price = replace(PRICE, fees=(("web_search", Decimal("0.01")),))
    used = replace(USAGE, uses=(("web_search", 2),))
    script = Script(priced(price, uses=(("web_search", 3),)), Answered(used, 1.0))
    assert script.to_the_end().cost_nano_usd == COST + 20_000_000
    assert bound_of(script) == BOUND + 30_000_000


@pytest.mark.parametrize(("tokens", "booked"), [(1, BOUND), (1000, 10 * 1000 + 1000 * 2000)])
def test_a_use_whose_fee_nobody_knows_is_uncertain(tokens: int, booked: int) -> None:
    """Its cost is not known, so it is booked at the bound, or at what the rest costs where that is more."""
    used = Usage(10, tokens, uses=(("dig", 1),))
    script = Script(priced(PRICE), Answered(used, 1.0))
    script.to_the_end()
    assert script.resolutions() == [("r1", Billing.UNCERTAIN, booked)]


@pytest.mark.parametrize(
    ("reported", "settles", "cost"), [(COST + 5, False, COST + 5), (5, False, COST), (5, True, 5), (None, True, COST)]
)
def test_the_larger_of_both_figures_is_settled(reported: int | None, settles: bool, cost: int) -> None:
    """Unless the operator is known to bill what it reports; both figures stay in the attempt."""
    used = replace(USAGE, reported_nano_usd=reported)
    script = Script(priced(replace(PRICE, reported_settles=settles)), Answered(used, 1.0))
    result = script.to_the_end()
    assert result.cost_nano_usd == cost
    assert result.attempts[0].usage == used


def test_a_reported_cost_that_cannot_be_true_is_uncertain() -> None:
    """A negative figure buys nothing."""
    script = Script(priced(PRICE), Answered(replace(USAGE, reported_nano_usd=-7), 1.0))
    result = script.to_the_end()
    assert script.resolutions() == [("r1", Billing.UNCERTAIN, BOUND)]
    assert result.attempts[0].usage is None


def test_a_uses_limit_that_has_no_fee_is_not_sent() -> None:
    """A tool that the price list does not know cannot be bounded."""
    script = Script(priced(PRICE, uses=(("dig", 1),)))
    assert script.to_the_end().shortfalls[0][1].reason == "no fee is known for dig"
