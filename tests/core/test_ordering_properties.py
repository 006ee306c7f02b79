"""The order among the permitted: steps as listed, shares by weight, sessions that stay, equals that spread."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.bounds import BoundBasis, Size
from modelrouter.core.decision import decide
from modelrouter.core.facts import (
    Confidence,
    Deployment,
    Fact,
    Hosting,
    Link,
    LinkRole,
    Model,
    Openness,
    Source,
    Terms,
    World,
)
from modelrouter.core.pricing import PriceList
from modelrouter.core.request import Request
from modelrouter.core.route import Objective, Route, Try
from tests.core.test_decision_properties import decided
from tests.strategies import TODAY, everyday, moment_on, scenarios

if TYPE_CHECKING:
    from modelrouter.core.route import Moment
    from tests.strategies import Scenario

GOOD = Source("a test", checked_on=TODAY, confidence=Confidence.HIGH)
NAMES = ("a", "b", "c")


def world(prices: tuple[str, ...] = ("1", "1", "1")) -> World:
    """Three deployments of one model that differ only in price and quality."""
    model = Model(
        "m",
        "m",
        Fact.known("o", GOOD),
        Fact.unknown(),
        Fact.known(Openness.CLOSED, GOOD),
        Fact.none(GOOD),
        Fact.none(GOOD),
        Fact.none(GOOD),
    )
    deployments = {
        name: Deployment(
            name,
            "m",
            (Link(LinkRole.OPERATOR, "o", Terms()),),
            Hosting.VENDOR_API,
            Fact.known(PriceList(Decimal(price), Decimal(price)), GOOD),
            bound_basis=Fact.known(BoundBasis.PROVED, GOOD),
            quality=Fact.known(Decimal(quality), GOOD),
        )
        for quality, (name, price) in enumerate(zip(NAMES, prices, strict=True))
    }
    return World({}, {}, {"m": model}, deployments, {})


def order(
    *tries: Try, key: str, session: str | None = None, moment: Moment | None = None, **fields: Objective
) -> list[str]:
    """The order in which the three are tried for a request."""
    request = Request("r", (), size=Size(10), session=session, request_id=key)
    route = Route("r", tries, objective=fields.get("objective", Objective.LISTED))
    decision = decide(request, route, (), world(("3", "1", "2")), moment or moment_on(TODAY))
    return [candidate.deployment for candidate in decision.permitted]


@everyday(180)
@given(scenarios())
def test_the_order_follows_the_objective_and_the_ill_come_last(scenario: Scenario) -> None:
    """Among the healthy and among the ill alike: steps as listed, rising cost or latency, or falling quality."""
    moment, deployments = scenario.moment, scenario.world.deployments
    step_of = {name: place for place, step in enumerate(scenario.route.tries) for name in step.weights}

    def rank(name: str, expected_nano_usd: int) -> float:
        match scenario.route.objective:
            case Objective.LISTED:
                return step_of[name]
            case Objective.COST:
                return expected_nano_usd
            case Objective.LATENCY:
                return (moment.first_token_s if moment.is_stream else moment.latency_s).get(name, 0.0)
            case Objective.QUALITY:
                return -float(deployments[name].quality.value or 0)

    ranks = [
        (each.deployment in moment.unhealthy, rank(each.deployment, each.expected_nano_usd))
        for each in decided(scenario).permitted
    ]
    assert ranks == sorted(ranks)


@everyday(90)
@given(scenarios())
def test_health_load_and_latency_permit_and_refuse_nobody(scenario: Scenario) -> None:
    """Dynamic values order; the pool of an ill world is the pool of a well one."""
    ill = replace(
        scenario.moment,
        unhealthy=dict.fromkeys(scenario.world.deployments, "ill"),
        in_flight={},
        latency_s={},
        seed="other",
    )
    here, there = decided(scenario), decided(replace(scenario, moment=ill))
    assert {each.deployment for each in here.permitted} == {each.deployment for each in there.permitted}


@everyday(60)
@given(scenarios(), st.integers(0, 10**6))
def test_a_decision_is_repeatable_and_a_session_stays(scenario: Scenario, seed: int) -> None:
    """The same values give the same decision; a session's order among equals hangs on no load."""
    assert decided(scenario) == decided(scenario)
    route = replace(
        scenario.route,
        objective=Objective.LISTED,
        tries=tuple(replace(step, equals=True) for step in scenario.route.tries),
    )
    asked = replace(scenario.request, session="s")
    calm = replace(scenario, route=route, request=asked, moment=replace(scenario.moment, in_flight={}))
    busy = replace(calm, moment=replace(scenario.moment, in_flight={"d1": seed}, seed=str(seed)))
    assert [each.deployment for each in decided(calm).permitted] == [
        each.deployment for each in decided(busy).permitted
    ]


