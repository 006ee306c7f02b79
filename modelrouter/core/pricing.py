"""From usage and prices to cost.

A cost is `usage x price`, exact, and rounded up once to a whole nano-dollar; a bound is the dearest cost of any usage
within given counts, at any moment of a given span. Both are sums of whole numbers over one denominator (`metering`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Self

from modelrouter.core.metering import meter_of
from modelrouter.core.provenance import Alternative, PriceReference
from modelrouter.core.tariff import (
    DAY_US,
    INPUT_CLASSES,
    OUTPUT_CLASSES,
    RATE_NAMES,
    BilledAt,
    Hours,
    PriceMode,
    Rates,
    Span,
    Tier,
    TokenClass,
    check_amount,
    check_tiers,
    exact_product,
)
from modelrouter.core.usage import OUTPUT_IMAGE, WEB_SEARCH, Usage, Uses

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from modelrouter.core.metering import Meter
    from modelrouter.core.tariff import Resolved

__all__ = [
    "OUTPUT_IMAGE",
    "WEB_SEARCH",
    "Alternative",
    "BilledAt",
    "Hours",
    "PriceChange",
    "PriceList",
    "PriceMode",
    "PriceReference",
    "Rates",
    "Span",
    "Tier",
    "TokenClass",
    "Usage",
    "Uses",
]

EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
ENCLOSED: Final = (
    (TokenClass.AUDIO_INPUT, TokenClass.INPUT),
    (TokenClass.CACHED_AUDIO, TokenClass.CACHED_INPUT),
    (TokenClass.CACHED_IMAGE, TokenClass.CACHED_INPUT),
    (TokenClass.IMAGE_INPUT, TokenClass.INPUT),
    (TokenClass.AUDIO_OUTPUT, TokenClass.OUTPUT),
    (TokenClass.IMAGE_OUTPUT, TokenClass.OUTPUT),
)
"""Classes that most lists charge as the class around them; where they do, a cost need not tell them apart."""


@dataclass(frozen=True, slots=True)
class PriceChange:
    """Another price list, from the beginning of a day, UTC, on. It has no changes of its own."""

    begins_on: date
    price: PriceList


@dataclass(frozen=True, slots=True)
class PriceList:
    """What one deployment costs, exact.

    Rates are in USD for a million tokens; None is charged as the class around it (`tariff.Rates`).

    Attributes:
        input_usd_per_mtok: of input tokens that are of no other class.
        output_usd_per_mtok: of output tokens that are of no other class.
        request_usd: fee per request.
        free: a person declared that this deployment costs nothing; without it a price of zero is unknown.
        cache_write_usd_per_mtok: of tokens written into a cache, which some operators do unasked.
        tiers: other rates for longer prompts, in ascending order.
        marginal: False: the tier that a prompt reaches holds for the whole request. True: for the input above it only,
            each token at its place in the prompt, those from a cache first.
        hours: other rates at hours of the day; the first that holds counts, outside all the list's own rates.
        billed_at: which moment of an attempt decides hour and day.
        changes: other lists from a day on, in ascending order.
        mode: under which terms of service the rates hold.
        uplift: factor on every rate, applied once and exactly: a region that costs 1.1 times the list price.
        uplift_covers_fees: whether fees and machine hours are multiplied too.
        fees: USD for each use of something, by its name in `Usage.uses`; a fee of zero says that it is included.
        machine_hour_usd: what an hour of the machine costs, for those who run their own. An attempt is charged its
            share: its duration, rounded up, over `slots`. Its bound is that of the longest it may take.
        slots: requests that the machine serves at once.
        reported_settles: the operator bills what it reports, even where that is less than these rates come to.
        reference: where all this was read.
    """

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    request_usd: Decimal = Decimal(0)
    free: bool = False
    cache_write_usd_per_mtok: Decimal | None = None
    cache_write_1h_usd_per_mtok: Decimal | None = field(default=None, kw_only=True)
    audio_input_usd_per_mtok: Decimal | None = field(default=None, kw_only=True)
    cached_audio_usd_per_mtok: Decimal | None = field(default=None, kw_only=True)
    image_input_usd_per_mtok: Decimal | None = field(default=None, kw_only=True)
    cached_image_usd_per_mtok: Decimal | None = field(default=None, kw_only=True)
    audio_output_usd_per_mtok: Decimal | None = field(default=None, kw_only=True)
    image_output_usd_per_mtok: Decimal | None = field(default=None, kw_only=True)
    tiers: tuple[Tier, ...] = field(default=(), kw_only=True)
    marginal: bool = field(default=False, kw_only=True)
    hours: tuple[Hours, ...] = field(default=(), kw_only=True)
    billed_at: BilledAt = field(default=BilledAt.START, kw_only=True)
    changes: tuple[PriceChange, ...] = field(default=(), kw_only=True)
    mode: PriceMode = field(default=PriceMode.STANDARD, kw_only=True)
    uplift: Decimal = field(default=Decimal(1), kw_only=True)
    uplift_covers_fees: bool = field(default=True, kw_only=True)
    fees: tuple[tuple[str, Decimal], ...] = field(default=(), kw_only=True)
    machine_hour_usd: Decimal | None = field(default=None, kw_only=True)
    slots: int = field(default=1, kw_only=True)
    reported_settles: bool = field(default=False, kw_only=True)
    reference: PriceReference | None = field(default=None, kw_only=True)
    _meter: Meter = field(init=False, repr=False, compare=False)
    _flat: tuple[int, ...] | None = field(init=False, repr=False, compare=False)
    _dearest: tuple[int, int] = field(init=False, repr=False, compare=False)
    _peaks: frozenset[TokenClass] = field(init=False, repr=False, compare=False)
    _text: str | None = field(init=False, repr=False, compare=False, default=None)
    _digest: str | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Check, and bring all rates to whole numbers over one denominator.

        Raises:
            ValueError: a price that no list can mean.
        """
        self._check()
        uplift = Fraction(self.uplift)
        meter = meter_of(
            tables=self._tables(),
            hours=self.hours,
            marginal=self.marginal,
            uplift=uplift,
            request_usd=self.request_usd,
            fees=self.fees,
            fee_uplift=uplift if self.uplift_covers_fees else Fraction(1),
            machine_hour_usd=self.machine_hour_usd or Decimal(0),
            slots=self.slots,
        )
        rates = meter.tables[0][0][1]
        dearest = (max(rates[each] for each in INPUT_CLASSES), max(rates[each] for each in OUTPUT_CLASSES))
        peaks = {
            each
            for outer, classes in ((TokenClass.INPUT, INPUT_CLASSES), (TokenClass.OUTPUT, OUTPUT_CLASSES))
            for each in classes
            if rates[each] == max(rates[inner] for inner in classes) > rates[outer]
        }
        is_flat = not (self.tiers or self.hours or self.changes or meter.per_us) and all(
            rates[inner] == rates[outer] for inner, outer in ENCLOSED
        )
        flat = (*rates[:4], rates[TokenClass.OUTPUT], rates[TokenClass.REASONING], meter.request)
        object.__setattr__(self, "_meter", meter)
        object.__setattr__(self, "_dearest", dearest)
        object.__setattr__(self, "_peaks", frozenset(peaks))
        object.__setattr__(self, "_flat", flat if is_flat else None)

    def _check(self) -> None:
        for name in (*RATE_NAMES, "request_usd", "machine_hour_usd", "uplift"):
            check_amount(name, getattr(self, name))
        for name, fee in self.fees:
            check_amount(name, fee)
        if len(dict(self.fees)) < len(self.fees):
            raise ValueError("`fees` names something twice")
        object.__setattr__(self, "fees", tuple(sorted(self.fees)))
        if not self.uplift:
            raise ValueError("`uplift` is a factor: 1 changes nothing, and zero would make everything free")
        if self.slots < 1:
            raise ValueError("`slots` must be one or more")
        for tiers in (self.tiers, *(hours.tiers for hours in self.hours)):
            check_tiers(tiers, marginal=self.marginal)
        days = [change.begins_on for change in self.changes]
        if days != sorted(set(days)):
            raise ValueError("`changes` must be in ascending order of `begins_on`, each day once")
        if any(change.price.changes or change.price.billed_at is not self.billed_at for change in self.changes):
            raise ValueError("a list in `changes` has no `changes` of its own, and is billed at the same moment")

    def _tables(self) -> list[list[tuple[int, Resolved]]]:
        """Rates by tier, for the day and then for each of the hours."""
        fresh, output = self.input_usd_per_mtok, self.output_usd_per_mtok
        own = Rates(**{name: getattr(self, name) for name in RATE_NAMES})
        found = []
        for rates, tiers in ((own, self.tiers), *((hours.rates, hours.tiers) for hours in self.hours)):
            first = rates.resolved(fresh, output)
            around = first[TokenClass.INPUT], first[TokenClass.OUTPUT]
            rest = [(tier.above_input_tokens, tier.rates.resolved(*around)) for tier in tiers]
            if self.marginal:  # output has no tier: what the day says holds throughout
                rest = [(above, (*row[: TokenClass.OUTPUT], *first[TokenClass.OUTPUT :])) for above, row in rest]
            found.append([(0, first), *rest])
        return found

    @property
    def is_zero(self) -> bool:
        """Whether nothing of it is above zero, whatever comes later: unknown unless `free`."""
        meter = self._meter
        rates = (rate for table in meter.tables for _, row in table for rate in row)
        return not (any(rates) or meter.request or meter.per_us or any(meter.fees.values()))

    @property
    def is_plain(self) -> bool:
        """Whether nothing but counts of tokens and uses decides the cost: no tier, hour, change or machine."""
        return not (self.tiers or self.hours or self.changes or self.machine_hour_usd)

    @property
    def has_machine_hours(self) -> bool:
        """Whether time is paid for, now or after a change: a cost and a bound then need a span."""
        return self.machine_hour_usd is not None or any(each.price.has_machine_hours for each in self.changes)

    @property
    def disputed(self) -> bool:
        """Whether its sources differ, now or after a change."""
        own = self.reference is not None and self.reference.disputed
        return own or any(change.price.disputed for change in self.changes)

    # --- cost and bound ------------------------------------------------------------------------------------------

    def cost_nano_usd(self, usage: Usage, span: Span | None = None) -> int:
        """Cost of one attempt: usage x price, rounded up once to a whole nano-dollar.

        Args:
            usage: without `fault`; a faulty report has no cost, only a bound. Uses without a fee count nothing here:
                ask `unpriced`.
            span: when the attempt began and ended. Only hours, changes and machine hours ask for it; without it the
                dearest moment counts.

        Raises:
            ValueError: a price by machine hours, and no span to say for how long.
        """
        flat = self._flat
        if flat is None or usage.uses:
            return self._metered_cost(usage, span)
        fresh, cached, written, written_1h, output, reasoning, fee = flat
        scaled = (
            (usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens - usage.cache_write_1h_tokens)
            * fresh
            + usage.cached_input_tokens * cached
            + usage.cache_write_tokens * written
            + usage.cache_write_1h_tokens * written_1h
            + (usage.output_tokens - usage.reasoning_tokens) * output
            + usage.reasoning_tokens * reasoning
            + fee
        )
        return -(-scaled // self._meter.scale)

    def _metered_cost(self, usage: Usage, span: Span | None) -> int:
        duration_us = self._duration_us(span)
        if span is None:
            meters = [each._meter for each, _ in self._lists_in(None)]  # noqa: SLF001 - of its own class
            return max(-(-meter.cost(usage, None, duration_us) // meter.scale) for meter in meters)
        moment_us = span.started_us if self.billed_at is BilledAt.START else span.ended_us
        meter = self._list_at(moment_us)._meter  # noqa: SLF001 - of its own class
        return -(-meter.cost(usage, moment_us, duration_us) // meter.scale)

    def settle_nano_usd(self, usage: Usage, span: Span | None = None) -> int:
        """What is booked: our cost, or the provider's own figure where that is more.

        A provider that reports a cost has charged it, so a larger figure is money that is gone: the rates are out of
        date or leave something out. A smaller one is believed only where `reported_settles` says that it is what the
        operator bills: an aggregator reports no more than its own fee where the caller pays the provider directly.

        Raises:
            ValueError: as `cost_nano_usd`.
        """
        reported = usage.reported_nano_usd
        if reported is None:
            return self.cost_nano_usd(usage, span)
        return reported if self.reported_settles else max(reported, self.cost_nano_usd(usage, span))

    def worst_nano_usd(
        self,
        input_tokens: int,
        output_tokens: int,
        span: Span | None = None,
        uses: Uses = (),
        *,
        without: Collection[TokenClass] = (),
    ) -> int:
        """The most that so many tokens can cost: each at the dearest class, tier and moment that it may fall into.

        Args:
            span: from now until the deadline; None is any moment.
            uses: the most of each thing with a fee.
            without: classes that the request cannot be billed in, as audio where it holds none.

        Raises:
            ValueError: a use that has no fee, or a price by machine hours and no span to say for how long.
        """
        if self._flat is not None and not uses and self._peaks.isdisjoint(without):
            fresh, output = self._dearest
            return -(-(input_tokens * fresh + output_tokens * output + self._meter.request) // self._meter.scale)
        lines = self._lines(input_tokens, span, uses, without)
        return max(-(-(fixed + output_tokens * each) // scale) for scale, fixed, each in lines)

    def output_within(
        self,
        input_tokens: int,
        ceiling_nano_usd: int,
        span: Span | None = None,
        uses: Uses = (),
        *,
        without: Collection[TokenClass] = (),
    ) -> int | None:
        """The most output tokens for which `worst_nano_usd` stays within a ceiling.

        Returns:
            -1 if not even the input fits; None if output costs nothing, so no ceiling limits it.

        Raises:
            ValueError: as `worst_nano_usd`.
        """
        if self._flat is not None and not uses and self._peaks.isdisjoint(without):
            fresh, each = self._dearest
            room = ceiling_nano_usd * self._meter.scale - input_tokens * fresh - self._meter.request
            if room < 0:
                return -1
            return room // each if each else None
        most: int | None = None
        for scale, fixed, each in self._lines(input_tokens, span, uses, without):
            room = ceiling_nano_usd * scale - fixed
            if room < 0:
                return -1
            if each:
                most = room // each if most is None else min(most, room // each)
        return most

    def unpriced(self, uses: Uses) -> tuple[str, ...]:
        """Names of what was, or may be, used and has no fee here: it cannot be bounded, and its cost is not known."""
        lists = self._lists_in(None)
        names = [name for name, count in uses if count]
        return tuple(name for name in names if any(name not in each._meter.fees for each, _ in lists))  # noqa: SLF001

    def covers(self, span: Span | None) -> bool:
        """Whether a list is valid at each moment of a span, as far as the references say; None is any moment."""
        for each, part in self._lists_in(span):
            reference = each.reference
            if reference is None:
                continue
            if reference.valid_from is not None and part.started_us < _midnight_us(reference.valid_from):
                return False
            last = reference.valid_until
            if last is not None and part.ended_us >= _midnight_us(last + timedelta(days=1)):
                return False
        return True

    def dearest_usd_per_mtok(self, *classes: TokenClass) -> Decimal:
        """The dearest rate of some classes over all tiers, hours and changes, exact."""
        own = max(row[each] for table in self._tables() for _, row in table for each in classes)
        later = [change.price.dearest_usd_per_mtok(*classes) for change in self.changes]
        return max([exact_product(own, self.uplift), *later])

    def dearest_request_usd(self) -> Decimal:
        """The dearest fee per request over all changes, exact."""
        own = exact_product(self.request_usd, self.uplift) if self.uplift_covers_fees else self.request_usd
        return max([own, *(change.price.dearest_request_usd() for change in self.changes)])

    # --- which list, and when ------------------------------------------------------------------------------------

    def _duration_us(self, span: Span | None) -> int:
        if span is not None:
            return span.duration_us
        if self.has_machine_hours:
            raise ValueError("a price by machine hours needs to know for how long: give a span")
        return 0

    def _list_at(self, moment_us: int) -> PriceList:
        begun = [each.price for each in self.changes if _midnight_us(each.begins_on) <= moment_us]
        return begun[-1] if begun else self

    def _lists_in(self, span: Span | None) -> list[tuple[PriceList, Span]]:
        """Every list that holds at some moment of a span, with the part of it in which it does."""
        begins = [_midnight_us(change.begins_on) for change in self.changes]
        lists = [self, *(change.price for change in self.changes)]
        first, last = (_FOREVER.started_us, _FOREVER.ended_us) if span is None else (span.started_us, span.ended_us)
        starts, ends = [_FOREVER.started_us, *begins], [*(each - 1 for each in begins), _FOREVER.ended_us]
        return [
            (each, Span(max(first, start), min(last, end)))
            for each, start, end in zip(lists, starts, ends, strict=True)
            if start <= last and end >= first
        ]

    def _lines(
        self, input_tokens: int, span: Span | None, uses: Uses, without: Collection[TokenClass]
    ) -> Iterator[tuple[int, int, int]]:
        """Denominator, fixed amount and amount per token of output, of every way in which a request can be billed."""
        missing = self.unpriced(uses) if uses else ()
        if missing:
            raise ValueError(f"`{missing[0]}` has no fee in this price list, so no bound holds for it")
        duration_us = self._duration_us(span)
        counted = tuple(use for use in uses if use[1])
        for each, part in self._lists_in(span):
            meter = each._meter  # noqa: SLF001 - of its own class
            held = None if span is None else part
            for fixed, output in meter.worst(input_tokens, held, duration_us, counted, without):
                yield meter.scale, fixed, output

    # --- as text -------------------------------------------------------------------------------------------------

    @property
    def digest(self) -> str:
        """SHA-256 of `to_text`, in hex: names this list, with its provenance."""
        if self._digest is None:
            from modelrouter.core.price_text import digest_of

            object.__setattr__(self, "_digest", digest_of(self.to_text()))
        return str(self._digest)

    def to_text(self) -> str:
        """All of it as canonical JSON: the same list is the same text, and `from_text` gives it back exactly."""
        if self._text is None:
            from modelrouter.core.price_text import text_of

            object.__setattr__(self, "_text", text_of(self))
        return str(self._text)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The list that was written as `text`, by this version or an earlier one.

        Raises:
            ValueError: it is no price list, or one of a later version.
        """
        from modelrouter.core.price_text import fields_from

        try:
            return cls(**fields_from(text))
        except TypeError as error:
            raise ValueError(
                "this text is no price list: a rate is missing, or it has one that is not known"
            ) from error


def _midnight_us(day: date) -> int:
    return (day.toordinal() - EPOCH_DAY) * DAY_US


_FOREVER: Final = Span(_midnight_us(date.min), _midnight_us(date.max))
