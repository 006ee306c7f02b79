"""The decision over generated worlds: equal to an independent oracle, monotone, blind to order, true to dates."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import assume, given, seed
from hypothesis import strategies as st

from modelrouter.core.decision import compile_rows, decide, layers_for
from modelrouter.core.facts import Fact, State, World
from modelrouter.core.policy import Layer, Level, Outcome
from modelrouter.core.rules import family_of
from modelrouter.core.verdict import Precedents
from tests.oracle import oracle_decide
from tests.strategies import TODAY, everyday, moment_on, policies, rules, scenarios
from tests.strategies_rules import KEYS, SPECS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from modelrouter.core.decision import Compiled, Decision
    from modelrouter.core.policy import Policy, RuleSpec
    from modelrouter.core.verdict import Verdict
    from tests.strategies import Scenario

T = TypeVar("T")
IMPLICIT = {"catalog", "route", "wire", "cut-off", "request"}
Path = tuple[str | int, ...]


def layers_of(scenario: Scenario) -> tuple[Layer, ...]:
    """The layers that bind a scenario's request."""
    return layers_for(scenario.request.tags, tuple(Layer(policy, level) for policy, level in scenario.policies))


def decided(scenario: Scenario) -> Decision:
    """The decision under test, judged afresh."""
    return decide(scenario.request, scenario.route, layers_of(scenario), scenario.world, scenario.moment)


def permitted(decision: Decision) -> set[str]:
    """Who may serve, without the order."""
    return {candidate.deployment for candidate in decision.permitted}


def refusers(decision: Decision, deployment: str) -> frozenset[str]:
    """The tests that refuse a deployment, named as the oracle names them."""
    return frozenset(_named(verdict) for verdict in decision.refusals(deployment))


def _named(verdict: Verdict) -> str:
    if verdict.layer not in IMPLICIT:
        return f"{verdict.layer}/{verdict.rule}"
    return "bound" if verdict.rule == "request.bound" else verdict.layer


def comparable(found: frozenset[str]) -> frozenset[str]:
    """What two right implementations must agree on.

    Without a price or an input bound there is nothing to reckon: whatever asks about this request's cost is moot. And
    how far a rule that refuses anyway reads on is its own affair: `facts.*` count where no other rule refuses.
    """
    moot = {"request"} if found & {"catalog", "bound"} else set()
    moot |= {"bound"} if "catalog" in found else set()
    rest = frozenset(name for name in found if name not in moot and not (moot and "/request." in name))
    plain = frozenset(name for name in rest if "/facts." not in name)
    return plain if "bound" in plain or any("/" in name for name in plain) else rest


# --- the oracle -------------------------------------------------------------------------------------------------------


def equals_the_oracle(scenario: Scenario) -> None:
    """The same permitted set, and for each refused candidate the same enforced rules that refuse it."""
    expected = oracle_decide(scenario.request, scenario.route, scenario.policies, scenario.world, scenario.moment)
    decision = decided(scenario)
    for name in decision.considered:
        assert comparable(refusers(decision, name)) == comparable(expected.refusers[name]), name
    assert permitted(decision) == expected.permitted


@everyday(500)
@given(scenarios())
def test_a_decision_equals_the_oracle(scenario: Scenario) -> None:
    """An implementation that shares nothing with ours permits the same deployments, for the same rules."""
    equals_the_oracle(scenario)


@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
@everyday(1000)
@given(scenario=scenarios())
def test_a_decision_equals_the_oracle_over_many_worlds(part: int, scenario: Scenario) -> None:
    """The same over two thousand worlds, half of them at a time."""
    equals_the_oracle(scenario)


def test_the_generated_worlds_permit_and_refuse_by_every_rule() -> None:
    """The property above would be empty if a rule were never met, never satisfied or never broken."""
    seen: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)

    @seed(20261122)  # it counts what is generated, so it must not be a matter of luck
    @everyday(600)
    @given(scenarios())
    def look(scenario: Scenario) -> None:
        decision = decided(scenario)
        for verdict in decision.verdicts:
            seen[verdict.rule][verdict.judgement.outcome] += 1
        seen["in all"][Outcome.PERMITTED if decision.permitted else Outcome.REFUSED] += 1
        for verdict in decision.verdicts:
            seen["waived"][Outcome.PERMITTED if verdict.waiver is not None else Outcome.REFUSED] += 1

    look()
    for key in (*KEYS, "in all", "waived"):
        assert seen[key][Outcome.PERMITTED] > 0, f"{key} never permits"
        assert seen[key][Outcome.REFUSED] + seen[key][Outcome.UNKNOWN] > 0, f"{key} never refuses"