def test_a_split_shares_by_weight() -> None:
    """Over three thousand requests the shares are those of the weights, within three standard deviations."""
    split = Try({"a": 70, "b": 20, "c": 10})
    firsts = Counter(order(split, key=f"request {number}")[0] for number in range(3000))
    for name, weight in split.weights.items():
        share = weight / 100
        spread = 3 * (3000 * share * (1 - share)) ** 0.5
        assert abs(firsts[name] - 3000 * share) < spread, firsts


def test_a_sticky_split_keeps_a_session_and_a_plain_one_shares_it() -> None:
    """Stickiness hangs on the session alone; without it each request is drawn anew."""
    sticky, plain = Try({"a": 1, "b": 1}, sticky="session"), Try({"a": 1, "b": 1})
    assert len({order(sticky, key=f"{number}", session="s")[0] for number in range(50)}) == 1
    assert len({order(plain, key=f"{number}", session="s")[0] for number in range(50)}) == 2
    assert len({order(sticky, key="x", session=f"s{number}")[0] for number in range(50)}) == 2


def test_losing_a_member_moves_nobody_else() -> None:
    """Whoever was not on the lost deployment stays where it was."""
    for number in range(200):
        whole = order(Try({"a": 5, "b": 3, "c": 2}), key=f"{number}")
        assert order(Try({"a": 5, "b": 3}), key=f"{number}") == [name for name in whole if name != "c"]


def test_equals_go_to_the_least_busy_and_spread_when_idle() -> None:
    """In-flight calls come first, the hash of the request breaks ties, a session ignores load."""
    equals = Try(dict.fromkeys(NAMES, 1), equals=True)
    busy = moment_on(TODAY, in_flight={"a": 3, "b": 1, "c": 2})
    assert order(equals, key="k", moment=busy) == ["b", "c", "a"]
    assert {order(equals, key=f"{number}")[0] for number in range(60)} == set(NAMES)
    assert order(equals, key="k", session="s", moment=busy) == order(equals, key="other", session="s")


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Objective.LISTED, ["c", "a", "b"]),
        (Objective.COST, ["b", "c", "a"]),
        (Objective.LATENCY, ["b", "a", "c"]),
        (Objective.QUALITY, ["c", "b", "a"]),
    ],
)
def test_an_objective_orders_across_the_steps(objective: Objective, expected: list[str]) -> None:
    """Cost, latency and quality order all the permitted; only the list keeps its own order."""
    steps = [Try({name: 1}) for name in ("c", "a", "b")]
    moment = moment_on(TODAY, latency_s={"a": 0.5, "b": 0.1, "c": 2.0})
    assert order(*steps, key="k", moment=moment, objective=objective) == expected


def test_expected_cost_is_not_the_list_price() -> None:
    """A dearer token may belong to the cheaper answer: what was observed decides."""
    steps = [Try({name: 1}) for name in NAMES]
    terse = moment_on(TODAY, observed_output_tokens={"a": 10.0, "b": 1000.0, "c": 1000.0})
    assert order(*steps, key="k", moment=terse, objective=Objective.COST)[0] == "a"
