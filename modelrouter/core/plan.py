"""What the attempt loop is given and what it comes to; `core.attempts` has the loop itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.failure import Billing

if TYPE_CHECKING:
    from modelrouter.core.bounds import Bound, BoundBasis, Overhead, Shortfall, Size
    from modelrouter.core.budget import Refusal
    from modelrouter.core.failure import Failure
    from modelrouter.core.pricing import PriceList, Usage, Uses
    from modelrouter.core.shares import ShareRefusal
    from modelrouter.core.steps import Overload
    from modelrouter.core.tariff import Span

__all__ = ["Attempt", "End", "Hop", "Plan", "Result"]


@dataclass(frozen=True, slots=True)
class Hop:
    """One permitted candidate, with all that bounding and pricing it takes.

    Attributes:
        billed_statuses: HTTP error statuses that this operator bills, from its facts.
        ceiling_nano_usd: from policies that bind this candidate; the plan's own ceiling holds beside it.
    """

    deployment: str
    price: PriceList
    overhead: Overhead
    basis: BoundBasis
    context_tokens: int | None
    billed_statuses: frozenset[int] = frozenset()
    ceiling_nano_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the loop works through.

    Attributes:
        hops: permitted candidates, best first.
        ceiling_nano_usd: over all attempts; None is no ceiling.
        deadline_s: on the same clock as the outcomes' `at_s`.
        attempts_max: cap over all hops, quiet retries included.
        stream: whether content is relayed as it comes.
        started_us: the wall clock at `started_s`, in microseconds since 1970, for prices that depend on the hour or are
            paid by it; None takes the dearest moment, and refuses the latter.
        uses: the most of each thing with a fee of its own that the request may use.
        retries_max: how often one candidate is asked again without having said when.
    """

    hops: tuple[Hop, ...]
    size: Size
    wanted_output_tokens: int
    least_output_tokens: int
    ceiling_nano_usd: int | None
    started_s: float
    deadline_s: float
    attempts_max: int
    stream: bool
    started_us: int | None = None
    uses: Uses = ()
    retries_max: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one deployment, as it went.

    Attributes:
        failure: None for the attempt that answered.
        usage: what was reported, if it can be true: counts that cannot are no counts, and no book takes them.
        billing: `BILLED` for an answer with usage.
        cost_nano_usd: settled cost, or the bound where it is uncertain, or 0.
        span: when it was under way, on the wall clock; what the price of its moment is looked up by.
    """

    number: int
    deployment: str
    bound: Bound
    price: PriceList
    started_s: float
    ended_s: float = 0.0
    failure: Failure | None = None
    usage: Usage | None = None
    billing: Billing = Billing.UNBILLED
    cost_nano_usd: int = 0
    length_reached: bool = False
    span: Span | None = None


class End(enum.Enum):
    """How a request ended."""

    ANSWERED = "answered"
    EXHAUSTED = "exhausted"
    CEILING = "ceiling"
    DEADLINE = "deadline"
    BROKEN = "broken"  # a stream failed after content was handed out
    NOT_GRANTED = "not_granted"  # every candidate was refused at the moment of reserving
    BUDGET = "budget"  # a budget had no room for a candidate that was left
    OVERLOADED = "overloaded"  # nothing was sent: every candidate was full for as long as could be waited
    CANCELLED = "cancelled"  # the caller gave up


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    Attributes:
        attempts: all, in order.
        not_granted: deployment and reason of each refused reservation.
        shortfalls: deployment and why its bound could not be met under the ceiling.
        refusals: deployment and what a budget said, of those among `not_granted` that a budget refused.
        overloads: deployment and how full it was, of those among `not_granted` that had no room.
        revoked: deployments among `not_granted` that are cut off.
        shares: deployment and what a share cap said, of those among `not_granted` that one refused.
    """

    end: End
    attempts: tuple[Attempt, ...]
    not_granted: tuple[tuple[str, str], ...] = ()
    shortfalls: tuple[tuple[str, Shortfall], ...] = ()
    refusals: tuple[tuple[str, Refusal], ...] = ()
    overloads: tuple[tuple[str, Overload], ...] = ()
    revoked: tuple[str, ...] = ()
    shares: tuple[tuple[str, ShareRefusal], ...] = ()

    @property
    def cost_nano_usd(self) -> int:
        """All attempts together, uncertain ones at their bound."""
        return sum(attempt.cost_nano_usd for attempt in self.attempts)
