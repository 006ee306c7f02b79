"""The price table of `genai_prices` read as data, usages for it, and what its calculator makes of them.

Their units nest as ours do, by other names: `cache_write_tokens` includes those for an hour, and a tier holds for each
unit apart. Prices by the hour, page or character are none of a chat model's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint
from genai_prices.types import Usage as TheirUsage

from modelrouter.core.pricing import Hours, PriceChange, PriceList, PriceMode, Rates, Span, Tier, Usage
from tests.price_oracle import cost_at, up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from genai_prices.types import ModelInfo, Provider

__all__ = [
    "EQUAL",
    "NOON",
    "UNEXPLAINED",
    "VERDICTS",
    "Case",
    "Model",
    "Outcome",
    "cases",
    "compared",
    "models",
    "modes",
    "skipped",
]

NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIRST: Final = date(1970, 1, 1)

RATE_OF: Final[Mapping[str, str]] = {
    "input_mtok": "input",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "cached_audio",
    "input_image_mtok": "image_input",
    "cache_image_read_mtok": "cached_image",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_output",
    "output_image_mtok": "image_output",
}
FEE_OF: Final[Mapping[str, str]] = {"web_searches_kcount": "web_search", "storage_searches_kcount": "file_search"}
REQUEST: Final = "requests_kcount"

MODES: Final[Mapping[tuple[str, str], PriceMode]] = {
    ("processing", "batch"): PriceMode.BATCH,
    ("service_tier", "flex"): PriceMode.FLEX,
    ("service_tier", "priority"): PriceMode.PRIORITY,
}

EQUAL: Final = "equal"
NO_FEE: Final = "a search without a fee"
OTHER_CLASS: Final = "a class that we do not tell apart"
BOTH_REFUSE: Final = "a report that cannot be true"
ONLY_OURS_REFUSES: Final = "a report that cannot be true, where no rate of theirs meets the part"
UNEXPLAINED: Final = "unexplained"

VERDICTS: Final[Mapping[str, str]] = {
    NO_FEE: (
        "ours: searches that no fee is known for are not free; the cost is booked as uncertain, at the bound or more. "
        "Theirs leaves them out"
    ),
    OTHER_CLASS: (
        "theirs for video: it has a rate for it, and we charge text's. Ours for citations: our reader counts them as "
        "input, which has their rate, and then the two are equal (table below)"
    ),
    BOTH_REFUSE: "both: ours books it as uncertain at the bound, theirs raises an error",
    ONLY_OURS_REFUSES: "ours: a part larger than the whole is a false report, whether or not the part has a rate",
    UNEXPLAINED: "nobody knows",
}
"""Every way in which the two differ, with who is right and why. Another one is a failure."""

BEYOND_US: Final = frozenset({"video", "citations"})

NEEDED: Final = ("input_mtok", "output_mtok")


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the table with its prices in our form.

    Attributes:
        others: units that it prices and we have no class for.
        context: terms of service under which the prices hold, in their words; empty for the standard ones.
    """

    provider: Provider
    model: ModelInfo
    price: PriceList
    others: frozenset[str]
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Provider and model, and terms of service."""
        return "/".join((self.provider.id, self.model.id, *self.context.values()))


@dataclass(frozen=True, slots=True)
class Case:
    """One usage at one moment, in both forms."""

    what: str
    at: datetime
    ours: Usage
    theirs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What both calculators say, in nano-dollars; None where one refuses."""

    verdict: str
    ours: int
    theirs: int | None
    oracle: int
    note: str = field(default="")

    @property
    def is_uncertain(self) -> bool:
        """Whether we book the bound, because we do not know the cost."""
        return self.verdict in {NO_FEE, BOTH_REFUSE, ONLY_OURS_REFUSES}


def _conditions(model: ModelInfo) -> list[ConditionalPrice]:
    prices = model.prices
    return [ConditionalPrice(prices=prices)] if isinstance(prices, ModelPrice) else list(prices)


def _amounts(price: ModelPrice) -> dict[str, Decimal | TieredPrices]:
    return {name: value for name, value in price.__dict__.items() if value is not None}


def _at(value: Decimal | TieredPrices, tokens_above: int) -> Decimal:
    """The rate that holds for more input tokens than a tier's start."""
    if isinstance(value, Decimal):
        return value
    reached = [tier.price for tier in value.tiers if tier.start <= tokens_above]
    return reached[-1] if reached else value.base


def _rates(amounts: Mapping[str, Decimal | TieredPrices], tokens_above: int) -> Rates:
    return Rates(
        **{
            f"{ours}_usd_per_mtok": _at(amounts[theirs], tokens_above)
            for theirs, ours in RATE_OF.items()
            if theirs in amounts
        }
    )


def _tiers(amounts: Mapping[str, Decimal | TieredPrices]) -> tuple[Tier, ...]:
    tiered = [value for value in amounts.values() if isinstance(value, TieredPrices)]
    starts = sorted({tier.start for value in tiered for tier in value.tiers})
    return tuple(Tier(start, _rates(amounts, start)) for start in starts)


