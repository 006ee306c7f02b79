"""Every rule of the design as one paragraph: the slow and obvious reading of each family.

A question reads facts and keeps them; it is sound while each fact that it needed had an answer. A rule permits when it
says yes on sound ground. Nothing here is shared with the package but its value types.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

from modelrouter.core.facts import GLOBAL, SELF, ConditionKind, Confidence, Fact, Grade, Hosting, State

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import date

    from modelrouter.core.facts import (
        Condition,
        Deployment,
        Link,
        Listing,
        World,
    )
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.pricing import PriceList

__all__ = ["Question", "answers", "is_free_of_charge"]

T = TypeVar("T")


class Question:
    """One question about one deployment: the facts that were read, and whether each of them could be built on."""

    def __init__(self, world: World, deployment: Deployment, today: date) -> None:
        self.world = world
        self.deployment = deployment
        self.today = today
        self.facts: list[Fact[object]] = []
        self.sound = True

    def miss(self) -> None:
        """Note that something is in no table: nothing is known of it."""
        self.facts.append(Fact.unknown())
        self.sound = False

    def state(self, fact: Fact[object]) -> State:
        """Read a fact; what rests on a low confidence is as good as unknown."""
        self.facts.append(fact)
        return State.UNKNOWN if fact.source.confidence is Confidence.LOW else fact.state

    def known(self, fact: Fact[T]) -> T | None:
        """The value, or None after noting that the question has no answer."""
        if self.state(fact) is State.KNOWN and fact.value is not None:
            return fact.value
        self.sound = False
        return None

    def named(self, fact: Fact[T]) -> T | None:
        """What a fact points to. A poor source cannot permit, but it may refuse: what it names is still asked about."""
        self.known(fact)
        return fact.value if fact.state is State.KNOWN else None

    # --- countries ----------------------------------------------------------------------------------------------

    def members(self, names: Iterable[str]) -> set[str]:
        """Countries in a list of countries and groups."""
        return {country for name in names for country in self.world.groups.get(name, {name})}

    def owners(self, organisation: str, until: Collection[str] = ()) -> list[str]:
        """An organisation and all its parents as far as they are known, or up to the first that settles it."""
        line: list[str] = []
        following: str | None = organisation
        while following is not None and following not in line:
            line.append(following)
            entry = self.world.organisations.get(following)
            if following == SELF or following in until:
                return line
            if entry is None:
                self.miss()
                return line
            following = None if self.state(entry.parent) is State.NONE else self.named(entry.parent)
        return line

    def countries(self, organisation: str) -> set[str]:
        """An organisation's country and those of all its parents."""
        found: set[str | None] = set()
        for name in self.owners(organisation):
            if name == SELF:
                found |= {self.known(self.world.caller.country), self.known(self.world.caller.parent_country)}
            elif name in self.world.organisations:
                found.add(self.known(self.world.organisations[name].country))
        return {country for country in found if country is not None}

    def listed(self, organisation: str, asked: set[str]) -> set[str]:
        """Government lists that name an organisation itself today; an entry on one says nothing of another."""
        entry = self.world.organisations.get(organisation)
        lists: Fact[tuple[Listing, ...]] = Fact.unknown() if entry is None else entry.lists
        if self.state(lists) is State.NONE:
            return set()
        found: set[str] = set()
        for listing in lists.value or ():
            begun = listing.since is None or self.today >= listing.since
            ended = listing.until is not None and self.today > listing.until
            found |= {listing.list_id} if begun and not ended else set()
        self.known(lists)
        if asked - {listing.list_id for listing in lists.value or ()}:
            self.sound = False
        return found

    # --- lineage and chain --------------------------------------------------------------------------------------

    def lineage(self, relations: Iterable[str], permitted_silence: Iterable[str]) -> set[str]:
        """The model and every ancestor by these relations, in any mixture of them."""
        found = {self.deployment.model}
        while True:
            more = {
                ancestor
                for model in found
                for relation in relations
                for ancestor in self.ancestors(model, relation, silence=relation in permitted_silence)
            }
            if more <= found:
                return found
            found |= more

    def ancestors(self, model: str, relation: str, *, silence: bool) -> frozenset[str]:
        """The models one step up by one relation; `silence` takes an undisclosed one for none."""
        if model not in self.world.models:
            self.miss()
            return frozenset()
        fact: Fact[frozenset[str]] = getattr(self.world.models[model], relation)
        if relation == "lineage_claim" and fact.state is State.UNKNOWN:
            return frozenset()  # an allegation that nobody wrote down is none
        state = self.state(fact)
        if state is State.NONE or (state is State.UNDISCLOSED and silence):
            return frozenset()
        return self.named(fact) or frozenset()

    def chain(self) -> tuple[Link, ...]:
        """All links, noting when one may be missing."""
        if self.known(self.deployment.chain_complete) is not True:
            self.sound = False
        return self.deployment.chain


# --- one paragraph per family ---------------------------------------------------------------------------------------


