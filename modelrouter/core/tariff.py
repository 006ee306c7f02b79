"""What a price list is made of: rates by class, tiers by prompt length, hours of the day, and spans of time. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from decimal import Context, Decimal, Inexact
from typing import Final

__all__ = [
    "DAY_US",
    "EVERY_DAY",
    "INPUT_CLASSES",
    "OUTPUT_CLASSES",
    "RATE_NAMES",
    "BilledAt",
    "Hours",
    "PriceMode",
    "Rates",
    "Resolved",
    "Span",
    "Tier",
    "TokenClass",
    "check_amount",
    "check_tiers",
    "exact_product",
]

MINUTE_US: Final = 60_000_000
DAY_MINUTES: Final = 24 * 60
DAY_US: Final = DAY_MINUTES * MINUTE_US
EVERY_DAY: Final = frozenset(range(1, 8))
EPOCH_WEEKDAY: Final = 4  # 1970-01-01 was a Thursday
EXACT: Final = Context(prec=1000, traps=[Inexact])


class TokenClass(enum.IntEnum):
    """Classes of tokens that no token is in two of. The number is the place in `Usage.disjoint` and in `Resolved`."""

    INPUT = 0
    CACHED_INPUT = 1
    CACHE_WRITE = 2
    CACHE_WRITE_1H = 3
    AUDIO_INPUT = 4
    CACHED_AUDIO = 5
    IMAGE_INPUT = 6
    CACHED_IMAGE = 7
    OUTPUT = 8
    REASONING = 9
    AUDIO_OUTPUT = 10
    IMAGE_OUTPUT = 11


INPUT_CLASSES: Final = tuple(TokenClass)[: TokenClass.OUTPUT]
OUTPUT_CLASSES: Final = tuple(TokenClass)[TokenClass.OUTPUT :]

Resolved = tuple[Decimal, ...]
"""A rate for every `TokenClass`, none of them absent."""


class PriceMode(enum.Enum):
    """Under which terms of service a call is made; each has a price list of its own, and a deployment uses one."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"


class BilledAt(enum.Enum):
    """Which moment of an attempt decides the hour and the day whose price holds: a fact of the operator's."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends in it.

    For a bound: from now until the deadline. For a cost: from the attempt's start to its end.

    Attributes:
        started_us: microseconds since 1970, UTC.
        ended_us: the same, and not before.
    """

    started_us: int
    ended_us: int

    def __post_init__(self) -> None:
        """Refuse time that runs backwards: a duration is never negative."""
        if self.ended_us < self.started_us:
            raise ValueError(f"a span cannot end {self.started_us - self.ended_us} microseconds before it starts")

    @property
    def duration_us(self) -> int:
        """How long it is."""
        return self.ended_us - self.started_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """USD for a million tokens, by class; None is charged as the class around it.

    A cache read or write, audio and images stand within input; a write for an hour within a write; reasoning, audio and
    images within output. Cached audio and images stand within audio and images where these have a rate, else within
    cached input: no discount that nobody stated is assumed.
    """

    input_usd_per_mtok: Decimal | None = None
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    cache_write_1h_usd_per_mtok: Decimal | None = None
    audio_input_usd_per_mtok: Decimal | None = None
    cached_audio_usd_per_mtok: Decimal | None = None
    image_input_usd_per_mtok: Decimal | None = None
    cached_image_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    reasoning_usd_per_mtok: Decimal | None = None
    audio_output_usd_per_mtok: Decimal | None = None
    image_output_usd_per_mtok: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse what is no amount."""
        for name in RATE_NAMES:
            check_amount(name, getattr(self, name))

    def resolved(self, fresh: Decimal, output: Decimal) -> Resolved:
        """Every class with its rate.

        Args:
            fresh: the rate of input where these rates name none.
            output: the rate of output where these rates name none.
        """
        fresh = _first(self.input_usd_per_mtok, fresh)
        output = _first(self.output_usd_per_mtok, output)
        cached = _first(self.cached_input_usd_per_mtok, fresh)
        written = _first(self.cache_write_usd_per_mtok, fresh)
        around_audio = _first(self.audio_input_usd_per_mtok, cached)
        around_image = _first(self.image_input_usd_per_mtok, cached)
        return (
            fresh,
            cached,
            written,
            _first(self.cache_write_1h_usd_per_mtok, written),
            _first(self.audio_input_usd_per_mtok, fresh),
            _first(self.cached_audio_usd_per_mtok, around_audio),
            _first(self.image_input_usd_per_mtok, fresh),
            _first(self.cached_image_usd_per_mtok, around_image),
            output,
            _first(self.reasoning_usd_per_mtok, output),
            _first(self.audio_output_usd_per_mtok, output),
            _first(self.image_output_usd_per_mtok, output),
        )


RATE_NAMES: Final = tuple(each.name for each in fields(Rates))
"""The names of the rates, in the order of `TokenClass`."""


def _first(rate: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if rate is None else rate


def exact_product(amount: Decimal, factor: Decimal) -> Decimal:
    """A product with all its digits, whatever precision the host has set."""
    return amount if factor == 1 else EXACT.multiply(amount, factor)


def check_amount(name: str, amount: object) -> None:
    """Refuse an amount that is negative, not finite or no Decimal.

    Raises:
        ValueError: it is one of these.
    """
    if amount is None:
        return
    if not isinstance(amount, Decimal) or not amount.is_finite() or amount < 0:
        raise ValueError(f"`{name}` is `{amount}`: write a finite Decimal of zero or more")


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for longer prompts.

    Attributes:
        above_input_tokens: the tier begins with the first token above this count. Input tokens decide, those from a
            cache included, as every provider with such tiers counts.
        rates: absent input and output are those of the list; absent others are charged as the class around them here.
    """

    above_input_tokens: int
    rates: Rates


