"""The auditor's own telling of windows and scopes agrees with the rule that admits."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.budget import Budget, Spending, Window, charges, period_us, span_us
from modelrouter.ledger.audit.windows import definitions_of, subject_of

ZONES = (
    "UTC",
    "Africa/Cairo",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
)
NAMES = ("", "route", "policy", "deployment", "operator", "developer", "tag.team", "tag.user")
VALUES = st.sampled_from(["", "a", "b", "c"])
MOMENTS = st.integers(946_684_800_000_000, 2_500_000_000_000_000)


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    """Any budget."""
    window = draw(st.sampled_from(Window))
    zone = draw(st.sampled_from(ZONES))
    return Budget(
        name=draw(st.sampled_from(["month", "team"])),
        limit_nano_usd=draw(st.integers(0, 2**60)),
        window=window,
        length_s=draw(st.integers(1, 40_000_000)) if window is Window.ROLLING else 0,
        zone=ZoneInfo(zone),
        zone_name=zone,
        each=draw(st.sampled_from(NAMES)),
        only={
            name: frozenset(values)
            for name, values in draw(
                st.dictionaries(st.sampled_from(NAMES[1:]), st.sets(VALUES, min_size=1), max_size=3)
            ).items()
        },
    )


@given(budget=budgets(), moments=st.lists(MOMENTS, min_size=1, max_size=20))
def test_periods_are_those_of_the_admission_rule(budget: Budget, moments: list[int]) -> None:
    """For any window, zone and moment: the same account, and the same first account that counts."""
    [definition] = definitions_of(f"[{budget.definition}]")
    assert definition.text == budget.definition
    assert definition.shape.text == budget.shape
    for at_us in moments:
        assert definition.shape.start_us(at_us) == period_us(budget, at_us)[0]
        assert definition.shape.counts_from_us(at_us) == span_us(budget, at_us)[0]


@given(
    budget=budgets(),
    names=st.tuples(VALUES, VALUES, VALUES, VALUES),
    policies=st.lists(VALUES, max_size=3),
    tags=st.dictionaries(st.sampled_from(["team", "user"]), VALUES),
)
def test_scopes_are_those_of_the_admission_rule(
    budget: Budget, names: tuple[str, str, str, str], policies: list[str], tags: dict[str, str]
) -> None:
    """For any attempt: the same scopes, in the same order."""
    route, deployment, operator, developer = names
    [definition] = definitions_of(f"[{budget.definition}]")
    subject = subject_of(
        route=route,
        policies=json.dumps(policies),
        tags=json.dumps(tags),
        deployment=deployment,
        operator=operator,
        developer=developer,
    )
    spending = Spending(route, tuple(policies), deployment, operator, developer, tags)
    assert definition.shape.scopes(subject) == tuple(scope for _, scope in charges([budget], spending))


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[1]", '[{"name":"a"}]', '[{"name":"a","limit_nano_usd":1,"shape":{"window":"year"}}]'],
)
def test_what_is_no_list_of_budgets_is_said_so(content: str | None) -> None:
    """Any other content is one kind of error, for the auditor to report."""
    with pytest.raises(ValueError, match=r"budgets|window|Expecting"):
        definitions_of(content)
