"""Bounds: no usage within one costs more than it, a ceiling clamps no more than it must, and each fact adds its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelrouter.core.bounds import (
    Bound,
    BoundBasis,
    Escapes,
    ImageTokens,
    Normaliser,
    Overhead,
    Picture,
    Shortfall,
    Size,
    bound,
    input_bound_tokens,
)
from modelrouter.core.pricing import BilledAt, PriceList, PriceReference, Span
from tests.core.test_pricing import PRICES, counts
from tests.oracle import dearest_nano_usd, oracle_cost_nano_usd
from tests.strategies import everyday

if TYPE_CHECKING:
    from modelrouter.core.usage import Uses

IMAGE = ImageTokens(most_tokens=2000, patch_px=32, tokens_per_patch=Decimal("1.62"), base_tokens=7, low_tokens=85)
PICTURES = st.lists(
    st.builds(Picture, st.none() | st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(["", "low", "high"])),
    max_size=2,
).map(tuple)
SIZES = st.builds(
    Size,
    text_bytes=st.integers(0, 100_000),
    tool_bytes=st.integers(0, 5_000),
    message_count=st.integers(0, 50),
    tool_count=st.integers(0, 20),
    opaque_count=st.sampled_from([0, 0, 0, 1]),
    choices=st.integers(1, 5),
    call_count=st.integers(0, 9),
    printed_marks=st.integers(0, 500),
    printed_indents=st.integers(0, 2000),
    html_growth=st.integers(0, 100),
    ascii_growth=st.integers(0, 1000),
    nfc_growth=st.integers(0, 100),
    nfkc_growth=st.integers(100, 1000),
    pictures=PICTURES,
    audio_s=st.integers(0, 90),
)
OVERHEADS = st.builds(
    Overhead,
    st.integers(0, 200),
    st.integers(0, 50),
    st.integers(0, 500),
    st.integers(0, 200),
    st.integers(0, 60),
    json_indent=st.integers(0, 8),
    json_mark_tokens=st.integers(0, 20),
    json_prints=st.integers(1, 2),
    json_escapes=st.sampled_from(Escapes),
    normaliser=st.sampled_from(Normaliser),
    tokens_per_byte=st.integers(1, 3),
    beyond_limit_tokens=st.sampled_from([0, 0, 1000]),
    hard_window=st.booleans(),
    image=st.sampled_from([None, IMAGE]),
    audio_tokens_per_s=st.sampled_from([None, 32]),
)
BASES = st.sampled_from(list(BoundBasis))
WINDOWS = st.none() | st.integers(1, 200_000)


def proved(
    price: PriceList,
    size: Size,
    overhead: Overhead,
    *,
    window: int | None = None,
    wanted: int = 10,
    ceiling: int | None = None,
    span: Span | None = None,
    uses: Uses = (),
) -> Bound | Shortfall:
    """A bound that is proved, for ten tokens of output unless said otherwise, at least one."""
    return bound(
        price,
        size,
        overhead=overhead,
        basis=BoundBasis.PROVED,
        context_tokens=window,
        wanted_output_tokens=wanted,
        least_output_tokens=1,
        ceiling_nano_usd=ceiling,
        span=span,
        uses=uses,
    )


def expected_tokens(size: Size, overhead: Overhead) -> int:
    """The derivation of `core.bounds` once more, fact by fact."""
    printed = size.tool_bytes + size.printed_marks * overhead.json_mark_tokens
    printed += size.printed_indents * overhead.json_indent
    printed += {
        Escapes.JSON: 0,
        Escapes.HTML: size.html_growth,
        Escapes.ASCII: size.html_growth + size.ascii_growth,
    }[overhead.json_escapes]
    printed += {Normaliser.NONE: 0, Normaliser.NFC: size.nfc_growth, Normaliser.NFKC: size.nfkc_growth}[
        overhead.normaliser
    ]
    frames = [
        overhead.per_request_tokens,
        overhead.per_message_tokens * size.message_count,
        overhead.per_toolset_tokens if size.tool_count else 0,
        overhead.per_tool_tokens * size.tool_count,
        overhead.per_call_tokens * size.call_count,
        (overhead.audio_tokens_per_s or 0) * size.audio_s,
        *(overhead.image.bound(each) for each in size.pictures if overhead.image is not None),
    ]
    return (size.text_bytes + overhead.json_prints * printed) * overhead.tokens_per_byte + sum(frames)


@everyday(300)
@given(SIZES, OVERHEADS, BASES, WINDOWS)
def test_every_fact_adds_its_own(size: Size, overhead: Overhead, basis: BoundBasis, window: int | None) -> None:
    """Text, printed JSON, frames, images and audio add up; a hard window cuts; what nothing bounds takes it all."""
    found = input_bound_tokens(size, overhead, basis, window)
    formulas = (not size.pictures or overhead.image) and (not size.audio_s or overhead.audio_tokens_per_s)
    if size.opaque_count or basis is BoundBasis.WINDOW or not formulas:
        assert found == (None if window is None else (window, BoundBasis.WINDOW))
        return
    tokens = expected_tokens(size, overhead)
    beyond_text = bool(size.pictures or size.audio_s)
    if overhead.hard_window and window is not None and window < tokens:
        assert found == (window, BoundBasis.DOCUMENTED)
    else:
        assert found == (tokens, min(basis, BoundBasis.DOCUMENTED) if beyond_text else basis)


@everyday(200)
@given(st.data(), PRICES, SIZES, OVERHEADS, BASES, WINDOWS, st.none() | st.integers(0, 10**10))
def test_no_usage_within_the_bound_costs_more_than_the_bound(
    data: st.DataObject,
    price: PriceList,
    size: Size,
    overhead: Overhead,
    basis: BoundBasis,
    window: int | None,
    ceiling: int | None,
) -> None:
    """Every answer at the output limit, thinking beyond it included, however its tokens are classed, stays within."""
    wanted, least = data.draw(st.integers(1, 4000)), data.draw(st.integers(0, 4000))
    most = bound(
        price,
        size,
        overhead=overhead,
        basis=basis,
        context_tokens=window,
        wanted_output_tokens=wanted,
        least_output_tokens=least,
        ceiling_nano_usd=ceiling,
    )
    assume(isinstance(most, Bound))
    assert isinstance(most, Bound)
    assert min(least, wanted) <= most.max_output_tokens <= wanted
    assert ceiling is None or most.nano_usd <= ceiling
    longest = (most.max_output_tokens + overhead.beyond_limit_tokens) * size.choices
    tokens = data.draw(counts(most.input_tokens, longest))
    assert oracle_cost_nano_usd(price, **tokens) <= most.nano_usd


@everyday(300)
@given(PRICES, SIZES, OVERHEADS, st.integers(0, 40), st.integers(0, 50), st.integers(0, 10**9))
def test_a_ceiling_clamps_no_more_than_it_must_and_refuses_only_what_cannot_fit(
    price: PriceList, size: Size, overhead: Overhead, wanted: int, least: int, ceiling: int
) -> None:
    """The output limit is the largest that fits; a shortfall names a smallest answer that is really too dear."""
    whole = replace(size, opaque_count=0, pictures=(), audio_s=0)
    found = bound(
        price,
        whole,
        overhead=overhead,
        basis=BoundBasis.DOCUMENTED,
        context_tokens=None,
        wanted_output_tokens=wanted,
        least_output_tokens=least,
        ceiling_nano_usd=ceiling,
    )
    tokens_in, beyond = expected_tokens(whole, overhead), overhead.beyond_limit_tokens
    costs = {
        output: dearest_nano_usd(price, tokens_in, (output + beyond) * whole.choices) for output in range(wanted + 1)
    }
    fitting = [output for output in range(min(least, wanted), wanted + 1) if costs[output] <= ceiling]
    if fitting:
        assert found == Bound(costs[max(fitting)], tokens_in, max(fitting), BoundBasis.DOCUMENTED)
    else:
        assert isinstance(found, Shortfall)
        assert found.needed_nano_usd == costs[min(least, wanted)] > ceiling


def test_what_bytes_do_not_bound_is_bounded_by_the_window_or_not_at_all() -> None:
    """A file has no byte bound: the context window stands in, and without one there is no bound."""
    document = Size(text_bytes=10, opaque_count=1)
    assert input_bound_tokens(document, Overhead(), BoundBasis.PROVED, 8000) == (8000, BoundBasis.WINDOW)
    assert input_bound_tokens(document, Overhead(), BoundBasis.PROVED, None) is None
    plain = Size(text_bytes=10)
    assert input_bound_tokens(plain, Overhead(), BoundBasis.WINDOW, 8000) == (8000, BoundBasis.WINDOW)
    assert input_bound_tokens(plain, Overhead(), BoundBasis.WINDOW, None) is None
    assert input_bound_tokens(plain, Overhead(64, 16), BoundBasis.PROVED, None) == (10 + 16 + 64, BoundBasis.PROVED)


def test_an_image_needs_a_formula_or_the_window() -> None:
    """Without the operator's formula it is as opaque as a file; with one, nothing about it is more than documented."""
    asked = Size(text_bytes=10, message_count=0, pictures=(Picture(64, 33),))
    assert input_bound_tokens(asked, Overhead(0), BoundBasis.PROVED, 8000) == (8000, BoundBasis.WINDOW)
    known = Overhead(0, image=IMAGE)
    assert input_bound_tokens(asked, known, BoundBasis.PROVED, 8000) == (10 + 7 + 7, BoundBasis.DOCUMENTED)
    both = replace(asked, opaque_count=1)
    assert input_bound_tokens(both, known, BoundBasis.PROVED, 8000) == (8000, BoundBasis.WINDOW)


