"""What a usage costs, worked out with fractions and the calendar, and with nothing of `metering`.

Slow and plain on purpose: it walks the price list as its documentation reads.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from modelrouter.core.pricing import BilledAt, Rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelrouter.core.pricing import Hours, PriceList, Span, Tier, Usage

__all__ = ["IN_CLASSES", "OUT_CLASSES", "cost_at", "cost_of", "edges_within", "moment_of", "up"]

IN_CLASSES: Final = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "cached_audio",
    "image_input",
    "cached_image",
)
OUT_CLASSES: Final = ("output", "reasoning", "audio_output", "image_output")
AROUND: Final = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
}
FROM_A_CACHE_FIRST: Final = (
    "cached_input",
    "cached_audio",
    "cached_image",
    "cache_write",
    "cache_write_1h",
    "input",
    "image_input",
    "audio_input",
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def up(exact: Fraction) -> int:
    """The next whole nano-dollar."""
    return exact.numerator // exact.denominator + (1 if exact.numerator % exact.denominator else 0)


def moment_of(at_us: int) -> datetime:
    """Microseconds since 1970 on the calendar."""
    return EPOCH + timedelta(microseconds=at_us)


def microseconds_of(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def rate(rates: Rates, name: str, list_rates: dict[str, Decimal]) -> Fraction:
    """USD per million tokens of one class; an absent one is that of the class around it."""
    own: Decimal | None = getattr(rates, f"{name}_usd_per_mtok")
    if own is not None:
        return Fraction(own)
    if name in {"cached_audio", "cached_image"}:
        medium = name.removeprefix("cached_") + "_input"
        around = "cached_input" if getattr(rates, f"{medium}_usd_per_mtok") is None else medium
        return rate(rates, around, list_rates)
    return rate(rates, AROUND[name], list_rates) if name in AROUND else Fraction(list_rates[name])


def own_rates(price: PriceList) -> Rates:
    """The rates that a list has outside tiers and hours."""
    names = [f"{name}_usd_per_mtok" for name in (*IN_CLASSES, *OUT_CLASSES)]
    return Rates(**{name: getattr(price, name) for name in names})


def holds(hours: Hours, at_us: int) -> bool:
    """Whether hours hold at a moment: begun today, or yesterday and run past midnight."""
    moment = moment_of(at_us)
    for begun in (moment.date(), moment.date() - timedelta(days=1)):
        if begun.isoweekday() in hours.weekdays:
            midnight = datetime(begun.year, begun.month, begun.day, tzinfo=UTC)
            length = (hours.until_minute - hours.from_minute) % 1440 or 1440
            begin = midnight + timedelta(minutes=hours.from_minute)
            if begin <= moment < begin + timedelta(minutes=length):
                return True
    return False


def list_on(price: PriceList, at_us: int) -> PriceList:
    """The list of the day."""
    found = price
    for change in price.changes:
        if moment_of(at_us).date() >= change.begins_on:
            found = change.price
    return found


def counts_of(usage: Usage) -> dict[str, int]:
    """Tokens by class, none counted twice."""
    return {
        "cached_input": usage.cached_input_tokens - usage.cached_audio_tokens - usage.cached_image_tokens,
        "cache_write": usage.cache_write_tokens,
        "cache_write_1h": usage.cache_write_1h_tokens,
        "audio_input": usage.audio_input_tokens - usage.cached_audio_tokens,
        "cached_audio": usage.cached_audio_tokens,
        "image_input": usage.image_input_tokens - usage.cached_image_tokens,
        "cached_image": usage.cached_image_tokens,
        "input": usage.input_tokens
        - usage.cached_input_tokens
        - usage.cache_write_tokens
        - usage.cache_write_1h_tokens
        - (usage.audio_input_tokens - usage.cached_audio_tokens)
        - (usage.image_input_tokens - usage.cached_image_tokens),
        "reasoning": usage.reasoning_tokens,
        "audio_output": usage.audio_output_tokens,
        "image_output": usage.image_output_tokens,
        "output": usage.output_tokens - usage.reasoning_tokens - usage.audio_output_tokens - usage.image_output_tokens,
    }


def tokens_usd(price: PriceList, usage: Usage, at_us: int) -> Fraction:
    """Dollars, times a million, for the tokens of one usage at one moment."""
    rates, tiers = own_rates(price), price.tiers
    around = {"input": price.input_usd_per_mtok, "output": price.output_usd_per_mtok}
    for hours in price.hours:
        if holds(hours, at_us):
            rates, tiers = hours.rates, hours.tiers
            break
    here = {name: Decimal(str(amount)) for name, amount in around.items()}
    here |= {
        name: own for name in here if (own := getattr(rates, f"{name}_usd_per_mtok")) is not None
    }  # what a tier without its own input or output falls back to
    counts = counts_of(usage)
    if price.marginal:
        output = sum((counts[name] * rate(rates, name, around) for name in OUT_CLASSES), Fraction(0))
        return output + _by_place(counts, rates, tiers, around, here)
    for tier in tiers:
        if usage.input_tokens > tier.above_input_tokens:
            rates, around = tier.rates, here
    return sum((count * rate(rates, name, around) for name, count in counts.items()), Fraction(0))


def _by_place(
    counts: dict[str, int], rates: Rates, tiers: Sequence[Tier], around: dict[str, Decimal], here: dict[str, Decimal]
) -> Fraction:
    """Input of a marginal list: each class is cut where the tiers begin."""
    total, place = Fraction(0), 0
    starts = [0, *(tier.above_input_tokens for tier in tiers), 10**30]
    for name in FROM_A_CACHE_FIRST:
        end = place + counts[name]
        for number, (first, last) in enumerate(pairwise(starts)):
            inside = max(0, min(end, last) - max(place, first))
            own = rate(rates, name, around) if number == 0 else rate(tiers[number - 1].rates, name, here)
            total += inside * own
        place = end
    return total


def cost_at(price: PriceList, usage: Usage, at_us: int, duration_us: int = 0) -> int:
    """Nano-dollars for one usage that is billed at one moment, rounded up once."""
    held = list_on(price, at_us)
    uplift = Fraction(held.uplift)
    fees = Fraction(held.request_usd)
    for name, count in usage.uses:
        fees += count * Fraction(dict(held.fees).get(name, Decimal(0)))
    fees += Fraction(held.machine_hour_usd or 0) * Fraction(duration_us, 3600 * 10**6) / held.slots
    usd = tokens_usd(held, usage, at_us) / 10**6 * uplift + fees * (uplift if held.uplift_covers_fees else 1)
    return up(usd * 10**9)


def cost_of(price: PriceList, usage: Usage, span: Span) -> int:
    """Nano-dollars for one attempt, billed at the moment that its operator bills by."""
    at_us = span.started_us if price.billed_at is BilledAt.START else span.ended_us
    return cost_at(price, usage, at_us, span.ended_us - span.started_us)


def edges_within(price: PriceList, span: Span) -> list[int]:
    """The start of a span, and every moment within at which some hours or some day of any list begin or end."""
    lists = [price, *(change.price for change in price.changes)]
    minutes = {minute for each in lists for hours in each.hours for minute in (hours.from_minute, hours.until_minute)}
    found: list[int] = [span.started_us]
    day = moment_of(span.started_us).date()
    while day <= moment_of(span.ended_us).date():
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        found += [microseconds_of(midnight + timedelta(minutes=minute)) for minute in {0, *minutes}]
        day += timedelta(days=1)
    return _inside(found, span)


def _inside(moments: Iterable[int], span: Span) -> list[int]:
    return [each for each in moments if span.started_us <= each <= span.ended_us]
