"""What routes depend on equals brute force: each vendor taken out of the world, and all decided again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.assurance import dependence
from modelrouter.core.policy import Layer
from modelrouter.core.request import measure, normalise_messages
from tests.core.assurance.test_survival_properties import grounds
from tests.oracle_survival import SurvivalOracle
from tests.strategies import TODAY, everyday, moment_on

if TYPE_CHECKING:
    from tests.strategies import Scenario


@everyday(30)
@given(grounds(), st.one_of(st.just(0), st.integers(0, 15)))
def test_dependence_is_what_survival_says(scenario: Scenario, bits: int) -> None:
    """For each vendor, who is left is what brute force leaves; who is cut off never is; a route without is lost."""
    cut_off = {name for place, name in enumerate(sorted(scenario.world.deployments)) if bits >> place & 1}
    route = replace(scenario.route, layers=tuple(Layer(policy, level) for policy, level in scenario.policies))
    moment = moment_on(TODAY)
    found = dependence({"route": route}, scenario.world, moment.now_s, cut_off)
    size = measure(normalise_messages("?"), {})
    asked = replace(scenario.request, tags={}, max_output_tokens=None, size=size)
    oracle = SurvivalOracle(asked, route, scenario.policies, scenario.world, moment)
    permitted = set(oracle.permitted_without(frozenset())) - cut_off
    assert set(found.permitted["route"]) == permitted
    assert found.nobody == (() if permitted else ("route",))
    for each in found.vendors:
        through = {name for name in permitted if each.vendor in oracle.vendors[name][0]}
        assert {name for reliance in each.reliances for name in reliance.through} == through
        if through:
            survivors = oracle.survivors((each.vendor,)) - cut_off
            assert set(each.reliances[0].left) == survivors
            assert each.lost == (() if survivors else ("route",))
    assert {name for name, _ in found.unproved} == {name for name in permitted if not oracle.vendors[name][1]}
