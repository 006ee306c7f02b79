"""The difference of two sets of policies equals brute force over all tags; what rules alone prove is true."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from modelrouter.core.assurance import Cause, Side, Turn, difference
from modelrouter.core.facts import Fact
from modelrouter.core.policy import Layer, Level, Policy, RuleSpec, Waiver
from modelrouter.core.request import Needs
from modelrouter.core.route import Try
from tests.core.assurance.test_survival_properties import tamed
from tests.oracle_difference import oracle_difference
from tests.strategies import TAGS, TODAY, everyday, policies, rules, scenarios

if TYPE_CHECKING:
    from modelrouter.core.assurance import Difference
    from modelrouter.core.facts import World
    from tests.oracle_difference import OracleDifference
    from tests.strategies import Scenario

RELEASE: Final = 2000
"""Pairs of a release; every day sees a tenth of them, from a seed."""
DECLARED: Final = {name: frozenset(values) for name, values in TAGS.items()}

Policies = tuple[tuple[Policy, Level], ...]
Pair = tuple["Scenario", Policies, Policies, "World"]


def changed(draw: st.DrawFn, policy: Policy, subjects: tuple[str, ...]) -> Policy | None:
    """A policy after somebody edited it; None where it was thrown away."""
    kind = draw(st.sampled_from(("as it was", "rule", "drop", "add", "observe", "scope", "waiver", "sign", "gone")))
    if kind == "rule":
        rule = draw(rules())
        return replace(policy, rules=(*(each for each in policy.rules[1:] if each.key != rule.key), rule))
    if kind == "drop" and len(policy.rules) > 1:
        return replace(policy, rules=policy.rules[1:])
    if kind == "add":
        rule = draw(rules())
        return replace(policy, rules=(*(each for each in policy.rules if each.key != rule.key), rule))
    if kind == "observe":
        return replace(policy, observe=not policy.observe)
    if kind == "scope":
        scopes: tuple[dict[str, frozenset[str]], ...] = (
            {},
            {"team": frozenset({"b"})},
            {"data_class": frozenset({"personal"})},
        )
        return replace(policy, applies_to=draw(st.sampled_from(scopes)))
    if kind == "waiver":
        return replace(policy, waivers=())
    if kind == "sign":
        key, subject = draw(st.sampled_from(policy.rules)).key, draw(st.sampled_from(subjects))
        signed = Waiver("W-new", f"{policy.name}/{key}", subject, "tested", "tester", TODAY + timedelta(days=9))
        return replace(policy, waivers=(*policy.waivers, signed))
    return None if kind == "gone" else policy


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    """A scenario, its policies before and after some edits, and the world after; mostly nothing else refuses."""
    scenario = draw(scenarios())
    wild = draw(st.sets(st.sampled_from(sorted(scenario.world.deployments)), max_size=1))
    deployments = {name: each if name in wild else tamed(each) for name, each in scenario.world.deployments.items()}
    world = replace(scenario.world, deployments=deployments)
    names = tuple(deployments)
    old = scenario.policies[: draw(st.integers(1, 3))]
    new = tuple((after, level) for each, level in old if (after := changed(draw, each, names)) is not None)
    if draw(st.sampled_from((False, False, True))):
        new = (*new, (draw(policies("added", names)), Level.ROUTE))
    later = world
    if draw(st.sampled_from((False, False, False, True))):
        name = draw(st.sampled_from(names))
        later = replace(world, deployments={**deployments, name: replace(deployments[name], price=Fact.unknown())})
    scenario = replace(
        scenario,
        world=world,
        request=replace(scenario.request, needs=Needs(), ceiling_nano_usd=None),
        route=replace(scenario.route, needs=draw(st.sampled_from((Needs(), scenario.route.needs)))),
    )
    return scenario, old, new, later


def side(scenario: Scenario, policies: Policies, world: World) -> Side:
    """One of the two, for the package."""
    route = replace(scenario.route, layers=tuple(Layer(policy, level) for policy, level in policies))
    return Side({route.name: route}, world, DECLARED)


def both(pair: Pair) -> tuple[Difference, OracleDifference]:
    """The package and the oracle, asked for the same pair."""
    scenario, old, new, later = pair
    moment = replace(scenario.moment, revoked={})  # a difference is one of policies: nobody is cut off
    found = difference(side(scenario, old, scenario.world), side(scenario, new, later), TODAY)
    told = oracle_difference(scenario.request, scenario.route, (old, scenario.world), (new, later), moment, TODAY)
    return found, told


def rule_names(verdicts: tuple[object, ...]) -> frozenset[str]:
    """Refusing verdicts in the words of the oracle."""
    return frozenset(
        each.layer if each.layer in {"catalog", "route"} else f"{each.layer}/{each.rule}"  # type: ignore[attr-defined]
        for each in verdicts
    )


def agree(pair: Pair, seen: Counter[str]) -> None:
    """Every answer that turns is told with all that refuses, and nothing else is; so for limits, and for the answer."""
    found, told = both(pair)
    turned = {(each.deployment, rule_names(each.before), rule_names(each.after)) for each in found.turned}
    assert {each for each in turned if each[1] != each[2]} == told.turned
    assert {each.deployment for each in found.of(Turn.NEWLY_PERMITTED)} == told.newly_permitted
    assert {each.deployment for each in found.of(Turn.NEWLY_REFUSED)} == told.newly_refused
    limits = {
        (
            each.deployment,
            (each.before.ceiling_nano_usd, int(each.before.basis)),
            (each.after.ceiling_nano_usd, int(each.after.basis)),
        )
        for each in found.limits
    }
    assert limits == told.limits
    assert {each.deployment for each in found.loosened_limits} == told.loosened
    more = bool(told.newly_permitted or told.loosened)
    assert found.permits_more or not more
    if found.permits_more and not more:
        assert any(each.cause.counts for each in found.loosenings)
    _, old, new, later = pair
    if found.is_proved and later is pair[0].world:
        assert not more, "proved by the rules alone, and wrong"
        seen["proved"] += old != new
    seen["permits more"] += bool(told.newly_permitted)
    seen["refuses more"] += bool(told.newly_refused)
    seen["loosens a limit"] += bool(told.loosened)
    seen["says the same"] += not told.turned and old != new


def trial(examples: int) -> Counter[str]:
    """So many pairs, from a seed."""
    seen: Counter[str] = Counter()

    @seed(20261129)
    @settings(everyday(examples), database=None, derandomize=False)
    @given(pairs())
    def compare(pair: Pair) -> None:
        seen["pairs"] += 1
        agree(pair, seen)

    compare()
    return seen


def test_it_agrees_with_brute_force() -> None:
    """A tenth of the pairs of a release, and every kind of answer is among them."""
    seen = trial(RELEASE // 10)
    assert min(seen[each] for each in ("proved", "permits more", "refuses more", "says the same")) > 0, seen


@pytest.mark.long
def test_it_agrees_with_brute_force_over_the_pairs_of_a_release() -> None:
    """2,000 generated pairs of policies."""
    seen = trial(RELEASE)
    assert seen["pairs"] >= RELEASE
    assert min(seen.values()) > 0, seen


# --- by hand ----------------------------------------------------------------------------------------------------------


def rule(key: str, deny: str = "", **more: int) -> RuleSpec:
    """A rule, what it denies as words."""
    return RuleSpec(key, deny=frozenset(deny.split()) or None, **more)  # type: ignore[arg-type]  # limits, by name


NO_CN: Final = Policy("house", (rule("operator.country", deny="CN"),))
PERSONAL: Final = {"data_class": frozenset({"personal"})}
WAIVED: Final = Waiver("W-1", "house/operator.country", "d0", "a trial", "dpo", date(2027, 1, 31))


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Some world, always the same one."""
    found: list[Scenario] = []

    @seed(7)
    @settings(everyday(1), database=None)
    @given(scenarios())
    def take(each: Scenario) -> None:
        found.append(each)

    take()
    return found[0]


