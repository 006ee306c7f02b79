"""The situations of a route are those that its policies can tell apart, no more and no fewer."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.policy import Layer, Level, Policy
from modelrouter.core.situations import OTHER, situations
from modelrouter.core.verdict import layers_for
from tests.strategies import everyday, policies

if TYPE_CHECKING:
    from collections.abc import Mapping

DECLARED: Final[Mapping[str, frozenset[str] | None]] = {"data_class": frozenset({"personal", "public"}), "team": None}
VALUES: Final = {"data_class": (None, "personal", "public"), "team": (None, "a", "b")}


def shape(layers: tuple[Layer, ...]) -> tuple[tuple[str, bool], ...]:
    """What of layers can make a difference: which bind, and whether waivers that exist are awake."""
    return tuple((layer.policy.name, layer.waivers_active or not layer.policy.waivers) for layer in layers)


@everyday(200)
@given(policies("p0", ("d1",)), policies("p1", ("d1", "d2")), policies("p2", ("d2",)))
def test_situations_are_those_of_all_tags(one: Policy, two: Policy, three: Policy) -> None:
    """Trying every combination of tags finds the same sets of layers."""
    layers = tuple(Layer(policy, Level.ROUTE) for policy in (one, two, three))
    tried = set()
    for values in product(*VALUES.values()):
        tags = {name: value for name, value in zip(VALUES, values, strict=True) if value is not None}
        tried.add(shape(layers_for(tags, layers)))
    found = [shape(each.layers) for each in situations(layers, DECLARED)]
    assert set(found) == tried
    assert len(found) == len(tried)


@everyday(100)
@given(policies("p0", ("d1",)), st.sampled_from(Level))
def test_the_example_of_tags_leads_to_the_layers(policy: Policy, level: Level) -> None:
    """Whoever sends the tags of a situation gets its layers."""
    layers = (Layer(policy, level),)
    for each in situations(layers, DECLARED):
        assert shape(layers_for(each.tags, layers)) == shape(each.layers)


def test_a_request_without_tags_comes_first_and_a_value_that_nobody_may_send_is_none() -> None:
    """A declared tag takes its values only; one that takes any text may have a value that no policy names."""
    policy = Policy("p", (), applies_to={"team": frozenset({"blue"})})
    layers = (Layer(policy, Level.CONFIG),)
    assert [dict(each.tags) for each in situations(layers, {"team": None})] == [{}, {"team": OTHER}]
    assert [dict(each.tags) for each in situations(layers, {"team": frozenset({"blue"})})] == [{}]
