"""What policies assert of a whole route, and what speaks against it.

Each layer's assertion is judged alone, over the candidates that **all** layers permit, for a request without tags:
then every layer binds, so whoever is permitted is permitted whatever the tags are, and what is proved holds for every
request of the route. Whether an endpoint has its key here and now is no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.decision import compile_rows, decide, layers_for
from modelrouter.core.request import Request, as_long_as, measure, normalise_messages
from modelrouter.core.route import Moment
from modelrouter.core.rules import assertion_of
from modelrouter.core.rules.grammar import whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.core.assurance.survival import Footing, Ground
    from modelrouter.core.facts import World
    from modelrouter.core.policy import Layer, RuleSpec
    from modelrouter.core.route import Route
    from modelrouter.core.verdict import Precedents

__all__ = ["Asserted", "Broken", "asserted_by", "broken_assertions", "permitted_on"]


@dataclass(frozen=True, slots=True)
class Asserted:
    """One assertion of one layer.

    Attributes:
        observed: its policy is in observe mode: what it would refuse is told, and refuses nothing.
    """

    policy: str
    spec: RuleSpec
    observed: bool

    @property
    def rule(self) -> str:
        """As `no-single-vendor/vendors.survive_loss_of`."""
        return f"{self.policy}/{self.spec.key}"

    @property
    def most_lost(self) -> int:
        """How many vendors may be lost at once."""
        return whole(self.spec.at_least)


@dataclass(frozen=True, slots=True)
class Broken:
    """An assertion that a route does not meet.

    Attributes:
        counterexample: the fewest vendors whose loss leaves nobody; empty where nobody is left even without a loss.
        permitted: who may serve before anything is lost.
        unproved: those of them whose vendors are not all known, with the fact that is missing.
    """

    route: str
    asserted: Asserted
    counterexample: tuple[str, ...]
    permitted: tuple[str, ...]
    unproved: tuple[tuple[str, str], ...] = ()

    @property
    def reason(self) -> str:
        """What is wrong and what to change, in one sentence."""
        asks = f"{self.asserted.rule} asks for {_vendors(self.asserted.most_lost)}"
        if not self.permitted:
            return (
                f"nobody may serve `{self.route}` even before a vendor is lost, and {asks}: see `modelrouter explain`"
            )
        unproved = ", ".join(f"`{name}` ({path})" for name, path in self.unproved)
        doubts = f"; not all vendors are known of {unproved}" if unproved else ""
        if not self.counterexample:
            return f"`{self.route}` has nobody whose vendors are all known, and {asks}: state what is missing{doubts}"
        lost = " and ".join(f"`{vendor}`" for vendor in self.counterexample)
        them = "it" if len(self.counterexample) == 1 else "them"
        return (
            f"the loss of {lost} leaves nobody for `{self.route}`, and {asks}: add a deployment that does without "
            f"{them} and that every policy permits{doubts}"
        )


def asserted_by(layers: Sequence[Layer]) -> tuple[Asserted, ...]:
    """Every assertion of some layers."""
    return tuple(
        Asserted(layer.policy.name, spec, layer.policy.observe)
        for layer in layers
        for spec in layer.policy.rules
        if assertion_of(spec.key) is not None
    )


def permitted_on(route: Route, world: World, now_s: float, precedents: Precedents) -> tuple[str, ...]:
    """Who may serve a request that needs what its route needs and has no tags, best first.

    Args:
        precedents: of this world and the moment's day; routes share them.
    """
    messages = normalise_messages("?")
    request = as_long_as(Request(route.name, messages, size=measure(messages, {})), route.needs.context_tokens)
    layers = layers_for({}, route.layers)
    compiled = compile_rows(world, layers, route, route.needs, precedents.today, precedents=precedents)
    decision = decide(request, route, layers, world, Moment(now_s), compiled=compiled)
    return tuple(candidate.deployment for candidate in decision.permitted)


def broken_assertions(route: str, asserted: Sequence[Asserted], footing: Footing, ground: Ground) -> Iterator[Broken]:
    """Those that do not hold, each with the shortest counterexample."""
    unproved = tuple((name, ground.vendors[name].gaps[0].path) for name in footing.unproved)
    for each in asserted:
        counterexample = footing.shortest_counterexample(each.most_lost)
        if counterexample is not None:
            yield Broken(route, each, counterexample, footing.permitted, unproved)


def _vendors(count: int) -> str:
    return "a route that survives the loss of any " + ("vendor" if count == 1 else f"{count} vendors")
