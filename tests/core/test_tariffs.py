"""Price lists with everything that providers bill: the cost against an oracle, and a bound that nothing exceeds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.pricing import (
    Alternative,
    BilledAt,
    Hours,
    PriceChange,
    PriceList,
    PriceReference,
    Rates,
    Span,
    Tier,
    TokenClass,
    Usage,
)
from tests.price_lists import DAY_US, FEES, price_lists, spans, usages
from tests.price_oracle import IN_CLASSES, OUT_CLASSES, cost_at, cost_of, edges_within
from tests.strategies import everyday

ONE, TWO = Decimal(1), Decimal(2)
MIDNIGHT_US = (date(2026, 11, 22) - date(1970, 1, 1)).days * DAY_US  # a Sunday
HOUR_US = 3_600_000_000
FIELDS = {
    "cached_input": ("cached_input_tokens",),
    "cache_write": ("cache_write_tokens",),
    "cache_write_1h": ("cache_write_1h_tokens",),
    "audio_input": ("audio_input_tokens",),
    "cached_audio": ("cached_input_tokens", "audio_input_tokens", "cached_audio_tokens"),
    "image_input": ("image_input_tokens",),
    "cached_image": ("cached_input_tokens", "image_input_tokens", "cached_image_tokens"),
    "reasoning": ("reasoning_tokens",),
    "audio_output": ("audio_output_tokens",),
    "image_output": ("image_output_tokens",),
}


def all_of(class_in: str, class_out: str, tokens_in: int, tokens_out: int, uses: int) -> Usage:
    """A usage whose tokens are all of one class."""
    counts = dict.fromkeys(FIELDS.get(class_in, ()), tokens_in) | dict.fromkeys(FIELDS.get(class_out, ()), tokens_out)
    used = tuple((name, uses) for name in FEES) if uses else ()
    return Usage(**{"input_tokens": tokens_in, "output_tokens": tokens_out, **counts}, uses=used)


@everyday(50)
@given(price_lists(), usages(2000, 2000), spans())
def test_a_cost_is_the_exact_sum_rounded_up_once(price: PriceList, usage: Usage, span: Span) -> None:
    """Tiers, hours, changes, uplift, fees and machine hours: to the last nano-dollar what fractions give."""
    assert usage.fault is None
    assert price.cost_nano_usd(usage, span) == cost_of(price, usage, span)


@everyday(50)
@given(st.data(), price_lists(), st.integers(0, 2000), st.integers(0, 2000), spans())
def test_nothing_within_a_bound_costs_more(
    data: st.DataObject, price: PriceList, tokens_in: int, tokens_out: int, span: Span
) -> None:
    """No usage within the counts, at no moment of the span and for no part of its length, exceeds the worst cost."""
    uses = tuple((name, data.draw(st.integers(0, 3))) for name in FEES)
    most = price.worst_nano_usd(tokens_in, tokens_out, span, uses)
    usage = data.draw(usages(tokens_in, tokens_out, most_uses=0))
    usage = replace(usage, uses=tuple((name, data.draw(st.integers(0, count))) for name, count in uses))
    began = data.draw(st.integers(span.started_us, span.ended_us))
    attempt = Span(began, data.draw(st.integers(began, span.ended_us)))
    assert cost_of(price, usage, attempt) <= most
    assert price.settle_nano_usd(usage, attempt) <= most


@everyday(30)
@given(price_lists(machine=False), st.integers(0, 1500), st.integers(0, 500), st.integers(0, 2), spans())
def test_the_worst_cost_is_reached(price: PriceList, tokens_in: int, tokens_out: int, uses: int, span: Span) -> None:
    """The bound is no higher than the dearest usage: all of one class, up to a tier or into it, at some edge."""
    price = replace(price, marginal=False) if not price.changes else price
    marginal = price.marginal or any(change.price.marginal for change in price.changes)
    lists = [price, *(change.price for change in price.changes)]
    starts = {tier.above_input_tokens for each in lists for tier in each.tiers}
    starts |= {tier.above_input_tokens for each in lists for hours in each.hours for tier in hours.tiers}
    counts = {tokens_in, *(start for start in starts if start < tokens_in)}
    found = max(
        cost_at(price, all_of(class_in, class_out, count, tokens_out, uses), at_us)
        for at_us in edges_within(price, span)
        for count in counts
        for class_in in IN_CLASSES
        for class_out in OUT_CLASSES
    )
    most = price.worst_nano_usd(tokens_in, tokens_out, span, tuple((name, uses) for name in FEES))
    assert found <= most if marginal else found == most


@everyday(30)
@given(price_lists(), st.integers(0, 1500), st.integers(0, 500), spans(), st.integers(0, 10**10))
def test_what_fits_under_a_ceiling_is_the_most_that_fits(
    price: PriceList, tokens_in: int, tokens_out: int, span: Span, ceiling: int
) -> None:
    """One token more would cross the ceiling, the tokens themselves do not; and more tokens never cost less."""
    most = price.output_within(tokens_in, ceiling, span)
    if most is None:
        assert price.worst_nano_usd(tokens_in, 10**9, span) == price.worst_nano_usd(tokens_in, 0, span) <= ceiling
    else:
        assert price.worst_nano_usd(tokens_in, most + 1, span) > ceiling
        assert most == -1 or price.worst_nano_usd(tokens_in, most, span) <= ceiling
    steps = [price.worst_nano_usd(count, tokens_out, span) for count in range(0, tokens_in + 2, 97)]
    assert all(first <= second for first, second in pairwise(steps))


@everyday(50)
@given(price_lists(machine=False), usages(2000, 2000), spans())
def test_without_a_moment_the_dearest_one_counts(price: PriceList, usage: Usage, span: Span) -> None:
    """Who does not know when, is charged and bounded as at the dearest hour of the dearest list."""
    assert price.cost_nano_usd(usage) >= price.cost_nano_usd(usage, span)
    uses = tuple((name, 3) for name in FEES)
    assert price.worst_nano_usd(2000, 2000, None, uses) >= price.worst_nano_usd(2000, 2000, span, uses)
    assert price.worst_nano_usd(2000, 2000, None, uses) >= price.cost_nano_usd(usage)


@everyday(30)
@given(price_lists())
def test_a_list_comes_back_from_its_text(price: PriceList) -> None:
    """Everything is written, exactly; the same list is the same text and has the same digest."""
    again = PriceList.from_text(price.to_text())
    assert again == price
    assert (again.to_text(), again.digest) == (price.to_text(), price.digest)


# --- one thing at a time ---------------------------------------------------------------------------------------------

GEMINI = PriceList(
    Decimal("1.25"),
    Decimal(10),
    Decimal("0.125"),
    tiers=(
        Tier(
            200_000,
            Rates(
                input_usd_per_mtok=Decimal("2.5"),
                cached_input_usd_per_mtok=Decimal("0.25"),
                output_usd_per_mtok=Decimal(15),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        (Usage(200_000, 1000), 200_000 * 1250 + 1000 * 10_000),
        (Usage(200_001, 1000), 200_001 * 2500 + 1000 * 15_000),
        (Usage(200_001, 1000, 150_000), 50_001 * 2500 + 150_000 * 250 + 1000 * 15_000),
        (Usage(200_000, 1000, 150_000), 50_000 * 1250 + 150_000 * 125 + 1000 * 10_000),
    ],
)
def test_a_long_prompt_is_dearer_as_a_whole(usage: Usage, nano_usd: int) -> None:
    """The tier begins with the first token above, and cached tokens count towards it."""
    assert GEMINI.cost_nano_usd(usage) == nano_usd


def test_a_marginal_tier_prices_what_lies_above_it() -> None:
    """The first thousand as before, the rest at the tier's rate; a cache holds the beginning."""
    tier = Tier(1000, Rates(input_usd_per_mtok=TWO, cached_input_usd_per_mtok=ONE))
    price = PriceList(ONE, TWO, Decimal("0.5"), tiers=(tier,), marginal=True)
    assert price.cost_nano_usd(Usage(1500, 10)) == 1000 * 1000 + 500 * 2000 + 10 * 2000
    assert price.cost_nano_usd(Usage(1500, 0, 800)) == 800 * 500 + 200 * 1000 + 500 * 2000
    assert price.cost_nano_usd(Usage(1500, 0, 1200)) == 1000 * 500 + 200 * 1000 + 300 * 2000


