"""Whether each vendor can be done without: which routes it serves, and who is left on them after its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.assurance.assertions import permitted_on
from modelrouter.core.assurance.losses import Loss
from modelrouter.core.assurance.survival import Ground
from modelrouter.core.decision import day_of
from modelrouter.core.verdict import Precedents

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from modelrouter.core.assurance.vendors import VendorRole
    from modelrouter.core.facts import World
    from modelrouter.core.route import Route

__all__ = ["Dependence", "Reliance", "Substitution", "dependence"]


@dataclass(frozen=True, slots=True)
class Reliance:
    """What one route has of one vendor, for a request without tags.

    Attributes:
        through: the permitted deployments that go with it, best first.
        left: who surely remains without it, best first.
    """

    route: str
    through: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Substitution:
    """One vendor.

    Attributes:
        roles: deployment to the parts that it plays there.
        reliances: routes that have a permitted deployment of it.
    """

    vendor: str
    roles: Mapping[str, frozenset[VendorRole]]
    reliances: tuple[Reliance, ...]

    @property
    def lost(self) -> tuple[str, ...]:
        """Routes that would have nobody left."""
        return tuple(each.route for each in self.reliances if not each.left)


@dataclass(frozen=True, slots=True)
class Dependence:
    """What routes depend on.

    Attributes:
        vendors: every vendor of every deployment, sorted by id.
        nobody: routes that nobody may serve, even before a loss.
        unproved: permitted deployments whose vendors are not all known, with the fact that is missing.
        permitted: who may serve each route before a loss, best first.
    """

    vendors: tuple[Substitution, ...]
    nobody: tuple[str, ...]
    unproved: tuple[tuple[str, str], ...]
    permitted: Mapping[str, tuple[str, ...]]


def dependence(routes: Mapping[str, Route], world: World, now_s: float, cut_off: Collection[str] = ()) -> Dependence:
    """What routes depend on, after each single loss.

    Args:
        now_s: the moment for which it is judged who is permitted.
        cut_off: deployments that are revoked: they serve nobody, so they are not left after a loss either.
    """
    ground = Ground(world)
    precedents = Precedents(world, day_of(now_s))
    footings = {
        name: ground.footing(
            tuple(each for each in permitted_on(route, world, now_s, precedents) if each not in cut_off)
        )
        for name, route in routes.items()
    }
    roles: dict[str, dict[str, frozenset[VendorRole]]] = {}
    for name, found in ground.vendors.items():
        for vendor in found.vendors:
            roles.setdefault(vendor.id, {})[name] = vendor.roles
    vendors = tuple(
        Substitution(
            vendor,
            deployments,
            tuple(
                Reliance(name, through, footing.left((Loss(vendor),)))
                for name, footing in footings.items()
                if (through := tuple(each for each in footing.permitted if each in deployments))
            ),
        )
        for vendor, deployments in sorted(roles.items())
    )
    unproved = dict.fromkeys(name for footing in footings.values() for name in footing.unproved)
    return Dependence(
        vendors,
        tuple(name for name, footing in footings.items() if not footing.permitted),
        tuple((name, ground.vendors[name].gaps[0].path) for name in unproved),
        {name: footing.permitted for name, footing in footings.items()},
    )
