"""The simulated network: how each operator is doing, and what comes of a call to it.

An operator's weather changes while requests are under way: fine, an outage, flapping every five seconds, a storm of
429, slowness, half of everything failing, odd answers. Every kind of failure that may come from outside occurs.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.failure import Failure, FailureKind, Phase
from modelrouter.core.pricing import Usage

if TYPE_CHECKING:
    from random import Random

    from modelrouter.core.bounds import Bound
    from tests.simulation.world import Host

__all__ = ["LATE", "Reply", "Weather", "reply", "with_other_key"]


class Weather(enum.Enum):
    """How an operator is doing."""

    FINE = "fine"
    OUTAGE = "outage"
    FLAPPING = "flapping"
    FULL = "full"
    SLOW = "slow"
    HALF = "half"
    ODD = "odd"
    LOCKED = "locked"


@dataclass(slots=True)
class Reply:
    """What comes of a call.

    Attributes:
        after_s: from sending to its end; infinite hangs.
        first_s: from sending to its first content, where a stream gets so far; else None.
        failure: None is an answer.
        usage: what it reports.
        billed_nano_usd: what the operator puts on its bill, whatever it said.
    """

    after_s: float
    first_s: float | None
    failure: Failure | None
    usage: Usage | None
    billed_nano_usd: int


LATE: Final = Failure(FailureKind.TIMED_OUT, Phase.SENT, "no answer within the deadline")
FLAP_S: Final = 5.0


def _failures(*rows: tuple[FailureKind, Phase, int | None, float | None]) -> tuple[Failure, ...]:
    return tuple(Failure(kind, phase, "simulated", status, after_s) for kind, phase, status, after_s in rows)


_DOWN: Final = (
    *_failures(
        (FailureKind.UNREACHABLE, Phase.NOT_SENT, None, None),
        (FailureKind.UNREACHABLE, Phase.SENT, None, None),
        (FailureKind.SERVER_ERROR, Phase.SENT, 503, None),
        (FailureKind.SERVER_ERROR, Phase.SENT, 503, 7.0),
        (FailureKind.SERVER_ERROR, Phase.SENT, 500, None),
    ),
    Failure(FailureKind.UNREACHABLE, Phase.SENT, "closed before a byte", fresh_connection_helps=True),
)
_FULL: Final = _failures(
    (FailureKind.RATE_LIMITED, Phase.SENT, 429, None),
    (FailureKind.RATE_LIMITED, Phase.SENT, 429, 2.0),
    (FailureKind.RATE_LIMITED, Phase.SENT, 429, 20.0),
    (FailureKind.RATE_LIMITED, Phase.SENT, 429, math.nan),
    (FailureKind.RATE_LIMITED, Phase.SENT, 429, 86_400.0),
)
_LOCKED: Final = _failures(
    (FailureKind.UNAUTHORIZED, Phase.SENT, 401, None),
    (FailureKind.QUOTA_EXHAUSTED, Phase.SENT, 402, None),
)
_ODD: Final = _failures(
    (FailureKind.CONTEXT_TOO_LONG, Phase.SENT, 400, None),
    (FailureKind.CONTENT_FILTERED, Phase.SENT, 400, None),
    (FailureKind.CONTENT_FILTERED, Phase.ANSWERING, 200, None),
    (FailureKind.REFUSED, Phase.ANSWERING, 200, None),
    (FailureKind.REJECTED, Phase.ANSWERING, 200, None),
    (FailureKind.MALFORMED_REPLY, Phase.ANSWERING, 200, None),
    (FailureKind.OUT_OF_TOKENS_EMPTY, Phase.ANSWERING, 200, None),
    (FailureKind.EMPTY, Phase.ANSWERING, 200, None),
    (FailureKind.MODEL_MISSING, Phase.SENT, 404, None),
    (FailureKind.WRONG_MODEL, Phase.ANSWERING, 200, None),
    (FailureKind.PORTABILITY, Phase.SENT, 400, None),
    (FailureKind.INVALID_REQUEST, Phase.SENT, 400, None),
    (FailureKind.TIMED_OUT, Phase.SENT, None, None),
)
_CUT: Final = Failure(FailureKind.TRUNCATED, Phase.ANSWERING, "cut off", 200)
_OTHER_KEY: Final = {each: replace(each, other_key_helps=True) for each in (*_FULL, *_LOCKED)}
_IMPOSSIBLE: Final = Usage(-1, 3)


def with_other_key(failure: Failure) -> Failure:
    """The same, where another key of the deployment may help."""
    return _OTHER_KEY[failure]


def reply(rng: Random, host: Host, weather: Weather, now_s: float, most: Bound, *, stream: bool) -> Reply:
    """Draw what comes of a call that is sent now."""
    draw = rng.random()
    after_s = host.pace_s * (0.4 + 1.2 * rng.random())
    failure = _failure(rng, weather, now_s, draw)
    if failure is None and weather is Weather.SLOW:
        after_s = math.inf if draw < 0.05 else after_s * (10.0 if draw < 0.7 else 3.0)
    if failure is not None and failure.phase is not Phase.ANSWERING:
        after_s *= 0.2
    tokens = max(1, int(most.max_output_tokens * rng.random()))
    if 0.5 < draw < 0.503:
        tokens = 2 * most.max_output_tokens  # beyond its limit, and charged for
    counted = Usage(max(1, int(most.input_tokens * rng.random())), tokens)
    cost = counted.input_tokens * host.input_nano_usd + tokens * host.output_nano_usd
    first_s = 0.3 * after_s if stream and (failure is None or failure is _CUT) and after_s < math.inf else None
    if failure is None:
        reports = 0.03 < draw < 0.97
        usage = counted if reports else (_IMPOSSIBLE if draw < 0.01 else None)
        return Reply(after_s, first_s, None, usage, cost)
    if failure.phase is Phase.NOT_SENT:
        return Reply(after_s, None, failure, None, 0)
    if failure.status is not None and failure.status >= 300 and failure.status not in host.hop.billed_statuses:
        return Reply(after_s, None, failure, None, 0)
    if rng.random() < 0.4 and failure not in _OTHER_KEY:
        return Reply(after_s, first_s, replace(failure, usage=counted), counted, cost)
    return Reply(after_s, first_s, failure, None, cost if rng.random() < 0.5 else 0)


def _failure(rng: Random, weather: Weather, now_s: float, draw: float) -> Failure | None:
    """What goes wrong, if anything; a hundredth does so in the finest weather."""
    share, kinds = _SHARES[weather]
    if weather is Weather.FLAPPING and int(now_s / FLAP_S) % 2:
        share = 0.0
    if draw < share:
        return kinds[int(rng.random() * len(kinds))]
    if draw > 0.99:
        return _ANY[int(rng.random() * len(_ANY))]
    return None


_ANY: Final = (*_DOWN, *_FULL, *_LOCKED, *_ODD, _CUT, _CUT, _CUT)
_SHARES: Final = {
    Weather.FINE: (0.0, _ANY),
    Weather.OUTAGE: (1.0, _DOWN),
    Weather.FLAPPING: (1.0, _DOWN),
    Weather.FULL: (0.8, _FULL),
    Weather.SLOW: (0.0, _ANY),
    Weather.HALF: (0.5, (*_DOWN, _CUT)),
    Weather.ODD: (0.4, (*_ODD, _CUT, _CUT)),
    Weather.LOCKED: (0.9, _LOCKED),
}
"""How much fails in each weather, and how."""
