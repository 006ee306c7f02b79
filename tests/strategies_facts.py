"""Small, nasty worlds for the property tests: every fact state, dangling and circular references, dates around one day.

A world has a level of dirt: at 0 every fact is known from a good source and only values decide, so that both answers of
each rule are common; above it more and more facts are missing, withheld or badly sourced. The first element of every
pool is the tamest one, so a failing example shrinks towards a clean world.
"""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from hypothesis import strategies as st

from modelrouter.core.bounds import BoundBasis, Overhead
from modelrouter.core.facts import (
    GLOBAL,
    SELF,
    Agreement,
    Caller,
    Condition,
    ConditionKind,
    Confidence,
    Deployment,
    Fact,
    Grade,
    Hosting,
    Licence,
    Link,
    LinkRole,
    Listing,
    Model,
    Openness,
    Organisation,
    Source,
    State,
    Terms,
    Training,
    World,
)
from modelrouter.core.pricing import PriceList
from tests.strategies_rules import LISTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["GHOST", "NEAR_DAYS", "TODAY", "WorldMaker", "subsets"]

T = TypeVar("T")

TODAY: Final = date(2026, 11, 22)
"""The day on which generated worlds are judged."""

GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "EU": frozenset({"DE", "FR"}),
    "EEA": frozenset({"DE", "FR", "NO"}),
}
COUNTRIES: Final = ("DE", "FR", "US", "NO", "CN", "HK")
GHOST: Final = "ghost"
"""An id that no table holds."""
NEAR_DAYS: Final = tuple(TODAY + timedelta(days=days) for days in (30, 1, 0, -1, -30, 200))
CHECKED_DAYS: Final = tuple(TODAY - timedelta(days=days) for days in (0, 1, 29, 30, 31, 90, 364))

CLEAN_SOURCES: Final = tuple(
    Source(f"ref {number}", checked_on=day, confidence=confidence, grade=grade)
    for number, (day, confidence, grade) in enumerate(
        zip(
            (*CHECKED_DAYS, CHECKED_DAYS[0]),
            itertools.cycle((Confidence.HIGH, Confidence.HIGH, Confidence.MEDIUM)),
            itertools.cycle((Grade.CONTRACTUAL, Grade.TECHNICAL)),
            strict=False,
        )
    )
)
POOR_SOURCES: Final = (
    Source("a bare reference"),
    Source("somebody said", checked_on=TODAY, confidence=Confidence.LOW, grade=Grade.CONTRACTUAL),
    Source("a web page", checked_on=TODAY - timedelta(days=400), confidence=Confidence.MEDIUM, grade=Grade.ASSERTED),
    Source("an undated contract", confidence=Confidence.HIGH, grade=Grade.CONTRACTUAL),
)
Mood = tuple[State, Source]
CLEAN_MOODS: Final[tuple[Mood, ...]] = tuple((State.KNOWN, source) for source in CLEAN_SOURCES)
POOR_MOODS: Final[tuple[Mood, ...]] = (
    *((State.KNOWN, source) for source in POOR_SOURCES),
    (State.UNKNOWN, CLEAN_SOURCES[0]),
    (State.UNDISCLOSED, CLEAN_SOURCES[1]),
    (State.UNDISCLOSED, POOR_SOURCES[1]),
    (State.NONE, CLEAN_SOURCES[2]),
)
MOODS: Final = (CLEAN_MOODS, CLEAN_MOODS * 9 + POOR_MOODS, CLEAN_MOODS * 2 + POOR_MOODS)

ATTESTATIONS: Final = ("c5", "hds")
CAPABILITIES: Final = ("tools", "vision", "json_schema")
METRICS: Final = ("monthly_active_users", "yearly_revenue_usd")
LICENCE_IDS: Final = ("lic-a", "lic-b", "lic-c")
PLACES: Final = tuple(
    frozenset(names)
    for names in (("DE",), ("EU",), ("DE", "FR"), ("EEA",), ("US",), ("EU", "US"), ("CN",), (GLOBAL,), ("DE", GLOBAL))
)
PRICES: Final = tuple(
    PriceList(
        Decimal(fresh), Decimal(output), cached, reasoning, Decimal(fee), free=free, cache_write_usd_per_mtok=written
    )
    for fresh, output, cached, reasoning, fee, free, written in (
        ("1", "2", None, None, "0", False, None),
        ("1", "2", Decimal("0.1"), None, "0", False, None),
        ("0.5", "0.333333", None, Decimal(3), "0.00001", False, None),
        ("3", "15", Decimal("0.3"), Decimal(15), "0", False, Decimal("3.75")),
        ("3", "15", Decimal("3.5"), None, "0", False, None),
        ("0", "0", None, None, "0", True, None),
        ("0", "0", None, None, "0", False, None),
        ("0", "1", None, None, "0", False, None),
        ("1", "0", None, None, "0", False, None),
        ("0", "0", None, None, "0.0001", False, None),
    )
)


