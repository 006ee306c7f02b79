"""Compares two sides by meaning: every cell judged twice, before and after.

A cell is one deployment on one route in one situation of tags that the policies of either side can tell apart. Each
side is judged in its own world by its own layers, on one day. What only the size of one request decides (`request.*`)
is compared by its effective value, what is asserted of whole routes by what each side asserts. Rules that nobody here
can read are left out of the judging and told apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.assurance.difference import (
    AssertionChange,
    Difference,
    DutyChange,
    LimitChange,
    Limits,
    SignedWaiver,
    Turned,
    WaiverTurn,
)
from modelrouter.core.assurance.loosening import is_opaque, loosenings
from modelrouter.core.bounds import BoundBasis
from modelrouter.core.implication import covers
from modelrouter.core.money import nano_from_usd
from modelrouter.core.policy import Judgement, Level, Outcome
from modelrouter.core.rules import assertion_of, family_of
from modelrouter.core.rules.grammar import amount
from modelrouter.core.rules.share import refuses_nobody
from modelrouter.core.situations import OTHER, situations
from modelrouter.core.subject import Calendar, Subject
from modelrouter.core.verdict import Precedents, Verdict, compile_rows, layers_for, waiver_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from modelrouter.core.assurance.loosening import Loosening
    from modelrouter.core.facts import World
    from modelrouter.core.policy import Layer, Obligation, RuleSpec, Waiver
    from modelrouter.core.route import Route
    from modelrouter.core.verdict import Row

__all__ = ["Side", "difference"]

CEILING: Final = "request.cost_usd"
BASIS: Final = "request.bound"
BY_VALUE: Final = frozenset({"vendors.share"})
"""Rules that no deployment is refused for, and that are asked when money is reserved: compared like assertions."""
NOBODY: Final = 0
"""The ceiling of a rule that has no meaning: it permits nobody."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared.

    Attributes:
        tags: the declared ones with their values; None takes any text.
        only_policies: what holds without a policy (prices, retirements, needs) is no part of the answer.
    """

    routes: Mapping[str, Route]
    world: World
    tags: Mapping[str, frozenset[str] | None]
    only_policies: bool = False


@dataclass(frozen=True, slots=True)
class _Cell:
    """One side's answer for one deployment on one route in one situation."""

    refusals: tuple[Verdict, ...]
    limits: Limits = field(default_factory=Limits)
    duties: tuple[Obligation, ...] = ()
    waived: tuple[Waiver, ...] = ()

    @property
    def rules(self) -> frozenset[tuple[str, str]]:
        return frozenset((each.layer, each.rule) for each in self.refusals)


def difference(old: Side, new: Side, today: date) -> Difference:
    """Compare two sides on one day, over every route, every situation of tags and every candidate of either."""
    before, after = _Bench(old, today), _Bench(new, today)
    gathered = _Gathered()
    for name in dict.fromkeys((*old.routes, *new.routes)):
        layers = (*before.layers(name), *after.layers(name))
        for situation in situations(layers, _joined(old.tags, new.tags)):
            tags = situation.tags
            unheard = [bench.unheard(tags, layers) for bench in (before, after)]
            if all(unheard):
                continue
            was, now = before.cells(name, tags, unheard[0]), after.cells(name, tags, unheard[1])
            gathered.take(name, tags, was, now)
            if name not in old.routes or (unheard[0] and name in new.routes):
                gathered.wider[unheard[0] or f"there was no route `{name}`"] = None
            elif name in new.routes and not any(unheard):
                gathered.take_loosenings(before, after, name, tags, today)
    gathered.take_assertions(before, after)
    return gathered.found(_waivers(before, after, gathered.waived, today))


