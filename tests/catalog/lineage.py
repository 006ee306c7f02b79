"""What the shipped facts say about origin, walked without the code under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.core.facts import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.catalog import Catalog

__all__ = ["ancestors", "countries"]


def ancestors(catalog: Catalog, model_id: str) -> Iterator[str]:
    """A model and all that its weights were made from, as far as the catalog tells."""
    yield model_id
    for parent in catalog.model(model_id).derived_from.value or ():
        yield from ancestors(catalog, parent)


def countries(catalog: Catalog, organisation_id: str) -> set[str] | None:
    """Country of an organisation and of every parent; None where one of them is unknown."""
    organisation = catalog.organisation(organisation_id)
    if organisation.country.value is None or organisation.parent.state in {State.UNKNOWN, State.UNDISCLOSED}:
        return None
    if organisation.parent.value is None:
        return {organisation.country.value}
    above = countries(catalog, organisation.parent.value)
    return None if above is None else {organisation.country.value} | above