def subsets(names: Sequence[str], most: int) -> tuple[frozenset[str], ...]:
    """All subsets with at most so many members, smallest first."""
    sizes = range(min(most, len(names)) + 1)
    return tuple(frozenset(chosen) for size in sizes for chosen in itertools.combinations(names, size))


@cache
def _index(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, size - 1)


class WorldMaker:
    """Draws the parts of one scenario."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.moods = self.pick(MOODS)

    def pick(self, pool: Sequence[T]) -> T:
        """One of a pool, by its index: a strategy of a few whole numbers is built once, one of a pool each time."""
        return pool[self.draw(_index(len(pool)))]

    def count(self, least: int, most: int) -> int:
        """A number from a range."""
        return self.pick(range(least, most + 1))

    def rarely(self) -> bool:
        """One in eight."""
        return self.pick((False,) * 7 + (True,))

    def fact(self, value: T) -> Fact[T]:
        """A fact that is known to have this value, or is spoiled."""
        state, source = self.pick(self.moods)
        return _fact(state, value, source)

    def fact_or_none(self, value: T | None) -> Fact[T]:
        """The same for facts that may truly be none."""
        state, source = self.pick(self.moods)
        if value is None:
            return _fact(State.NONE if state is State.KNOWN else state, None, source)
        return _fact(state, value, source)

    # --- organisations, licences, models ------------------------------------------------------------------------

    def organisation(self, name: str, names: Sequence[str]) -> Organisation:
        """An organisation whose parent may be none, another one, itself, or in no table.

        Its own terms stay unknown: each link of a deployment carries those that hold there, and only they count.

        """
        parent = self.pick((None, None, None, *names, GHOST))
        state, source = self.pick(self.moods)
        entries: tuple[Listing, ...] = ()
        if self.pick((False, False, True)):
            entries = tuple(self.listing(source) for _ in range(self.count(1, 2)))
        listed = State.NONE if state is State.KNOWN and not entries else state
        return Organisation(
            id=name,
            name=name,
            country=self.fact(self.pick(COUNTRIES)),
            parent=self.fact_or_none(parent),
            lists=_fact(listed, entries, source),
            attestations=self.fact(self.pick(subsets(ATTESTATIONS, 2)[::-1])),
        )

    def listing(self, source: Source) -> Listing:
        """An entry from the same source as the list it stands in, so that nothing hangs on which of both is asked."""
        since = self.pick((None, *NEAR_DAYS))
        until = self.pick((None, *NEAR_DAYS))
        return Listing(self.pick(LISTS), since, until, source)

    def terms(self) -> Terms:
        """The data terms of one link."""
        storage = self.pick((None, *PLACES))
        return Terms(
            processing=self.fact(self.pick(PLACES)),
            storage=self.fact_or_none(storage),
            training=self.fact(self.pick((Training.NEVER, Training.NEVER, Training.OPT_OUT, Training.USED))),
            retention_days=self.fact(self.pick((0, 30, 31))),
        )

    def condition(self) -> Condition:
        """One condition of a licence, its thresholds around the caller's numbers."""
        kind = self.pick(tuple(ConditionKind))
        if kind.value.startswith("threshold"):
            return Condition(kind, "a duty", metric=self.pick(METRICS), value=self.pick((100, 99, 101)))
        territory = self.pick((frozenset({"CN"}), frozenset({"EU"}), frozenset({"DE", "US"})))
        return Condition(kind, "a duty", territory=territory if kind is ConditionKind.TERRITORY else frozenset())

    def licence(self, name: str) -> Licence:
        """A licence with no, one or two conditions."""
        conditions = tuple(self.condition() for _ in range(self.pick((0, 0, 1, 2))))
        return Licence(
            id=name,
            spdx=name.upper(),
            name=name,
            commercial_use=self.fact(self.pick((True, True, True, False))),
            conditions=self.fact_or_none(conditions or None),
            reaches_hosted_use=self.rarely(),
        )

    def model(self, name: str, models: Sequence[str], organisations: Sequence[str]) -> Model:
        """A model with ancestors that may be itself, each other, or in no table."""
        ancestors = (None, None, None, *(group for group in subsets((*models, GHOST), 2) if group))
        developer = self.pick((*organisations, *organisations, SELF, GHOST))
        # Our own weights are under nobody's conditions but our ancestors': the contract does not say more.
        licence = "lic-own" if developer == SELF else self.pick((*LICENCE_IDS, *LICENCE_IDS, GHOST))
        return Model(
            id=name,
            name=name,
            developer=self.fact(developer),
            licence=self.fact(licence),
            openness=self.fact(self.pick((Openness.OPEN_WEIGHTS, Openness.CLOSED, Openness.OPEN_SOURCE))),
            derived_from=self.fact_or_none(self.pick(ancestors)),
            distilled_from=self.fact_or_none(self.pick(ancestors)),
            lineage_claim=self.fact_or_none(self.pick(ancestors)),
            context_tokens=self.fact(self.pick((8000, 4000))),
            pinned=self.fact(self.pick((True, False))),
            retires_on=self.retirement(),
            capabilities=self.fact(self.pick(subsets(CAPABILITIES, 3)[::-1])),
        )

    def retirement(self) -> Fact[date]:
        """A last day, or nothing known of one."""
        day = self.pick((None, None, None, None, *NEAR_DAYS))
        return Fact.unknown() if day is None else self.fact(day)

    # --- deployments --------------------------------------------------------------------------------------------

    def deployment(self, name: str, models: Sequence[str], organisations: Sequence[str]) -> Deployment:
        """A deployment with a chain of one to four links."""
        operators = (*organisations, *organisations, SELF, GHOST)
        roles = self.pick(((), (), (LinkRole.VIA,), (LinkRole.SUBPROCESSOR,), (LinkRole.RUNS_ON,), tuple(LinkRole)[1:]))
        chain = [Link(role, self.pick(operators), self.terms()) for role in (LinkRole.OPERATOR, *roles)]
        return Deployment(
            id=name,
            model=self.pick(models),
            chain=tuple(chain),
            hosting=self.pick(tuple(Hosting)),
            price=self.fact(self.pick(PRICES)),
            chain_complete=self.fact(not self.rarely()),
            context_tokens=self.fact(self.pick((8000, 4000, 2000))),
            capabilities=self.fact(self.pick(subsets(CAPABILITIES, 3)[::-1])),
            quantization=self.fact(self.pick(("bf16", "fp8", "q4"))),
            pinned=self.fact(self.pick((True, True, False))),
            retires_on=self.retirement(),
            bound_basis=self.fact(self.pick((BoundBasis.DOCUMENTED, BoundBasis.PROVED, BoundBasis.WINDOW))),
            overhead=self.pick((Overhead(), Overhead(0, 0, 0, 1))),
            parameters=self.pick((None, None, frozenset({"seed", "temperature"}), frozenset({"temperature"}))),
            quality=self.fact(self.pick((Decimal(1), Decimal(2)))),
        )

    def caller(self, organisations: Sequence[str]) -> Caller:
        """A caller with up to five papers."""
        partners = (*organisations, GHOST)
        agreements = tuple(
            Agreement(self.pick(("dpa", "licence")), self.pick(partners), expires=self.pick((None, *NEAR_DAYS)))
            for _ in range(self.count(0, 5))
        )
        metrics = {metric: amount for metric in METRICS if (amount := self.pick((100, 50, 1000, None))) is not None}
        country = self.pick(("DE", "US", "CN"))
        return Caller(
            name="caller",
            country=self.fact(country),
            parent_country=self.fact(self.pick((country, country, "CN"))),
            metrics=metrics,
            agreements=agreements,
        )

    def world(self) -> World:
        """All tables."""
        organisations = tuple(f"o{number}" for number in range(1, self.count(1, 6) + 1))
        models = tuple(f"m{number}" for number in range(1, self.count(1, 5) + 1))
        deployments = tuple(f"d{number}" for number in range(1, self.count(1, 6) + 1))
        own = Licence("lic-own", "LicenseRef-own", "own", *_own_terms())
        return World(
            organisations={name: self.organisation(name, organisations) for name in organisations},
            licences={"lic-own": own, **{name: self.licence(name) for name in LICENCE_IDS}},
            models={name: self.model(name, models, organisations) for name in models},
            deployments={name: self.deployment(name, models, organisations) for name in deployments},
            groups=GROUPS,
            caller=self.caller(organisations),
            epoch="generated",
        )


def _fact(state: State, value: T | None, source: Source) -> Fact[T]:
    if state is State.UNKNOWN:
        return Fact.unknown()
    return Fact(state, value if state is State.KNOWN else None, source)


def _own_terms() -> tuple[Fact[bool], Fact[tuple[Condition, ...]]]:
    return Fact.known(True, CLEAN_SOURCES[0]), Fact.none(CLEAN_SOURCES[0])
