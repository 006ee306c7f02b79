"""Where things come from: the ancestors of a model, and the owners of an organisation.

Both are walks over ids that a world may hold in any shape: circles end where they close, and an id that is not in the
world is walked as one about which nothing is known. An alias leads to what it stands for today, whatever relations are
asked for; it has no lineage of its own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.core.facts import SELF, Fact, State

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelrouter.core.facts import Model, World
    from modelrouter.core.subject import Subject

__all__ = ["Ancestor", "Bond", "Owner", "Relation", "Seat", "ancestry", "is_complete", "owners"]


class Relation(enum.Enum):
    """How one model comes from another: by its weights, by its teacher's outputs, by somebody's allegation.

    Or it is another one, under a name that moves: `ALIAS_OF` is no choice of a rule, it is always followed.
    """

    ALIAS_OF = "alias_of"

    DERIVED_FROM = "derived_from"
    DISTILLED_FROM = "distilled_from"
    LINEAGE_CLAIM = "lineage_claim"


@dataclass(frozen=True, slots=True)
class Bond:
    """What is known of one relation of one model.

    Attributes:
        path: as `r1.derived_from`.
        fact: ids of the models that it names.
    """

    path: str
    relation: Relation
    fact: Fact[frozenset[str]]


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One model of an ancestry, the first being the model itself.

    Attributes:
        model: None where the id is not in the world.
        bonds: its relations among those that were asked for.
        stands_for_others: it is an alias of which is known what it stands for today: these models' facts are asked.
    """

    id: str
    model: Model | None
    bonds: tuple[Bond, ...] = ()
    stands_for_others: bool = False


@dataclass(frozen=True, slots=True)
class Seat:
    """One country that counts for an organisation.

    Attributes:
        path: whose country, as `alibaba.country`.
        of_parent: it is the country of an owner, not of the organisation itself.
    """

    path: str
    fact: Fact[str]
    of_parent: bool


@dataclass(frozen=True, slots=True)
class Owner:
    """One organisation of a chain of ownership, the first being the organisation itself.

    Attributes:
        seats: one country; two for `self`, the caller, who states the controlling owner's country as well.
        parent: None for `self`, about whose owners nothing but that country is asked.
        is_parent: it owns the organisation that was asked about.
    """

    id: str
    seats: tuple[Seat, ...]
    parent: Fact[str] | None
    is_parent: bool

    @property
    def parent_path(self) -> str:
        """As `alibaba.parent`."""
        return f"{self.id}.parent"


def ancestry(subject: Subject, relations: Collection[Relation] = ()) -> tuple[Ancestor, ...]:
    """A deployment's model and all it comes from, by any path over the named relations together.

    Nearest first, and sorted by id among equals, so that the order of the catalog never shows. A `lineage_claim` that
    is unknown is left out: where nobody has entered an allegation, there is none.
    """
    found: dict[str, Ancestor] = {}
    generation = [subject.deployment.model]
    while generation:
        following: set[str] = set()
        for each in generation:
            ancestor = found[each] = _ancestor(subject, each, relations)
            for bond in ancestor.bonds:
                if bond.fact.state is State.KNOWN:
                    following |= bond.fact.value or frozenset()
        generation = sorted(following - found.keys())
    return tuple(found.values())


def owners(world: World, organisation_id: str) -> tuple[Owner, ...]:
    """An organisation, its parent, its parent's parent and so on, for as far as the facts reach."""
    found: dict[str, Owner] = {}
    following: str | None = organisation_id
    while following is not None and following not in found:
        owner = found[following] = _owner(world, following, is_parent=bool(found))
        known = owner.parent is not None and owner.parent.state is State.KNOWN
        following = owner.parent.value if known and owner.parent is not None else None
    return tuple(found.values())


def is_complete(chain: tuple[Owner, ...]) -> bool:
    """Whether a chain of owners ends because it is over, and not because we do not know further."""
    last = chain[-1].parent
    return last is None or last.state is State.NONE or (last.state is State.KNOWN and last.value is not None)


def _ancestor(subject: Subject, model_id: str, relations: Collection[Relation]) -> Ancestor:
    model = subject.world.models.get(model_id)
    if model is None:
        return Ancestor(model_id, None)
    standings = _standings(subject, model)
    if any(bond.fact.state is State.KNOWN for bond in standings):
        return Ancestor(model_id, model, standings, stands_for_others=True)
    facts = {
        Relation.DERIVED_FROM: model.derived_from,
        Relation.DISTILLED_FROM: model.distilled_from,
        Relation.LINEAGE_CLAIM: model.lineage_claim,
    }
    bonds = tuple(
        Bond(f"{model_id}.{relation.value}", relation, fact)
        for relation, fact in facts.items()
        if relation in relations and not (relation is Relation.LINEAGE_CLAIM and fact.state is State.UNKNOWN)
    )
    return Ancestor(model_id, model, standings + bonds)


def _standings(subject: Subject, model: Model) -> tuple[Bond, ...]:
    """What an alias stands for today, each with its own source; nothing for what is no alias.

    An alias whose known days do not hold today stands for something that we do not know; so does one of another alias,
    which would lead in circles.
    """
    if model.alias_of.state is State.NONE:
        return ()
    path = f"{model.id}.{Relation.ALIAS_OF.value}"
    today = [each for each in model.alias_of.value or () if subject.calendar.is_within(each.since, each.until)]
    known = subject.world.models
    aliases = {
        each.model for each in today if each.model in known and known[each.model].alias_of.state is not State.NONE
    }
    facts: list[Fact[frozenset[str]]] = [
        Fact.unknown() if each.model in aliases else Fact.known(frozenset({each.model}), each.source) for each in today
    ]
    if not facts:
        undisclosed = model.alias_of.state is State.UNDISCLOSED
        facts = [Fact.undisclosed(model.alias_of.source) if undisclosed else Fact.unknown()]
    return tuple(Bond(path, Relation.ALIAS_OF, fact) for fact in facts)


def _owner(world: World, organisation_id: str, *, is_parent: bool) -> Owner:
    if organisation_id == SELF:
        caller = world.caller
        own = Seat("caller.country", caller.country, is_parent)
        owning = Seat("caller.parent_country", caller.parent_country, of_parent=True)
        return Owner(SELF, (own, owning), None, is_parent)
    organisation = world.organisations.get(organisation_id)
    country: Fact[str] = Fact.unknown() if organisation is None else organisation.country
    parent: Fact[str] = Fact.unknown() if organisation is None else organisation.parent
    seat = Seat(f"{organisation_id}.country", country, is_parent)
    return Owner(organisation_id, (seat,), parent, is_parent)
