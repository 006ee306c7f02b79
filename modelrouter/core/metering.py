"""A price list brought to whole numbers over one denominator, so that a cost is exact until it is rounded once. Pure.

A meter has a table for each of the list's hours, and one for the rest of the day. A table has a slice for each tier,
and a slice a rate for each class. All amounts are in nano-dollars times `scale`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from modelrouter.core.money import NANO_PER_USD
from modelrouter.core.tariff import DAY_US, INPUT_CLASSES, OUTPUT_CLASSES, Span, TokenClass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from decimal import Decimal

    from modelrouter.core.tariff import Hours, Resolved
    from modelrouter.core.usage import Usage, Uses

__all__ = ["Line", "Meter", "Scaled", "meter_of"]

TOKENS_PER_MTOK: Final = 1_000_000
US_PER_HOUR: Final = 3_600_000_000
WEEK_US: Final = 7 * DAY_US

Scaled = tuple[int, ...]
"""A rate for every `TokenClass`, in nano-dollars times `scale` a token."""

Line = tuple[int, int]
"""What a worst case comes to: a fixed amount, and an amount for each token of output."""

PROMPT_ORDER: Final = (
    TokenClass.CACHED_INPUT,
    TokenClass.CACHED_AUDIO,
    TokenClass.CACHED_IMAGE,
    TokenClass.CACHE_WRITE,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.INPUT,
    TokenClass.IMAGE_INPUT,
    TokenClass.AUDIO_INPUT,
)
"""Where tokens stand in a prompt, for marginal tiers: a cache holds the beginning of a prompt, never its end."""


@dataclass(frozen=True, slots=True)
class Meter:
    """The whole numbers of one price list.

    Attributes:
        tables: slices by tier, `(above, rates)`; the first table holds outside all hours, each other at its hours.
        marginal: whether a tier prices the tokens above it only, or the whole request that reaches it.
        request: fee of a request.
        fees: of each use, by name.
        per_us: of a microsecond of a machine's slot.
    """

    scale: int
    tables: tuple[tuple[tuple[int, Scaled], ...], ...]
    hours: tuple[Hours, ...]
    marginal: bool
    request: int
    fees: Mapping[str, int]
    per_us: int

    def cost(self, usage: Usage, moment_us: int | None, duration_us: int) -> int:
        """What a usage costs, in nano-dollars times `scale`.

        Args:
            moment_us: when it is billed; None takes the dearest of all hours.
            duration_us: how long the machine was held.
        """
        if moment_us is None:
            tokens = max(self._tokens(table, usage) for table in self.tables)
        else:
            tokens = self._tokens(self.tables[self._table_at(moment_us)], usage)
        uses = sum(count * self.fees.get(name, 0) for name, count in usage.uses)
        return tokens + uses + self.request + self.per_us * duration_us

    def worst(
        self, input_tokens: int, span: Span | None, duration_us: int, uses: Uses, without: Collection[TokenClass]
    ) -> Iterator[Line]:
        """Lines of which the highest is the most that a request can cost, for any output.

        Args:
            span: in which it is billed; None is at any moment.
            duration_us: the longest that a machine can be held.
            uses: the most of each thing with a fee.
            without: classes that the request cannot be billed in.
        """
        beside = self.request + self.per_us * duration_us + sum(count * self.fees[name] for name, count in uses)
        for number in self._tables_in(span):
            table = self.tables[number]
            dearest = [
                (above, _dearest(rates, INPUT_CLASSES, without), _dearest(rates, OUTPUT_CLASSES, without))
                for above, rates in table
            ]
            if self.marginal:
                yield beside + _by_slices(input_tokens, [(above, rate) for above, rate, _ in dearest]), dearest[0][2]
                continue
            for place, (above, fresh, output) in enumerate(dearest):
                if place and input_tokens <= above:
                    break
                most = dearest[place + 1][0] if place + 1 < len(dearest) else input_tokens
                yield beside + min(input_tokens, most) * fresh, output

    def _tokens(self, table: tuple[tuple[int, Scaled], ...], usage: Usage) -> int:
        counts = usage.disjoint
        if self.marginal:
            output = sum(counts[each] * table[0][1][each] for each in OUTPUT_CLASSES)
            return output + _by_place(counts, table)
        rates = next(rates for above, rates in reversed(table) if usage.input_tokens > above or above == 0)
        return sum(map(int.__mul__, counts, rates))

    def _table_at(self, moment_us: int) -> int:
        return next((number for number, hours in enumerate(self.hours, 1) if hours.holds_at(moment_us)), 0)

    def _tables_in(self, span: Span | None) -> set[int]:
        """Every table that holds at some moment of a span: at its start, or from an edge of some hours on."""
        if not self.hours or span is None:
            return set(range(len(self.tables)))
        week = Span(span.started_us, min(span.ended_us, span.started_us + WEEK_US))  # then the hours come again
        moments = {week.started_us, *(edge for hours in self.hours for edge in hours.edges(week))}
        return {self._table_at(moment_us) for moment_us in moments}


def _dearest(rates: Scaled, classes: Sequence[TokenClass], without: Collection[TokenClass]) -> int:
    return max((rates[each] for each in classes if each not in without), default=0)


def _by_slices(tokens: int, slices: Sequence[tuple[int, int]]) -> int:
    """So many tokens from the beginning, each at the rate of the slice that it falls into."""
    total, end = 0, tokens
    for above, rate in reversed(slices):
        if end > above:
            total += (end - above) * rate
            end = above
    return total


def _by_place(counts: tuple[int, ...], table: tuple[tuple[int, Scaled], ...]) -> int:
    """Input of a marginal list: each class stands at its place in the prompt."""
    total, place = 0, 0
    for each in PROMPT_ORDER:
        slices = [(above, rates[each]) for above, rates in table]
        total += _by_slices(place + counts[each], slices) - _by_slices(place, slices)
        place += counts[each]
    return total


def meter_of(
    *,
    tables: Sequence[Sequence[tuple[int, Resolved]]],
    hours: tuple[Hours, ...],
    marginal: bool,
    uplift: Fraction,
    request_usd: Decimal,
    fees: Sequence[tuple[str, Decimal]],
    fee_uplift: Fraction,
    machine_hour_usd: Decimal,
    slots: int,
) -> Meter:
    """Bring every amount of a price list to whole numbers over one denominator."""
    per_token = uplift * NANO_PER_USD / TOKENS_PER_MTOK
    per_use = fee_uplift * NANO_PER_USD
    exact = [
        [(above, [Fraction(rate) * per_token for rate in resolved]) for above, resolved in table] for table in tables
    ]
    request = Fraction(request_usd) * per_use
    by_name = {name: Fraction(usd) * per_use for name, usd in fees}
    per_us = Fraction(machine_hour_usd) * per_use / (US_PER_HOUR * slots)
    rates = [rate for table in exact for _, row in table for rate in row]
    scale = math.lcm(*(each.denominator for each in (*rates, request, per_us, *by_name.values())))
    return Meter(
        scale=scale,
        tables=tuple(
            tuple((above, tuple(int(rate * scale) for rate in row)) for above, row in table) for table in exact
        ),
        hours=hours,
        marginal=marginal,
        request=int(request * scale),
        fees={name: int(fee * scale) for name, fee in by_name.items()},
        per_us=int(per_us * scale),
    )