PEAK = Rates(input_usd_per_mtok=TWO, output_usd_per_mtok=Decimal(4))
DAYTIME = PriceList(ONE, TWO, hours=(Hours(60, 240, PEAK), Hours(360, 600, PEAK)))


@pytest.mark.parametrize(
    ("billed_at", "started_minute", "ended_minute", "is_peak"),
    [
        (BilledAt.START, 59, 61, False),
        (BilledAt.END, 59, 61, True),
        (BilledAt.START, 60, 61, True),
        (BilledAt.START, 239, 241, True),
        (BilledAt.END, 239, 240, False),
        (BilledAt.START, 360, 361, True),
    ],
)
def test_the_hour_that_counts_is_the_operators(
    billed_at: BilledAt, started_minute: int, ended_minute: int, is_peak: bool
) -> None:
    """A call across an edge is billed by its start or by its end; the bound takes the dearer of what it may meet."""
    price = replace(DAYTIME, billed_at=billed_at)
    span = Span(MIDNIGHT_US + started_minute * 60_000_000, MIDNIGHT_US + ended_minute * 60_000_000)
    assert price.cost_nano_usd(Usage(10, 10), span) == (60_000 if is_peak else 30_000)
    assert price.worst_nano_usd(10, 10, span) == 60_000


def test_hours_past_midnight_belong_to_the_day_they_begin_on() -> None:
    """Saturday night runs into Sunday morning; Sunday night is not meant."""
    price = PriceList(ONE, ONE, hours=(Hours(1380, 120, Rates(input_usd_per_mtok=TWO), frozenset({6})),))
    sunday_1_am, sunday_11_pm = MIDNIGHT_US + HOUR_US, MIDNIGHT_US + 23 * HOUR_US
    assert price.cost_nano_usd(Usage(1, 0), Span(sunday_1_am, sunday_1_am)) == 2000
    assert price.cost_nano_usd(Usage(1, 0), Span(sunday_11_pm, sunday_11_pm)) == 1000
    assert price.worst_nano_usd(1, 0, Span(sunday_11_pm, sunday_11_pm + HOUR_US)) == 1000


