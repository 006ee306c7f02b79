"""Policy and reach, asked again: a reload, a revocation or a date may have come between the decision and a hop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from modelrouter.core.decision import day_of
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.attempts import Reserve, Send
    from modelrouter.core.decision import Decision
    from modelrouter.core.request import Request
    from modelrouter.core.shares import ShareDemand
    from modelrouter.ports import Endpoint
    from modelrouter.router.engine import Engine
    from modelrouter.router.epoch import Epoch

__all__ = ["demands_now", "is_as_decided", "refused_now"]


def refused_now(
    engine: Engine,
    decided_by: Epoch,
    decision: Decision,
    request: Request,
    step: Reserve | Send,
    *,
    spent_nano_usd: int,
) -> str:
    """Why a deployment that was permitted may not be asked any more, or empty.

    Args:
        spent_nano_usd: on all attempts before it.
    """
    epoch, deployment = engine.epoch, step.hop.deployment
    endpoint = decided_by.setup.endpoints[deployment]
    if epoch is decided_by:
        reason = engine.out_of_reach(endpoint)
        if reason or day_of(engine.clock.now_s()) == day_of(decision.moment.now_s):
            return reason  # or nothing: the same values as when it was decided
    route = epoch.setup.routes.get(request.route)
    if route is None or deployment not in route.candidates:
        return "no longer a candidate of the route"
    try:
        if epoch is not decided_by:
            request = epoch.renewed(request)
        now = epoch.decide(request, engine.moment(epoch, decision.moment.seed, route.candidates))
    except RequestError as error:
        return error.message  # a policy or a tag that the call named is gone, or nobody knows what it holds
    for first in now.refusals(deployment)[:1]:
        return f"{first.layer}/{first.rule}: {first.judgement.reason}"
    if epoch.setup.endpoints[deployment] != endpoint:
        return "its endpoint was changed by a reload"
    hop = next((each.hop for each in now.permitted if each.deployment == deployment), None)
    if hop is None or replace(hop, ceiling_nano_usd=None) != replace(step.hop, ceiling_nano_usd=None):
        return "its price or limits were changed by a reload"
    if hop.ceiling_nano_usd is not None and spent_nano_usd + step.bound.nano_usd > hop.ceiling_nano_usd:
        return "its bound no longer fits under the ceiling"
    return ""


def demands_now(
    engine: Engine, decided_by: Epoch, decision: Decision, request: Request
) -> Mapping[str, tuple[ShareDemand, ...]]:
    """The share caps of a request, by deployment, as the configuration of this moment has them.

    Whoever is cut off meanwhile is no choice any more: a vendor may be alone without it.

    Raises:
        RequestError: a reload took away the route, a tag or a policy that the call named.
    """
    epoch = engine.epoch
    if epoch is not decided_by:
        request = epoch.renewed(request)
        candidates = epoch.route(request.route).candidates
        decision = epoch.decide(request, engine.moment(epoch, decision.moment.seed, candidates))
    found = epoch.share_demands(decision)
    gone = engine.cut_off.among(epoch, tuple(found), engine.clock.now_s()) if found else {}
    if not gone:
        return found
    left = tuple(each for each in decision.permitted if each.deployment not in gone)
    return epoch.share_demands(replace(decision, permitted=left))


def is_as_decided(endpoint: Endpoint, decided: Endpoint) -> bool:
    """Whether an endpoint with one of its keys is what was decided on: a reload may have put another in its place."""
    if endpoint is decided:
        return True
    keys = (decided.key, *decided.more_keys)
    return endpoint.key in keys and replace(endpoint, key=decided.key, more_keys=decided.more_keys) == decided
