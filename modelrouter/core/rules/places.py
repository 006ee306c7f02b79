"""Countries, dated groups of them, and `global`, as sets.

A rule may name groups wherever it names countries; both sides are expanded by the world's groups, that is by today's
members. A word that is neither two capital letters, nor a group of the world, nor `global` stands for nothing we know:
a rule that denies it cannot be answered, and neither can a fact that states it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.facts import GLOBAL
from modelrouter.core.rules.base import Gate

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelrouter.core.facts import World
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.base import Hearing

__all__ = ["PlaceGate", "countries_of", "denied_mysteries", "is_mystery"]

CODE_LETTERS = 2


def countries_of(names: Collection[str], world: World) -> frozenset[str]:
    """The countries that names stand for: groups by their members, everything else by itself."""
    found: set[str] = set()
    for name in names:
        found |= world.groups.get(name, frozenset((name,)))
    return frozenset(found)


def is_mystery(name: str, world: World) -> bool:
    """Whether a word has no meaning as a place in this world."""
    if name == GLOBAL or name in world.groups:
        return False
    return not (len(name) == CODE_LETTERS and name.isascii() and name.isalpha() and name.isupper())


def denied_mysteries(hearing: Hearing, key: str, denied: Collection[str]) -> None:
    """A denied place that nobody can look up could be any place: it leaves a doubt."""
    for name in sorted(denied):
        if is_mystery(name, hearing.world):
            hearing.doubt(f"unknown place {name}", key, f"a group `{name}`")


@dataclass(frozen=True, slots=True)
class PlaceGate:
    """`allow` and `deny` over places.

    Attributes:
        written: the words of the rule.
        countries: the same by members, for comparing single countries.
    """

    written: Gate
    countries: Gate

    @staticmethod
    def of(spec: RuleSpec, hearing: Hearing) -> PlaceGate:
        """The sets of a rule, expanded; a denied place without a meaning leaves a doubt."""
        written = Gate.of(spec)
        denied_mysteries(hearing, spec.key, written.deny)
        allow = None if written.allow is None else countries_of(written.allow, hearing.world)
        return PlaceGate(written, Gate(allow, countries_of(written.deny, hearing.world)))

    def denies(self, place: str, world: World) -> bool:
        """Whether any member of a place is denied. `global` overlaps whatever is denied."""
        if not self.written.deny:
            return False
        if place == GLOBAL or place in self.written.deny:
            return True
        return not self.countries.deny.isdisjoint(countries_of((place,), world))

    def holds(self, place: str, world: World) -> bool:
        """Whether a place is wholly inside what is allowed: named itself, or all its members are. `global` never is."""
        if self.written.allow is None or self.countries.allow is None:
            return True
        if place == GLOBAL:
            return False
        if place in self.written.allow:
            return True
        members = countries_of((place,), world)
        return bool(members) and members <= self.countries.allow