def compared(
    scenario: Scenario, old: tuple[Policy, ...], new: tuple[Policy, ...], **tags: frozenset[str]
) -> Difference:
    """Two sets of policies over some world; tags are those that the new side declares."""
    of = {name: tuple((each, Level.CONFIG) for each in some) for name, some in (("old", old), ("new", new))}
    declared = replace(side(scenario, of["new"], scenario.world), tags={**DECLARED, **tags})
    return difference(side(scenario, of["old"], scenario.world), declared, TODAY)


@pytest.mark.parametrize(
    ("new", "cause", "more"),
    [
        (replace(NO_CN, observe=True), Cause.OBSERVED, True),
        (replace(NO_CN, applies_to=PERSONAL), Cause.NARROWED, True),
        (replace(NO_CN, waivers=(WAIVED,)), Cause.WAIVED, True),
        (replace(NO_CN, waivers=(replace(WAIVED, expires=TODAY - timedelta(days=1)),)), None, False),
        (replace(NO_CN, waivers=(replace(WAIVED, rule="house/data.training"),)), None, False),
        (replace(NO_CN, rules=(rule("operator.country", deny="CN RU"),)), None, False),
        (replace(NO_CN, rules=(*NO_CN.rules, rule("data.retention_days", at_most=30))), None, False),
        (replace(NO_CN, name="other"), None, False),
    ],
)
def test_what_takes_back_an_enforced_rule(scenario: Scenario, new: Policy, cause: Cause | None, more: bool) -> None:
    """A pause, a smaller scope and a waiver count whoever the candidates are; more rules or another name do not."""
    found = compared(scenario, (NO_CN,), (new,))
    assert {each.cause for each in found.loosenings} == ({cause} if cause else set())
    assert found.is_proved is not more
    assert found.permits_more is more or bool(found.of(Turn.NEWLY_PERMITTED))


