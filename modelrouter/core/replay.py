"""Requests of the past under other policies, facts or prices: what would have been decided, and what changes. Pure.

Each request is decided at its own moment, with the dynamic values that were read then: what is replayed is the change
of the static part alone. Whoever failed then, or had no room, is taken to have failed again, so that replaying what did
not change changes nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.core.decision import compile_rows, day_of, decide
from modelrouter.core.decision_record import as_reserved, layers_bound
from modelrouter.core.grounds import layers_named
from modelrouter.core.inspection import Inspected, raised_tags
from modelrouter.core.verdict import Precedents, layers_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from modelrouter.core.decision import Compiled, Decision
    from modelrouter.core.decision_record import Recorded
    from modelrouter.core.grounds import Grounds
    from modelrouter.core.inspection import Ladder
    from modelrouter.core.policy import Layer
    from modelrouter.core.pricing import Span, Usage
    from modelrouter.core.request import Needs, Request

__all__ = ["NO_CANDIDATE", "ORDER", "Change", "Difference", "Past", "Regime", "compare"]

NO_CANDIDATE: Final = "not a candidate of the route any more"
ORDER: Final = "still permitted, and no longer first"
KEPT_MAX: Final = 4096
"""Combinations of route, layers, needs and day whose verdicts are kept."""

_Key: TypeAlias = "tuple[str, int, Needs]"
"""Route, identity of the layers, needs: policies have no hash of their own."""


class Change(enum.Enum):
    """What replaying a request came to.

    `NOBODY_LEFT`: all who would be permitted are those that failed or had no room then. `GONE`: the route, or a policy
    that the call adds, is not there any more.
    """

    SAME = "same"
    REPRICED = "repriced"
    MOVED = "moved"
    NEWLY_REFUSED = "newly_refused"
    NEWLY_PERMITTED = "newly_permitted"
    STILL_REFUSED = "still_refused"
    NOBODY_LEFT = "nobody_left"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Past:
    """A request of the past and what came of it.

    Attributes:
        order: who was permitted, best first.
        answered: the deployment that did; empty where none did.
        operator: of whoever answered, as it was booked; `developer` too.
        cost_nano_usd: of all its attempts; of all requests together that are like this one, as the next.
        answer_nano_usd: of the answer alone.
        usage: of one answer; None where it is not known.
        span: when the answer came.
        price: digest of the price that the answer was settled with.
        count: how many requests are like this one.
    """

    recorded: Recorded
    order: tuple[str, ...]
    answered: str = ""
    operator: str = ""
    developer: str = ""
    cost_nano_usd: int = 0
    answer_nano_usd: int = 0
    usage: Usage | None = None
    span: Span | None = None
    price: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """What another regime makes of a request.

    Attributes:
        before: who answered, or would have been asked first; empty for nobody.
        after: who would be asked instead.
        why: the rule that refuses `before` now, as `eu-customers/operator.country`; or what else is the reason.
        cost_nano_usd: what all its attempts would cost; None where the usage is not known.
        lost: deployments that were permitted and are not any more, with the first rule that refuses each.
        gained: deployments that were not and are.
    """

    change: Change
    before: str = ""
    after: str = ""
    why: str = ""
    cost_nano_usd: int | None = None
    operator: str = ""
    developer: str = ""
    lost: tuple[tuple[str, str], ...] = ()
    gained: tuple[str, ...] = ()


@dataclass(slots=True)
class Regime:
    """Grounds under which recorded requests are decided; verdicts are compiled once for requests that are alike.

    Attributes:
        ladders: the tags that findings raise.
        known: what stands behind hashes of personal tags, by tag and hash, as far as policies name such values.
    """

    grounds: Grounds
    ladders: Mapping[str, Ladder] = field(default_factory=dict)
    known: Mapping[tuple[str, str], str] = field(default_factory=dict)
    _layers: dict[object, tuple[Layer, ...]] = field(default_factory=dict)
    _compiled: dict[_Key, tuple[date, Compiled, tuple[Layer, ...]]] = field(default_factory=dict)
    _precedents: Precedents | None = None

    def as_bound(self, recorded: Recorded) -> Decision:
        """Decide with the layers that bound a request then: for the grounds that it was decided on.

        Raises:
            ValueError: record and grounds do not belong together.
        """
        request = recorded.request
        key = (request.route, request.policies, recorded.bound, recorded.asleep)
        layers = self._layers.get(key)
        if layers is None:
            layers = self._layers[key] = layers_bound(recorded, self.grounds)
        try:
            return as_reserved(self._decide(request, layers, recorded), recorded)
        except KeyError as error:
            raise ValueError("its grounds are not those of its record") from error

    def anew(self, recorded: Recorded) -> Decision:
        """Decide a request as if it came under these grounds.

        Raises:
            LookupError: the route or an added policy is not there; says which.
        """
        request = recorded.request
        if request.route not in self.grounds.routes:
            raise LookupError(f"there is no route `{request.route}`")
        for name in request.policies:
            if name not in self.grounds.policies:
                raise LookupError(f"there is no policy `{name}`")
        tags = self._tags(recorded)
        found = request.inspected.found
        if found or request.inspected.raised:
            inspected = Inspected(found, raised_tags(tags, self.ladders, found))
            request = replace(request, tags=tags, inspected=inspected)
        raised = request.inspected.raised
        key = (request.route, request.policies, tuple(sorted(tags.items())), tuple(sorted(raised.items())))
        layers = self._layers.get(key)
        if layers is None:
            if len(self._layers) >= KEPT_MAX:
                self._layers.clear()
            route = self.grounds.routes[request.route]
            possible = layers_named(route, request.policies, self.grounds.policies)
            layers = self._layers[key] = layers_for(tags, possible, raised)
        return self._decide(request, layers, recorded)

    def _tags(self, recorded: Recorded) -> dict[str, str]:
        """The tags that policies see: those that the request had, hashes replaced where their value is known."""
        return {
            name: self.known.get((name, value), value)
            for name, value in recorded.request.tags.items()
            if name not in recorded.defaults
        }

    def _decide(self, request: Request, layers: tuple[Layer, ...], recorded: Recorded) -> Decision:
        grounds, today = self.grounds, day_of(recorded.moment.now_s)
        route = grounds.routes[request.route]
        key = (request.route, id(layers), request.needs)
        found = self._compiled.get(key)
        compiled = None if found is None or not _holds(found[1], found[0], today) else found[1]
        if compiled is None:
            if self._precedents is None or self._precedents.today != today:
                self._precedents = Precedents(grounds.world, today)
            needs = route.needs.joined(request.needs)
            compiled = compile_rows(grounds.world, layers, route, needs, today, precedents=self._precedents)
            if len(self._compiled) >= KEPT_MAX:
                self._compiled.clear()
            self._compiled[key] = today, compiled, layers  # which keeps their identity
        return decide(request, route, layers, grounds.world, recorded.moment, compiled=compiled)


def _holds(compiled: Compiled, since: date, today: date) -> bool:
    """Whether verdicts that were compiled on one day hold on another."""
    return since <= today and (compiled.valid_until is None or today < compiled.valid_until)


def compare(past: Past, regime: Regime) -> Difference:
    """What becomes of a request under another regime."""
    before = past.answered or (past.order[0] if past.order else "")
    try:
        decision = regime.anew(past.recorded)
    except LookupError as error:
        return Difference(Change.GONE, before, why=str(error.args[0]), cost_nano_usd=0)
    order = tuple(each.deployment for each in decision.permitted)
    lost = tuple((name, _refusing(decision, name)) for name in past.order if name not in order)
    gained = tuple(name for name in order if name not in past.order)
    if not order:
        change = Change.NEWLY_REFUSED if past.order else Change.STILL_REFUSED
        return Difference(change, before, "", _refusing(decision, before) if before else "", 0, lost=lost)
    passed_over = past.order[: past.order.index(before)] if before in past.order else ()
    after = next((name for name in order if name not in passed_over), "")
    if not after:
        why = _refusing(decision, before)
        return Difference(Change.NOBODY_LEFT, before, "", why, None, lost=lost, gained=gained)
    world = regime.grounds.world
    deployment = world.deployments[after]
    developer = world.models[deployment.model].developer.value or ""
    cost = _cost(past, after, regime)
    if not past.order:
        change, why = Change.NEWLY_PERMITTED, ""
    elif after != before:
        change, why = Change.MOVED, ORDER if before in order else _refusing(decision, before)
    else:
        is_other = cost is not None and cost != past.cost_nano_usd
        change, why = (Change.REPRICED, "price") if is_other else (Change.SAME, "")
    return Difference(change, before, after, why, cost, deployment.operator, developer, lost, gained)


def _refusing(decision: Decision, name: str) -> str:
    """The first rule that refuses a deployment."""
    if name not in decision.rows:
        return NO_CANDIDATE
    refusals = decision.refusals(name)
    return f"{refusals[0].layer}/{refusals[0].rule}" if refusals else ORDER


def _cost(past: Past, after: str, regime: Regime) -> int | None:
    """What the same usage costs there, beside what failed attempts cost."""
    if not past.answered:  # what failed would have failed again
        return past.cost_nano_usd if past.order[:1] == (after,) else None
    price = regime.grounds.world.deployments[after].price.value
    if after == past.answered and price is not None and price.digest == past.price:
        return past.cost_nano_usd
    if price is None or past.usage is None:
        return None
    others = past.cost_nano_usd - past.answer_nano_usd  # of attempts that failed
    if price.unpriced(past.usage.uses) or (past.span is None and price.has_machine_hours):
        return None
    own = price.settle_nano_usd if after == past.answered else price.cost_nano_usd
    return others + own(past.usage, past.span) * past.count
