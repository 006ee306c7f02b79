"""Which rules of old policies nothing in new ones is proved to replace, for any deployment that there may ever be.

Sound and not complete. A rule of an enforced old layer is replaced by a rule of an enforced new layer that binds in the
same situation, permits no more (`core.implication`), and has no waiver that the old one had not. So where nothing is
left, the new policies permit no more than the old ones, whatever the world is. What rules about facts (`facts.*`) judge
are the facts that other rules read, so such a rule is replaced only where all those stand as they did.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modelrouter.core.implication import covers
from modelrouter.core.rules import assertion_of, family_of
from modelrouter.core.rules.share import refuses_nobody
from modelrouter.core.verdict import layers_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    from modelrouter.core.facts import World
    from modelrouter.core.policy import Layer, Policy, RuleSpec, Waiver

__all__ = ["Cause", "Loosening", "is_opaque", "loosenings"]


class Cause(enum.Enum):
    """Why a rule may hold for less than it did."""

    WAIVED = "waived"
    OBSERVED = "observed"
    NARROWED = "narrowed"
    OPAQUE = "opaque"
    CHANGED = "changed"
    OTHER_FACTS = "other_facts"
    REMOVED = "removed"
    POLICY_REMOVED = "policy_removed"

    @property
    def counts(self) -> bool:
        """Whether it permits more by its text alone: an exception, a pause, a smaller scope, or what cannot be read.

        A rule that was rewritten or removed counts where it turns a verdict.
        """
        return self in {Cause.WAIVED, Cause.OBSERVED, Cause.NARROWED, Cause.OPAQUE}


@dataclass(frozen=True, slots=True)
class Loosening:
    """A rule that is not proved to hold as it did.

    Attributes:
        waivers: those that were added or live longer, where that is the cause.
        tags: examples of the tags under which it is so; an empty one is a request without tags.
    """

    policy: str
    rule: str
    cause: Cause
    waivers: tuple[Waiver, ...] = ()
    routes: tuple[str, ...] = ()
    tags: tuple[Mapping[str, str], ...] = ()


def is_opaque(spec: RuleSpec) -> bool:
    """Whether nobody here can tell what a rule means: it is somebody's own, in Python."""
    return family_of(spec.key) is None and assertion_of(spec.key) is None


def loosenings(
    old: tuple[Layer, ...], new: tuple[Layer, ...], tags: Mapping[str, str], world: World, today: date
) -> Iterator[Loosening]:
    """The enforced rules of the old layers, in one situation, that the new layers are not proved to replace.

    Args:
        world: for the countries in groups; nothing else of it is looked at.
    """
    was = [layer for layer in layers_for(tags, old) if not layer.policy.observe]
    now = [layer for layer in layers_for(tags, new) if not layer.policy.observe]
    same_facts = _reads_as_much(was, now)
    for layer in was:
        for spec in layer.policy.rules:
            if assertion_of(spec.key) is not None or refuses_nobody(spec):
                continue
            waivers = _between(layer, spec, now, world, today, same_facts=same_facts)
            if waivers is not None:
                cause = Cause.WAIVED if waivers else _cause(spec, _successor(layer.policy, old, new), now)
                yield Loosening(layer.policy.name, spec.key, cause, waivers)


def _between(
    layer: Layer, spec: RuleSpec, now: Sequence[Layer], world: World, today: date, *, same_facts: bool
) -> tuple[Waiver, ...] | None:
    """None where a rule is replaced; else the fewest waivers that keep it from being so, none where nothing could."""
    fewest: tuple[Waiver, ...] = ()
    for other in now:
        for each in other.policy.rules:
            if _replaces(each, spec, world, same_facts=same_facts):
                more = tuple(_more_waivers(layer, spec.key, other, each.key, today))
                if not more:
                    return None
                fewest = min(fewest or more, more, key=len)
    return fewest


def _replaces(strict: RuleSpec, loose: RuleSpec, world: World, *, same_facts: bool) -> bool:
    if is_opaque(loose):
        return _bare(strict) == _bare(loose)
    family = family_of(loose.key)
    if family is not None and family.over_facts and not same_facts:
        return False
    return covers(strict, loose, world)


def _cause(spec: RuleSpec, successor: Policy | None, now: Sequence[Layer]) -> Cause:
    """What was done to a rule."""
    if is_opaque(spec):
        return Cause.OPAQUE
    if successor is None:
        return Cause.POLICY_REMOVED
    if successor.observe:
        return Cause.OBSERVED
    if all(each.policy is not successor for each in now):
        return Cause.NARROWED
    same = [each for each in successor.rules if each.key == spec.key]
    if not same:
        return Cause.REMOVED
    return Cause.OTHER_FACTS if _bare(spec) in map(_bare, same) else Cause.CHANGED


def _successor(policy: Policy, old: Sequence[Layer], new: Sequence[Layer]) -> Policy | None:
    """The policy of the same name; without one, the only one whose name is new."""
    named = next((each.policy for each in new if each.policy.name == policy.name), None)
    known = {each.policy.name for each in old}
    others = [each.policy for each in new if each.policy.name not in known]
    return named or (others[0] if len(others) == 1 else None)


def _more_waivers(old: Layer, old_key: str, new: Layer, new_key: str, today: date) -> Iterator[Waiver]:
    """Waivers that hold for the new rule and did not, or not for so long, for the old one."""
    known = {each.subject: each.expires for each in _awake(old, old_key, today)}
    for each in _awake(new, new_key, today):
        until = known.get(each.subject)
        if until is None or until < each.expires:
            yield each


def _awake(layer: Layer, key: str, today: date) -> Iterator[Waiver]:
    if layer.waivers_active:
        name = f"{layer.policy.name}/{key}"
        latest: dict[str, Waiver] = {}
        for each in layer.policy.waivers:
            if each.rule == name and each.expires >= today:
                kept = latest.get(each.subject)
                latest[each.subject] = each if kept is None or kept.expires < each.expires else kept
        yield from latest.values()


def _reads_as_much(was: Sequence[Layer], now: Sequence[Layer]) -> bool:
    """Whether every old rule that reads facts is still there as it was, so that no fact escapes `facts.*`."""
    there = [_bare(spec) for layer in now for spec in layer.policy.rules]
    return all(_bare(spec) in there for layer in was for spec in _readers(layer.policy))


def _readers(policy: Policy) -> Iterator[RuleSpec]:
    for spec in policy.rules:
        family = family_of(spec.key)
        if family is not None and not family.over_facts:
            yield spec


def _bare(spec: RuleSpec) -> RuleSpec:
    """A rule without its reasons."""
    return replace(spec, because="", ref="")