def _within(names: set[str], allow: set[str] | None, deny: set[str] | None) -> bool:
    """Deny hits no member, allow holds every member."""
    return not (deny is not None and names & deny) and not (allow is not None and names - allow)


def _verbs(question: Question, spec: RuleSpec) -> tuple[set[str] | None, set[str] | None]:
    allow = None if spec.allow is None else question.members(spec.allow)
    deny = None if spec.deny is None else question.members(spec.deny)
    return allow, deny


def _one_organisation(question: Question, spec: RuleSpec, organisation: str) -> bool:
    kind = spec.key.split(".")[1]
    if kind == "country":
        return _within(question.countries(organisation), *_verbs(question, spec))
    if kind == "lists":
        allow = None if spec.allow is None else set(spec.allow)
        return _within(question.listed(organisation, set(spec.deny or ())), allow, set(spec.deny or ()))
    return _one_id(question, spec, organisation)


def _one_id(question: Question, spec: RuleSpec, organisation: str) -> bool:
    """An id matches the organisation or any parent: an allow needs one match, a deny needs to see them all."""
    line = set(question.owners(organisation, until=(spec.allow or ()) if spec.deny is None else spec.deny))
    if spec.deny is not None and line & spec.deny:
        return False
    return not (spec.allow is not None and not line & spec.allow)


def _developer(question: Question, spec: RuleSpec) -> bool:
    relations = spec.options.get("lineage", ("derived_from",))
    silence = {"derived_from": "refuse", "distilled_from": "permit", "lineage_claim": "permit"}
    stated = spec.options.get("undisclosed", {})
    assert isinstance(relations, (tuple, list, frozenset))
    assert isinstance(stated, Mapping)
    silence |= stated
    lineage = question.lineage(relations, {name for name, answer in silence.items() if answer == "permit"})
    answers = []
    for name in sorted(lineage):
        model = question.world.models.get(name)
        developer = question.named(model.developer if model else Fact.unknown())
        answers.append(developer is not None and _one_organisation(question, spec, developer))
    return all(answers)


def _operator(question: Question, spec: RuleSpec) -> bool:
    if spec.key == "operator.attestations":
        assert isinstance(spec.require, frozenset)
        answers = []
        for link in question.chain():
            entry = question.world.organisations.get(link.organisation)
            held = question.known(entry.attestations if entry else Fact.unknown())
            answers.append(held is not None and spec.require <= held)
        return all(answers)
    links = [_one_organisation(question, spec, link.organisation) for link in question.chain()]
    return all(links)


def _place(question: Question, spec: RuleSpec) -> bool:
    accepted = spec.options.get("grade", ("contractual", "technical"))
    assert isinstance(accepted, (tuple, list, frozenset))
    allow, deny = _verbs(question, spec)
    answers = []
    for link in question.chain():
        fact = link.terms.processing if spec.key == "processing.country" else link.terms.storage
        graded = fact.source.grade in {Grade(name) for name in accepted}
        if spec.key == "storage.country" and question.state(fact) is State.NONE:
            answers.append(graded)
            continue
        places = question.known(fact)
        inside = places is not None and GLOBAL not in places and _within(question.members(places), allow, deny)
        answers.append(graded and inside)
    return all(answers)


def _training(question: Question, spec: RuleSpec) -> bool:
    stated = [question.known(link.terms.training) for link in question.chain()]
    return all(value is not None and _within({value.value}, _set(spec.allow), _set(spec.deny)) for value in stated)


def _retention(question: Question, spec: RuleSpec) -> bool:
    limit = spec.at_most
    assert isinstance(limit, int)
    stated = [question.known(link.terms.retention_days) for link in question.chain()]
    return all(days is not None and days <= limit for days in stated)


def _has_agreement(question: Question, kind: str, partner: str) -> bool:
    return any(
        paper.type == kind and paper.partner == partner and (paper.expires is None or question.today <= paper.expires)
        for paper in question.world.caller.agreements
    )


def _agreements(question: Question, spec: RuleSpec) -> bool:
    assert isinstance(spec.require, frozenset)
    vias = [link.organisation for link in question.deployment.chain if link.role.value == "via"]
    partner = vias[0] if vias else question.deployment.chain[0].organisation
    return partner == SELF or all(_has_agreement(question, kind, partner) for kind in spec.require)


def _applies(question: Question, spec: RuleSpec) -> bool:
    named = spec.options.get("hosting", ("self_hosted",))
    assert isinstance(named, (tuple, list, frozenset))
    return question.deployment.hosting in {Hosting(name) for name in named}


def _licence(question: Question, spec: RuleSpec) -> bool:
    if not _applies(question, spec):
        return True
    answers = []
    for name in sorted(question.lineage(("derived_from",), ())):
        model = question.world.models.get(name)
        held = question.named(model.licence) if model else None
        licence = question.world.licences.get(held or "")
        if licence is None:
            question.miss()
            continue
        names = {licence.id, licence.spdx}
        answers.append(not (spec.deny and names & spec.deny) and not (spec.allow and not names & spec.allow))
    return all(answers)


