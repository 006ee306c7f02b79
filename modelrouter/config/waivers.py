"""Waivers: who may sign one for which rule, and where each stands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from modelrouter.config.faults import Fault
from modelrouter.config.nearest import nearest
from modelrouter.core.policy import Level, Waiver
from modelrouter.core.rules import assertion_of
from modelrouter.core.rules.share import SHARE
from modelrouter.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.config.faults import Faults
    from modelrouter.config.files import ConfigFile
    from modelrouter.config.policies import Written
    from modelrouter.config.policy_schema import WaiverConfig

__all__ = ["Waivers", "waivers_of"]


@dataclass(frozen=True, slots=True)
class Waivers:
    """What was signed.

    Attributes:
        by_policy: the waivers of each policy's rules.
        places: by id: where it stands, as a fault without a reason.
    """

    by_policy: dict[str, list[Waiver]] = field(default_factory=dict)
    places: dict[str, Fault] = field(default_factory=dict)


def waivers_of(
    policies: Mapping[str, Written], files: Sequence[ConfigFile], deployments: Sequence[str], faults: Faults
) -> Waivers:
    """Every waiver; each stands in the file that owns the policy, or in a house above it."""
    found = Waivers()

    def take(waiver: WaiverConfig, at: Fault, allowed: Mapping[str, Written]) -> None:
        reason = _waiver_fault(waiver, policies, allowed, deployments)
        if waiver.id in found.places:
            reason = f"waiver `{waiver.id}` is given twice: give each an id of its own"
        if reason is not None:
            faults.add(replace(at, reason=reason))
            return
        found.places[waiver.id] = at
        name = waiver.rule.partition("/")[0]
        made = Waiver(waiver.id, waiver.rule, waiver.subject, waiver.because, waiver.owner, waiver.expires)
        found.by_policy.setdefault(name, []).append(made)

    for name, written in policies.items():
        for index, waiver in enumerate(written.config.waivers):
            take(waiver, written.fault("", "waivers", index), {name: written})
    for index, file in enumerate(files):
        below = {name: each for name, each in policies.items() if _may_waive(file, index, each)}
        for position, waiver in enumerate(file.config.waivers):
            take(waiver, Fault.at(file.document, ("waivers", position), "", PolicyError), below)
    return found


def _may_waive(file: ConfigFile, index: int, written: Written) -> bool:
    """A house waives for itself and everything below it; any other file only for what is written inside it."""
    if file.level is Level.HOUSE:
        return written.owner >= index
    return written.owner == index and written.inside


def _waiver_fault(
    waiver: WaiverConfig, policies: Mapping[str, Written], allowed: Mapping[str, Written], deployments: Sequence[str]
) -> str | None:
    name, slash, key = waiver.rule.partition("/")
    written = policies.get(name)
    if not slash or written is None:
        known = nearest(name, policies) if slash else ": write it as `policy/rule`"
        return f"`{waiver.rule}` names no rule of a policy{known}"
    if name not in allowed:
        return f"`{name}` belongs to {written.place}: a waiver stands in that file or in a house above it"
    if key not in written.config.rules:
        return f"policy `{name}` has no rule `{key}`{nearest(key, written.config.rules)}"
    if assertion_of(key) is not None:
        return f"`{key}` is asserted of routes, not asked of a deployment, and cannot be waived: remove the waiver"
    if key == SHARE:
        return f"`{key}` caps a vendor, not a deployment, and cannot be waived: raise its `max` or `min_volume` instead"
    if waiver.subject not in deployments:
        return f"unknown deployment `{waiver.subject}`{nearest(waiver.subject, deployments)}"
    return None
