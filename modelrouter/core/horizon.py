"""What dates alone will change: which deployment stops being permitted, or starts, on which day and why.

Each compiled verdict says until when it holds, so the walk goes from one such day to the next and misses none. Every
situation of tags that the policies can tell apart is walked. A day is judged at its first second, UTC, for a request as
`explain` supposes it without a prompt; keys and health are no matter of dates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelrouter.core.decision import compile_rows, decide
from modelrouter.core.route import Moment
from modelrouter.core.situations import situations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from modelrouter.core.decision import Decision
    from modelrouter.core.facts import World
    from modelrouter.core.policy import Waiver
    from modelrouter.core.request import Request
    from modelrouter.core.route import Route
    from modelrouter.core.situations import Situation
    from modelrouter.core.verdict import Verdict

__all__ = ["Flip", "Horizon", "Outage", "horizon_of"]


@dataclass(frozen=True, slots=True)
class Flip:
    """A deployment that is permitted until a day and not from it on, or the other way round.

    Attributes:
        day: the first day of the new answer, from 00:00 UTC.
        permitted: the new answer.
        refusals: what refuses: from this day on, or until the day before.
        ended: waivers that held until the day before and covered one of these.
        tags: examples of the tags under which this happens; an empty one is a request without tags.
    """

    day: date
    route: str
    deployment: str
    permitted: bool
    refusals: tuple[Verdict, ...]
    ended: tuple[Waiver, ...] = ()
    tags: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Outage:
    """A route that loses its last candidate.

    Attributes:
        day: the first day on which nobody may serve it.
        tags: as for a flip.
    """

    day: date
    route: str
    tags: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Horizon:
    """Everything that turns within a time, by day."""

    flips: tuple[Flip, ...]
    outages: tuple[Outage, ...]


def horizon_of(
    asked: Mapping[str, tuple[Route, Request]],
    world: World,
    tags: Mapping[str, frozenset[str] | None],
    *,
    today: date,
    until: date,
) -> Horizon:
    """What turns after `today`, through `until`.

    Args:
        asked: each route with the request to judge it for.
        tags: the declared ones with their values; None takes any text.
    """
    flips: dict[tuple[date, str, str, bool], Flip] = {}
    outages: dict[tuple[date, str], Outage] = {}
    for name, (route, request) in asked.items():
        for situation in situations(route.layers, tags):
            before: Decision | None = None
            for day, after in _turns(route, request, situation, world, today=today, until=until):
                if before is not None:
                    for flip in _flips(day, name, before, after):
                        kept = flips.setdefault((day, name, flip.deployment, flip.permitted), flip)
                        flips[day, name, flip.deployment, flip.permitted] = replace(
                            kept, tags=(*kept.tags, situation.tags)
                        )
                    if before.permitted and not after.permitted:
                        lost = outages.get((day, name), Outage(day, name))
                        outages[day, name] = replace(lost, tags=(*lost.tags, situation.tags))
                before = after
    return Horizon(
        tuple(sorted(flips.values(), key=lambda flip: flip.day)),
        tuple(sorted(outages.values(), key=lambda outage: outage.day)),
    )


def _turns(
    route: Route, request: Request, situation: Situation, world: World, *, today: date, until: date
) -> Iterator[tuple[date, Decision]]:
    """The decision of today, and of every later day on which one of its verdicts could be another."""
    needs = route.needs.joined(request.needs)
    day: date | None = today
    while day is not None and day <= until:
        compiled = compile_rows(world, situation.layers, route, needs, day)
        moment = Moment(now_s=datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        yield day, decide(request, route, situation.layers, world, moment, compiled=compiled)
        day = compiled.valid_until


def _flips(day: date, route: str, before: Decision, after: Decision) -> Iterator[Flip]:
    was = {candidate.deployment for candidate in before.permitted}
    now = {candidate.deployment for candidate in after.permitted}
    for name in before.considered:
        if name in was and name not in now:
            refusals = after.refusals(name)
            yield Flip(day, route, name, permitted=False, refusals=refusals, ended=_ended(before, name, refusals))
        elif name in now and name not in was:
            yield Flip(day, route, name, permitted=True, refusals=before.refusals(name))


def _ended(before: Decision, deployment: str, refusals: tuple[Verdict, ...]) -> tuple[Waiver, ...]:
    """The waivers that covered, the day before, what refuses now."""
    refusing = {(each.layer, each.rule) for each in refusals}
    waived = (each for each in before.verdicts if each.deployment == deployment and each.waiver is not None)
    return tuple(each.waiver for each in waived if each.waiver is not None and (each.layer, each.rule) in refusing)
