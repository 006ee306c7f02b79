"""Which share caps a request brings to which candidate: caps of its layers, vendors of its deployments. Pure.

Whose share an attempt adds to is a matter of facts: its operator, the developer of its model, the operator's topmost
known parent, or each country of the operator (its own and every parent's, each of which has a share of its own). The
book knows operators and developers only, so a vendor comes with the ids that stand for it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.facts import SELF
from modelrouter.core.lineage import owners
from modelrouter.core.rules.share import SHARE, cap_of
from modelrouter.core.shares import ShareDemand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from modelrouter.core.facts import Deployment, World
    from modelrouter.core.policy import Layer
    from modelrouter.core.shares import ShareCap

__all__ = ["VendorIds", "caps_in", "demands"]


class VendorIds:
    """The vendors of a world by each way of telling them apart, found when they are first asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._of: dict[tuple[str, str], tuple[str, ...]] = {}
        self._members: dict[str, dict[str, frozenset[str]]] = {}

    def of(self, by: str, deployment: Deployment) -> tuple[str, ...]:
        """The vendors to whose shares a deployment adds; none for `self`."""
        if by != "developer":
            return self.of_operator(by, deployment.operator)
        model = self._world.models.get(deployment.model)
        developer = "" if model is None else model.developer.value or ""
        return () if developer == SELF else (developer,)

    def of_operator(self, by: str, operator: str) -> tuple[str, ...]:
        """The vendors that an operator is, or belongs to; in order of nearness."""
        if operator == SELF:
            return ()
        if by == "operator":
            return (operator,)
        found = self._of.get((by, operator))
        if found is None:
            chain = owners(self._world, operator)
            if by == "parent":
                found = (chain[-1].id,)
            else:
                seats = (seat.fact.value for owner in chain for seat in owner.seats)
                found = tuple(dict.fromkeys(country for country in seats if country))
            self._of[by, operator] = found
        return found

    def members(self, by: str, vendor: str) -> frozenset[str]:
        """The ids under which a vendor stands in the book."""
        if by in {"operator", "developer"}:
            return frozenset({vendor})
        found = self._members.get(by)
        if found is None:
            found = self._members[by] = self._gathered(by)
        return found.get(vendor, frozenset())

    def _gathered(self, by: str) -> dict[str, frozenset[str]]:
        world = self._world
        operators = {*world.organisations, *(each.operator for each in world.deployments.values())}
        sets: dict[str, set[str]] = {}
        for operator in operators:
            for vendor in self.of_operator(by, operator):
                sets.setdefault(vendor, set()).add(operator)
        return {vendor: frozenset(ids) for vendor, ids in sets.items()}


def caps_in(layers: Iterable[Layer]) -> tuple[ShareCap, ...]:
    """Every share cap of these layers."""
    caps = (cap_of(layer.policy, spec) for layer in layers for spec in layer.policy.rules if spec.key == SHARE)
    return tuple(dict.fromkeys(cap for cap in caps if cap is not None))


def demands(
    caps: Sequence[ShareCap], permitted: Sequence[Deployment], vendors: VendorIds
) -> Mapping[str, tuple[ShareDemand, ...]]:
    """What is asked of each permitted deployment when money is reserved for it.

    A cap that permits a vendor which is alone asks nothing of it where every permitted deployment adds to its share.
    """
    found: dict[str, list[ShareDemand]] = {each.id: [] for each in permitted}
    for cap in caps:
        adds_to = {each.id: vendors.of(cap.by, each) for each in permitted}
        common = set.intersection(*map(set, adds_to.values())) if adds_to and cap.permits_alone else set()
        for name, ids in adds_to.items():
            found[name] += [
                ShareDemand(cap, vendor, vendors.members(cap.by, vendor)) for vendor in ids if vendor not in common
            ]
    return {name: tuple(asked) for name, asked in found.items()}
