"""What a rule looks at: one deployment in the world, on one day. And the calendar that remembers when to look again."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from modelrouter.core.facts import Caller, Deployment, Model, World
    from modelrouter.core.policy import Judgement, RuleSpec

__all__ = ["Calendar", "Family", "Subject"]

ONE_DAY = timedelta(days=1)


class Calendar:
    """Compares dates, and remembers the first day on which one of those comparisons could turn out otherwise.

    All days are UTC; every date is valid through its day. A compiled verdict is good until `turns_on`.
    """

    __slots__ = ("today", "turns_on")

    def __init__(self, today: date) -> None:
        self.today = today
        self.turns_on: date | None = None

    def has_passed(self, last_day: date) -> bool:
        """Whether a thing valid through `last_day` is over."""
        return last_day < date.max and self._reached(last_day + ONE_DAY)  # the last day there is never passes

    def has_begun(self, first_day: date) -> bool:
        """Whether a thing valid from `first_day` holds already."""
        return self._reached(first_day)

    def is_within(self, first_day: date | None, last_day: date | None) -> bool:
        """Whether today lies in these days, both inside; None is open."""
        if first_day is not None and not self.has_begun(first_day):
            return False
        return last_day is None or not self.has_passed(last_day)

    def is_older(self, checked_on: date, limit_days: int) -> bool:
        """Whether more than `limit_days` have gone by since a fact was checked."""
        if limit_days >= (date.max - checked_on).days:  # so old it cannot become before the calendar ends
            return False
        return self._reached(checked_on + timedelta(days=limit_days + 1))

    def remember(self, day: date | None) -> None:
        """A later day on which something could turn out otherwise; None is never."""
        if day is not None and (self.turns_on is None or day < self.turns_on):
            self.turns_on = day

    def _reached(self, day: date) -> bool:
        if self.today >= day:
            return True
        self.remember(day)
        return False


class Subject:
    """One deployment as rules see it."""

    __slots__ = ("calendar", "deployment", "world")

    def __init__(self, deployment: Deployment, world: World, calendar: Calendar) -> None:
        self.deployment = deployment
        self.world = world
        self.calendar = calendar

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return self.world.caller

    @property
    def model(self) -> Model:
        """The model behind the deployment; config guarantees that it is in the world."""
        return self.world.models[self.deployment.model]


class Family(Protocol):
    """One family of rules: the keys it answers for, the verbs they take, and the test itself.

    Obligations: `judge` is pure and total (it never raises on any world); a missing fact is `UNKNOWN`; a deny that
    hits a known member is `REFUSED` even when another member is unknown; every fact read is in `used`; every date is
    compared through `subject.calendar`.
    """

    def owns(self, key: str) -> bool:
        """Whether this family answers for a rule key."""
        ...

    def keys(self) -> tuple[str, ...]:
        """The keys, for messages and the schema; `capability.*` is listed member by member."""
        ...

    def check(self, spec: RuleSpec) -> str | None:
        """What is wrong with a rule as written: a verb without meaning here, an unknown parameter. None is fine."""
        ...

    def judge(self, spec: RuleSpec, subject: Subject) -> Judgement:
        """The answer for one deployment."""
        ...