def _hours(each: ConditionalPrice) -> Hours:
    held = each.constraint
    assert isinstance(held, TimeOfDateConstraint)
    begin, end = (time.hour * 60 + time.minute for time in (held.start_time, held.end_time))
    amounts = _amounts(each.prices)
    return Hours(begin, end or 1440, _rates(amounts, 0), tiers=_tiers(amounts))


def _on(model: ModelInfo, day: date) -> tuple[dict[str, Decimal | TieredPrices], tuple[Hours, ...]]:
    """The prices of a day: the last that has begun, and hours that stand behind it in the table."""
    conditions = _conditions(model)
    base, hours = conditions[0], []
    for each in reversed(conditions):
        held = each.constraint
        if isinstance(held, TimeOfDateConstraint):
            hours.append(_hours(each))
        elif held is None or held.start_date <= day:
            base = each
            break
    return _amounts(base.prices), tuple(hours)


def _list_on(model: ModelInfo, day: date) -> PriceList:
    return _list_of(*_on(model, day))


def _list_of(
    amounts: Mapping[str, Decimal | TieredPrices], hours: tuple[Hours, ...] = (), mode: PriceMode = PriceMode.STANDARD
) -> PriceList:
    rates = _rates(amounts, -1)
    request = amounts.get(REQUEST, Decimal(0))
    fees = {ours: amounts[theirs] for theirs, ours in FEE_OF.items() if theirs in amounts}
    assert isinstance(request, Decimal)
    assert rates.input_usd_per_mtok is not None
    assert rates.output_usd_per_mtok is not None
    named = {f"{name}_usd_per_mtok": getattr(rates, f"{name}_usd_per_mtok") for name in RATE_OF.values()}
    return PriceList(
        **named,
        tiers=_tiers(amounts),
        hours=hours,
        mode=mode,
        request_usd=request / 1000,
        fees=tuple((name, fee / 1000) for name, fee in fees.items() if isinstance(fee, Decimal)),
    )


def _begins(model: ModelInfo) -> list[date]:
    return sorted(
        {each.constraint.start_date for each in _conditions(model) if isinstance(each.constraint, StartDateConstraint)}
    )


def _why_not(model: ModelInfo) -> str:
    """Why a model is not compared, or empty."""
    for each in _conditions(model):
        amounts = _amounts(each.prices)
        missing = [name for name in NEEDED if name not in amounts]
        if missing:
            return "no price of tokens" if len(missing) == len(NEEDED) else f"no {missing[0]}"
    return ""


def models() -> Iterator[Model]:
    """Every model of the table that prices input and output tokens."""
    for provider in providers:
        for model in provider.models:
            if _why_not(model):
                continue
            first = _list_on(model, FIRST)
            changes = tuple(PriceChange(day, _list_on(model, day)) for day in _begins(model))
            named = {name for each in _conditions(model) for name in _amounts(each.prices)}
            others = frozenset(named - {*RATE_OF, *FEE_OF, REQUEST})
            price = PriceList.from_text(first.to_text())  # the way that a shipped price takes
            yield Model(provider, model, replace(price, changes=changes), others)


def modes() -> Iterator[Model]:
    """Every model again, at the batch, flex and priority prices that it has on the day."""
    for standard in models():
        for variant in standard.model.price_variants or ():
            terms = tuple(variant.when.items())
            mode = MODES.get(terms[0]) if len(terms) == 1 else None
            if mode is not None:
                amounts = _amounts(standard.model.get_prices(NOON, variant.when))
                others = frozenset(amounts.keys() - {*RATE_OF, *FEE_OF, REQUEST})
                yield Model(standard.provider, standard.model, _list_of(amounts, (), mode), others, variant.when)


def skipped() -> Counter[str]:
    """Models that are not compared, by the reason."""
    reasons = (_why_not(model) for provider in providers for model in provider.models)
    return Counter(reason for reason in reasons if reason)


# --- usages ----------------------------------------------------------------------------------------------------------


def cases(model: Model, chance: Random) -> Iterator[Case]:
    """Usages of every kind, at tiers' edges, and at each moment at which the price changes."""
    yield from _kinds(NOON, chance)
    lists = [model.price, *(change.price for change in model.price.changes)]
    for start in sorted({tier.above_input_tokens for each in lists for tier in each.tiers}):
        for tokens in (start - 1, start, start + 1):
            yield _case("at a tier's edge", NOON, tokens, chance.randint(1, 9999), cached=chance.randint(0, tokens))
    for at in _moments(model):
        yield _case("at a change", at, chance.randint(1, 9999), chance.randint(1, 9999), cached=1)


