"""How many facts a catalog holds, in which states, and how well they are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING

from modelrouter.core.facts import Fact, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.catalog.loader import Catalog

__all__ = ["Census", "census_of"]


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of facts.

    Attributes:
        states: by state, as `known`.
        confidences: of those that are not unknown, as `high`.
        unsourced: facts that are not unknown and say no source.
        models: those with weights of their own; an alias has none.
        based: models of which it is known from what they were made, or sourced that from nothing.
    """

    states: Counter[str] = field(default_factory=Counter)
    confidences: Counter[str] = field(default_factory=Counter)
    unsourced: int = 0
    models: int = 0
    based: int = 0


def census_of(catalog: Catalog) -> Census:
    """Count the facts of organisations, licences, models and operators; prices are counted where they are charged."""
    states: Counter[str] = Counter()
    confidences: Counter[str] = Counter()
    unsourced = 0
    for fact in _facts([catalog.organisations, catalog.licences, catalog.models, catalog.templates]):
        states[fact.state.value] += 1
        if fact.state is not State.UNKNOWN:
            confidences[fact.source.confidence.name.lower()] += 1
            unsourced += not fact.source.ref
    models = [each for each in catalog.models.values() if each.alias_of.value is None]
    based = sum(each.derived_from.state in {State.KNOWN, State.NONE} for each in models)
    return Census(states, confidences, unsourced, len(models), based)


def _facts(found: object) -> Iterator[Fact[object]]:
    if isinstance(found, Fact):
        yield found
    elif isinstance(found, Mapping):
        for each in found.values():
            yield from _facts(each)
    elif isinstance(found, list | tuple):
        for each in found:
            yield from _facts(each)
    elif is_dataclass(found):
        for each in fields(found):
            yield from _facts(getattr(found, each.name))