def test_a_waiver_that_lives_longer_is_told_and_a_shorter_one_is_not(scenario: Scenario) -> None:
    """Nobody is newly permitted today, and somebody will be later."""
    signed, longer = replace(NO_CN, waivers=(WAIVED,)), replace(WAIVED, expires=date(2027, 6, 30))
    (found,) = compared(scenario, (signed,), (replace(NO_CN, waivers=(longer,)),)).loosenings
    assert (found.cause, found.waivers) == (Cause.WAIVED, (longer,))
    assert compared(scenario, (replace(NO_CN, waivers=(longer,)),), (signed,)).is_proved
    assert compared(scenario, (signed,), (NO_CN,)).is_proved


def test_a_rule_that_another_policy_asks_too_may_go(scenario: Scenario) -> None:
    """Layers are judged alone: what one no longer refuses, another refuses all the same."""
    strict = Policy("strict", (rule("operator.country", deny="CN HK"),))
    found = compared(scenario, (NO_CN, strict), (strict,))
    assert found.is_proved
    assert not found.permits_more
    assert compared(scenario, (NO_CN, strict), (NO_CN,)).loosenings[0].cause is Cause.POLICY_REMOVED


def test_rules_about_facts_lose_what_nobody_reads_any_more(scenario: Scenario) -> None:
    """`facts.age_days` judges what the other rules read: take one away, and an old fact may pass."""
    fresh = rule("facts.age_days", at_most=90)
    found = compared(scenario, (NO_CN, Policy("fresh", (fresh,))), (Policy("fresh", (fresh,)),))
    causes = {(each.policy, each.rule): each.cause for each in found.loosenings}
    assert causes["fresh", "facts.age_days"] is Cause.OTHER_FACTS
    assert not found.is_proved


def test_a_rule_of_ones_own_is_opaque(scenario: Scenario) -> None:
    """It is judged neither before nor after; changed or removed it counts, as it was or added it does not."""
    own, other = RuleSpec("acme.floor", at_least=3), RuleSpec("acme.floor", at_least=4)
    for new, more in (((own,), False), ((other,), True), ((), True)):
        found = compared(
            scenario, (replace(NO_CN, rules=(*NO_CN.rules, own)),), (replace(NO_CN, rules=(*NO_CN.rules, *new)),)
        )
        assert found.turned == ()
        assert [each.cause for each in found.loosenings] == ([Cause.OPAQUE] if more else [])
        assert found.permits_more is more
    assert not compared(scenario, (NO_CN,), (replace(NO_CN, rules=(*NO_CN.rules, own)),)).permits_more


