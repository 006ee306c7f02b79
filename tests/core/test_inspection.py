"""Findings raise tags and never loosen: whatever is found, no candidate is added."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.decision import decide, layers_for
from modelrouter.core.inspection import Inspected, Ladder, raised_tags
from modelrouter.core.policy import Layer, Level, Policy
from tests.strategies import everyday, scenarios

if TYPE_CHECKING:
    from tests.strategies import Scenario

LADDERS = {
    "data_class": Ladder(("public", "personal", "secret"), {"iban": "personal", "api_key": "secret"}),
    "risk": Ladder(("low", "high"), {"api_key": "high"}),
}


def test_tags_are_added_and_raised() -> None:
    """A tag that is not there is added, a lower one raised, an equal or higher one left as it is."""
    assert raised_tags({}, LADDERS, {"iban": 2}) == {"data_class": "personal"}
    assert raised_tags({"data_class": "public"}, LADDERS, {"iban": 1}) == {"data_class": "personal"}
    assert raised_tags({"data_class": "personal"}, LADDERS, {"iban": 1}) == {}
    assert raised_tags({"data_class": "secret", "risk": "low"}, LADDERS, {"iban": 1, "api_key": 1}) == {"risk": "high"}
    assert raised_tags({"data_class": "public"}, LADDERS, {}) == {}
    assert raised_tags({"data_class": "public"}, LADDERS, {"phone": 1}) == {}


@given(
    st.dictionaries(st.sampled_from(["data_class", "risk", "team"]), st.sampled_from(["public", "secret", "low", "x"])),
    st.dictionaries(st.sampled_from(["iban", "api_key", "phone"]), st.integers(1, 3)),
)
def test_no_tag_is_lowered(tags: dict[str, str], found: dict[str, int]) -> None:
    """Only declared tags change, and only upwards; findings more only raise more."""
    raised = raised_tags(tags, LADDERS, found)
    for tag, value in raised.items():
        values = LADDERS[tag].values
        assert tags.get(tag) not in values or values.index(value) > values.index(tags[tag])
    more = raised_tags(tags, LADDERS, {**found, "api_key": 1})
    for tag, value in raised.items():
        assert LADDERS[tag].values.index(more[tag]) >= LADDERS[tag].values.index(value)


def decided(scenario: Scenario, raised: dict[str, str]) -> set[str]:
    """Who may serve, given what inspection raised."""
    request = replace(scenario.request, inspected=Inspected({"api_key": 1} if raised else {}, raised))
    layers = layers_for(
        request.tags, tuple(Layer(policy, level) for policy, level in scenario.policies), request.inspected.raised
    )
    decision = decide(request, scenario.route, layers, scenario.world, scenario.moment)
    return {candidate.deployment for candidate in decision.permitted}


@given(
    scenarios(),
    st.dictionaries(st.sampled_from(["data_class", "team"]), st.sampled_from(["personal", "public", "a", "b", "new"])),
)
@everyday(150)
def test_inspecting_never_adds_a_candidate(scenario: Scenario, raised: dict[str, str]) -> None:
    """Over generated worlds and policies with waivers: whatever is raised to whatever, the permitted only get fewer."""
    assert decided(scenario, raised) <= decided(scenario, {})


def test_a_raised_tag_binds_beside_the_old_one() -> None:
    """A policy for the lower value goes on to hold, one for the higher joins it, one for others stays away."""
    tags = {name: Policy(name, (), applies_to={"data_class": frozenset({name})}) for name in ("public", "secret", "x")}
    layers = tuple(Layer(policy, Level.CONFIG) for policy in tags.values())
    bound = layers_for({"data_class": "public"}, layers, {"data_class": "secret"})
    assert [layer.policy.name for layer in bound] == ["public", "secret"]
    assert [layer.policy.name for layer in layers_for({"data_class": "public"}, layers)] == ["public"]


def test_a_tag_that_inspection_adds_wakes_no_waiver() -> None:
    """With the tag missing its policies bind without their waivers, and so they do when a finding fills it in."""
    policy = Policy("p", (), applies_to={"data_class": frozenset({"secret"})})
    (layer,) = layers_for({}, (Layer(policy, Level.CONFIG),), {"data_class": "secret"})
    assert not layer.waivers_active
    (layer,) = layers_for({"data_class": "public"}, (Layer(policy, Level.CONFIG),), {"data_class": "secret"})
    assert layer.waivers_active
