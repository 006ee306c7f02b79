"""Findings for the candidates that a configuration has, on one day: what asks nobody, and what nobody can use."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelrouter.core.facts import SELF
from modelrouter.core.lint import Finding, Severity, together
from modelrouter.core.policy import Outcome
from modelrouter.core.rules import family_of
from modelrouter.core.rules.grammar import option_words, whole
from modelrouter.core.rules.share import cap_of
from modelrouter.core.rules.weights import SELF_HOSTED
from modelrouter.core.share_demands import VendorIds
from modelrouter.core.shares import ShareMode, percent
from modelrouter.core.situations import situations
from modelrouter.core.verdict import compile_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from modelrouter.core.facts import Deployment, World
    from modelrouter.core.policy import Policy, RuleSpec, Waiver
    from modelrouter.core.route import Route
    from modelrouter.core.verdict import Verdict

__all__ = ["findings_on"]


@dataclass(slots=True)
class _Heard:
    """What one rule answered, over every candidate of every route on which its policy may bind."""

    policy: Policy
    spec: RuleSpec
    verdicts: dict[str, Verdict] = field(default_factory=dict)


def findings_on(
    routes: Mapping[str, Route], world: World, tags: Mapping[str, frozenset[str] | None], today: date
) -> Iterator[Finding]:
    """What is wrong with policies, waivers and deployments on the routes of a configuration."""
    heard: dict[tuple[str, str], _Heard] = {}
    policies: dict[str, Policy] = {}
    told: set[Finding] = set()
    vendors = VendorIds(world)
    for route in routes.values():
        for layer in route.layers:
            policies.setdefault(layer.policy.name, layer.policy)
        for finding in together([layer.policy for layer in route.layers], world):
            if finding not in told:
                told.add(finding)
                yield finding
        _listen(route, world, today, heard)
        yield from _standstills(route, world, vendors)
    for each in heard.values():
        yield from _of_rule(each, world, today)
    for policy in policies.values():
        for waiver in policy.waivers:
            yield from _of_waiver(policy, waiver, heard, today)
    yield from _unusable(routes, world, tags, today)


def _listen(route: Route, world: World, today: date, heard: dict[tuple[str, str], _Heard]) -> None:
    """Ask every rule of a route about every candidate, whatever the tags."""
    rows = compile_rows(world, route.layers, route, route.needs, today).rows
    for layer in route.layers:
        for spec in layer.policy.rules:
            entry = heard.setdefault((layer.policy.name, spec.key), _Heard(layer.policy, spec))
            for name, row in rows.items():
                for verdict in row.verdicts:
                    if (verdict.layer, verdict.rule, verdict.level) == (layer.policy.name, spec.key, layer.level):
                        entry.verdicts[name] = verdict


# --- rules ------------------------------------------------------------------------------------------------------------


def _of_rule(heard: _Heard, world: World, today: date) -> Iterator[Finding]:
    spec, verdicts = heard.spec, heard.verdicts
    family = family_of(spec.key)
    if not verdicts or family is None or family.per_request:
        return
    if spec.key == "facts.age_days":
        yield from _too_old(heard, today)
    elif all(each.judgement.outcome is Outcome.UNKNOWN and each.waiver is None for each in verdicts.values()):
        first = next(iter(verdicts.values())).judgement
        reason = (
            f"`{spec.key}` permits nobody: what it asks is not known of any candidate of any route "
            f"({first.fact}: {first.reason}): state it, or remove the rule"
        )
        yield _routed("unknown_for_all", reason, heard)
    elif not any(_asks(spec, world.deployments[name], each) for name, each in verdicts.items()):
        yield _routed("asks_nobody", f"`{spec.key}` asks nobody: {_why_not(spec)}, on any route", heard)


def _asks(spec: RuleSpec, deployment: Deployment, verdict: Verdict) -> bool:
    """Whether a rule asks about this deployment at all, or tells its users of a duty."""
    if spec.key in {"weights.licence", "weights.use"}:
        asked = option_words(spec, "hosting", SELF_HOSTED)
        return deployment.hosting.value in asked or bool(verdict.judgement.obligations)
    return spec.key != "agreements" or not deployment.chain or deployment.contract_partner != SELF


def _why_not(spec: RuleSpec) -> str:
    if spec.key == "agreements":
        return "no candidate is somebody else's"
    return f"no candidate is {' or '.join(option_words(spec, 'hosting', SELF_HOSTED))}"


def _too_old(heard: _Heard, today: date) -> Iterator[Finding]:
    limit = whole(heard.spec.at_most)
    old: dict[str, str] = {}
    for verdict in heard.verdicts.values():
        for fact in verdict.judgement.used:
            checked_on = fact.source.checked_on
            if checked_on is None:
                old[fact.path] = "undated"
            elif (today - checked_on).days > limit:
                old[fact.path] = f"{(today - checked_on).days} days"
    if old:
        shown = ", ".join(f"{path} ({age})" for path, age in sorted(old.items()))
        yield _routed("facts_too_old", f"facts older than {limit} days: {shown}: check them again", heard)


def _routed(kind: str, reason: str, heard: _Heard) -> Finding:
    return Finding(kind, Severity.WARNING, reason, heard.policy.name, heard.spec.key)


# --- share caps -------------------------------------------------------------------------------------------------------


def _standstills(route: Route, world: World, vendors: VendorIds) -> Iterator[Finding]:
    """Hard caps that leave nobody any room as soon as each vendor of a route has its share."""
    candidates = [world.deployments[name] for name in route.candidates]
    for layer in route.layers:
        for spec in layer.policy.rules:
            cap = cap_of(layer.policy, spec)
            if cap is None or cap.mode is not ShareMode.HARD:
                continue
            theirs = [vendors.of(cap.by, each) for each in candidates]
            names = set(itertools.chain.from_iterable(theirs))
            is_free = not all(theirs) or (cap.permits_alone and bool(set.intersection(*map(set, theirs))))
            if candidates and not is_free and cap.numerator * len(names) <= cap.denominator:
                share = percent(cap.numerator, cap.denominator)
                who = f"{len(names)} vendors" if len(names) > 1 else "1 vendor"
                reason = (
                    f"`{spec.key}` can bring route `{route.name}` to a standstill: it has {who} by {cap.by}, of at "
                    f"most {share} each, so once each has its share nobody may have more: raise `max`, or add a "
                    "deployment of another vendor"
                )
                yield Finding("share_standstill", Severity.WARNING, reason, layer.policy.name, spec.key)


# --- waivers ----------------------------------------------------------------------------------------------------------


def _of_waiver(
    policy: Policy, waiver: Waiver, heard: Mapping[tuple[str, str], _Heard], today: date
) -> Iterator[Finding]:
    if waiver.expires < today:
        reason = f"waiver `{waiver.id}` expired on {waiver.expires}: the rule holds again: remove it, or sign it anew"
        yield Finding("waiver_expired", Severity.WARNING, reason, policy.name, waiver=waiver.id)
        return
    key = waiver.rule.partition("/")[2]
    entry = heard.get((policy.name, key))
    family = family_of(key)
    if entry is None or family is None or family.per_request:
        return
    verdict = entry.verdicts.get(waiver.subject)
    if verdict is None:
        reason = f"waiver `{waiver.id}` covers nothing: `{waiver.subject}` is on no route where `{policy.name}` holds"
    elif verdict.judgement.outcome is Outcome.PERMITTED:
        reason = f"waiver `{waiver.id}` covers nothing: `{waiver.rule}` permits `{waiver.subject}` without it"
    else:
        return
    yield Finding("waiver_covers_nothing", Severity.WARNING, reason, policy.name, waiver=waiver.id)


# --- deployments ------------------------------------------------------------------------------------------------------


def _unusable(
    routes: Mapping[str, Route], world: World, tags: Mapping[str, frozenset[str] | None], today: date
) -> Iterator[Finding]:
    """Deployments that stand on some route, and that every route refuses under whatever tags."""
    usable: set[str] = set()
    refused: defaultdict[str, set[str]] = defaultdict(set)
    for route in routes.values():
        for situation in situations(route.layers, tags):
            for name, row in compile_rows(world, situation.layers, route, route.needs, today).rows.items():
                if not row.refusals:
                    usable.add(name)
                    continue
                first = row.refusals[0]
                refused[name].add(f"{first.layer}/{first.rule}: {first.judgement.reason}")
    for name in sorted(refused.keys() - usable):
        reason = f"nobody can use `{name}`: every route refuses it, under any tags ({'; '.join(sorted(refused[name]))})"
        yield Finding("unusable", Severity.WARNING, reason, deployment=name)
