"""A second, slow and obvious implementation of survival, written from the design alone.

Nothing is subtracted: for each set of vendors that may be lost, the deployments that go with it are taken out of the
world and of the route, and what is left is decided anew by the oracle of decisions. It shares value types with the
package and no function.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from modelrouter.core.facts import SELF, Confidence, Openness, State
from tests.oracle import oracle_decide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelrouter.core.facts import Deployment, Fact, World
    from modelrouter.core.policy import Level, Policy
    from modelrouter.core.request import Request
    from modelrouter.core.route import Moment, Route

__all__ = ["SurvivalOracle", "oracle_vendors"]


def _sure(fact: Fact[object]) -> bool:
    return fact.state in {State.KNOWN, State.NONE} and fact.source.confidence is not Confidence.LOW


def _family(world: World, organisation: str) -> tuple[set[str], bool]:
    """An organisation and its owners without ourselves, and whether the list is surely complete."""
    found: set[str] = set()
    complete = True
    here: str | None = organisation
    while here is not None and here != SELF and here not in found:
        found.add(here)
        if here not in world.organisations:
            return found, False
        parent = world.organisations[here].parent
        complete = complete and _sure(parent)
        here = parent.value
    return found, complete


def _weights(world: World, name: str, seen: frozenset[str] = frozenset()) -> tuple[set[str], bool]:
    """Who can take weights away: the developer of closed ones; of ours, whoever made what they were made from."""
    model = world.models.get(name)
    if name in seen:
        return set(), True
    if model is None:
        return set(), False
    if _sure(model.openness) and model.openness.value in {Openness.OPEN_WEIGHTS, Openness.OPEN_SOURCE}:
        return set(), True
    if _sure(model.developer) and model.developer.value == SELF:
        parts = [_weights(world, each, seen | {name}) for each in model.derived_from.value or ()]
        return set().union(*(part[0] for part in parts)), _sure(model.derived_from) and all(part[1] for part in parts)
    if not _sure(model.openness) or model.openness.value is not Openness.CLOSED:
        return set(), False
    if model.developer.value is None:
        return set(), False
    family, complete = _family(world, model.developer.value)
    return family, complete and _sure(model.developer)


def oracle_vendors(world: World, deployment: Deployment) -> tuple[frozenset[str], bool]:
    """The vendors that are known of, and whether there can be no other."""
    parts = [_family(world, link.organisation) for link in deployment.chain]
    parts.append(_weights(world, deployment.model))
    declared = _sure(deployment.chain_complete) and deployment.chain_complete.value is True
    complete = declared and bool(deployment.chain) and all(part[1] for part in parts)
    return frozenset(set().union(*(part[0] for part in parts))), complete


class SurvivalOracle:
    """One scenario, asked again for each loss."""

    def __init__(
        self,
        request: Request,
        route: Route,
        policies: Iterable[tuple[Policy, Level]],
        world: World,
        moment: Moment,
    ) -> None:
        self.request = request
        self.route = route
        self.policies = tuple(policies)
        self.world = world
        self.moment = moment
        self.vendors = {name: oracle_vendors(world, each) for name, each in world.deployments.items()}
        self._decided: dict[frozenset[str], frozenset[str]] = {}

    def permitted_without(self, gone: frozenset[str]) -> frozenset[str]:
        """Who is permitted where these deployments do not exist; decided from nothing, once for each such set."""
        if gone not in self._decided:
            self._decided[gone] = self._decide_without(gone)
        return self._decided[gone]

    def _decide_without(self, gone: frozenset[str]) -> frozenset[str]:
        left = {name: each for name, each in self.world.deployments.items() if name not in gone}
        steps = [
            replace(step, weights={name: weight for name, weight in step.weights.items() if name not in gone})
            for step in self.route.tries
        ]
        route = replace(self.route, tries=tuple(step for step in steps if step.weights))
        world = replace(self.world, deployments=left)
        return oracle_decide(self.request, route, self.policies, world, self.moment).permitted

    def survivors(self, lost: Iterable[str]) -> frozenset[str]:
        """Who is left, and surely so, after the loss of some vendors."""
        losses = set(lost)
        gone = frozenset(name for name, (vendors, _) in self.vendors.items() if vendors & losses)
        return frozenset(name for name in self.permitted_without(gone) if self.vendors[name][1])

    def shortest_counterexample(self, most: int) -> tuple[str, ...] | None:
        """Every set of so many vendors or fewer is tried, small ones first and in the order of names."""
        everybody = sorted({vendor for vendors, _ in self.vendors.values() for vendor in vendors})
        for size in range(most + 1):
            for lost in combinations(everybody, size):
                if not self.survivors(lost):
                    return lost
        return None
