"""What application code asks for by name, and the dynamic values that a decision reads at its moment."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.core.failure import FailureKind
from modelrouter.core.request import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.policy import Layer
    from modelrouter.core.request import Reasoning

__all__ = ["UNWANTED_ANSWERS", "Moment", "Objective", "Route", "Timeouts", "Try"]

UNWANTED_ANSWERS: Final = {
    "on_refusal": FailureKind.REFUSED,
    "on_filtered": FailureKind.CONTENT_FILTERED,
    "on_empty": FailureKind.EMPTY,
    "on_out_of_tokens": FailureKind.OUT_OF_TOKENS_EMPTY,
    "on_schema": FailureKind.REJECTED,
}
"""Whole replies that are no answers, by the key of a route that says what becomes of them: fall back, or return."""


class Objective(enum.Enum):
    """The order among the permitted. Hard rules never become weights, and an objective never permits."""

    LISTED = "listed"
    COST = "cost"
    LATENCY = "latency"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Try:
    """One step of a route: one deployment, several that share by weight, or several equals.

    Attributes:
        weights: deployment to weight, a whole number above zero.
        sticky: `session` keeps a session with its member; None shares per request.
        equals: members are interchangeable: the least busy first, unless a session holds on to one.
    """

    weights: Mapping[str, int]
    sticky: str | None = None
    equals: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of time in seconds, each apart; None is none of its own.

    Attributes:
        connect_s: for a connection.
        first_token_s: until the first content of a stream.
        between_chunks_s: between the chunks of a stream.
        attempt_s: for one attempt; of a stream, until its first content.
    """

    connect_s: float | None = None
    first_token_s: float | None = None
    between_chunks_s: float | None = None
    attempt_s: float | None = None

    def with_others(self, other: Timeouts, otherwise: Timeouts) -> Timeouts:
        """The lower of two where both have one; where neither has, a third's."""
        return Timeouts(
            _lower(self.connect_s, other.connect_s, otherwise.connect_s),
            _lower(self.first_token_s, other.first_token_s, otherwise.first_token_s),
            _lower(self.between_chunks_s, other.between_chunks_s, otherwise.between_chunks_s),
            _lower(self.attempt_s, other.attempt_s, otherwise.attempt_s),
        )


def _lower(one: float | None, other: float | None, otherwise: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=otherwise)


@dataclass(frozen=True, slots=True)
class Route:
    """The name application code uses, compiled from config.

    Attributes:
        tries: in order.
        layers: policies of the house, the config and this route; those of a call are added.
        default_output_tokens: the output limit where the request sets none.
        least_output_tokens: a ceiling never clamps below it.
        timeout_s: the deadline of a request that sets none.
        timeouts: of its attempts, beside those of the deployments.
        attempts_max: over all hops of one request.
        retries_max: how often one candidate is asked again without having said when.
        strips_history: candidates get a conversation without what only its origin can take; else they are refused.
        returned: whole replies that are no answers and are wanted all the same; the others mean the next candidate.
    """

    name: str
    tries: tuple[Try, ...]
    layers: tuple[Layer, ...] = ()
    objective: Objective = Objective.LISTED
    needs: Needs = field(default_factory=Needs)
    default_output_tokens: int = 1024
    least_output_tokens: int = 1
    reasoning: Reasoning | None = None
    timeout_s: float = 600.0
    timeouts: Timeouts = field(default_factory=Timeouts)
    attempts_max: int = 6
    retries_max: int = 2
    strips_history: bool = False
    returned: frozenset[FailureKind] = frozenset()

    @property
    def candidates(self) -> tuple[str, ...]:
        """Every deployment of the route once, in its order."""
        return tuple(dict.fromkeys(name for step in self.tries for name in step.weights))


@dataclass(frozen=True, slots=True)
class Moment:
    """The dynamic values a decision reads; they are written into the ledger with it.

    Attributes:
        now_s: seconds since 1970, UTC.
        seed: id of this request, by which equals share load when it names no session.
        unavailable: deployment to why it cannot be called at all, as a key that is not set or a wrong answer before.
        unhealthy: deployments to try last, and why.
        in_flight: calls under way per deployment.
        latency_s: how long whole answers took lately, per deployment.
        first_token_s: how long first content took, likewise.
        is_stream: whether the answer is wanted piece by piece, so that the first content is what somebody waits for.
        observed_output_tokens: mean output length per deployment, for expected cost.
        revoked: deployments that are cut off, and by what. It may lag behind the ledger a little: the reserve decides.
    """

    now_s: float
    seed: str = ""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    in_flight: Mapping[str, int] = field(default_factory=dict)
    latency_s: Mapping[str, float] = field(default_factory=dict)
    first_token_s: Mapping[str, float] = field(default_factory=dict)
    is_stream: bool = False
    observed_output_tokens: Mapping[str, float] = field(default_factory=dict)
    revoked: Mapping[str, str] = field(default_factory=dict)
