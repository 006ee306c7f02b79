"""What routes depend on equals brute force: each vendor taken out of the world, and all decided again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given

from modelrouter.core.assurance import dependence
from modelrouter.core.policy import Layer
from modelrouter.core.request import measure, normalise_messages
from tests.core.assurance.test_survival_properties import grounds
from tests.oracle_survival import SurvivalOracle
from tests.strategies import TODAY, everyday, moment_on

if TYPE_CHECKING:
    from tests.strategies import Scenario


@everyday(30)
@given(grounds())
def test_dependence_is_what_survival_says(scenario: Scenario) -> None:
    """For each vendor, who is left is what brute force leaves, and a route is lost where that is nobody."""
    route = replace(scenario.route, layers=tuple(Layer(policy, level) for policy, level in scenario.policies))
    moment = moment_on(TODAY)
    found = dependence({"route": route}, scenario.world, moment.now_s)
    size = measure(normalise_messages("?"), {})
    asked = replace(scenario.request, tags={}, max_output_tokens=None, size=size)
    oracle = SurvivalOracle(asked, route, scenario.policies, scenario.world, moment)
    permitted = oracle.permitted_without(frozenset())
    assert found.nobody == (() if permitted else ("route",))
    for each in found.vendors:
        through = {name for name in permitted if each.vendor in oracle.vendors[name][0]}
        assert {name for reliance in each.reliances for name in reliance.through} == through
        if through:
            survivors = oracle.survivors((each.vendor,))
            assert set(each.reliances[0].left) == survivors
            assert each.lost == (() if survivors else ("route",))
    assert {name for name, _ in found.unproved} == {name for name in permitted if not oracle.vendors[name][1]}
