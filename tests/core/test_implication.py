"""What is proved about two rules holds for every generated deployment, and what people would expect is proved."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from modelrouter.core.facts import World
from modelrouter.core.implication import covers, deny_is_idle, excludes
from modelrouter.core.policy import Layer, Level, Outcome, Policy, RuleSpec
from modelrouter.core.route import Route, Try
from modelrouter.core.verdict import compile_rows
from tests.core.rules.world import GROUPS
from tests.strategies import TODAY, everyday, scenarios
from tests.strategies_rules import KEYS, SPECS

if TYPE_CHECKING:
    from tests.strategies import Scenario

STATIC: Final = tuple(key for key in KEYS if not key.startswith("request."))
READERS: Final = RuleSpec("operator.country", deny=frozenset({"ZZ"}))
"""Stands beside rules about facts, so that there are facts to judge."""
EARTH: Final = World({}, {}, {}, {}, GROUPS)


def rule(key: str, allow: str = "", deny: str = "", **more: object) -> RuleSpec:
    """A rule with its sets as words."""
    return RuleSpec(
        key,
        allow=frozenset(allow.split()) if allow else None,
        deny=frozenset(deny.split()) if deny else None,
        **more,  # type: ignore[arg-type]  # fields of a rule, by name
    )


NARROW: Final = {
    **{
        key: (rule(key, "DE"), rule(key, "US"), rule(key, "EU", "DE"), rule(key, "DE", "EU"), rule(key, "EU", "US"))
        for key in ("developer.country", "operator.country", "processing.country", "storage.country")
    },
    "hosting": (rule("hosting", "self_hosted"), rule("hosting", "managed"), rule("hosting", "vendor_api")),
    "data.training": (rule("data.training", "never"), rule("data.training", "used"), rule("data.training", "opt_out")),
}
"""Rules beside the generated ones: those have much in common, and exclude each other nowhere."""


def outcomes(scenario: Scenario, spec: RuleSpec) -> dict[str, Outcome]:
    """What one rule says of every deployment."""
    layer = Layer(Policy("p", (READERS, spec) if spec.key != READERS.key else (spec,)), Level.CONFIG)
    route = Route("r", (Try(dict.fromkeys(scenario.world.deployments, 1)),))
    rows = compile_rows(scenario.world, (layer,), route, route.needs, TODAY).rows
    return {
        name: next(each.judgement.outcome for each in row.verdicts if each.rule == spec.key)
        for name, row in rows.items()
    }


def pairs() -> st.SearchStrategy[tuple[RuleSpec, RuleSpec]]:
    """Two rules of one key."""

    def of(key: str) -> st.SearchStrategy[RuleSpec]:
        return st.sampled_from((*SPECS[key], *NARROW.get(key, ())))

    def narrow(key: str) -> st.SearchStrategy[tuple[RuleSpec, RuleSpec]]:
        return st.permutations(NARROW[key]).map(lambda rules: (rules[0], rules[1]))

    alike = st.sampled_from((*STATIC, *NARROW)).flatmap(lambda key: st.tuples(of(key), of(key)))
    return st.one_of(alike, alike, st.sampled_from(tuple(NARROW)).flatmap(narrow))


@everyday(200)
@given(scenarios(), pairs())
def test_what_is_proved_is_true_in_every_world(scenario: Scenario, pair: tuple[RuleSpec, RuleSpec]) -> None:
    """Covered: whom the strict one permits, the loose one permits. Excluded: nobody is permitted by both."""
    one, other = pair
    first, second = outcomes(scenario, one), outcomes(scenario, other)
    both = [name for name in first if first[name] is second[name] is Outcome.PERMITTED]
    if covers(one, other, scenario.world):
        assert all(second[name] is Outcome.PERMITTED for name in first if first[name] is Outcome.PERMITTED)
    if excludes(one, other, scenario.world):
        assert both == []
    if deny_is_idle(one, scenario.world):
        allowed = outcomes(scenario, replace(one, deny=None))
        assert {name for name in first if first[name] is Outcome.PERMITTED} == {
            name for name in allowed if allowed[name] is Outcome.PERMITTED
        }


def test_the_generated_pairs_are_proved_and_are_not() -> None:
    """The property above would be empty if nothing were ever proved."""
    seen: Counter[str] = Counter()

    @seed(20261129)  # it counts what is generated, so it must not be a matter of luck
    @everyday(200)
    @given(scenarios(), pairs())
    def look(scenario: Scenario, pair: tuple[RuleSpec, RuleSpec]) -> None:
        proved = pair[0] != pair[1] and covers(*pair, scenario.world)
        seen["covers" if proved else "does not cover"] += 1
        seen["excludes" if excludes(*pair, scenario.world) else "does not exclude"] += 1

    look()
    assert min(seen[each] for each in ("covers", "does not cover", "excludes", "does not exclude")) > 0, seen


@pytest.mark.parametrize(
    ("strict", "loose", "proved"),
    [
        (rule("processing.country", "EU"), rule("processing.country", "EEA"), True),
        (rule("processing.country", "EEA"), rule("processing.country", "EU"), False),
        (rule("processing.country", "EU"), rule("processing.country", deny="CN"), True),
        (rule("processing.country", "EU"), rule("processing.country", deny="FR"), False),
        (rule("processing.country", "EU"), rule("storage.country", "EEA"), False),
        (rule("processing.country", "EU", options={"grade": ("asserted",)}), rule("processing.country", "EEA"), False),
        (rule("operator.id", deny="openai mistral"), rule("operator.id", deny="openai"), True),
        (rule("operator.id", "mistral"), rule("operator.id", deny="openai"), False),  # a parent may be denied
        (rule("operator.country", deny="NORDIC"), rule("operator.country", deny="SE"), True),
        (rule("data.retention_days", at_most=0), rule("data.retention_days", at_most=30), True),
        (rule("data.retention_days", at_most=31), rule("data.retention_days", at_most=30), False),
        (rule("capability.context_tokens", at_least=9), rule("capability.context_tokens", at_least=8), True),
        (rule("agreements", require=frozenset({"dpa", "baa"})), rule("agreements", require=frozenset({"dpa"})), True),
        (rule("agreements", require=frozenset({"dpa"})), rule("agreements", require=frozenset({"baa"})), False),
        (rule("price.request_usd", at_most=Decimal("0.1")), rule("price.request_usd", at_most="0.10"), True),
    ],
)
def test_what_covers_what(strict: RuleSpec, loose: RuleSpec, proved: bool) -> None:
    """Smaller sets and tighter limits cover, where key and parameters are the same."""
    assert covers(strict, loose, EARTH) is proved


@pytest.mark.parametrize(
    ("one", "other", "proved"),
    [
        (rule("processing.country", "EU"), rule("processing.country", "US"), True),
        (rule("processing.country", "EU"), rule("processing.country", "DE US"), False),
        (rule("processing.country", "NORDIC"), rule("processing.country", deny="EU"), True),
        (rule("storage.country", "EU"), rule("storage.country", "US"), False),  # nothing stored is inside both
        (rule("operator.id", "mistral"), rule("operator.id", "openai"), False),  # one may own the other
        (rule("processing.country", deny="EU"), rule("processing.country", deny="US"), False),
        (rule("hosting", "self_hosted"), rule("hosting", "managed"), True),
    ],
)
def test_what_excludes_what(one: RuleSpec, other: RuleSpec, proved: bool) -> None:
    """Sets without a common member exclude each other, where a fact cannot be nothing and has no parents."""
    assert excludes(one, other, EARTH) is proved
    assert excludes(other, one, EARTH) is proved


@pytest.mark.parametrize(
    ("spec", "idle"),
    [
        (rule("operator.country", "EEA", "CN"), True),
        (rule("operator.country", "EEA", "DE"), False),
        (rule("operator.id", "mistral", "openai"), False),
        (rule("operator.country", deny="CN"), False),
    ],
)
def test_a_deny_is_idle_where_allow_says_it_all(spec: RuleSpec, idle: bool) -> None:
    """Only where no allowed member, nor a parent of one, could be denied."""
    assert deny_is_idle(spec, EARTH) is idle
