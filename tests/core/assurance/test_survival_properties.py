"""The proof over generated worlds: equal to brute force, and decisions that a loss leaves as they were."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from modelrouter.core.assurance import Ground, Loss
from modelrouter.core.bounds import BoundBasis
from modelrouter.core.decision import decide
from modelrouter.core.facts import Confidence, Fact, Openness, Source
from modelrouter.core.policy import Layer
from modelrouter.core.pricing import PriceList
from modelrouter.core.request import Needs
from modelrouter.core.verdict import layers_for
from tests.oracle_survival import SurvivalOracle
from tests.strategies import TODAY, everyday, scenarios

if TYPE_CHECKING:
    from modelrouter.core.decision import Decision
    from modelrouter.core.facts import Deployment
    from tests.strategies import Scenario

RELEASE = 5000
"""Generated worlds of a release; every day sees a tenth of them, from a seed."""
MOST = 2
SURE = Source("a contract", TODAY, Confidence.HIGH)


def decided(scenario: Scenario) -> Decision:
    """The decision before anything is lost."""
    layers = layers_for(scenario.request.tags, tuple(Layer(policy, level) for policy, level in scenario.policies))
    return decide(scenario.request, scenario.route, layers, scenario.world, scenario.moment)


def tamed(deployment: Deployment) -> Deployment:
    """A deployment that nothing but policies refuses."""
    return replace(
        deployment,
        price=Fact.known(PriceList(Decimal(1), Decimal(2)), SURE),
        bound_basis=Fact.known(BoundBasis.DOCUMENTED, SURE),
        retires_on=Fact.unknown(),
        parameters=None,
        chain_complete=Fact.known(True, SURE),
    )


@st.composite
def grounds(draw: st.DrawFn) -> Scenario:
    """Scenarios in which most deployments may serve: the request asks for little, and two policies hold at most.

    Each deployment is tamed or left as it was drawn; so is the ownership of organisations, which is mostly known.
    """
    scenario = draw(scenarios())
    world = scenario.world
    kept = draw(st.integers(0, 2))
    wild = draw(st.sets(st.sampled_from(sorted(world.deployments)), max_size=2))
    unowned = draw(st.sets(st.sampled_from(sorted(world.organisations)), max_size=len(world.organisations)))
    deployments = {name: each if name in wild else tamed(each) for name, each in world.deployments.items()}
    organisations = {
        name: replace(each, parent=Fact.none(SURE)) if name in unowned else each
        for name, each in world.organisations.items()
    }
    ages = {name: replace(each, retires_on=Fact.unknown()) for name, each in world.models.items()}
    return replace(
        scenario,
        world=replace(world, deployments=deployments, organisations=organisations, models=ages),
        request=replace(scenario.request, needs=Needs(), ceiling_nano_usd=None),
        route=replace(scenario.route, needs=Needs()),
        moment=replace(scenario.moment, unavailable={}),
        policies=scenario.policies[:kept],
    )


def equals_brute_force(scenario: Scenario) -> None:
    """After every loss of one vendor and of two the same are left, and the same counterexample is the shortest."""
    oracle = SurvivalOracle(scenario.request, scenario.route, scenario.policies, scenario.world, scenario.moment)
    permitted = [candidate.deployment for candidate in decided(scenario).permitted]
    ground = Ground(scenario.world)
    footing = ground.footing(permitted)
    everybody = ground.footing(scenario.world.deployments).vendors
    told = {(): footing.left(())} | {lost: footing.names(bits) for lost, bits in footing.left_after_each(MOST)}
    for size in range(MOST + 1):
        for lost in combinations(everybody, size):
            left = footing.left(Loss(vendor) for vendor in lost)
            assert set(left) == oracle.survivors(lost), lost
            assert told.get(lost, left) == left
    for most in range(1, MOST + 1):
        assert footing.shortest_counterexample(most) == oracle.shortest_counterexample(most)


@seed(20261129)
@everyday(RELEASE // 10)
@given(grounds())
def test_the_proof_equals_brute_force(scenario: Scenario) -> None:
    """Subtracting from one decision is the same as deciding anew in a world without the lost."""
    equals_brute_force(scenario)


@pytest.mark.long
@pytest.mark.parametrize("part", range(4))
@everyday(RELEASE // 4)
@given(scenario=grounds())
def test_the_proof_equals_brute_force_over_many_worlds(part: int, scenario: Scenario) -> None:
    """The same over five thousand worlds, a quarter at a time."""
    equals_brute_force(scenario)


def test_the_generated_worlds_have_every_answer() -> None:
    """The property above would be empty if losses never left nobody, or always did."""
    seen: Counter[object] = Counter()

    @seed(20261129)  # it counts what is generated, so it must not be a matter of luck
    @everyday(200)
    @given(grounds())
    def look(scenario: Scenario) -> None:
        permitted = [candidate.deployment for candidate in decided(scenario).permitted]
        ground = Ground(scenario.world)
        found = ground.footing(permitted).shortest_counterexample(MOST)
        seen["survives" if found is None else len(found)] += 1
        seen["unproved"] += any(not ground.vendors[name].are_known for name in permitted)
        seen["ours"] += any(not ground.vendors[name].ids for name in permitted)
        openness = {scenario.world.models[scenario.world.deployments[name].model].openness.value for name in permitted}
        seen["closed"] += Openness.CLOSED in openness

    look()
    for answer in (0, 1, 2, "survives", "unproved", "ours", "closed"):
        assert seen[answer] >= 5, f"{answer}: {seen}"


@seed(20261129)
@everyday(200)
@given(scenarios(), st.data())
def test_a_loss_leaves_the_verdicts_of_the_others_as_they_were(scenario: Scenario, data: st.DataObject) -> None:
    """Why it is enough to decide once: without a vendor's deployments the others keep verdicts, bounds and order."""
    ground = Ground(scenario.world)
    vendors = ground.footing(scenario.world.deployments).vendors
    lost = set(data.draw(st.lists(st.sampled_from(vendors), max_size=2, unique=True))) if vendors else set()
    kept = {name for name, found in ground.vendors.items() if lost.isdisjoint(found.ids)}
    steps = [
        replace(step, weights={name: weight for name, weight in step.weights.items() if name in kept})
        for step in scenario.route.tries
    ]
    route = replace(scenario.route, tries=tuple(step for step in steps if step.weights))
    world = replace(
        scenario.world, deployments={name: each for name, each in scenario.world.deployments.items() if name in kept}
    )
    before, after = decided(scenario), decided(replace(scenario, world=world, route=route))
    assert after.permitted == tuple(each for each in before.permitted if each.deployment in kept)
    assert dict(after.rows) == {name: row for name, row in before.rows.items() if name in kept}
    assert after.moment_verdicts == tuple(each for each in before.moment_verdicts if each.deployment in kept)
