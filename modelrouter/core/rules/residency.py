"""`processing.country`, `storage.country`: where inference may run and data may rest, at every link of the chain.

The whole set of places must be inside `allow` and outside `deny`. A group is inside where it is allowed itself or all
its members are, and it is denied as soon as one member is. `global` is inside nothing and overlaps whatever is denied.
A storage of `none` is inside everything. Whatever the places, the statement must be of a `grade` that the rule accepts:
by default a contract or a technical pin, not somebody's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.facts import GLOBAL, Grade, State
from modelrouter.core.rules.base import RuleFamily
from modelrouter.core.rules.chain import stations
from modelrouter.core.rules.grammar import Grammar, option_words, words
from modelrouter.core.rules.places import PlaceGate, is_mystery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.facts import Fact, Source
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.base import Hearing

__all__ = ["ResidencyFamily"]

GRADES = tuple(grade.value for grade in Grade)
ACCEPTED = (Grade.CONTRACTUAL.value, Grade.TECHNICAL.value)


class ResidencyFamily(RuleFamily):
    """Places, each link by its own terms."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "processing.country": Grammar(("allow", "deny"), options={"grade": GRADES}),
        "storage.country": Grammar(("allow", "deny"), options={"grade": GRADES}),
    }

    def oddity(self, spec: RuleSpec) -> str | None:
        """Also `global` as an allowed place: it is inside nothing, so it would allow nobody."""
        if GLOBAL in (spec.allow or ()):
            return f"`{GLOBAL}` is inside nothing and cannot be allowed: remove it, or remove the rule"
        return super().oddity(spec)

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Ask about each link."""
        gate = PlaceGate.of(spec, hearing)
        accepted = option_words(spec, "grade", ACCEPTED)
        processing = spec.key == "processing.country"
        doing, fact_name = ("processing", "processing") if processing else ("storing", "storage")
        for station in stations(hearing):
            path = f"{station.whose}.{fact_name}"
            fact = station.terms.processing if processing else station.terms.storage
            remedy = f"`{station.whose}` {doing} {words(spec, among='in ', beside='outside ')}"
            _hear_places(hearing, gate, path, fact, none_is_nowhere=not processing, remedy=remedy)
            _hear_grade(hearing, accepted, path, fact.source, stated=_is_stated(fact, none_counts=not processing))


def _hear_places(
    hearing: Hearing, gate: PlaceGate, path: str, fact: Fact[frozenset[str]], *, none_is_nowhere: bool, remedy: str
) -> None:
    if none_is_nowhere and fact.state is State.NONE:
        hearing.read(path, fact, empty=frozenset())
        return
    places = hearing.read(path, fact, remedy=remedy)
    if places is None:
        return
    if not places:
        hearing.doubt(State.UNKNOWN.value, path, remedy)
    world = hearing.world
    for place in sorted(places):
        if gate.denies(place, world):
            hearing.refuse(place, path, remedy)
        elif is_mystery(place, world):
            if gate.written.deny or not gate.holds(place, world):
                hearing.doubt(f"unknown place {place}", path, f"a group `{place}`")
        elif not gate.holds(place, world):
            hearing.refuse(place, path, remedy)


def _is_stated(fact: Fact[frozenset[str]], *, none_counts: bool) -> bool:
    return fact.state is State.KNOWN or (none_counts and fact.state is State.NONE)


def _hear_grade(hearing: Hearing, accepted: tuple[str, ...], path: str, source: Source, *, stated: bool) -> None:
    if stated and source.grade.value not in accepted:
        hearing.refuse(f"{source.grade.value} only", path, f"a {' or '.join(accepted)} source for `{path}`")
