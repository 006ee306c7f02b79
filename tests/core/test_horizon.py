"""What dates will change equals an oracle that asks every day under all tags; each kind of date turns on its day."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from modelrouter.core.bounds import BoundBasis, Size
from modelrouter.core.facts import Confidence, Fact, Listing, Source, World
from modelrouter.core.horizon import horizon_of
from modelrouter.core.policy import Layer, Level, Policy, RuleSpec, Waiver
from modelrouter.core.pricing import PriceChange, PriceList
from modelrouter.core.provenance import PriceReference
from modelrouter.core.request import Needs, Request
from modelrouter.core.route import Moment, Route, Try
from tests.core.rules.world import (
    CALLER,
    GROUPS,
    LICENCES,
    MISTRAL,
    MODELS,
    ORGANISATIONS,
    fact,
    listing,
    price,
)
from tests.oracle import oracle_decide
from tests.strategies import TODAY, everyday, scenarios
from tests.strategies_rules import LISTS, SPECS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.core.facts import Deployment, Organisation
    from modelrouter.core.horizon import Horizon
    from tests.strategies import Scenario

DECLARED: Final[Mapping[str, frozenset[str] | None]] = {"data_class": frozenset({"personal", "public"}), "team": None}
VALUES: Final = {"data_class": (None, "personal", "public"), "team": (None, "a", "b", "unheard-of")}
TAGS: Final = tuple(
    {name: value for name, value in zip(VALUES, values, strict=True) if value is not None}
    for values in product(*VALUES.values())
)
DATED: Final = (
    "facts.age_days",
    "facts.age_days",
    "facts.age_days",
    "developer.lists",
    "developer.lists",
    "agreements",
)
PRICE: Final = PriceList(Decimal(1), Decimal(2))
PRICED: Final = RuleSpec("price.input_usd_per_mtok", at_most=Decimal(10))
OPEN_ENDED: Final[Fact[date]] = Fact.unknown()
Turn = tuple[date, str, bool]


def ahead(scenario: Scenario, today: date, until: date) -> Horizon:
    """The horizon under test."""
    layers = tuple(Layer(policy, level) for policy, level in scenario.policies)
    route = replace(scenario.route, layers=layers)
    request = replace(scenario.request, tags={})
    return horizon_of({route.name: (route, request)}, scenario.world, DECLARED, today=today, until=until)


def day_by_day(scenario: Scenario, today: date, until: date) -> tuple[set[Turn], set[date]]:
    """Who begins and who stops, and when nobody is left: asked each day, under each combination of tags."""
    turns: set[Turn] = set()
    outages: set[date] = set()
    for tags in TAGS:
        request = replace(scenario.request, tags=tags)
        before: frozenset[str] | None = None
        for day in days(today, until):
            moment = Moment(now_s=datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
            answer = oracle_decide(request, scenario.route, scenario.policies, scenario.world, moment)
            now = frozenset(answer.permitted)
            if before is not None:
                turns |= {(day, name, name in now) for name in before ^ now}
                outages |= {day} if before and not now else set()
            before = now
    return turns, outages


def days(today: date, until: date) -> Iterator[date]:
    """Every day, both ends with them."""
    return (today + timedelta(days=offset) for offset in range((until - today).days + 1))


@st.composite
def dated(draw: st.DrawFn) -> Scenario:
    """A scenario in which much hangs on dates: few other rules, and a known price and last day everywhere."""
    scenario = draw(scenarios())
    world = scenario.world
    offsets = st.integers(0, 120)
    is_about_lists = draw(st.integers(0, 3)) == 0  # everybody is on lists for a while: that is how somebody begins

    def deployment(name: str) -> Deployment:
        source = Source("a page", TODAY - timedelta(days=draw(offsets)), Confidence.HIGH)
        last = Fact.known(TODAY + timedelta(days=draw(offsets) - 40), source) if draw(st.booleans()) else OPEN_ENDED
        return replace(
            world.deployments[name],
            price=Fact.known(PRICE, source),
            retires_on=last,
            bound_basis=Fact.known(BoundBasis.DOCUMENTED, source),
            context_tokens=Fact.known(8000, source),
            parameters=None,
        )

    def organisation(written: Organisation) -> Organisation:
        if not is_about_lists and draw(st.booleans()):
            return written
        source = Source("a gazette", TODAY, Confidence.HIGH)
        until = TODAY + timedelta(days=draw(offsets) // 5)  # from when on it is known to be on none of them
        return replace(written, lists=Fact.known(tuple(Listing(each, None, until, source) for each in LISTS), source))

    def policy(written: Policy) -> Policy:
        keys = ["developer.lists" if is_about_lists else draw(st.sampled_from(DATED))]
        rules = (PRICED, *(draw(st.sampled_from(SPECS[key])) for key in keys))
        waivers = tuple(replace(each, rule=f"{written.name}/{draw(st.sampled_from(keys))}") for each in written.waivers)
        return replace(written, rules=rules, waivers=waivers)

    return replace(
        scenario,
        world=replace(
            world,
            deployments={name: deployment(name) for name in world.deployments},
            organisations={name: organisation(each) for name, each in world.organisations.items()},
        ),
        route=replace(scenario.route, needs=Needs()),
        request=replace(scenario.request, needs=Needs(), size=Size(40, message_count=1), ceiling_nano_usd=None),
        policies=tuple((policy(each), level) for each, level in scenario.policies[:3]),
    )


def equals_the_oracle(scenario: Scenario, today: date, length: int) -> int:
    """The same turns and outages; how many there were."""
    until = today + timedelta(days=length)
    found = ahead(scenario, today, until)
    turns, outages = day_by_day(scenario, today, until)
    assert {(flip.day, flip.deployment, flip.permitted) for flip in found.flips} == turns
    assert {outage.day for outage in found.outages} == outages
    assert list(found.flips) == sorted(found.flips, key=lambda flip: flip.day)
    return len(turns)


@everyday(40)
@given(st.one_of(dated(), dated(), scenarios()), st.integers(-20, 40), st.integers(5, 25))
def test_the_horizon_equals_an_oracle_that_asks_every_day(scenario: Scenario, offset: int, length: int) -> None:
    """Jumping from one day on which a verdict could turn to the next misses nothing and invents nothing."""
    equals_the_oracle(scenario, TODAY + timedelta(days=offset), length)


@pytest.mark.long
@everyday(600)
@given(st.one_of(dated(), scenarios()), st.integers(-40, 360), st.integers(1, 60))
def test_the_horizon_equals_the_oracle_over_many_worlds(scenario: Scenario, offset: int, length: int) -> None:
    """The same over more worlds and longer times."""
    equals_the_oracle(scenario, TODAY + timedelta(days=offset), length)


def test_the_generated_worlds_turn() -> None:
    """The property above would be empty if nothing ever began, stopped or was lost."""
    seen: Counter[object] = Counter()

    @seed(20261129)  # it counts what is generated, so it must not be a matter of luck
    @everyday(200)
    @given(dated())
    def look(scenario: Scenario) -> None:
        found = ahead(scenario, TODAY, TODAY + timedelta(days=25))
        seen.update(flip.permitted for flip in found.flips)
        seen.update("waiver" for flip in found.flips for _ in flip.ended)
        seen.update("tagged" for flip in found.flips if all(flip.tags))
        seen.update("lost" for _ in found.outages)

    look()
    assert min(seen[True], seen[False], seen["waiver"], seen["tagged"], seen["lost"]) > 0, seen


@everyday(60)
@given(dated())
def test_a_flip_says_what_refuses(scenario: Scenario) -> None:
    """Whoever stops is refused by something from that day on, whoever begins was until then; tags are told."""
    for flip in ahead(scenario, TODAY, TODAY + timedelta(days=300)).flips:
        assert flip.refusals
        assert all(verdict.refuses and verdict.deployment == flip.deployment for verdict in flip.refusals)
        assert flip.tags


# --- each kind of date ------------------------------------------------------------------------------------------------

FIRST: Final = date(2026, 11, 29)
LAST: Final = date(2027, 6, 30)
AGED: Final = (RuleSpec("data.training", allow=frozenset({"never"})), RuleSpec("facts.age_days", at_most=90))
NOT_THERE: Final = RuleSpec("developer.country", deny=frozenset({"CN"}))
"""A rule that no date turns."""
UNLISTED: Final = RuleSpec("developer.lists", deny=frozenset({"us-bis-entity-list"}))
KEPT_BRIEFLY: Final = RuleSpec("data.retention_days", at_most=0)
WAIVER: Final = Waiver("W-7", "house/data.retention_days", "mistral", "pending", "dpo", date(2026, 12, 31))
DEARER: Final = replace(price("1", "2"), changes=(PriceChange(date(2027, 1, 1), price("4", "8")),))
READ: Final = PriceReference("a price list", FIRST)


def world_with(mistral: Deployment = MISTRAL, listed: tuple[Listing, ...] = ()) -> World:
    """One deployment; its developer stands on these lists."""
    organisations = {each.id: each for each in ORGANISATIONS}
    organisations["mistral"] = replace(organisations["mistral"], lists=fact(listed))
    models = {each.id: each for each in MODELS}
    licences = {each.id: each for each in LICENCES}
    return World(organisations, licences, models, {"mistral": mistral}, GROUPS, CALLER)


def turns_of(world: World, *rules: RuleSpec, waivers: tuple[Waiver, ...] = (), **policy: Any) -> Horizon:
    """What turns for the one deployment under one policy, from the first day to the last."""
    house = Policy("house", rules, waivers=waivers, **policy)
    route = Route("support", (Try({"mistral": 1}),), (Layer(house, Level.CONFIG),))
    request = Request("support", (), size=Size(1_000_000, message_count=1))
    return horizon_of({"support": (route, request)}, world, {"team": None}, today=FIRST, until=LAST)


def priced(listed: PriceList) -> World:
    """A world in which the deployment has this price."""
    return world_with(replace(MISTRAL, price=fact(listed)))


@pytest.mark.parametrize(
    ("world", "rules", "waivers", "day", "permitted", "reason"),
    [
        (world_with(replace(MISTRAL, retires_on=fact(date(2026, 12, 31)))), (NOT_THERE,), (), date(2027, 1, 1), False,
         "retired 2026-12-31"),
        # checked on 2026-10-01 and good for 90 days: 2026-12-30 is the ninetieth day after
        (world_with(), AGED, (), date(2026, 12, 31), False, "91 days"),
        (world_with(), (KEPT_BRIEFLY,), (WAIVER,), date(2027, 1, 1), False, "30 days"),
        (world_with(), (RuleSpec("agreements", require=frozenset({"dpa"})),), (), date(2027, 5, 2), False,
         "dpa expired"),
        (world_with(listed=listing(date(2027, 1, 15))), (UNLISTED,), (), date(2027, 1, 15), False,
         "us-bis-entity-list"),
        (world_with(listed=listing(None, date(2027, 1, 15))), (UNLISTED,), (), date(2027, 1, 16), True,
         "us-bis-entity-list"),
        (priced(replace(price(), reference=replace(READ, valid_until=date(2026, 12, 15)))), (NOT_THERE,), (),
         date(2026, 12, 16), False, "known until 2026-12-15"),
        (priced(replace(price(), reference=replace(READ, valid_from=date(2026, 12, 10)))), (NOT_THERE,), (),
         date(2026, 12, 10), True, "known from 2026-12-10 on"),
        (priced(DEARER), (RuleSpec("request.cost_usd", at_most=Decimal(2)),), (), date(2027, 1, 1), False, "of $2"),
    ],
    ids=["retirement", "age", "waiver", "agreement", "listed", "unlisted", "price-ends", "price-begins", "dearer"],
)  # fmt: skip
def test_each_kind_of_date_turns_on_its_day(
    world: World, rules: tuple[RuleSpec, ...], waivers: tuple[Waiver, ...], day: date, permitted: bool, reason: str
) -> None:
    """Whatever is valid through a day is over on the next, and the reason is told."""
    found = turns_of(world, *rules, waivers=waivers)
    [flip] = found.flips
    assert (flip.day, flip.deployment, flip.permitted) == (day, "mistral", permitted)
    assert any(reason in verdict.judgement.reason for verdict in flip.refusals)
    assert flip.ended == waivers
    assert [outage.day for outage in found.outages] == ([] if permitted else [day])


def test_where_no_date_counts_nothing_turns() -> None:
    """A rule without dates, and dates behind the last day, turn nothing."""
    late = replace(MISTRAL, retires_on=fact(LAST))  # good through its day
    found = turns_of(world_with(late), RuleSpec("hosting", allow=frozenset({"vendor_api"})))
    assert (found.flips, found.outages) == ((), ())


def test_a_waiver_that_needs_a_tag_is_announced_for_that_tag() -> None:
    """Without the tag the waiver never held, so only a tagged request loses anything."""
    found = turns_of(world_with(), KEPT_BRIEFLY, waivers=(WAIVER,), applies_to={"team": frozenset({"blue"})})
    assert [(flip.day, flip.tags) for flip in found.flips] == [(date(2027, 1, 1), ({"team": "blue"},))]
    assert [outage.tags for outage in found.outages] == [({"team": "blue"},)]