def check_tiers(tiers: tuple[Tier, ...], *, marginal: bool) -> None:
    """Refuse tiers out of order, and marginal ones with a rate for output, of which no count of input is a part.

    Raises:
        ValueError: they are not in order, begin at nothing, or a marginal one prices output.
    """
    starts = [tier.above_input_tokens for tier in tiers]
    if starts != sorted(set(starts)) or (starts and starts[0] < 1):
        raise ValueError("`tiers` must be in ascending order of `above_input_tokens`, each above zero and each once")
    outputs = [RATE_NAMES[each] for each in OUTPUT_CLASSES]
    if marginal and any(getattr(tier.rates, name) is not None for tier in tiers for name in outputs):
        raise ValueError("a marginal tier prices the input tokens above it: leave its output rates out")


@dataclass(frozen=True, slots=True)
class Hours:
    """Rates that hold at some hours of the day, UTC.

    Attributes:
        from_minute: first minute of the day, 0 to 1439.
        until_minute: the minute at which they end, 1 to 1440. Not after `from_minute`: they run past midnight.
        rates: absent input and output are those of the list.
        weekdays: on which they begin; Monday is 1, Sunday 7.
        tiers: by prompt length within these hours.
    """

    from_minute: int
    until_minute: int
    rates: Rates
    weekdays: frozenset[int] = EVERY_DAY
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        """Refuse hours that no day has."""
        if not (0 <= self.from_minute < DAY_MINUTES and 0 < self.until_minute <= DAY_MINUTES):
            raise ValueError("hours run from minute 0 to 1439 until minute 1 to 1440 of a day, UTC")
        if not self.weekdays or not self.weekdays <= EVERY_DAY:
            raise ValueError("`weekdays` are numbers from 1, Monday, to 7, Sunday, and at least one")

    def holds_at(self, moment_us: int) -> bool:
        """Whether a moment lies within."""
        day, rest = divmod(moment_us, DAY_US)
        minute = rest // MINUTE_US
        if self.until_minute > self.from_minute:
            return self.from_minute <= minute < self.until_minute and _weekday(day) in self.weekdays
        begun_today = minute >= self.from_minute and _weekday(day) in self.weekdays
        return begun_today or (minute < self.until_minute and _weekday(day - 1) in self.weekdays)

    def edges(self, span: Span) -> list[int]:
        """The moments within a span at which these hours may begin or end."""
        days = range(span.started_us // DAY_US, span.ended_us // DAY_US + 1)
        minutes = (self.from_minute, self.until_minute % DAY_MINUTES)
        moments = (day * DAY_US + minute * MINUTE_US for day in days for minute in minutes)
        return [each for each in moments if span.started_us < each <= span.ended_us]


def _weekday(day: int) -> int:
    return (day + EPOCH_WEEKDAY - 1) % 7 + 1