@pytest.mark.parametrize(
    ("picture", "tokens"),
    [
        (Picture(1024, 1024), 7 + 1659),  # 32 x 32 patches x 1.62 = 1658.88
        (Picture(1, 1), 7 + 2),
        (Picture(33, 32), 7 + 4),  # two patches x 1.62 = 3.24
        (Picture(32, 33, "high"), 7 + 4),
        (Picture(9000, 9000), 2000),
        (Picture(), 2000),
        (Picture(detail="low"), 85),
        (Picture(9000, 9000, "low"), 85),
    ],
)
def test_an_image_counts_by_its_patches(picture: Picture, tokens: int) -> None:
    """Each started patch counts, exactly, up to the operator's maximum; an unknown size is the maximum."""
    assert IMAGE.bound(picture) == tokens


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 100))
def test_scaling_an_image_down_never_counts_more(width: int, height: int, percent: int) -> None:
    """What is sent bounds what is counted after the operator made it smaller."""
    smaller = Picture(max(1, width * percent // 100), max(1, height * percent // 100))
    assert IMAGE.bound(smaller) <= IMAGE.bound(Picture(width, height))


def test_small_images_that_are_scaled_up_count_as_the_least() -> None:
    """Some models enlarge a thumbnail before they cut it."""
    enlarging = replace(IMAGE, least_tokens=64)
    assert enlarging.bound(Picture(1, 1)) == 64
    assert enlarging.bound(Picture(1024, 1024)) == 7 + 1659


def test_a_hard_window_is_never_exceeded() -> None:
    """A server that refuses longer prompts cannot bill them; one that does not is bounded by the bytes alone."""
    long = Size(text_bytes=50_000)
    refusing = Overhead(hard_window=True)
    assert input_bound_tokens(long, refusing, BoundBasis.PROVED, 8192) == (8192, BoundBasis.DOCUMENTED)
    assert input_bound_tokens(long, refusing, BoundBasis.PROVED, None) == (50_080, BoundBasis.PROVED)
    assert input_bound_tokens(long, Overhead(), BoundBasis.PROVED, 8192) == (50_080, BoundBasis.PROVED)


def test_output_beyond_the_limit_is_paid_for_by_each_choice() -> None:
    """Where the limit does not hold the thinking, a ceiling leaves room for it first."""
    price, size = PriceList(Decimal(0), Decimal(1_000_000)), Size(0, message_count=0, choices=2)
    overhead = Overhead(0, beyond_limit_tokens=100)
    assert proved(price, size, overhead, wanted=50) == Bound(2 * 150 * 10**9, 0, 50, BoundBasis.PROVED)
    tight = proved(price, size, overhead, wanted=50, ceiling=2 * 120 * 10**9)
    assert tight == Bound(2 * 120 * 10**9, 0, 20, BoundBasis.PROVED)
    none = proved(price, size, overhead, wanted=50, ceiling=10**9)
    assert none == Shortfall("1 output tokens do not fit under the ceiling", 2 * 101 * 10**9)


def test_a_missing_window_is_a_shortfall_without_a_number() -> None:
    """No amount of money mends it, so no amount is named."""
    found = bound(
        PriceList(Decimal(1), Decimal(1)),
        Size(0, opaque_count=1),
        overhead=Overhead(),
        basis=BoundBasis.PROVED,
        context_tokens=None,
        wanted_output_tokens=10,
        least_output_tokens=1,
        ceiling_nano_usd=10**12,
    )
    assert isinstance(found, Shortfall)
    assert found.needed_nano_usd is None


def test_uses_are_paid_for_where_a_fee_is_known_and_refused_where_none_is() -> None:
    """A limit of server-side tools x their fee is part of the bound."""
    price = PriceList(Decimal(0), Decimal(0), fees=(("web_search", Decimal("0.01")),))
    size = Size(0, message_count=0)
    found = proved(price, size, Overhead(0), uses=(("web_search", 3),))
    assert found == Bound(30_000_000, 0, 10, BoundBasis.PROVED)
    unknown = proved(price, size, Overhead(0), uses=(("code_execution", 1),))
    assert unknown == Shortfall("no fee is known for code_execution")


def test_a_price_must_be_known_until_the_deadline() -> None:
    """Billed at its end, a call may cost what nobody knows yet: no bound. On the day before there is one."""
    last = PriceReference("a page", valid_until=date(2026, 11, 21))
    price = PriceList(Decimal(1), Decimal(1), reference=last, billed_at=BilledAt.END)
    midnight_us = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * 1_000_000
    for ended_us, is_known in ((midnight_us - 1, True), (midnight_us, False)):
        found = bound(
            price,
            Size(10),
            overhead=Overhead(),
            basis=BoundBasis.PROVED,
            context_tokens=None,
            wanted_output_tokens=5,
            least_output_tokens=1,
            ceiling_nano_usd=None,
            span=Span(midnight_us - 1_000_000, ended_us),
        )
        assert isinstance(found, Bound) is is_known
    assert found == Shortfall("a price that is not known for as long as the answer may take")


def test_machine_hours_need_a_deadline() -> None:
    """A price by the hour is bounded by the time until the deadline, and by nothing without one."""
    price = PriceList(Decimal(0), Decimal(0), machine_hour_usd=Decimal("3.6"))
    size, overhead = Size(0, message_count=0), Overhead(0)
    assert proved(price, size, overhead) == Shortfall("a price by machine hours, and no deadline that bounds them")
    found = proved(price, size, overhead, span=Span(0, 10_000_000))
    assert found == Bound(10 * 10**6, 0, 10, BoundBasis.PROVED)


def test_text_is_not_charged_as_audio_and_what_is_not_known_is() -> None:
    """The dearest class counts only where the request could be billed in it."""
    price = PriceList(Decimal(1), Decimal(0), audio_input_usd_per_mtok=Decimal(40))
    overhead = Overhead(0, 0, hard_window=True)
    text = proved(price, Size(1000), overhead, window=1000)
    assert isinstance(text, Bound)
    assert text.nano_usd == 1000 * 1000
    document = proved(price, Size(0, opaque_count=1), overhead, window=1000)
    assert isinstance(document, Bound)
    assert document.nano_usd == 40 * 1000 * 1000