def test_a_price_change_holds_from_its_first_moment() -> None:
    """A microsecond before midnight the old list, at midnight the new one; a bound across it knows both."""
    dearer = PriceList(Decimal(3), ONE)
    price = PriceList(ONE, ONE, changes=(PriceChange(date(2026, 11, 22), dearer),))
    before, after = Span(MIDNIGHT_US - 1, MIDNIGHT_US - 1), Span(MIDNIGHT_US, MIDNIGHT_US)
    assert [price.cost_nano_usd(Usage(1, 0), each) for each in (before, after)] == [1000, 3000]
    across = Span(before.started_us, after.ended_us)
    assert [price.worst_nano_usd(1, 0, each) for each in (before, after, across)] == [1000, 3000, 3000]
    assert price.dearest_usd_per_mtok(TokenClass.INPUT) == 3


def test_a_machine_is_charged_by_its_share_of_time() -> None:
    """A slot of a machine at $3.60 an hour with four slots: 250 nano-dollars a millisecond, and any start of one."""
    price = PriceList(Decimal(0), Decimal(0), machine_hour_usd=Decimal("3.60"), slots=4)
    assert price.cost_nano_usd(Usage(1, 1), Span(0, 1000)) == 250
    assert price.cost_nano_usd(Usage(1, 1), Span(0, 1001)) == 251
    assert price.worst_nano_usd(10**6, 10**6, Span(0, 60_000_000)) == 15_000_000
    assert price.has_machine_hours
    assert not price.is_zero
    with pytest.raises(ValueError, match="give a span"):
        price.cost_nano_usd(Usage(1, 1))
    with pytest.raises(ValueError, match="give a span"):
        price.worst_nano_usd(1, 1)