@pytest.mark.parametrize("key", KEYS)
def test_the_generated_rules_are_rules_that_people_may_write(key: str) -> None:
    """The family that owns a key has nothing to say against the generated ones."""
    family = family_of(key)
    assert family is not None
    assert [family.check(spec) for spec in SPECS[key]] == [None] * len(SPECS[key])


@everyday(100)
@given(rules())
def test_the_generated_parameters_are_such_too(spec: RuleSpec) -> None:
    """Lineage, silence, grades and hosting as generated pass the family's own check."""
    family = family_of(spec.key)
    assert family is not None
    assert family.check(spec) is None


# --- monotone ---------------------------------------------------------------------------------------------------------


@everyday(100)
@given(scenarios(), rules(), st.integers(0, 3))
def test_adding_a_rule_never_adds_a_candidate(scenario: Scenario, spec: RuleSpec, place: int) -> None:
    """A rule can only take away, whichever policy it is added to."""
    assume(place < len(scenario.policies))
    policy, level = scenario.policies[place]
    assume(all(each.key != spec.key for each in policy.rules))
    longer = (replace(policy, rules=(*policy.rules, spec)), level)
    more = (*scenario.policies[:place], longer, *scenario.policies[place + 1 :])
    assert permitted(decided(replace(scenario, policies=more))) <= permitted(decided(scenario))


@everyday(125)
@given(scenarios(), policies("one-more", ("d1", "d2")), st.sampled_from(Level))
def test_adding_a_layer_never_adds_a_candidate(scenario: Scenario, policy: Policy, level: Level) -> None:
    """A house, a route or a call may add a policy and nobody gains by it."""
    more = replace(scenario, policies=(*scenario.policies, (policy, level)))
    assert permitted(decided(more)) <= permitted(decided(scenario))


@everyday(125)
@given(scenarios(), st.sampled_from(["data_class", "team"]))
def test_removing_a_tag_never_adds_a_candidate(scenario: Scenario, tag: str) -> None:
    """A missing tag binds rules and never activates a waiver."""
    assume(tag in scenario.request.tags)
    tags = {name: value for name, value in scenario.request.tags.items() if name != tag}
    fewer = replace(scenario, request=replace(scenario.request, tags=tags))
    assert permitted(decided(fewer)) <= permitted(decided(scenario))


def known_facts(value: object, path: Path = ()) -> list[Path]:
    """Where in a world a fact is known, but for three kinds of fact whose absence is an answer.

    Without a retirement date a model is open-ended, without an entry there is no allegation of lineage, and `quality`
    only orders.
    """
    if isinstance(value, Fact):
        return [path] if value.state is State.KNOWN else []
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in known_facts(item, (*path, key))]
    if isinstance(value, tuple):
        return [found for place, item in enumerate(value) for found in known_facts(item, (*path, place))]
    if is_dataclass(value):
        names = [each.name for each in fields(value) if each.name not in {"retires_on", "lineage_claim", "quality"}]
        return [found for name in names for found in known_facts(getattr(value, name), (*path, name))]
    return []


def forgetting(value: T, path: Path) -> T:
    """The same value with the fact at a path unknown."""
    if not path:
        return Fact.unknown()  # type: ignore[return-value]  # a fact for a fact
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, step: forgetting(value[step], rest)}  # type: ignore[return-value]  # a mapping for a mapping
    if isinstance(value, tuple):
        items = [forgetting(item, rest) if place == step else item for place, item in enumerate(value)]
        return tuple(items)  # type: ignore[return-value]  # a tuple for a tuple
    changed = forgetting(getattr(value, str(step)), rest)
    return replace(value, **{str(step): changed})  # type: ignore[type-var]  # a dataclass by then


