"""What a decision says of itself, over generated worlds: refusals told, sums that add up, ways that lead out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given

from modelrouter.core.decision import decide
from modelrouter.core.explanation import nearest
from modelrouter.core.policy import Layer, Outcome, Waiver
from modelrouter.core.request import Needs
from tests.core.test_decision_properties import IMPLICIT, decided, layers_of, permitted
from tests.strategies import TODAY, everyday, scenarios

if TYPE_CHECKING:
    from modelrouter.core.decision import Decision
    from modelrouter.core.verdict import Verdict
    from tests.strategies import Scenario


@everyday(125)
@given(scenarios())
def test_each_candidate_is_permitted_or_refused_with_a_reason(scenario: Scenario) -> None:
    """Nobody is both, nobody is forgotten, and a refusal names its rule, its reason and a way out."""
    decision = decided(scenario)
    assert sorted(decision.considered) == sorted(scenario.world.deployments)
    for name in decision.considered:
        refusals = decision.refusals(name)
        assert (name in permitted(decision)) == (not refusals)
        assert all(verdict.refuses and verdict.deployment == name for verdict in refusals)
        assert all(verdict.judgement.reason and verdict.judgement.remedy for verdict in refusals)
    for candidate in decision.permitted:
        assert candidate.hop.deployment == candidate.deployment
        assert candidate.expected_nano_usd >= 0


@everyday(125)
@given(scenarios())
def test_the_summary_adds_up(scenario: Scenario) -> None:
    """Permitted and counted refusals together are all candidates, and each refusal counts under its first rule."""
    decision = decided(scenario)
    line = decision.summary()
    head = re.match(r"(\d+) of (\d+) deployments permitted for route route(?:: |\.)", line)
    assert head is not None
    counted = re.findall(r"(?:, |: )(\d+) ([\w.]+) \(", line)
    assert int(head[1]) == len(decision.permitted)
    assert int(head[1]) + sum(int(count) for count, _ in counted) == int(head[2]) == len(decision.considered)
    first = Counter(decision.refusals(name)[0].rule for name in decision.considered if decision.refusals(name))
    by_rule: Counter[str] = Counter()
    for count, rule in counted:
        by_rule[rule] += int(count)
    assert by_rule == first


def relaxed(scenario: Scenario, subject: str, refusals: tuple[Verdict, ...]) -> Decision:
    """The decision with each of these refusals taken back for one deployment, and nothing else."""
    waived: defaultdict[str, list[Waiver]] = defaultdict(list)
    for verdict in refusals:
        rule = f"{verdict.layer}/{verdict.rule}"
        waived[verdict.layer].append(Waiver("W-x", rule, subject, "tested", "tester", TODAY))
    layers = tuple(
        Layer(replace(layer.policy, waivers=(*layer.policy.waivers, *waived[layer.policy.name])), layer.level)
        if layer.policy.name in waived
        else layer
        for layer in layers_of(scenario)
    )
    names = {verdict.layer for verdict in refusals}
    request, route, moment = scenario.request, scenario.route, scenario.moment
    if "request" in names:
        request = replace(request, ceiling_nano_usd=None)
    if "route" in names:
        request, route = replace(request, needs=Needs()), replace(route, needs=Needs())
    if "wire" in names:
        moment = replace(moment, unavailable={})
    if "cut-off" in names:
        moment = replace(moment, revoked={})
    return decide(request, route, layers, scenario.world, moment)


@everyday(200)
@given(scenarios())
def test_the_nearest_way_out_really_admits(scenario: Scenario) -> None:
    """Waiving what stands in the way of the nearest candidate, and no more, admits it; waiving less does not."""
    decision = decided(scenario)
    found = nearest(decision)
    assert (found is None) == (len(decision.permitted) == len(decision.considered))
    if found is None:
        return
    subject, refusals = found
    assert len(refusals) == min(len(decision.refusals(name)) for name in decision.considered if decision.refusals(name))
    if any(verdict.layer == "catalog" for verdict in refusals):
        return  # what a missing price or window would allow cannot be said before it is there
    assert subject in permitted(relaxed(scenario, subject, refusals))
    for layer in {verdict.layer for verdict in refusals} - IMPLICIT:
        others = tuple(verdict for verdict in refusals if verdict.layer != layer)
        assert subject not in permitted(relaxed(scenario, subject, others))
    if not decision.permitted:
        assert decision.summary().endswith(f"would admit {subject}.")


# --- observation and waivers ------------------------------------------------------------------------------------------


@everyday(100)
@given(scenarios())
def test_an_observed_policy_keeps_nobody_out_and_lets_nobody_in(scenario: Scenario) -> None:
    """What a policy in observe mode says is written down; the decision is the one without it."""
    without = tuple((policy, level) for policy, level in scenario.policies if not policy.observe)
    here, there = decided(scenario), decided(replace(scenario, policies=without))
    assert [each.deployment for each in here.permitted] == [each.deployment for each in there.permitted]
    observed = {policy.name for policy, _ in scenario.policies if policy.observe}
    assert all(verdict.observed == (verdict.layer in observed) for verdict in here.verdicts)


@everyday(100)
@given(scenarios())
def test_every_use_of_a_waiver_is_shown(scenario: Scenario) -> None:
    """Whoever is permitted only through a waiver has it in a verdict, unexpired and for this very rule."""
    decision = decided(scenario)
    bare = tuple((replace(policy, waivers=()), level) for policy, level in scenario.policies)
    gained = permitted(decision) - permitted(decided(replace(scenario, policies=bare)))
    shown = {verdict.deployment for verdict in decision.verdicts if verdict.waiver is not None and not verdict.observed}
    assert gained <= shown
    for verdict in decision.verdicts:
        if verdict.waiver is not None:
            assert verdict.waiver.rule == f"{verdict.layer}/{verdict.rule}"
            assert verdict.waiver.subject == verdict.deployment
            assert verdict.waiver.expires >= TODAY
            assert verdict.judgement.outcome is not Outcome.PERMITTED
