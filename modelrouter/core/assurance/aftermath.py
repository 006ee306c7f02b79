"""What revocations leave of each route: who is taken away, who is left, and what that does to what was promised.

Nothing here stops traffic: assertions are checked when a configuration is loaded, and after a real loss they only warn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.assurance.assertions import asserted_by, broken_assertions, permitted_on
from modelrouter.core.assurance.survival import Ground
from modelrouter.core.assurance.vendors import VendorRole
from modelrouter.core.decision import day_of
from modelrouter.core.verdict import Precedents

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from modelrouter.core.assurance.assertions import Broken
    from modelrouter.core.facts import World
    from modelrouter.core.route import Route

__all__ = ["Aftermath", "aftermath"]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """One route that loses somebody.

    Attributes:
        taken: permitted deployments that are cut off, best first.
        left: those that remain, best first.
        last_vendor: the vendor whose loss leaves nobody now; empty where there is none.
        broken: assertions that do not hold any more.
    """

    route: str
    taken: tuple[str, ...]
    left: tuple[str, ...]
    last_vendor: str
    broken: tuple[Broken, ...]

    @property
    def warning(self) -> str:
        """What a person should know of it, one sentence; empty where nothing is wrong."""
        if not self.left:
            return f"nobody is left for route `{self.route}`: {_listed(self.taken)} cut off"
        if self.last_vendor:
            return (
                f"route `{self.route}` hangs on the one vendor `{self.last_vendor}` now: {_listed(self.taken)} cut "
                f"off, {_listed(self.left)} left"
            )
        return "; ".join(each.reason for each in self.broken)


def aftermath(routes: Mapping[str, Route], world: World, revoked: Collection[str], now_s: float) -> Iterator[Aftermath]:
    """The routes that lose somebody, for requests that need what the route needs and have no tags.

    Args:
        revoked: deployments that are cut off.
    """
    touched = {name: route for name, route in routes.items() if not set(route.candidates).isdisjoint(revoked)}
    if not touched:
        return
    ground = Ground(world, (candidate for route in touched.values() for candidate in route.candidates))
    precedents = Precedents(world, day_of(now_s))
    for name, route in touched.items():
        permitted = permitted_on(route, world, now_s, precedents)
        taken = tuple(each for each in permitted if each in revoked)
        if not taken:
            continue
        left = tuple(each for each in permitted if each not in revoked)
        footing = ground.footing(left)
        last_vendor = _last_vendor(ground, left) if footing.shortest_counterexample(1) else ""
        broken = tuple(broken_assertions(name, asserted_by(route.layers), footing, ground))
        yield Aftermath(name, taken, left, last_vendor, broken)


def _last_vendor(ground: Ground, left: tuple[str, ...]) -> str:
    """The vendor that everybody stands on of whom all are known: no mere owner, where there is another."""
    proved = [ground.vendors[name] for name in left if ground.vendors[name].are_known]
    shared = set.intersection(*(set(each.ids) for each in proved))
    owners = frozenset({VendorRole.PARENT})
    found = [vendor for vendor in proved[0].vendors if vendor.id in shared]
    return min(found, key=lambda each: (each.roles == owners, each.id)).id


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(f'`{name}`' for name in names)} {'is' if len(names) == 1 else 'are'}"