def test_a_zero_of_today_is_no_price_because_of_a_later_one() -> None:
    """What is announced for a later day says nothing of what today costs."""
    later = PriceChange(date(2027, 1, 1), PriceList(ONE, TWO))
    assert PriceList(Decimal(0), Decimal(0), changes=(later,)).is_zero
    assert not PriceList(ONE, TWO, changes=(replace(later, price=PriceList(Decimal(0), Decimal(0))),)).is_zero


def test_fees_are_counted_by_the_use() -> None:
    """A search has its fee, an image has another; the bound goes by the limits that were stated."""
    price = PriceList(
        ONE, ONE, request_usd=Decimal("0.001"), fees=(("web_search", Decimal("0.01")), ("read", Decimal(0)))
    )
    usage = Usage(1, 0, uses=(("read", 5), ("web_search", 2)))
    assert price.cost_nano_usd(usage) == 1000 + 1_000_000 + 2 * 10_000_000
    assert price.worst_nano_usd(1, 0, None, (("web_search", 3),)) == 1000 + 1_000_000 + 3 * 10_000_000
    assert price.unpriced((("dig", 1), ("read", 1), ("web_search", 1), ("x", 0))) == ("dig",)
    with pytest.raises(ValueError, match="`dig` has no fee"):
        price.worst_nano_usd(1, 0, None, (("dig", 1),))


def test_an_uplift_is_applied_once() -> None:
    """A region at 1.1 times the list price; its fees too, unless they are left out."""
    price = PriceList(ONE, TWO, request_usd=Decimal("0.001"), uplift=Decimal("1.1"))
    assert price.cost_nano_usd(Usage(10, 10)) == 11_000 + 22_000 + 1_100_000
    assert replace(price, uplift_covers_fees=False).cost_nano_usd(Usage(10, 10)) == 11_000 + 22_000 + 1_000_000
    assert price.dearest_usd_per_mtok(TokenClass.INPUT, TokenClass.OUTPUT) == Decimal("2.2")


def test_classes_that_cannot_occur_do_not_raise_a_bound() -> None:
    """A text request at an audio model is bounded at the price of text."""
    price = PriceList(ONE, TWO, audio_input_usd_per_mtok=Decimal(40), audio_output_usd_per_mtok=Decimal(80))
    text = {TokenClass.AUDIO_INPUT, TokenClass.CACHED_AUDIO, TokenClass.AUDIO_OUTPUT}
    assert price.worst_nano_usd(10, 10) == 1_200_000
    assert price.worst_nano_usd(10, 10, without=text) == 30_000
    assert price.output_within(10, 30_000, without=text) == 10


@pytest.mark.parametrize(
    ("reported", "reported_settles", "settled"),
    [(None, False, 3000), (2000, False, 3000), (2000, True, 2000), (9000, False, 9000), (9000, True, 9000)],
)
def test_a_reported_cost_never_lowers_ours_unless_it_is_what_is_billed(
    reported: int | None, reported_settles: bool, settled: int
) -> None:
    """More than our figure is money that is gone; less is believed only of an operator that bills by it."""
    price = PriceList(ONE, TWO, reported_settles=reported_settles)
    usage = Usage(1, 1, reported_nano_usd=reported)
    assert (price.cost_nano_usd(usage), price.settle_nano_usd(usage)) == (3000, settled)


def test_a_list_says_how_long_it_holds() -> None:
    """The last day counts through its end; a change may take over the next morning."""
    last = PriceReference("a page", valid_from=date(2026, 11, 1), valid_until=date(2026, 11, 21))
    ends = PriceList(ONE, ONE, reference=last)
    assert ends.covers(Span(MIDNIGHT_US - 5, MIDNIGHT_US - 1))
    assert not ends.covers(Span(MIDNIGHT_US - 5, MIDNIGHT_US))
    assert not ends.covers(Span(0, 5))
    goes_on = replace(ends, changes=(PriceChange(date(2026, 11, 22), PriceList(TWO, TWO)),))
    assert goes_on.covers(Span(MIDNIGHT_US - 5, MIDNIGHT_US + 5))
    assert PriceList(ONE, ONE).covers(Span(0, MIDNIGHT_US))