def test_what_is_asserted_of_routes_is_compared_by_value(scenario: Scenario) -> None:
    """Surviving fewer losses is less; so is asserting nothing, and observing."""

    def asserts(least: int | None, *, observe: bool = False) -> Policy:
        found = () if least is None else (RuleSpec("vendors.survive_loss_of", at_least=least),)
        return replace(NO_CN, rules=(*NO_CN.rules, *found), observe=observe)

    for old, new, more in ((2, 1, True), (1, None, True), (1, 2, False), (None, 1, False)):
        found = compared(scenario, (asserts(old),), (asserts(new),))
        (told,) = found.assertions
        assert [[spec.at_least for _, spec in each] for each in (told.before, told.after)] == [
            [] if each is None else [each] for each in (old, new)
        ]
        assert told.is_looser is more
        assert found.permits_more is more
    assert compared(scenario, (asserts(1),), (asserts(1),)).assertions == ()
    assert compared(scenario, (asserts(1),), (asserts(1, observe=True),)).assertions[0].after == ()


def test_a_higher_ceiling_permits_more_and_a_lower_one_does_not(scenario: Scenario) -> None:
    """What only single requests decide is compared by its effective value, the lowest of all layers."""
    name = next(iter(scenario.world.deployments))
    world = replace(scenario.world, deployments={name: tamed(scenario.world.deployments[name])})
    alone = replace(scenario, world=world, route=replace(scenario.route, tries=(Try({name: 1}),), needs=Needs()))

    def ceiling(of: str, usd: str) -> Policy:
        return Policy(of, (RuleSpec("request.cost_usd", at_most=Decimal(usd)),))

    raised = compared(alone, (ceiling("a", "0.02"),), (ceiling("a", "0.05"),))
    assert [each.deployment for each in raised.loosened_limits] == [name]
    assert raised.permits_more
    assert not compared(alone, (ceiling("a", "0.05"),), (ceiling("a", "0.02"),)).permits_more
    kept = compared(alone, (ceiling("a", "0.05"), ceiling("b", "0.02")), (ceiling("b", "0.02"),))
    assert (kept.limits, kept.permits_more) == ((), False)


def test_a_tag_value_that_is_newly_declared_is_a_way_round(scenario: Scenario) -> None:
    """A request with a value that nobody had declared was refused; now no policy asks about it."""
    scoped = replace(NO_CN, applies_to={"data_class": frozenset({"personal", "public"})})
    assert not compared(scenario, (scoped,), (scoped,)).permits_more
    found = compared(scenario, (scoped,), (scoped,), data_class=frozenset({"personal", "public", "other"}))
    assert {each.before[0].rule for each in found.of(Turn.NEWLY_PERMITTED)} <= {"tags"}
    assert found.wider == ("tag `data_class: (any other)` is not declared",)
    assert not found.is_proved
    rows = compared(scenario, (), (), data_class=frozenset({"personal", "public", "other"}))
    assert (rows.turned, rows.wider) == ((), ())


def test_a_candidate_that_is_added_or_taken_away_turns(scenario: Scenario) -> None:
    """Who was no candidate was refused by the route; a route that is gone refuses everybody it had."""
    old = side(scenario, (), scenario.world)
    empty = Side({}, scenario.world, DECLARED)
    for found, turn in (
        (difference(old, empty, TODAY), Turn.NEWLY_REFUSED),
        (difference(empty, old, TODAY), Turn.NEWLY_PERMITTED),
    ):
        assert {each.turn for each in found.turned} <= {turn, Turn.OTHER_REASONS}
        assert {each.deployment for each in found.turned} == set(scenario.route.candidates)
        assert found.is_proved is (turn is Turn.NEWLY_REFUSED)


def test_a_share_cap_is_compared_by_value(scenario: Scenario) -> None:
    """It refuses no deployment, so a higher one would not show in any verdict."""

    def cap(share: str) -> Policy:
        return replace(NO_CN, rules=(*NO_CN.rules, RuleSpec("vendors.share", at_most=Decimal(share))))

    assert compared(scenario, (cap("0.6"),), (cap("0.8"),)).permits_more
    assert not compared(scenario, (cap("0.6"),), (cap("0.6"),)).permits_more
    assert not any(each.is_looser for each in compared(scenario, (cap("0.8"),), (cap("0.6"),)).assertions)
