"""A policy tried on one deployment: what somebody expects it to say, and what it says.

The policy is judged alone, with those that it extends. What holds without a policy (a missing price, a retirement) is
not its answer and does not count; what a case itself needs of the deployment does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.policy import Level
from modelrouter.core.request import Needs
from modelrouter.core.route import Route, Try
from modelrouter.core.verdict import compile_rows, layers_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from modelrouter.core.facts import Deployment, World
    from modelrouter.core.policy import Layer
    from modelrouter.core.verdict import Verdict

__all__ = ["NEEDS", "Case", "failure_of", "refusals_of"]

NEEDS: Final = "route"
"""The layer in which a case's own needs are judged."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a policy must say of a deployment.

    Attributes:
        layers: the policy and those it extends, as a call adds them: of level `REQUEST`, and enforced.
        world: all facts, with the caller of this case.
        today: the day of judging, UTC.
        refused_by: the rules that must refuse, as `developer.country` or `baseline/data.training`; empty is any rule,
            None means that no rule may.
        reason: the words of the one rule in `refused_by`; None takes any.
    """

    deployment: Deployment
    layers: tuple[Layer, ...]
    world: World
    today: date
    refused_by: tuple[str, ...] | None
    reason: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    needs: Needs = field(default_factory=Needs)


def refusals_of(case: Case) -> tuple[Verdict, ...]:
    """Every rule that refuses, in the order of judging."""
    deployment = case.deployment
    world = replace(case.world, deployments={deployment.id: deployment})
    route = Route(deployment.id, (Try({deployment.id: 1}),), needs=case.needs)
    layers = layers_for(case.tags, case.layers)
    row = compile_rows(world, layers, route, case.needs, case.today).rows[deployment.id]
    return tuple(each for each in row.refusals if each.level is Level.REQUEST or each.layer == NEEDS)


def failure_of(case: Case) -> str:
    """What was expected and what came instead, and why, in one sentence; empty where the case holds."""
    refusals = refusals_of(case)
    if case.refused_by is None:
        return f"expected permitted, got {_refused(refusals)}" if refusals else ""
    missing = [rule for rule in case.refused_by if not any(_is(rule, each) for each in refusals)]
    expected = f"expected refused by {' and '.join(case.refused_by) or 'some rule'}"
    if missing or not refusals:
        return f"{expected}, got {_refused(refusals)}"
    if case.reason is None:
        return ""
    reasons = [each.judgement.reason for each in refusals if _is(case.refused_by[0], each)]
    if case.reason in reasons:
        return ""
    return f"{expected} ({case.reason}), got {_refused(refusals)}"


def _is(rule: str, verdict: Verdict) -> bool:
    return rule in {verdict.rule, f"{verdict.layer}/{verdict.rule}"}


def _refused(refusals: tuple[Verdict, ...]) -> str:
    if not refusals:
        return "permitted"
    return "refused by " + ", ".join(
        f"{each.rule} ({each.judgement.reason}: {each.judgement.fact})" for each in refusals
    )