class _Bench:
    """One side, ready to be asked; what cannot be read is taken out of it."""

    def __init__(self, side: Side, today: date) -> None:
        self.side = side
        self.today = today
        self.precedents = Precedents(side.world, today)
        readable: dict[int, Layer] = {}
        self._layers: dict[str, tuple[Layer, ...]] = {}
        self._read: dict[str, tuple[Layer, ...]] = {}
        for name, route in side.routes.items():
            self._layers[name] = route.layers
            self._read[name] = tuple(readable.setdefault(id(each), _readable(each)) for each in route.layers)

    def layers(self, route: str) -> tuple[Layer, ...]:
        """All layers of a route, as they are written; none where this side does not have it."""
        return self._layers.get(route, ())

    def waivers(self) -> dict[tuple[str, str], Waiver]:
        """Every waiver of every layer, by the policy's name and its own id."""
        layers = (layer for layers in self._layers.values() for layer in layers)
        return {(layer.policy.name, each.id): each for layer in layers for each in layer.policy.waivers}

    def unheard(self, tags: Mapping[str, str], layers: tuple[Layer, ...]) -> str:
        """Why a request with these tags is refused before any rule is asked; empty where it is not."""
        for tag, value in tags.items():
            declared = self.side.tags.get(tag, frozenset())
            named = {each for layer in layers for each in layer.policy.applies_to.get(tag, ())}
            if declared is not None and (value not in declared if value != OTHER else declared <= named):
                return f"tag `{tag}: {value}` is not declared"
        return ""

    def cells(self, name: str, tags: Mapping[str, str], unheard: str) -> dict[str, _Cell]:
        """The answer for every candidate of a route; none for a route that this side does not have."""
        route = self.side.routes.get(name)
        if route is None:
            return {}
        if unheard:
            return {each: _refused(each, "request", "tags", unheard) for each in route.candidates}
        layers = layers_for(tags, self._read[name])
        rows = compile_rows(self.side.world, layers, route, route.needs, self.today, precedents=self.precedents).rows
        return {each: self._cell(each, row, layers) for each, row in rows.items()}

    def _cell(self, name: str, row: Row, layers: tuple[Layer, ...]) -> _Cell:
        own = {(layer.policy.name, layer.level) for layer in layers}
        refusals = tuple(
            each for each in row.refusals if not self.side.only_policies or (each.layer, each.level) in own
        )
        subject = Subject(self.side.world.deployments[name], self.side.world, Calendar(self.today))
        waived = tuple(each.waiver for each in row.verdicts if each.waiver is not None)
        return _Cell(refusals, _limits(layers, subject), row.obligations, waived)


def _readable(layer: Layer) -> Layer:
    """A layer without rules that no family and no assertion answers for."""
    kept = tuple(spec for spec in layer.policy.rules if not is_opaque(spec))
    if len(kept) == len(layer.policy.rules):
        return layer
    return replace(layer, policy=replace(layer.policy, rules=kept))


def _refused(name: str, layer: str, rule: str, reason: str) -> _Cell:
    judgement = Judgement(Outcome.REFUSED, reason, f"{layer}.{rule}")
    return _Cell((Verdict(name, layer, Level.ROUTE, rule, judgement),))


def _limits(layers: tuple[Layer, ...], subject: Subject) -> Limits:
    found = Limits()
    for layer in layers:
        for spec in layer.policy.rules:
            if layer.policy.observe or spec.key not in {CEILING, BASIS} or waiver_for(layer, spec.key, subject):
                continue
            family = family_of(spec.key)
            is_sound = family is not None and family.check(spec) is None
            if spec.key == BASIS:
                basis = BoundBasis[str(spec.at_least).upper()] if is_sound else BoundBasis.PROVED
                found = replace(found, basis=max(found.basis, basis))
            else:
                limit = nano_from_usd(amount(spec.at_most)) if is_sound else NOBODY
                lowest = limit if found.ceiling_nano_usd is None else min(found.ceiling_nano_usd, limit)
                found = replace(found, ceiling_nano_usd=lowest)
    return found


def _joined(
    one: Mapping[str, frozenset[str] | None], other: Mapping[str, frozenset[str] | None]
) -> dict[str, frozenset[str] | None]:
    """The values that a tag has on either side."""
    found = dict(one)
    for tag, values in other.items():
        known = found.get(tag, frozenset())
        found[tag] = None if known is None or values is None else known | values
    return found