def test_a_dispute_is_seen() -> None:
    """A list whose sources differ says so, and what each of them says stays with it."""
    told = Alternative("another table", (("input_usd_per_mtok", TWO),))
    price = PriceList(TWO, TWO, reference=PriceReference("a page", disputed=True, alternatives=(told,)))
    assert price.disputed
    assert PriceList(ONE, ONE, changes=(PriceChange(date(2026, 12, 1), price),)).disputed
    assert not PriceList(ONE, ONE).disputed


def test_the_digest_knows_the_provenance() -> None:
    """Two lists with the same rates from different pages are two facts; how digits are written changes nothing."""
    first, second = (PriceList(ONE, TWO, reference=PriceReference(page)) for page in ("a", "b"))
    assert first.digest != second.digest
    assert PriceList(Decimal("1.00"), TWO).digest == PriceList(ONE, Decimal("2.0")).digest
    assert len(first.digest) == 64


def test_texts_of_the_first_version_are_read() -> None:
    """A book of an earlier release is priced as it was then."""
    text = (
        '{"input_usd_per_mtok":"0.0333","output_usd_per_mtok":"0.4","cached_input_usd_per_mtok":"1E-7",'
        '"reasoning_usd_per_mtok":null,"request_usd":"0","free":false,"cache_write_usd_per_mtok":null}'
    )
    assert PriceList.from_text(text) == PriceList(Decimal("0.0333"), Decimal("0.4"), Decimal("1E-7"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "7", '{"version":3}', '{"version":2,"input_usd_per_mtok":"x"}', '{"version":2,"unknown":1}'],
)
def test_a_text_that_is_no_price_list_is_refused(text: str) -> None:
    """A damaged or newer text is never guessed at."""
    with pytest.raises(ValueError, match=r"no price list|later release"):
        PriceList.from_text(text)


SENSELESS = (
    lambda: PriceList(Decimal(-1), ONE),
    lambda: PriceList(ONE, Decimal("NaN")),
    lambda: PriceList(ONE, ONE, uplift=Decimal(0)),
    lambda: PriceList(ONE, ONE, slots=0),
    lambda: PriceList(ONE, ONE, fees=(("a", ONE), ("a", TWO))),
    lambda: PriceList(ONE, ONE, fees=(("a", Decimal(-1)),)),
    lambda: PriceList(ONE, ONE, tiers=(Tier(5, Rates()), Tier(5, Rates()))),
    lambda: PriceList(ONE, ONE, tiers=(Tier(0, Rates()),)),
    lambda: PriceList(ONE, ONE, tiers=(Tier(5, Rates(output_usd_per_mtok=ONE)),), marginal=True),
    lambda: PriceList(ONE, ONE, changes=(PriceChange(date(2027, 1, 1), DAYTIME),) * 2),
    lambda: PriceList(ONE, ONE, changes=(PriceChange(date(2027, 1, 1), replace(DAYTIME, billed_at=BilledAt.END)),)),
    lambda: Hours(1440, 10, Rates()),
    lambda: Hours(0, 0, Rates()),
    lambda: Hours(0, 10, Rates(), frozenset()),
    lambda: Hours(0, 10, Rates(), frozenset({8})),
    lambda: Rates(input_usd_per_mtok=Decimal("Infinity")),
    lambda: Span(5, 4),
    lambda: PriceReference("x", currency="CNY"),
    lambda: PriceReference("x", usd_per_unit=ONE),
    lambda: PriceReference("x", currency="CNY", usd_per_unit=ONE),
    lambda: PriceReference("x", valid_from=date(2026, 2, 1), valid_until=date(2026, 1, 1)),
    lambda: Alternative("x", (("input_usd_per_mtok", Decimal(-1)),)),
)


@pytest.mark.parametrize("number", range(len(SENSELESS)))
def test_what_no_price_list_can_mean_is_refused(number: int) -> None:
    """Negative, endless, out of order or twice: refused when it is built, not when it is charged."""
    with pytest.raises(ValueError, match=r"."):
        SENSELESS[number]()