@everyday(200)
@given(scenarios(), st.data())
def test_forgetting_a_fact_never_adds_a_candidate(scenario: Scenario, data: st.DataObject) -> None:
    """Unknown never permits: whatever was known and is no longer cannot help anybody."""
    chosen = data.draw(st.lists(st.sampled_from(known_facts(scenario.world)), min_size=1, max_size=4, unique=True))
    world = scenario.world
    for path in chosen:
        if path in known_facts(world):  # a fact inside another one goes with it
            world = forgetting(world, path)
    assert permitted(decided(replace(scenario, world=world))) <= permitted(decided(scenario))


@everyday(150)
@given(scenarios())
def test_forgetting_a_number_of_the_caller_or_an_agreement_never_adds_a_candidate(scenario: Scenario) -> None:
    """A licence threshold on an unknown number refuses, and a paper that is gone admits nobody."""
    for caller in (replace(scenario.world.caller, metrics={}), replace(scenario.world.caller, agreements=())):
        world = replace(scenario.world, caller=caller)
        assert permitted(decided(replace(scenario, world=world))) <= permitted(decided(scenario))


# --- blind to order ---------------------------------------------------------------------------------------------------


def shuffled(mapping: Mapping[str, T], data: st.DataObject) -> dict[str, T]:
    """The same mapping in another order."""
    return {key: mapping[key] for key in data.draw(st.permutations(list(mapping)))}


@everyday(100)
@given(scenarios(), st.data())
def test_the_order_of_files_and_mappings_never_matters(scenario: Scenario, data: st.DataObject) -> None:
    """Tables, members of a split and dynamic values may be listed in any order: the same decision comes out."""
    world = replace(
        scenario.world,
        organisations=shuffled(scenario.world.organisations, data),
        licences=shuffled(scenario.world.licences, data),
        models=shuffled(scenario.world.models, data),
        deployments=shuffled(scenario.world.deployments, data),
        groups=shuffled(scenario.world.groups, data),
    )
    tries = tuple(replace(step, weights=shuffled(step.weights, data)) for step in scenario.route.tries)
    other = replace(
        scenario,
        world=world,
        route=replace(scenario.route, tries=tries),
        moment=replace(scenario.moment, in_flight=shuffled(scenario.moment.in_flight, data)),
    )
    here, there = decided(scenario), decided(other)
    assert here.permitted == there.permitted
    assert dict(here.rows) == dict(there.rows)
    assert Counter(map(repr, here.moment_verdicts)) == Counter(map(repr, there.moment_verdicts))


@everyday(100)
@given(scenarios(), st.data())
def test_the_order_of_policies_never_matters(scenario: Scenario, data: st.DataObject) -> None:
    """Layers are judged alone: whichever comes first, the same rules refuse and the same order comes out."""
    turned = replace(scenario, policies=tuple(data.draw(st.permutations(scenario.policies))))
    here, there = decided(scenario), decided(turned)
    assert [each.deployment for each in here.permitted] == [each.deployment for each in there.permitted]
    for name in here.considered:
        assert refusers(here, name) == refusers(there, name)


@everyday(150)
@given(scenarios(), st.data())
def test_the_place_in_a_route_changes_no_verdict(scenario: Scenario, data: st.DataObject) -> None:
    """Where a deployment stands decides when it is tried, never whether it may be."""
    tries = tuple(data.draw(st.permutations(scenario.route.tries)))
    here, there = decided(scenario), decided(replace(scenario, route=replace(scenario.route, tries=tries)))
    assert here.rows == there.rows
    assert permitted(here) == permitted(there)


@everyday(150)
@given(scenarios(), st.data())
def test_candidates_are_judged_one_by_one(scenario: Scenario, data: st.DataObject) -> None:
    """Leaving other deployments out of a route changes nothing for those that stay."""
    kept = set(data.draw(st.lists(st.sampled_from(sorted(scenario.world.deployments)), min_size=1, unique=True)))
    steps = [
        replace(step, weights={name: weight for name, weight in step.weights.items() if name in kept})
        for step in scenario.route.tries
    ]
    route = replace(scenario.route, tries=tuple(step for step in steps if step.weights))
    whole, part = decided(scenario), decided(replace(scenario, route=route))
    assert permitted(part) == permitted(whole) & kept
    in_whole = [each.deployment for each in whole.permitted if each.deployment in kept]
    assert [each.deployment for each in part.permitted] == in_whole


