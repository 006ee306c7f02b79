"""What a configuration may say about time, load, health and retries. Every default says why it is what it is."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from modelrouter.config.fields import Base, Seconds, Whole, WholeAboveZero, fault
from modelrouter.core.health import BreakerTerms
from modelrouter.core.load import Limits
from modelrouter.core.retries import RetryTerms
from modelrouter.core.route import Timeouts

__all__ = ["HealthConfig", "LimitsConfig", "OwnTimeoutsConfig", "RetriesConfig", "TimeoutsConfig"]


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise fault("not a share: write a number between 0 and 1, as `0.5`")
    if not 0 <= value <= 1:
        raise fault(f"`{value}` is out of range: write a share between 0 and 1")
    return float(value)


Share: TypeAlias = Annotated[
    float, BeforeValidator(_share), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})
]


class TimeoutsConfig(Base):
    """What holds where neither a deployment nor a route sets anything."""

    connect_s: Seconds = Field(5.0, description="for a connection; a server that is there takes far less than a second")
    first_token_s: Seconds = Field(
        120.0, description="to the first content of a stream; more where a model thinks for minutes without showing it"
    )
    between_chunks_s: Seconds = Field(
        60.0, description="between the chunks of a stream; a model that writes pauses for seconds at most"
    )
    attempt_s: Seconds = Field(300.0, description="for one attempt, so that a hanging server leaves time for the next")
    request_s: Seconds = Field(600.0, description="for one request with all its attempts; the usual limit of clients")

    def timeouts(self) -> Timeouts:
        """As the core has them."""
        return Timeouts(self.connect_s, self.first_token_s, self.between_chunks_s, self.attempt_s)


class OwnTimeoutsConfig(Base):
    """Limits of time of one deployment or route; where both set one, the lower holds."""

    connect_s: Seconds | None = Field(None, description="for a connection")
    first_token_s: Seconds | None = Field(None, description="to the first content of a stream")
    between_chunks_s: Seconds | None = Field(None, description="between the chunks of a stream")
    attempt_s: Seconds | None = Field(None, description="for one attempt; of a stream, to its first content")

    def timeouts(self) -> Timeouts:
        """As the core has them."""
        return Timeouts(self.connect_s, self.first_token_s, self.between_chunks_s, self.attempt_s)


class LimitsConfig(Base):
    """What this process asks of one deployment at most; absent is no limit."""

    max_in_flight: WholeAboveZero | None = Field(None, description="calls at once")
    max_queue: Whole = Field(
        1000, description="calls that may wait for room when nobody else is left; they are small, and end in their time"
    )
    requests_per_minute: WholeAboveZero | None = Field(None, description="calls begun in any minute")
    tokens_per_minute: WholeAboveZero | None = Field(
        None, description="input and output limit of calls begun in any minute, as operators count"
    )

    def limits(self) -> Limits:
        """As the core has them."""
        return Limits(self.max_in_flight, self.max_queue, self.requests_per_minute, self.tokens_per_minute)


class HealthConfig(Base):
    """When a deployment is tried last, and for how long. It changes the order, and never who is permitted."""

    window_s: Seconds = Field(60.0, description="how far back shares look; calls take seconds, outages minutes")
    least_calls: WholeAboveZero = Field(10, description="shares count from so many calls on, not from one of two")
    failed_share: Share = Field(0.5, description="share of failures that opens; below, every second call still answers")
    slow_share: Share = Field(0.8, description="share of slow calls that opens")
    slow_s: Seconds = Field(20.0, description="a first token later than this is slow, beyond any usual queue")
    in_a_row: WholeAboveZero = Field(5, description="failures without a success between them that open")
    open_s: Seconds = Field(5.0, description="how long it is left alone first, as a restart takes; doubles each time")
    open_most_s: Seconds = Field(300.0, description="how long it is left alone at most")
    permits: WholeAboveZero = Field(2, description="calls at once that may prove it, and successes that close it")

    def terms(self) -> BreakerTerms:
        """As the core has them."""
        return BreakerTerms(**self.model_dump())


class RetriesConfig(Base):
    """How many failing retries and fallbacks a deployment takes beside its own traffic, so that outages stay small."""

    share: Share = Field(0.2, description="of its first attempts and successes, so a fifth more at most")
    least: Whole = Field(10, description="per minute in any case, so that programs with little traffic can retry")

    def terms(self) -> RetryTerms:
        """As the core has them."""
        return RetryTerms(self.share, self.least)
