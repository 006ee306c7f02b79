"""Every rule of every layer asked about every candidate, and what dates could change of it.

Layers are judged alone. Beside the policies three implicit layers hold for everybody: `catalog` (retired models,
missing prices), `route` (what the request and its route need) and, at the moment of deciding, `wire` (whether it can
be called). What a policy asserts of whole routes is no verdict about a candidate: `core.assurance` judges it.

`facts.*` rules judge the facts that the other enforced rules read, whichever layer they stand in, waived ones included:
an old fact is not made younger by the file in which somebody asked for it. Rules that are only observed add nothing
there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelrouter.core.facts import UNKNOWN_SOURCE, Confidence, State
from modelrouter.core.policy import (
    Judgement,
    Layer,
    Level,
    Outcome,
    UsedFact,
    binds,
)
from modelrouter.core.price_words import price_words
from modelrouter.core.rules import assertion_of, family_of
from modelrouter.core.subject import Calendar, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from modelrouter.core.facts import Deployment, Fact, World
    from modelrouter.core.policy import (
        Obligation,
        RuleSpec,
        Waiver,
    )
    from modelrouter.core.pricing import PriceList
    from modelrouter.core.request import Needs
    from modelrouter.core.route import Route

__all__ = ["Compiled", "Precedents", "Row", "Verdict", "compile_rows", "layers_for", "refusing", "waiver_for"]

PERMITTED = Judgement(Outcome.PERMITTED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's answer for one deployment, in one layer.

    Attributes:
        layer: name of the policy; `route`, `catalog`, `wire` or `request` for what holds without one.
        rule: the rule's key.
        waiver: the waiver that turned a refusal into permission.
        observed: recorded only; the layer is in observe mode.
    """

    deployment: str
    layer: str
    level: Level
    rule: str
    judgement: Judgement
    because: str = ""
    waiver: Waiver | None = None
    observed: bool = False

    @property
    def refuses(self) -> bool:
        """Whether this verdict keeps the deployment out."""
        return self.judgement.outcome is not Outcome.PERMITTED and self.waiver is None and not self.observed

    @property
    def gist(self) -> str:
        """What was asked and how it was answered, in a line; words for people and sources do not count."""
        judgement, waiver = self.judgement, self.waiver
        return (
            f"{self.deployment} {self.level.value} {self.layer}/{self.rule} {judgement.outcome.value} {judgement.fact} "
            f"{'' if waiver is None else waiver.id} {self.observed:d}"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """All compiled verdicts of one deployment; `refusals` are those that keep it out."""

    deployment: str
    verdicts: tuple[Verdict, ...]
    refusals: tuple[Verdict, ...]
    obligations: tuple[Obligation, ...]
    _digest: str | None = field(init=False, repr=False, compare=False, default=None)

    @property
    def digest(self) -> str:
        """A short hash of all of it; worked out once, because a compiled row serves many requests."""
        if self._digest is None:
            lines = [verdict.gist for verdict in self.verdicts]
            lines += [duty.subject for duty in self.obligations]
            text = "\n".join(lines).encode("utf-8", "surrogatepass")
            object.__setattr__(self, "_digest", hashlib.blake2b(text, digest_size=8).hexdigest())
        return str(self._digest)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Verdicts that hold until a date turns.

    Attributes:
        valid_until: first day, UTC, on which a verdict could be another one; None is never.
    """

    rows: Mapping[str, Row]
    valid_until: date | None


def layers_for(
    tags: Mapping[str, str], layers: tuple[Layer, ...], raised: Mapping[str, str] | None = None
) -> tuple[Layer, ...]:
    """Those layers that bind a request with these tags, with their waivers put to sleep where a tag is missing.

    Args:
        raised: higher values that inspection found for some tags. They bind more, and loosen nothing that binds
            already: a policy for the lower value goes on to hold, and a waiver must hold under both.
    """
    higher = {**tags, **raised} if raised else tags
    bound: list[Layer] = []
    for layer in layers:
        applies, complete = binds(layer.policy, tags)
        if raised:
            also, complete_then = binds(layer.policy, higher)
            complete = (complete or not applies) and (complete_then or not also)
            applies = applies or also
        if applies:
            bound.append(layer if complete else Layer(layer.policy, layer.level, waivers_active=False))
    return tuple(bound)


class Precedents:
    """What layers have said about deployments of one world on one day: layers are judged alone, so routes share it.

    For threads: entries are only ever added, whole.
    """

    __slots__ = ("_found", "today", "world")

    def __init__(self, world: World, today: date) -> None:
        self.world = world
        self.today = today
        self._found: dict[tuple[int, Level, bool, str], tuple[Layer, tuple[Verdict, ...], date | None]] = {}

    def judged(self, layer: Layer, subject: Subject) -> tuple[Verdict, ...]:
        """The plain rules of a layer, about a deployment; the day on which an answer could turn is remembered."""
        key = (id(layer.policy), layer.level, layer.waivers_active, subject.deployment.id)
        found = self._found.get(key)
        if found is None:
            own = Subject(subject.deployment, self.world, Calendar(self.today))
            verdicts = tuple(_judged(layer, spec, own) for spec in layer.policy.rules if _is_plain(spec))
            found = self._found[key] = (
                layer,
                verdicts,
                own.calendar.turns_on,
            )  # the layer keeps its policy, and so the id
        subject.calendar.remember(found[2])
        return found[1]


def compile_rows(
    world: World,
    layers: tuple[Layer, ...],
    route: Route,
    needs: Needs,
    today: date,
    *,
    precedents: Precedents | None = None,
) -> Compiled:
    """Judge every candidate of a route by every rule that a single request's size cannot change.

    Args:
        precedents: of the same world and day, to share between routes; None judges anew.
    """
    shared = Precedents(world, today) if precedents is None else precedents
    calendar = Calendar(today)
    rows = {
        name: _row(Subject(world.deployments[name], world, calendar), layers, needs, shared)
        for name in route.candidates
    }
    return Compiled(rows, calendar.turns_on)


def waiver_for(layer: Layer, rule: str, subject: Subject) -> Waiver | None:
    """The waiver of this layer's own policy that covers a rule for a deployment today."""
    if not layer.waivers_active:
        return None
    name = f"{layer.policy.name}/{rule}"
    for waiver in layer.policy.waivers:
        covers = waiver.rule == name and waiver.subject == subject.deployment.id
        if covers and not subject.calendar.has_passed(waiver.expires):
            return waiver
    return None


def refusing(layer: Layer, spec: RuleSpec, subject: Subject, judgement: Judgement) -> Verdict:
    """A verdict with the layer's circumstances: observed or enforced, waived or not."""
    waiver = None
    if judgement.outcome is not Outcome.PERMITTED:
        waiver = waiver_for(layer, spec.key, subject)
    return Verdict(
        subject.deployment.id,
        layer.policy.name,
        layer.level,
        spec.key,
        judgement,
        because=spec.because or spec.ref,
        waiver=waiver,
        observed=layer.policy.observe,
    )


def _row(subject: Subject, layers: tuple[Layer, ...], needs: Needs, precedents: Precedents) -> Row:
    verdicts = [*_catalog_verdicts(subject), *_need_verdicts(subject, needs)]
    enforced_facts: list[UsedFact] = []
    facts_by_layer: list[tuple[UsedFact, ...]] = []
    for layer in layers:
        judged = precedents.judged(layer, subject)
        verdicts.extend(judged)
        used = tuple(fact for verdict in judged for fact in verdict.judgement.used)
        facts_by_layer.append(used)
        if not layer.policy.observe:
            enforced_facts.extend(used)
    for layer, own in zip(layers, facts_by_layer, strict=True):
        facts = (*enforced_facts, *own) if layer.policy.observe else tuple(enforced_facts)
        verdicts.extend(_judged_facts(layer, subject, facts))
    return Row(
        subject.deployment.id,
        tuple(verdicts),
        tuple(verdict for verdict in verdicts if verdict.refuses),
        tuple(dict.fromkeys(duty for verdict in verdicts for duty in verdict.judgement.obligations)),
    )


def _is_plain(spec: RuleSpec) -> bool:
    family = family_of(spec.key)
    return assertion_of(spec.key) is None if family is None else not family.over_facts


def _judged(layer: Layer, spec: RuleSpec, subject: Subject) -> Verdict:
    family = family_of(spec.key)
    if family is None:  # config refuses unknown keys; a policy built by hand that slips through refuses everybody
        judgement = Judgement(Outcome.UNKNOWN, f"no rule is called `{spec.key}`", spec.key)
    else:
        judgement = family.judge(spec, subject)
    return refusing(layer, spec, subject, judgement)


def _judged_facts(layer: Layer, subject: Subject, facts: tuple[UsedFact, ...]) -> list[Verdict]:
    judged: list[Verdict] = []
    for spec in layer.policy.rules:
        family = family_of(spec.key)
        if family is not None and family.over_facts:
            judged.append(refusing(layer, spec, subject, family.judge_facts(spec, facts, subject)))
    return judged


# --- what holds without a policy ------------------------------------------------------------------------------------


def _implicit(subject: Subject, layer: str, rule: str, judgement: Judgement) -> Verdict:
    return Verdict(subject.deployment.id, layer, Level.CONFIG, rule, judgement)


def _catalog_verdicts(subject: Subject) -> list[Verdict]:
    deployment, model = subject.deployment, subject.model
    verdicts = [_implicit(subject, "catalog", "price", _price(subject))]
    for path, fact in (
        (f"{deployment.id}.retires_on", deployment.retires_on),
        (f"{model.id}.retires_on", model.retires_on),
    ):
        if fact.state is State.KNOWN and fact.value is not None and subject.calendar.has_passed(fact.value):
            used = (UsedFact(path, fact.value.isoformat(), fact.source),)
            judgement = Judgement(
                Outcome.REFUSED, f"retired {fact.value}", path, used, remedy=f"a later model than `{model.id}`"
            )
            verdicts.append(_implicit(subject, "catalog", "retires_on", judgement))
    return verdicts


def _price(subject: Subject) -> Judgement:
    deployment = subject.deployment
    fact, path = deployment.price, f"{deployment.id}.price"
    remedy = f"a price for `{deployment.id}`"
    if fact.state is not State.KNOWN or fact.value is None:
        why = "" if fact.source == UNKNOWN_SOURCE or fact.state is not State.UNKNOWN else f" ({fact.source.ref})"
        return Judgement(Outcome.UNKNOWN, "unknown", path, remedy=remedy + why)
    price = _on_the_day(fact.value, subject.calendar)
    used = (UsedFact(path, price_words(price), fact.source),)
    over = _out_of_its_days(price, subject.calendar)
    if over:
        return Judgement(Outcome.UNKNOWN, over, path, used, remedy=f"{remedy} that holds today")
    if fact.source.confidence is Confidence.LOW:
        return Judgement(Outcome.UNKNOWN, "low confidence", path, used, remedy=remedy)
    if price.is_zero and not price.free:
        return Judgement(Outcome.UNKNOWN, "zero, not declared free", path, used, remedy=f"{remedy}, or `free: true`")
    return Judgement(Outcome.PERMITTED, used=used)


def _on_the_day(price: PriceList, calendar: Calendar) -> PriceList:
    """The list that holds today; each announced change is a day on which to look again."""
    held = price
    for change in price.changes:
        if calendar.has_begun(change.begins_on):
            held = change.price
    return held


def _out_of_its_days(price: PriceList, calendar: Calendar) -> str:
    """Why a list does not hold today; empty where it does."""
    reference = price.reference
    if reference is None:
        return ""
    if reference.valid_from is not None and not calendar.has_begun(reference.valid_from):
        return f"known from {reference.valid_from} on"
    if reference.valid_until is not None and calendar.has_passed(reference.valid_until):
        return f"known until {reference.valid_until}"
    return ""


def _need_verdicts(subject: Subject, needs: Needs) -> list[Verdict]:
    deployment = subject.deployment
    verdicts: list[Verdict] = []
    if needs.context_tokens is not None:
        judgement = _window(deployment, needs.context_tokens)
        verdicts.append(_implicit(subject, "route", "needs.context_tokens", judgement))
    for capability in sorted(needs.capabilities):
        judgement = _capability(deployment, capability)
        verdicts.append(_implicit(subject, "route", f"needs.{capability}", judgement))
    if deployment.parameters is not None:
        for name in sorted(needs.parameters - deployment.parameters):
            judgement = Judgement(
                Outcome.REFUSED,
                f"does not take `{name}`",
                f"{deployment.id}.parameters",
                remedy=f"a request without `{name}`",
            )
            verdicts.append(_implicit(subject, "route", f"needs.parameter.{name}", judgement))
    return verdicts


def _window(deployment: Deployment, needed: int) -> Judgement:
    fact, path = deployment.context_tokens, f"{deployment.id}.context_tokens"
    doubt = _doubt(fact)
    if doubt:
        return Judgement(Outcome.UNKNOWN, doubt, path, remedy=f"a known context window for `{deployment.id}`")
    if fact.value is None or fact.value < needed:
        remedy = f"a need of at most {fact.value or 0} context tokens"
        used = (UsedFact(path, str(fact.value), fact.source),)
        return Judgement(Outcome.REFUSED, f"{fact.value or 0} of {needed}", path, used, remedy=remedy)
    return PERMITTED


def _capability(deployment: Deployment, capability: str) -> Judgement:
    fact, path = deployment.capabilities, f"{deployment.id}.capabilities"
    doubt = _doubt(fact)
    if doubt:
        return Judgement(Outcome.UNKNOWN, doubt, path, remedy=f"known capabilities for `{deployment.id}`")
    if capability not in (fact.value or frozenset()):
        used = (UsedFact(path, ", ".join(sorted(fact.value or ())) or "none", fact.source),)
        return Judgement(
            Outcome.REFUSED, f"has no {capability}", path, used, remedy=f"`{deployment.id}` with {capability}"
        )
    return PERMITTED


def _doubt(fact: Fact[object]) -> str:
    """Why a fact cannot permit, or empty. A sourced `none` can be judged: it is an empty value."""
    if fact.state in {State.UNKNOWN, State.UNDISCLOSED}:
        return str(fact.state.value)
    return "low confidence" if fact.source.confidence is Confidence.LOW else ""