# --- true to the calendar ---------------------------------------------------------------------------------------------


def answers(compiled: Compiled) -> list[tuple[object, ...]]:
    """All that a compiled verdict decides and says, but for the days that a refusal by `facts.age_days` counts."""
    verdicts = [verdict for row in compiled.rows.values() for verdict in row.verdicts]
    return [
        (each.deployment, each.layer, each.rule, each.waiver, each.observed, each.refuses, _told(each))
        for each in verdicts
    ]


def _told(verdict: Verdict) -> object:
    return verdict.judgement.outcome if verdict.rule == "facts.age_days" else verdict.judgement


def year_holds(scenario: Scenario, days: list[int]) -> None:
    """Walk through a year: each compiled verdict equals a fresh one as long as it claims to be good."""
    needs = scenario.route.needs.joined(scenario.request.needs)
    layers = layers_of(scenario)

    def fresh(day: date) -> Compiled:
        return compile_rows(scenario.world, layers, scenario.route, needs, day)

    compiled = fresh(TODAY + timedelta(days=min(days)))
    for day in (TODAY + timedelta(days=offset) for offset in sorted(days)):
        if compiled.valid_until is not None and day >= compiled.valid_until:
            compiled = fresh(day)
        assert compiled.valid_until is None or compiled.valid_until > day
        assert answers(compiled) == answers(fresh(day))
        moment = replace(moment_on(day), unavailable=scenario.moment.unavailable, revoked=scenario.moment.revoked)
        kept = decide(scenario.request, scenario.route, layers, scenario.world, moment, compiled=compiled)
        again = decide(scenario.request, scenario.route, layers, scenario.world, moment)
        assert (kept.permitted, kept.moment_verdicts) == (again.permitted, again.moment_verdicts)


@everyday(125)
@given(scenarios(), st.lists(st.integers(-40, 365), min_size=2, max_size=6))
def test_a_compiled_verdict_equals_a_fresh_one_until_it_says_otherwise(scenario: Scenario, days: list[int]) -> None:
    """Ages of facts, waivers, agreements, listings and retirements turn on the day that was announced, not before."""
    year_holds(scenario, days)


@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
@everyday(1000)
@given(scenario=scenarios(), days=st.lists(st.integers(-40, 365), min_size=2, max_size=6))
def test_compiled_verdicts_hold_over_many_worlds(part: int, scenario: Scenario, days: list[int]) -> None:
    """The same over two thousand worlds, half of them at a time."""
    year_holds(scenario, days)


@everyday(150)
@given(scenarios(), st.lists(st.integers(-40, 365), min_size=1, max_size=3))
def test_routes_that_share_what_layers_have_said_are_judged_alike(scenario: Scenario, days: list[int]) -> None:
    """Verdicts of another route with the same layers, or other needs, are the verdicts one would have found alone."""
    layers = layers_of(scenario)
    backwards = replace(scenario.route, tries=scenario.route.tries[::-1])
    for day in (TODAY + timedelta(days=offset) for offset in days):
        shared = Precedents(scenario.world, day)
        for route in (backwards, scenario.route):
            for needs in (route.needs, route.needs.joined(scenario.request.needs)):
                for bound in (layers, layers[::-1], layers[:1]):
                    alone = compile_rows(scenario.world, bound, route, needs, day)
                    together = compile_rows(scenario.world, bound, route, needs, day, precedents=shared)
                    assert together == alone


def test_a_world_is_what_the_generator_says() -> None:
    """The walk over facts finds every kind of them, so that forgetting is tried on each."""
    kinds: set[str] = set()

    @everyday(100)
    @given(scenarios())
    def look(scenario: Scenario) -> None:
        assert isinstance(scenario.world, World)
        kinds.update(str(path[-1]) for path in known_facts(scenario.world))

    look()
    assert kinds >= {
        *("country", "parent", "lists", "attestations", "commercial_use", "conditions", "developer", "licence"),
        *("openness", "derived_from", "distilled_from", "context_tokens", "pinned", "capabilities"),
        *("price", "chain_complete", "quantization", "bound_basis", "processing", "storage", "training"),
        *("retention_days", "parent_country"),
    }
