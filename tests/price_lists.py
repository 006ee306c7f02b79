"""Price lists and usages of every kind, for properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from modelrouter.core.pricing import (
    Alternative,
    BilledAt,
    Hours,
    PriceChange,
    PriceList,
    PriceMode,
    PriceReference,
    Rates,
    Span,
    Tier,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DAY_US", "FEES", "RATES", "price_lists", "spans", "usages"]

DAY_US: Final = 86_400_000_000
FIRST_DAY: Final = date(2026, 11, 20)
FEES: Final = ("output_image", "web_search")

RATES: Final = st.one_of(
    st.sampled_from([Decimal(0), Decimal("0.05"), Decimal(1), Decimal(3), Decimal(75)]),
    st.decimals(0, 1000, allow_nan=False, allow_infinity=False, places=9),
    st.decimals(0, 1, allow_nan=False, allow_infinity=False),
)
CACHED: Final = ("cached_input", "cached_audio", "cached_image")
INPUT_NAMES: Final = tuple(
    f"{name}_usd_per_mtok" for name in (*CACHED, "cache_write", "cache_write_1h", "audio_input", "image_input")
)
OUTPUT_NAMES: Final = tuple(f"{name}_usd_per_mtok" for name in ("reasoning", "audio_output", "image_output"))
DAYS: Final = st.integers(0, 6).map(lambda days: FIRST_DAY + timedelta(days=days))


def _optional(names: tuple[str, ...]) -> st.SearchStrategy[Mapping[str, Decimal]]:
    return st.dictionaries(st.sampled_from(names), RATES)


@st.composite
def _rates(draw: st.DrawFn, *, with_output: bool) -> Rates:
    names = ("input_usd_per_mtok", *INPUT_NAMES)
    return Rates(**draw(_optional((*names, "output_usd_per_mtok", *OUTPUT_NAMES) if with_output else names)))


@st.composite
def _tiers(draw: st.DrawFn, *, marginal: bool) -> tuple[Tier, ...]:
    starts = sorted(draw(st.sets(st.integers(1, 1000), max_size=3)))
    return tuple(Tier(start, draw(_rates(with_output=not marginal))) for start in starts)


@st.composite
def _hours(draw: st.DrawFn, *, marginal: bool) -> Hours:
    return Hours(
        draw(st.integers(0, 1439)),
        draw(st.integers(1, 1440)),
        draw(_rates(with_output=True)),
        draw(st.frozensets(st.integers(1, 7), min_size=1)),
        draw(_tiers(marginal=marginal)),
    )


@st.composite
def _references(draw: st.DrawFn) -> PriceReference:
    is_foreign = draw(st.booleans())
    return PriceReference(
        draw(st.text(max_size=8)),
        checked_on=draw(st.none() | DAYS),
        valid_from=draw(st.none() | st.just(FIRST_DAY)),
        valid_until=draw(st.none() | DAYS),
        currency="CNY" if is_foreign else "USD",
        usd_per_unit=Decimal("0.1389") if is_foreign else None,
        rate_on=FIRST_DAY if is_foreign else None,
        rate_source=draw(st.sampled_from(["", "the bank's page"])),
        snapshot=draw(st.sampled_from(["", "ab12"])),
        disputed=draw(st.booleans()),
        alternatives=tuple(
            draw(st.lists(st.builds(Alternative, st.text(max_size=3), st.just((("input_usd_per_mtok", Decimal(2)),)))))
        ),
    )


@st.composite
def price_lists(draw: st.DrawFn, *, machine: bool = True, may_change: bool = True) -> PriceList:
    """A price list with any of the things that providers bill."""
    marginal = draw(st.booleans())
    billed_at = draw(st.sampled_from(BilledAt))
    days = sorted(draw(st.sets(DAYS, max_size=2))) if may_change else []
    own = draw(price_lists(machine=False, may_change=False)) if days else None
    later = [] if own is None else [own, draw(price_lists(machine=machine, may_change=False))]
    changes = tuple(
        PriceChange(day, replace(each, billed_at=billed_at)) for day, each in zip(days, later[: len(days)], strict=True)
    )
    return PriceList(
        draw(RATES),
        draw(RATES),
        request_usd=draw(st.just(Decimal(0)) | RATES),
        free=draw(st.booleans()),
        **draw(_optional((*INPUT_NAMES, *OUTPUT_NAMES))),
        tiers=draw(_tiers(marginal=marginal)),
        marginal=marginal,
        hours=tuple(draw(st.lists(_hours(marginal=marginal), max_size=2))),
        billed_at=billed_at,
        changes=changes,
        mode=draw(st.sampled_from(PriceMode)),
        uplift=draw(st.sampled_from([Decimal(1), Decimal("1.1"), Decimal("0.5"), Decimal("1.0333")])),
        uplift_covers_fees=draw(st.booleans()),
        fees=tuple((name, draw(RATES)) for name in FEES),
        machine_hour_usd=draw(st.none() | RATES) if machine else None,
        slots=draw(st.integers(1, 7)),
        reported_settles=draw(st.booleans()),
        reference=draw(st.none() | _references()),
    )


@st.composite
def usages(draw: st.DrawFn, most_input: int, most_output: int, *, most_uses: int = 3) -> Usage:
    """A usage that can be true, with no more than so many tokens."""
    total = draw(st.integers(0, most_input))
    cuts = sorted(draw(st.lists(st.integers(0, total), min_size=7, max_size=7)))
    cached, cached_audio, cached_image, written, written_1h, audio, image = (
        last - first for first, last in zip([0, *cuts[:-1]], cuts, strict=True)
    )
    output = draw(st.integers(0, most_output))
    marks = sorted(draw(st.lists(st.integers(0, output), min_size=3, max_size=3)))
    uses = tuple((name, draw(st.integers(0, most_uses))) for name in FEES)
    return Usage(
        total,
        output,
        cached + cached_audio + cached_image,
        marks[0],
        written,
        written_1h,
        audio + cached_audio,
        cached_audio,
        image + cached_image,
        marks[1] - marks[0],
        marks[2] - marks[1],
        tuple(use for use in uses if use[1]),
        cached_image_tokens=cached_image,
    )


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """A stretch of time that may cross hours, midnights and changes; mostly short, now and then longer than a week."""
    started = (FIRST_DAY - date(1970, 1, 1)).days * DAY_US + draw(st.integers(0, 3 * DAY_US))
    longest = draw(st.sampled_from([0, 60_000_000, 3_600_000_000, DAY_US, 9 * DAY_US]))
    return Span(started, started + draw(st.integers(0, longest)))