def _condition_met(question: Question, condition: Condition, developer: Fact[str]) -> bool:
    kind = condition.kind
    if kind in {ConditionKind.ATTRIBUTION, ConditionKind.FIELD_OF_USE}:
        return True
    if kind is ConditionKind.TERRITORY:
        caller = question.world.caller
        home = {question.known(caller.country), question.known(caller.parent_country)}
        return None not in home and not home & question.members(condition.territory)
    if kind is not ConditionKind.REGISTRATION:
        metric = question.world.caller.metrics.get(condition.metric or "")
        if metric is None or condition.value is None:
            return False
        if metric <= condition.value or kind is ConditionKind.THRESHOLD_DISPLAY:
            return True
        if kind is ConditionKind.THRESHOLD_NO_RIGHTS:
            return False
    licensor = question.named(developer)
    return licensor is not None and _has_agreement(question, "licence", licensor)


def _use(question: Question, spec: RuleSpec) -> bool:
    if not _applies(question, spec):
        return True
    answers = []
    for name in sorted(question.lineage(("derived_from",), ())):
        model = question.world.models.get(name)
        held = question.named(model.licence) if model else None
        licence = question.world.licences.get(held or "")
        if model is None or licence is None:
            question.miss()
            continue
        answers.append(question.known(licence.commercial_use) is True)
        conditions = () if question.state(licence.conditions) is State.NONE else question.known(licence.conditions)
        answers.append(conditions is not None)
        answers += [_condition_met(question, condition, model.developer) for condition in conditions or ()]
    return all(answers)


def _value(question: Question, spec: RuleSpec) -> bool:
    """Facts that are one word: openness, hosting, quantization, the model's id."""
    deployment = question.deployment
    if spec.key == "hosting":
        value: str | None = deployment.hosting.value
    elif spec.key == "model.id":
        value = deployment.model
    elif spec.key == "quantization":
        plain = question.state(deployment.quantization) is State.NONE
        value = "none" if plain else question.known(deployment.quantization)
    else:
        openness = question.known(question.world.models[deployment.model].openness)
        value = openness.value if openness else None
    return value is not None and _within({value}, _set(spec.allow), _set(spec.deny))


def _set(names: frozenset[str] | None) -> set[str] | None:
    return None if names is None else set(names)


def _pinned(question: Question, spec: RuleSpec) -> bool:
    """Neither the model's name nor the name it is called by may move."""
    model = question.world.models[question.deployment.model]
    stated = [question.known(model.pinned), question.known(question.deployment.pinned)]
    return stated == [True, True]


def _capability(question: Question, spec: RuleSpec) -> bool:
    if spec.key == "capability.context_tokens":
        assert isinstance(spec.at_least, int)
        return (question.known(question.deployment.context_tokens) or 0) >= spec.at_least
    return spec.key.split(".", 1)[1] in (question.known(question.deployment.capabilities) or ())


def _price(question: Question, spec: RuleSpec) -> bool:
    """The dearest rate that may be charged for this class of tokens; an absent rate is that of the class around it."""
    price = question.known(question.deployment.price)
    assert isinstance(spec.at_most, Decimal)
    if price is None or (is_free_of_charge(price) and not price.free):
        return False
    cached, reasoning = price.cached_input_usd_per_mtok, price.reasoning_usd_per_mtok
    rates = {
        "price.input_usd_per_mtok": (price.input_usd_per_mtok, cached, price.cache_write_usd_per_mtok),
        "price.cached_input_usd_per_mtok": (price.input_usd_per_mtok if cached is None else cached,),
        "price.output_usd_per_mtok": (price.output_usd_per_mtok, reasoning),
        "price.reasoning_usd_per_mtok": (price.output_usd_per_mtok if reasoning is None else reasoning,),
        "price.request_usd": (price.request_usd,),
    }[spec.key]
    return all(rate is None or rate <= spec.at_most for rate in rates)


FAMILIES: Final[Mapping[str, Callable[[Question, RuleSpec], bool]]] = {
    "developer": _developer,
    "operator": _operator,
    "processing": _place,
    "storage": _place,
    "data.training": _training,
    "data.retention_days": _retention,
    "agreements": _agreements,
    "weights.licence": _licence,
    "weights.use": _use,
    "weights.openness": _value,
    "hosting": _value,
    "quantization": _value,
    "model.id": _value,
    "model.pinned": _pinned,
    "capability": _capability,
    "price": _price,
}


def is_free_of_charge(price: PriceList) -> bool:
    """Whether nothing of a price list is above zero: nobody's real price unless it was declared free."""
    rates = (price.input_usd_per_mtok, price.output_usd_per_mtok, price.request_usd)
    classes = (price.cached_input_usd_per_mtok, price.cache_write_usd_per_mtok, price.reasoning_usd_per_mtok)
    return not any((*rates, *classes))


def answers(question: Question, spec: RuleSpec) -> bool:
    """Whether a rule permits: a yes, and every fact it needed had an answer."""
    family = FAMILIES.get(spec.key) or FAMILIES[spec.key.split(".", maxsplit=1)[0]]
    return family(question, spec) and question.sound
