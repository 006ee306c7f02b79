"""A second, slow and obvious implementation of the difference of two sets of policies: every tag there is, one by one.

Each side is decided by the oracle of decisions for each combination of tag values, absent ones included. It shares
value types with the package and no function.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Final

from tests.oracle import oracle_decide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from modelrouter.core.facts import World
    from modelrouter.core.policy import Level, Policy
    from modelrouter.core.request import Request
    from modelrouter.core.route import Moment, Route

__all__ = ["OracleDifference", "every_tags", "oracle_difference", "oracle_limits"]

VALUES: Final = {"data_class": ("personal", "public", None), "team": ("a", "b", None)}
RANKS: Final = {"window": 1, "documented": 2, "proved": 3}
OF_A_REQUEST: Final = ("bound", "wire", "cut-off", "request")

Policies = tuple[tuple["Policy", "Level"], ...]


@dataclass(slots=True)
class OracleDifference:
    """What turned, under any tags: deployments with who refused before and after.

    Attributes:
        limits: deployments that both permit, with ceiling and basis before and after.
    """

    turned: set[tuple[str, frozenset[str], frozenset[str]]] = field(default_factory=set)
    limits: set[tuple[str, tuple[int | None, int], tuple[int | None, int]]] = field(default_factory=set)

    @property
    def newly_permitted(self) -> set[str]:
        """Who was refused under some tags and is not any more."""
        return {name for name, before, after in self.turned if before and not after}

    @property
    def newly_refused(self) -> set[str]:
        """Who was permitted under some tags and is not any more."""
        return {name for name, before, after in self.turned if after and not before}

    @property
    def loosened(self) -> set[str]:
        """Where some request fits that did not."""
        return {name for name, before, after in self.limits if _admits(after, before)}


def every_tags() -> Iterator[dict[str, str]]:
    """Every combination of declared values, each tag also absent."""
    for values in product(*VALUES.values()):
        yield {name: value for name, value in zip(VALUES, values, strict=True) if value is not None}


def refusers(
    request: Request, route: Route, policies: Policies, world: World, moment: Moment
) -> Mapping[str, frozenset[str]]:
    """Who refuses each deployment for as long as nothing is known of a request but its tags."""
    found = oracle_decide(request, route, policies, world, moment).refusers
    return {
        name: frozenset(each for each in those if each not in OF_A_REQUEST and "/request." not in each)
        for name, those in found.items()
    }


def oracle_limits(
    policies: Iterable[tuple[Policy, Level]], tags: Mapping[str, str], name: str, today: date
) -> tuple[int | None, int]:
    """The lowest ceiling in nano-dollars and the highest rank of a basis, of enforced policies without a waiver."""
    ceilings: list[int] = []
    ranks = [1]
    for policy, _ in policies:
        if policy.observe or any(tag in tags and tags[tag] not in policy.applies_to[tag] for tag in policy.applies_to):
            continue
        whole = all(tag in tags for tag in policy.applies_to)
        for spec in policy.rules:
            waived = whole and any(
                each.rule == f"{policy.name}/{spec.key}" and each.subject == name and each.expires >= today
                for each in policy.waivers
            )
            if not waived and spec.key == "request.cost_usd":
                ceilings.append(int(Fraction(str(spec.at_most)) * 10**9))
            if not waived and spec.key == "request.bound":
                ranks.append(RANKS[str(spec.at_least)])
    return min(ceilings, default=None), max(ranks)


def oracle_difference(
    ask: Request, route: Route, old: tuple[Policies, World], new: tuple[Policies, World], moment: Moment, today: date
) -> OracleDifference:
    """Decide both sides under all tags."""
    found = OracleDifference()
    for tags in every_tags():
        request = replace(ask, tags=tags)
        was = refusers(request, route, *old, moment)
        now = refusers(request, route, *new, moment)
        for name in was:
            if was[name] != now[name]:
                found.turned.add((name, was[name], now[name]))
            elif not was[name]:
                limits = oracle_limits(old[0], tags, name, today), oracle_limits(new[0], tags, name, today)
                if limits[0] != limits[1]:
                    found.limits.add((name, *limits))
    return found


def _admits(one: tuple[int | None, int], other: tuple[int | None, int]) -> bool:
    if one[1] < other[1]:
        return True
    return other[0] is not None and (one[0] is None or one[0] > other[0])
