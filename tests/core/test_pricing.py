"""Pricing: cost against fractions, and a bound that no usage within it can exceed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.pricing import PriceList, Usage
from tests.oracle import dearest_nano_usd, oracle_cost_nano_usd
from tests.strategies import everyday

RATES = st.one_of(
    st.sampled_from([Decimal(0), Decimal("0.05"), Decimal(1), Decimal(3), Decimal(75)]),
    st.decimals(0, 1000, allow_nan=False, allow_infinity=False, places=9),
    st.decimals(0, 1, allow_nan=False, allow_infinity=False),
)
TOKENS = st.integers(0, 2_000_000)
PRICES = st.builds(
    PriceList,
    RATES,
    RATES,
    cached_input_usd_per_mtok=st.none() | RATES,
    reasoning_usd_per_mtok=st.none() | RATES,
    request_usd=st.just(Decimal(0)) | RATES,
    cache_write_usd_per_mtok=st.none() | RATES,
)


@st.composite
def counts(draw: st.DrawFn, most_input: int, most_output: int) -> dict[str, int]:
    """Tokens by disjoint classes, no more than so many in all."""
    total_in, total_out = draw(st.integers(0, most_input)), draw(st.integers(0, most_output))
    cached = draw(st.integers(0, total_in))
    written = draw(st.integers(0, total_in - cached))
    reasoning = draw(st.integers(0, total_out))
    return {
        "fresh": total_in - cached - written,
        "cached": cached,
        "written": written,
        "output": total_out - reasoning,
        "reasoning": reasoning,
    }


def usage_of(tokens: dict[str, int]) -> Usage:
    """The same tokens in the nested classes of a usage report."""
    return Usage(
        input_tokens=tokens["fresh"] + tokens["cached"] + tokens["written"],
        output_tokens=tokens["output"] + tokens["reasoning"],
        cached_input_tokens=tokens["cached"],
        reasoning_tokens=tokens["reasoning"],
        cache_write_tokens=tokens["written"],
    )


@everyday(300)
@given(PRICES, counts(2_000_000, 200_000))
def test_a_cost_is_the_exact_sum_rounded_up_once(price: PriceList, tokens: dict[str, int]) -> None:
    """Whole-number arithmetic gives what fractions give, to the last nano-dollar."""
    usage = usage_of(tokens)
    assert usage.fault is None
    assert price.cost_nano_usd(usage) == oracle_cost_nano_usd(price, **tokens)


@everyday(180)
@given(PRICES, TOKENS, TOKENS)
def test_the_worst_cost_is_that_of_the_dearest_classes(price: PriceList, tokens_in: int, tokens_out: int) -> None:
    """Nobody knows beforehand which tokens come from a cache or are reasoning, so all are charged as the dearest."""
    assert price.worst_nano_usd(tokens_in, tokens_out) == dearest_nano_usd(price, tokens_in, tokens_out)


@everyday(180)
@given(PRICES, st.integers(0, 100_000), st.integers(0, 10**12))
def test_output_within_a_ceiling_is_the_most_that_fits(price: PriceList, tokens_in: int, ceiling: int) -> None:
    """One token more would cross the ceiling, the tokens themselves do not."""
    most = price.output_within(tokens_in, ceiling)
    if most is None:
        assert dearest_nano_usd(price, tokens_in, 10**9) == dearest_nano_usd(price, tokens_in, 0) <= ceiling
        return
    assert dearest_nano_usd(price, tokens_in, most + 1) > ceiling
    assert most == -1 or dearest_nano_usd(price, tokens_in, most) <= ceiling


@pytest.mark.parametrize(
    "usage",
    [
        Usage(-1, 0),
        Usage(0, -1),
        Usage(5, 5, cached_input_tokens=-1),
        Usage(5, 5, reasoning_tokens=-1),
        Usage(5, 5, cache_write_tokens=-1),
        Usage(5, 5, cached_input_tokens=6),
        Usage(5, 5, cache_write_tokens=6),
        Usage(5, 5, cached_input_tokens=3, cache_write_tokens=3),
        Usage(5, 5, reasoning_tokens=6),
    ],
)
def test_a_report_that_cannot_be_true_is_found(usage: Usage) -> None:
    """Negative counts and parts larger than their whole are faults."""
    assert usage.fault


@pytest.mark.parametrize("usage", [Usage(0, 0), Usage(5, 5, 5, 5), Usage(5, 5, 2, 0, 3)])
def test_a_report_at_its_limits_is_believed(usage: Usage) -> None:
    """All input from the cache, or all output reasoning, is possible."""
    assert usage.fault is None


@given(PRICES)
def test_a_price_is_zero_only_if_nothing_costs(price: PriceList) -> None:
    """One rate above zero is enough to be a price."""
    one_each = dict.fromkeys(("fresh", "cached", "written", "output", "reasoning"), 10**9)
    assert price.is_zero == (oracle_cost_nano_usd(price, **one_each) == 0)
