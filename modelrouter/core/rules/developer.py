"""`developer.country`, `developer.id`, `developer.lists`: who made the weights, and what they were made from.

Asked of the developer of the model and of each ancestor by the relations named in `lineage` (weights alone, unless
said otherwise), over all of them together. Where a relation is not disclosed, `undisclosed` decides: `refuse` for the
weights and `permit` for a teacher and for an allegation, unless said otherwise. A relation that is unknown is never
permitted, but for `lineage_claim`, where no entry means that nobody claims anything.

An alias is asked about with all that it stands for today; where that is unknown or not disclosed, nothing permits.

`developer.lists` asks for entries of the developer itself that hold today; a day that is not established is every day.
An entry on one list says nothing of another: only a sourced `none`, or an entry that is over, clears a developer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar

from modelrouter.core.facts import Fact, State
from modelrouter.core.lineage import Relation, ancestry
from modelrouter.core.rules.base import Gate, RuleFamily
from modelrouter.core.rules.grammar import Grammar
from modelrouter.core.rules.organisations import hear_countries, hear_id
from modelrouter.core.rules.places import PlaceGate

if TYPE_CHECKING:
    from modelrouter.core.facts import Listing
    from modelrouter.core.lineage import Ancestor, Bond
    from modelrouter.core.policy import RuleSpec
    from modelrouter.core.rules.base import Hearing

__all__ = ["DeveloperFamily"]

RELATIONS = {relation.value: relation for relation in Relation if relation is not Relation.ALIAS_OF}
REFUSE, PERMIT = "refuse", "permit"
UNDISCLOSED: Mapping[Relation, str] = {
    Relation.ALIAS_OF: REFUSE,
    Relation.DERIVED_FROM: REFUSE,
    Relation.DISTILLED_FROM: PERMIT,
    Relation.LINEAGE_CLAIM: PERMIT,
}
OPTIONS = ("lineage", "undisclosed")


class DeveloperFamily(RuleFamily):
    """Who trained the model and its ancestors."""

    grammars: ClassVar[Mapping[str, Grammar]] = {
        "developer.country": Grammar(("allow", "deny"), free_options=OPTIONS),
        "developer.id": Grammar(("allow", "deny"), free_options=OPTIONS),
        "developer.lists": Grammar(("deny",), free_options=OPTIONS),
    }

    def fault(self, spec: RuleSpec) -> str | None:
        """Also relations that do not exist, and answers to `undisclosed` other than permit and refuse."""
        return super().fault(spec) or _fault_of_lineage(spec) or _fault_of_undisclosed(spec)

    def oddity(self, spec: RuleSpec) -> str | None:
        """Also a refusal for a relation that the rule does not follow: it would never be asked."""
        undisclosed, relations = _undisclosed(spec), _relations(spec)
        for name in sorted(_mapping(spec.options.get("undisclosed"))):
            relation = RELATIONS[name]
            if undisclosed[relation] == REFUSE and relation not in relations:
                return f"`undisclosed` refuses `{name}`, which `lineage` does not follow: add it to `lineage`"
        return super().oddity(spec)

    def hear(self, spec: RuleSpec, hearing: Hearing) -> None:
        """Ask about the model, then about each ancestor."""
        undisclosed = _undisclosed(spec)
        place_gate = PlaceGate.of(spec, hearing) if spec.key == "developer.country" else None
        for ancestor in ancestry(hearing.subject, _relations(spec)):
            self._hear_developer(spec, hearing, ancestor, place_gate)
            for bond in ancestor.bonds:
                _hear_bond(hearing, bond, undisclosed[bond.relation])

    def _hear_developer(
        self, spec: RuleSpec, hearing: Hearing, ancestor: Ancestor, place_gate: PlaceGate | None
    ) -> None:
        path = f"{ancestor.id}.developer"
        fact: Fact[str] = Fact.unknown() if ancestor.model is None else ancestor.model.developer
        developer = hearing.read(path, fact)
        if developer is None:
            return
        via = "" if ancestor.id == hearing.subject.deployment.model else f" via {ancestor.id}"
        if place_gate is not None:
            remedy = f"`{hearing.name}` without a developer from {{}}"
            hear_countries(hearing, place_gate, developer, via=via, remedy=remedy)
        elif spec.key == "developer.id":
            remedy = f"`{hearing.name}` without a model of `{{}}`"
            hear_id(hearing, Gate.of(spec), developer, path=path, via=via, remedy=remedy)
        else:
            _hear_lists(hearing, spec.deny or frozenset(), developer, via)


def _hear_lists(hearing: Hearing, denied: Collection[str], developer: str, via: str) -> None:
    path = f"{developer}.lists"
    organisation = hearing.world.organisations.get(developer)
    fact: Fact[tuple[Listing, ...]] = Fact.unknown() if organisation is None else organisation.lists
    for listing in fact.value or ():
        if listing.list_id in denied and hearing.subject.calendar.is_within(listing.since, listing.until):
            hearing.note(path, _worded(listing), listing.source)
            remedy = f"`{hearing.name}` without a developer on {listing.list_id}"
            hearing.refuse(f"{listing.list_id}{via}", path, remedy)
    hearing.read(path, fact, empty=(), shown=", ".join(_worded(listing) for listing in fact.value or ()))
    silent = sorted(set(denied) - {listing.list_id for listing in fact.value or ()})
    if fact.state is State.KNOWN and silent:
        hearing.doubt(State.UNKNOWN.value, path, f"`{path}` known for {', '.join(silent)}")


def _worded(listing: Listing) -> str:
    since = "" if listing.since is None else f" since {listing.since}"
    until = "" if listing.until is None else f" until {listing.until}"
    return f"{listing.list_id}{since}{until}"


def _hear_bond(hearing: Hearing, bond: Bond, undisclosed: str) -> None:
    if bond.fact.state is not State.UNDISCLOSED:
        hearing.read(bond.path, bond.fact, empty=frozenset())
        return
    hearing.note(bond.path, State.UNDISCLOSED.value, bond.fact.source)
    if undisclosed == PERMIT:
        hearing.weigh(bond.path, bond.fact.source)
    else:
        hearing.refuse(State.UNDISCLOSED.value, bond.path, f"`{bond.path}` disclosed")


# --- parameters -----------------------------------------------------------------------------------------------------


def _relations(spec: RuleSpec) -> frozenset[Relation]:
    """The relations to follow. An empty list follows none: the model alone is asked about."""
    written = spec.options.get("lineage")
    if not isinstance(written, Collection):
        return frozenset((Relation.DERIVED_FROM,))
    return frozenset(RELATIONS[name] for name in written if name in RELATIONS)


def _undisclosed(spec: RuleSpec) -> Mapping[Relation, str]:
    written: dict[Relation, str] = {
        RELATIONS[name]: answer for name, answer in _mapping(spec.options.get("undisclosed")).items()
    }
    return {**UNDISCLOSED, **written}


def _mapping(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {name: str(answer) for name, answer in value.items() if name in RELATIONS}


def _fault_of_lineage(spec: RuleSpec) -> str | None:
    written = spec.options.get("lineage")
    if written is None:
        return None
    if not isinstance(written, Collection) or isinstance(written, (str, Mapping)):
        return "`lineage` must be a list of relations, as `[derived_from, distilled_from]`"
    for name in written:
        if name not in RELATIONS:
            return f"`lineage: {name}` is not one of {_known_relations()}"
    return None


def _fault_of_undisclosed(spec: RuleSpec) -> str | None:
    written = spec.options.get("undisclosed")
    if written is None:
        return None
    if not isinstance(written, Mapping):
        return "`undisclosed` must say `permit` or `refuse` for each relation, as `{distilled_from: permit}`"
    for name, answer in written.items():
        if name not in RELATIONS:
            return f"`undisclosed: {name}` is not one of {_known_relations()}"
        if answer not in {PERMIT, REFUSE}:
            return f"`undisclosed: {{{name}: {answer}}}` must be `permit` or `refuse`"
    return None


def _known_relations() -> str:
    return ", ".join(f"`{name}`" for name in RELATIONS)
