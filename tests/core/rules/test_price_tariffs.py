"""Price rules over lists with tiers, hours, changes and uplifts: the dearest that can apply is what counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from modelrouter.core.policy import Outcome
from modelrouter.core.pricing import Hours, PriceChange, PriceList, Rates, Tier
from modelrouter.core.rules.price import PriceFamily
from modelrouter.core.subject import Calendar, Subject
from tests.core.rules.test_price import at_most, costs
from tests.core.rules.world import TODAY, WORLD

PLAIN = PriceList(Decimal(2), Decimal(8))
THREE = Rates(input_usd_per_mtok=Decimal(3))
LATER = PriceChange(date(2027, 1, 1), PriceList(Decimal(3), Decimal(8), request_usd=Decimal("0.01")))


def judged(price: PriceList, key: str, limit: str) -> Outcome:
    """What a limit says to a deployment at this price."""
    subject = Subject(costs(price), WORLD, Calendar(TODAY))
    return PriceFamily().judge(at_most(key, limit), subject).outcome


@pytest.mark.parametrize(
    "price",
    [
        replace(PLAIN, tiers=(Tier(200_000, THREE),)),
        replace(PLAIN, hours=(Hours(60, 240, THREE),)),
        replace(PLAIN, hours=(Hours(60, 240, Rates(), tiers=(Tier(10, THREE),)),)),
        replace(PLAIN, changes=(LATER,)),
        replace(PLAIN, uplift=Decimal("1.5")),
        replace(PLAIN, audio_input_usd_per_mtok=Decimal(3)),
        replace(PLAIN, cache_write_1h_usd_per_mtok=Decimal(3)),
    ],
)
def test_the_dearest_that_can_apply_is_compared(price: PriceList) -> None:
    """A long prompt, a peak hour, a price to come, a region, audio: each alone is enough to refuse."""
    assert judged(PLAIN, "price.input_usd_per_mtok", "2") is Outcome.PERMITTED
    assert judged(price, "price.input_usd_per_mtok", "2.99") is Outcome.REFUSED
    assert judged(price, "price.input_usd_per_mtok", "3") is Outcome.PERMITTED


def test_the_dearest_fee_counts_too() -> None:
    """A fee to come, and one that an uplift raises."""
    assert judged(replace(PLAIN, changes=(LATER,)), "price.request_usd", "0.009") is Outcome.REFUSED
    dearer = replace(PLAIN, request_usd=Decimal("0.01"), uplift=Decimal("1.1"))
    assert judged(dearer, "price.request_usd", "0.01") is Outcome.REFUSED
    assert judged(replace(dearer, uplift_covers_fees=False), "price.request_usd", "0.01") is Outcome.PERMITTED


def test_by_the_hour_nobody_knows_what_a_token_costs() -> None:
    """A limit per token is no answer to a machine that is paid by the hour; a fee per request is."""
    machine = PriceList(Decimal(0), Decimal(0), machine_hour_usd=Decimal(4))
    assert judged(machine, "price.input_usd_per_mtok", "100") is Outcome.UNKNOWN
    assert judged(machine, "price.output_usd_per_mtok", "100") is Outcome.UNKNOWN
    assert judged(machine, "price.request_usd", "0") is Outcome.PERMITTED
