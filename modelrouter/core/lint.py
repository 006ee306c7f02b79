"""What in policies is idle, impossible or out of date: findings that each say exactly what is proved.

An error is a rule that no deployment can ever satisfy. A warning is something that changes nothing, or has run out:
nothing is permitted by it that should not be.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.implication import covers, deny_is_idle, excludes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.core.facts import World
    from modelrouter.core.policy import Policy, RuleSpec

__all__ = ["Finding", "Severity", "findings_in", "together"]


class Severity(enum.Enum):
    """What a finding means for `check`: an error is answered no."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing somebody should look at.

    Attributes:
        kind: a word for programs, as `never_permits`.
        reason: what is proved and what to change, in a sentence.
        policy: the policy that it is about; empty for a deployment.
        rule: its rule; empty where it is about a waiver or a deployment.
        waiver: the id of a waiver.
        deployment: the id of a deployment.
    """

    kind: str
    severity: Severity
    reason: str
    policy: str = ""
    rule: str = ""
    waiver: str = ""
    deployment: str = ""


def findings_in(policies: Sequence[Policy], world: World) -> Iterator[Finding]:
    """What is wrong with a policy whoever is asked.

    Args:
        policies: those that it extends first, itself last.
    """
    policy = policies[-1]
    for spec in policy.rules:
        found = _alone(policy, spec, world)
        if found is None:
            found = next((each for below in policies[:-1] for each in _beside(policy, spec, below, world)), None)
        if found is not None:
            yield found


def together(policies: Sequence[Policy], world: World) -> Iterator[Finding]:
    """Rules of different policies that hold together on a route and that nobody can satisfy both."""
    for index, policy in enumerate(policies):
        for spec in policy.rules:
            for other in policies[:index]:
                if _can_both_bind(policy, other) and not (policy.observe or other.observe):
                    yield from _excluding(policy, spec, other, world)


def _alone(policy: Policy, spec: RuleSpec, world: World) -> Finding | None:
    if excludes(spec, spec, world):
        reason = f"`{spec.key}` can never permit: whatever it allows, it denies: remove one of the two"
        return Finding("never_permits", Severity.ERROR, reason, policy.name, spec.key)
    if deny_is_idle(spec, world):
        reason = f"the `deny` of `{spec.key}` is idle: its `allow` lets in nothing that it names: remove the `deny`"
        return Finding("idle_deny", Severity.WARNING, reason, policy.name, spec.key)
    return None


def _beside(policy: Policy, spec: RuleSpec, below: Policy, world: World) -> Iterator[Finding]:
    """A rule against those of a policy that comes along."""
    for other in below.rules:
        if _always_binds_with(below, policy) and _is_never_waived(below, other) and covers(other, spec, world):
            reason = f"`{spec.key}` is idle: `{below.name}`, which comes along, refuses whatever it refuses: remove it"
            yield Finding("covered", Severity.WARNING, reason, policy.name, spec.key)


def _excluding(policy: Policy, spec: RuleSpec, other: Policy, world: World) -> Iterator[Finding]:
    for each in other.rules:
        alone = excludes(spec, spec, world) or excludes(each, each, world)  # told where it stands
        if excludes(spec, each, world) and not alone:
            reason = (
                f"`{spec.key}` can never permit together with `{other.name}/{each.key}`, which holds on the same "
                "route: what one allows, the other keeps out"
            )
            yield Finding("never_permits", Severity.ERROR, reason, policy.name, spec.key)


def _always_binds_with(below: Policy, policy: Policy) -> bool:
    """Whether one policy binds, and is enforced, whenever the other binds."""
    if below.observe and not policy.observe:
        return False
    return all(policy.applies_to.get(tag, frozenset()) <= values for tag, values in below.applies_to.items()) and all(
        tag in policy.applies_to for tag in below.applies_to
    )


def _can_both_bind(one: Policy, other: Policy) -> bool:
    """Whether some request with all tags falls under both."""
    shared = one.applies_to.keys() & other.applies_to.keys()
    return all(not one.applies_to[tag].isdisjoint(other.applies_to[tag]) for tag in shared)


def _is_never_waived(policy: Policy, spec: RuleSpec) -> bool:
    return all(waiver.rule != f"{policy.name}/{spec.key}" for waiver in policy.waivers)
