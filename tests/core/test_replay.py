"""Replay over generated worlds: what did not change changes nothing, and stricter never permits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.decision import decide, layers_for
from modelrouter.core.decision_record import Recorded
from modelrouter.core.grounds import Grounds
from modelrouter.core.grounds_text import grounds_from, text_of
from modelrouter.core.policy import Layer, Level
from modelrouter.core.pricing import Usage
from modelrouter.core.replay import NO_CANDIDATE, Change, Past, Regime, compare
from modelrouter.core.replay_sums import Tally
from tests.strategies import everyday, policies, scenarios

if TYPE_CHECKING:
    from modelrouter.core.policy import Policy
    from tests.strategies import Scenario


def grounds_of(scenario: Scenario) -> Grounds:
    """A scenario's grounds, all its policies on its route."""
    layers = tuple(Layer(policy, level) for policy, level in scenario.policies)
    return Grounds(scenario.world, {"route": replace(scenario.route, layers=layers)})


def past_of(scenario: Scenario, grounds: Grounds, failed: int) -> Past:
    """The request as it went when so many of those that were permitted failed."""
    request, route = scenario.request, grounds.routes["route"]
    layers = layers_for(request.tags, route.layers)
    order = tuple(each.deployment for each in decide(request, route, layers, grounds.world, scenario.moment).permitted)
    answered = next(iter(order[failed:]), "")
    price = grounds.world.deployments[answered].price.value if answered else None
    usage = Usage(100, 20)
    cost = price.cost_nano_usd(usage) if price is not None else 0
    return Past(
        Recorded("", request, scenario.moment, ""),
        order,
        answered=answered,
        cost_nano_usd=cost,
        answer_nano_usd=cost,
        usage=usage if answered else None,
        price="" if price is None else price.digest,
    )


@everyday(50)
@given(scenarios(), st.integers(0, 3))
def test_what_did_not_change_changes_nothing(scenario: Scenario, failed: int) -> None:
    """Whoever failed, under the same grounds read back from their text: the same choice at the same cost."""
    grounds = grounds_of(scenario)
    past = past_of(scenario, grounds, failed)
    found = compare(past, Regime(grounds_from(text_of(grounds))))
    assert found.change is (Change.SAME if past.order else Change.STILL_REFUSED)
    assert (found.lost, found.gained) == ((), ())
    assert found.cost_nano_usd == past.cost_nano_usd
    tally = Tally()
    tally.add(past, found)
    assert (tally.differences, tally.groups, tally.deserted) == (0, {}, [])


@everyday(50)
@given(scenarios(), policies("one-more", ("d1", "d2")), st.sampled_from(Level), st.integers(0, 3))
def test_another_policy_never_permits(scenario: Scenario, policy: Policy, level: Level, failed: int) -> None:
    """Adding a layer only takes candidates away, and each that is lost names a rule of the new policy."""
    grounds = grounds_of(scenario)
    past = past_of(scenario, grounds, failed)
    route = grounds.routes["route"]
    stricter = replace(grounds, routes={"route": replace(route, layers=(*route.layers, Layer(policy, level)))})
    found = compare(past, Regime(stricter))
    assert found.change is not Change.NEWLY_PERMITTED
    assert found.gained == ()
    known = {"one-more", *(each.name for each, _ in scenario.policies)}
    assert {rule.partition("/")[0] for _, rule in found.lost} <= known
    if found.change is Change.NEWLY_REFUSED:
        assert {name for name, _ in found.lost} == set(past.order)
    if found.change is Change.MOVED:
        assert found.after in past.order
        assert found.before in {name for name, _ in found.lost}


@everyday(30)
@given(scenarios())
def test_a_deployment_that_is_gone_is_no_candidate(scenario: Scenario) -> None:
    """A route without one of its deployments loses it, and says so."""
    grounds = grounds_of(scenario)
    past = past_of(scenario, grounds, 0)
    route = grounds.routes["route"]
    gone = past.answered
    tries = tuple(
        replace(step, weights=left)
        for step in route.tries
        if (left := {name: weight for name, weight in step.weights.items() if name != gone})
    )
    found = compare(past, Regime(replace(grounds, routes={"route": replace(route, tries=tries)})))
    if gone:
        assert found.why == NO_CANDIDATE
        assert (gone, NO_CANDIDATE) in found.lost
        assert found.after != gone
    missing = compare(past, Regime(replace(grounds, routes={})))
    assert (missing.change, missing.why) == (Change.GONE, "there is no route `route`")