def _kinds(at: datetime, chance: Random) -> Iterator[Case]:
    tokens_in, tokens_out = chance.randint(1000, 150_000), chance.randint(1000, 30_000)
    part, rest = chance.randint(1, 300), chance.randint(1, 300)
    yield _case("plain", at, tokens_in, tokens_out)
    yield _case("nothing said", at, tokens_in, 0)
    yield _case("cached", at, tokens_in, tokens_out, cached=part)
    yield _case("all cached", at, tokens_in, tokens_out, cached=tokens_in)
    yield _case("written", at, tokens_in, tokens_out, cached=part, written=rest)
    yield _case("written for an hour", at, tokens_in, tokens_out, written=part, written_1h=rest)
    yield _case("reasoning", at, tokens_in, tokens_out, reasoning=part)
    yield _case("audio", at, tokens_in, tokens_out, audio=part, audio_out=rest)
    yield _case("cached audio", at, tokens_in, tokens_out, cached=part + rest, audio=part, cached_audio=part)
    yield _case("images", at, tokens_in, tokens_out, image=part, image_out=rest)
    yield _case("searches", at, tokens_in, tokens_out, searches=rest)
    yield _case("cached images", at, tokens_in, tokens_out, cached=part, image=rest, cached_image=part)
    yield _case("video", at, tokens_in, tokens_out, video=part, video_out=rest)
    yield _case("citations", at, tokens_in, tokens_out, citations=part)
    yield _case("too much cached", at, tokens_in, tokens_out, cached=tokens_in + part)
    yield _case("too much reasoning", at, tokens_in, tokens_out, reasoning=tokens_out + part)


def _moments(model: Model) -> list[datetime]:
    if model.context:  # its list is that of one day
        return []
    found = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in _begins(model.model)]
    lists = [model.price, *(change.price for change in model.price.changes)]
    midnight = NOON - timedelta(hours=12)
    minutes = {minute for each in lists for hours in each.hours for minute in (hours.from_minute, hours.until_minute)}
    found += [midnight + timedelta(minutes=minute) for minute in sorted(minutes)]
    return [each + timedelta(seconds=second) for each in found for second in (-1, 0)]


def _case(what: str, at: datetime, tokens_in: int, tokens_out: int, **counts: int) -> Case:
    """A usage in both forms. Ours counts writes by lifetime, theirs all of them and those for an hour."""
    named = Counter(counts)
    ours = Usage(
        tokens_in,
        tokens_out,
        named["cached"],
        named["reasoning"],
        named["written"],
        named["written_1h"],
        named["audio"],
        named["cached_audio"],
        named["image"] + named["cached_image"],
        named["audio_out"],
        named["image_out"],
        (("web_search", named["searches"]),) if named["searches"] else (),
        cached_image_tokens=named["cached_image"],
    )
    theirs = {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cache_read_tokens": named["cached"],
        "cache_write_tokens": named["written"] + named["written_1h"],
        "cache_write_1h_tokens": named["written_1h"],
        "output_reasoning_tokens": named["reasoning"],
        "input_audio_tokens": named["audio"],
        "cache_audio_read_tokens": named["cached_audio"],
        "input_image_tokens": named["image"] + named["cached_image"],
        "cache_image_read_tokens": named["cached_image"],
        "input_video_tokens": named["video"],
        "output_video_tokens": named["video_out"],
        "output_citation_tokens": named["citations"],
        "output_audio_tokens": named["audio_out"],
        "output_image_tokens": named["image_out"],
        "web_searches": named["searches"],
    }
    kept = {name: count for name, count in theirs.items() if count or name in {"input_tokens", "output_tokens"}}
    return Case(what, at, ours, kept)


# --- comparison ------------------------------------------------------------------------------------------------------


def compared(model: Model, case: Case) -> Outcome:
    """Ours against theirs and against the oracle; theirs is lifted to the next nano-dollar, as ours is."""
    at_us = round(case.at.timestamp()) * 1_000_000
    is_faulty = case.ours.fault is not None
    ours = 0 if is_faulty else model.price.cost_nano_usd(case.ours, Span(at_us, at_us))
    oracle = 0 if is_faulty else cost_at(model.price, case.ours, at_us)
    try:
        told = model.model.calc_price(
            TheirUsage(**case.theirs),
            model.provider,
            genai_request_timestamp=case.at,
            price_context=dict(model.context) or None,
        )
    except ValueError as error:
        return Outcome(BOTH_REFUSE if is_faulty else UNEXPLAINED, ours, None, oracle, str(error))
    theirs = up(Fraction(told.total_price) * 10**9)
    return Outcome(ONLY_OURS_REFUSES if is_faulty else _verdict(model, case, ours, theirs), ours, theirs, oracle)


def _verdict(model: Model, case: Case, ours: int, theirs: int) -> str:
    if model.price.unpriced(case.ours.uses):
        return NO_FEE
    if ours == theirs:
        return EQUAL
    return OTHER_CLASS if case.what in BEYOND_US and model.others else UNEXPLAINED
