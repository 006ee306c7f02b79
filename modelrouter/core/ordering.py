"""The order among the permitted: deterministic, and the same in every replica that sees the same values.

Shares and ties are drawn by rendezvous hashing (Thaler and Ravishankar, 1998), weighted as in Schindelhauer and
Schomaker, 2005: each member scores ``-weight / ln(u)`` with ``u`` in (0, 1) from a hash of the key and its name, and
the highest comes first. The rest of the order is the order of fallback, and taking a member away moves nobody else.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from modelrouter.core.route import Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelrouter.core.facts import Deployment
    from modelrouter.core.request import Request
    from modelrouter.core.route import Moment, Route, Try

__all__ = ["expected_output_tokens", "in_order", "rendezvous_score"]

HASH_BITS = 64


def rendezvous_score(key: str, member: str, weight: int = 1) -> float:
    """A member's score for a key; the highest wins with a probability that is its share of the weights."""
    digest = hashlib.blake2b(f"{key}\x00{member}".encode(), digest_size=HASH_BITS // 8).digest()
    uniform = (int.from_bytes(digest, "big") + 0.5) / 2**HASH_BITS
    return -weight / math.log(uniform)


def in_order(
    permitted: Mapping[str, int],
    route: Route,
    request: Request,
    moment: Moment,
    deployments: Mapping[str, Deployment],
) -> list[str]:
    """Put permitted deployments into the order in which they are tried.

    Args:
        permitted: deployment to its expected cost in nano-dollars.
    """
    if len(permitted) == 1:
        return list(permitted)
    key = request.session or request.request_id or moment.seed
    values = _values(route.objective, permitted, moment, deployments)
    if values is None:
        ordered = [name for step in route.tries for name in _within(step, permitted, request, moment)]
        ordered = list(dict.fromkeys(ordered))
    else:
        ordered = sorted(permitted, key=lambda name: (values(name), *_tie(name, key, request, moment)))
    if moment.unhealthy:
        ordered.sort(key=lambda name: name in moment.unhealthy)
    return ordered


def expected_output_tokens(deployment: str, wanted: int, moment: Moment) -> int:
    """What an answer is expected to take: the observed mean, never above the limit; a half of the limit before that."""
    observed = moment.observed_output_tokens.get(deployment)
    return max(1, wanted // 2) if observed is None else min(wanted, math.ceil(observed))


def _values(
    objective: Objective, permitted: Mapping[str, int], moment: Moment, deployments: Mapping[str, Deployment]
) -> Callable[[str], float] | None:
    if objective is Objective.COST:
        return lambda name: permitted[name]
    if objective is Objective.LATENCY:
        waited_s = moment.first_token_s if moment.is_stream else moment.latency_s
        return lambda name: waited_s.get(name, 0.0)  # the unobserved first, so that it becomes observed
    if objective is Objective.QUALITY:
        return lambda name: -float(deployments[name].quality.value or 0)
    return None


def _within(step: Try, permitted: Mapping[str, int], request: Request, moment: Moment) -> Sequence[str]:
    members = [name for name in step.weights if name in permitted]
    if len(members) < 2:
        return members
    if step.equals:
        key = request.session or request.request_id or moment.seed
        return sorted(members, key=lambda name: _tie(name, key, request, moment))
    key = (request.session if step.sticky == "session" else None) or request.request_id or moment.seed
    return sorted(members, key=lambda name: -rendezvous_score(key, name, step.weights[name]))


def _tie(name: str, key: str, request: Request, moment: Moment) -> tuple[int, float]:
    """Among equals the least busy comes first, but a session stays where its prompt cache is."""
    busy = 0 if request.session else moment.in_flight.get(name, 0)
    return busy, -rendezvous_score(key, name)