class _Gathered:
    """Answers that differ, those of several situations together where they are the same."""

    def __init__(self) -> None:
        self.turned: dict[tuple[object, ...], Turned] = {}
        self.limits: dict[tuple[object, ...], LimitChange] = {}
        self.duties: dict[tuple[object, ...], DutyChange] = {}
        self.waived: dict[Waiver, dict[tuple[str, str], None]] = {}
        self.loosenings: dict[tuple[object, ...], Loosening] = {}
        self.assertions: dict[tuple[object, ...], AssertionChange] = {}
        self.wider: dict[str, None] = {}
        self.cells = 0
        self.deployments: set[str] = set()

    def take(self, route: str, tags: Mapping[str, str], was: dict[str, _Cell], now: dict[str, _Cell]) -> None:
        """Compare the two sides of one route in one situation."""
        for name in dict.fromkeys((*was, *now)):
            before = was.get(name) or _refused(name, "route", "try", f"no candidate of `{route}` before")
            after = now.get(name) or _refused(name, "route", "try", f"no candidate of `{route}` any more")
            self.cells += 1
            self.deployments.add(name)
            for waiver in after.waived:
                self.waived.setdefault(waiver, {})[route, name] = None
            if before.rules != after.rules:
                key = (route, name, before.rules, after.rules)
                kept = self.turned.get(key, Turned(route, name, before.refusals, after.refusals))
                self.turned[key] = replace(kept, tags=(*kept.tags, tags))
            elif not before.refusals:
                self._take_permitted(route, name, tags, before, after)

    def _take_permitted(self, route: str, name: str, tags: Mapping[str, str], before: _Cell, after: _Cell) -> None:
        if before.limits != after.limits:
            key = (route, name, before.limits, after.limits)
            kept = self.limits.get(key, LimitChange(route, name, before.limits, after.limits))
            self.limits[key] = replace(kept, tags=(*kept.tags, tags))
        if set(before.duties) != set(after.duties):
            added = tuple(each for each in after.duties if each not in before.duties)
            removed = tuple(each for each in before.duties if each not in after.duties)
            self.duties[route, name, added, removed] = DutyChange(route, name, added, removed)

    def take_loosenings(self, before: _Bench, after: _Bench, route: str, tags: Mapping[str, str], today: date) -> None:
        """What the rules of the new side do not prove in one situation of a route that both have."""
        for each in loosenings(before.layers(route), after.layers(route), tags, after.side.world, today):
            kept = self.loosenings.setdefault((each.policy, each.rule, each.cause, each.waivers), each)
            if route not in kept.routes:
                kept = replace(kept, routes=(*kept.routes, route))
            self.loosenings[each.policy, each.rule, each.cause, each.waivers] = replace(kept, tags=(*kept.tags, tags))

    def take_assertions(self, before: _Bench, after: _Bench) -> None:
        """What is asserted of routes that both sides have."""
        world = after.side.world
        for name in before.side.routes:
            if name not in after.side.routes:
                continue
            was, now = _asserted(before.layers(name)), _asserted(after.layers(name))
            is_looser = not all(refuses_nobody(spec) or _is_met(spec, now, world) for _, spec in was)
            is_same = all(_is_met(spec, now, world) for _, spec in was)
            if not is_same or not all(_is_met(spec, was, world) for _, spec in now):
                key = (str(was), str(now))
                kept = self.assertions.get(key, AssertionChange((), was, now, is_looser))
                self.assertions[key] = replace(kept, routes=(*kept.routes, name))

    def found(self, waivers: tuple[SignedWaiver, ...]) -> Difference:
        """All of it."""
        return Difference(
            tuple(self.turned.values()),
            tuple(self.limits.values()),
            tuple(self.duties.values()),
            tuple(self.assertions.values()),
            tuple(self.loosenings.values()),
            waivers,
            tuple(self.wider),
            self.cells,
            len(self.deployments),
        )


def _asserted(layers: Iterable[Layer]) -> tuple[tuple[str, RuleSpec], ...]:
    return tuple(_enforced(layers))


def _enforced(layers: Iterable[Layer]) -> Iterator[tuple[str, RuleSpec]]:
    for layer in layers:
        for spec in layer.policy.rules:
            is_of_routes = assertion_of(spec.key) is not None or spec.key in BY_VALUE
            if is_of_routes and not layer.policy.observe:
                yield layer.policy.name, spec


def _waivers(
    before: _Bench, after: _Bench, admits: Mapping[Waiver, Iterable[tuple[str, str]]], today: date
) -> tuple[SignedWaiver, ...]:
    """Every waiver of the new side, then what the old side had beside."""
    was, now = before.waivers(), after.waivers()
    found = []
    for name, each in {**now, **{name: each for name, each in was.items() if name not in now}}.items():
        turn = WaiverTurn.REMOVED
        if name in now:
            turn = WaiverTurn.ADDED if name not in was else WaiverTurn.KEPT if was[name] == each else WaiverTurn.CHANGED
        found.append(SignedWaiver(each, turn, (each.expires - today).days, tuple(admits.get(each, ()))))
    return tuple(found)


def _is_met(spec: RuleSpec, asserted: Iterable[tuple[str, RuleSpec]], world: World) -> bool:
    return any(covers(each, spec, world) for _, each in asserted)
