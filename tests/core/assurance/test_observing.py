"""What an observing policy would have done, counted; and what a decision tells is what it holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.assurance import Told, ToldCall, told_of, watched
from modelrouter.core.assurance.told import Observed, ToldLayer
from modelrouter.core.decision import decide
from modelrouter.core.policy import Layer
from modelrouter.core.verdict import layers_for
from tests.strategies import everyday, scenarios

if TYPE_CHECKING:
    from tests.strategies import Scenario

NAMES: Final = ("a", "b", "c")
POLICY: Final = "watchful"


def call(permitted: str, attempted: str, observed: str, *, digest: str = "d1", observe: bool = True) -> ToldCall:
    """A call by letters; an observed letter in upper case is admitted by a waiver."""
    told = Told(
        (ToldLayer(POLICY, digest, "route", observe),),
        tuple(permitted),
        observed=tuple(
            Observed(each.lower(), POLICY, "operator.country", "W-1" if each.isupper() else "") for each in observed
        ),
    )
    return ToldCall("c", 1_000 + len(permitted), "chat", tuple(attempted), told)


def counted(*calls: ToldCall) -> tuple[int, int, int, int, int]:
    """Bound, refused, nobody left, fewer left, under other versions."""
    watch = watched(calls, {POLICY: "d1"})[POLICY]
    return watch.calls, watch.refused, watch.nobody, watch.fewer, watch.earlier


def test_a_call_is_refused_where_it_was_sent() -> None:
    """Sent there, or with nobody else; whoever was only a fallback makes fewer, and whoever was refused, nothing."""
    assert counted(call("ab", "a", "a")) == (1, 1, 0, 0, 0)
    assert counted(call("ab", "a", "b")) == (1, 0, 0, 1, 0)
    assert counted(call("ab", "ab", "b")) == (1, 1, 0, 0, 0)
    assert counted(call("ab", "a", "ab")) == (1, 1, 1, 0, 0)
    assert counted(call("ab", "a", "c")) == (1, 0, 0, 0, 0)
    assert counted(call("ab", "a", "")) == (1, 0, 0, 0, 0)


def test_a_waiver_would_have_admitted() -> None:
    """What is waived is not refused, and is told as what the waiver did."""
    watch = watched([call("ab", "a", "A"), call("ab", "a", "Ab")], {POLICY: "d1"})[POLICY]
    assert (watch.refused, watch.fewer, watch.waived) == (0, 1, {"W-1": 2})


def test_other_versions_and_enforced_ones_do_not_count() -> None:
    """What another text would have done proves nothing, nor what was enforced; without calls nothing is known."""
    assert counted(call("a", "a", "a", digest="d0"), call("a", "a", "", observe=False)) == (0, 0, 0, 0, 2)
    assert not watched([], {POLICY: "d1"})[POLICY].is_safe
    assert watched([call("a", "a", "")], {POLICY: "d1"})[POLICY].is_safe


LETTERS: Final = st.lists(st.sampled_from(NAMES), unique=True)


@everyday(60)
@given(st.lists(st.tuples(LETTERS.filter(bool), LETTERS, st.integers(1, 3)), max_size=8))
def test_counts_are_those_of_each_call_alone(shapes: list[tuple[list[str], list[str], int]]) -> None:
    """Against sets, call by call; rules are counted by deployment."""
    calls = [call("".join(ok), "".join(ok[:tries]), "".join(bad)) for ok, bad, tries in shapes]
    watch = watched(calls, {POLICY: "d1"})[POLICY]
    expected: Counter[str] = Counter()
    for permitted, bad, tries in shapes:
        sent = set(permitted[:tries])
        expected["refused"] += bool(sent & set(bad))
        expected["nobody"] += set(permitted) <= set(bad)
        expected["fewer"] += bool(set(permitted) & set(bad)) and not sent & set(bad)
    assert (watch.refused, watch.nobody, watch.fewer) == tuple(expected[key] for key in ("refused", "nobody", "fewer"))
    assert sum(each.calls for each in watch.rules.values()) == sum(len(bad) for _, bad, _ in shapes)
    assert watch.is_safe == (bool(shapes) and not expected["refused"] and not expected["nobody"])


@everyday(30)
@given(scenarios())
def test_what_a_decision_tells(scenario: Scenario) -> None:
    """Nobody is told both permitted and refused; enforcing what only observes refuses whom it is told to observe."""
    layers = layers_for(scenario.request.tags, tuple(Layer(policy, level) for policy, level in scenario.policies))
    decision = decide(scenario.request, scenario.route, layers, scenario.world, scenario.moment)
    told = told_of(decision)
    assert set(told.permitted) | set(told.refused) == set(scenario.route.candidates)
    assert set(told.permitted).isdisjoint(told.refused)
    for each in told.layers:
        if not each.observe:
            continue
        strict = tuple(
            replace(layer, policy=replace(layer.policy, observe=False)) if layer.policy.name == each.policy else layer
            for layer in layers
        )
        later = decide(scenario.request, scenario.route, strict, scenario.world, scenario.moment)
        kept_out = {one.deployment for one in told.observed if one.policy == each.policy and not one.waiver}
        assert kept_out.isdisjoint(candidate.deployment for candidate in later.permitted)
