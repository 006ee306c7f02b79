"""What narrows a list of the catalog down, and what matches."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import EndpointTemplate, OfferedModel, OperatorTemplate
    from modelrouter.core.facts import Model

__all__ = [
    "Kind",
    "checked",
    "countries_of",
    "is_in_country",
    "model_matches",
    "offers_of",
    "places_of",
    "retires_on",
    "serves",
]


class Kind(Enum):
    """What can be listed."""

    MODELS = "models"
    OPERATORS = "operators"
    LICENCES = "licences"
    ORGANISATIONS = "organisations"


OF_MODELS: Final = (
    "developer", "country", "licence", "operator", "openness", "place", "capability", "retires_before",
)  # fmt: skip
FILTERS: Final = {
    Kind.MODELS: OF_MODELS,
    Kind.OPERATORS: OF_MODELS,
    Kind.LICENCES: ("licence",),
    Kind.ORGANISATIONS: ("country",),
}
"""What narrows each list down. Beside country, operator and place, operators are asked for what they serve."""


def checked(catalog: Catalog, kind: Kind, given: Mapping[str, str]) -> dict[str, str]:
    """The filters with ids as the catalog has them.

    Raises:
        BadParameter: a filter that this list does not have, or a word that it does not take.
        CatalogError: an id that is not known, with the nearest one.
    """
    for name in given:
        if name not in FILTERS[kind]:
            words = name.replace("_", " ")
            reason = f"{kind.value} cannot be narrowed down by {words}: remove it"
            raise typer.BadParameter(reason, param_hint=f"--{words.replace(' ', '-')}")
    wanted = dict(given)
    if "developer" in wanted:
        catalog.organisation(wanted["developer"])
    if "operator" in wanted:
        wanted["operator"] = _operator(catalog, wanted["operator"])
    if "licence" in wanted:
        by_spdx = {licence.spdx.casefold(): licence.id for licence in catalog.licences.values()}
        wanted["licence"] = by_spdx.get(wanted["licence"].casefold(), wanted["licence"])
        catalog.licence(wanted["licence"])
    for name in ("country", "place"):
        if name in wanted:
            wanted[name] = _country(catalog, wanted[name], name)
    _check_words(wanted)
    return wanted


def _operator(catalog: Catalog, wanted: str) -> str:
    organisations = {template.operator for template in catalog.templates.values()}
    return wanted if wanted in organisations else catalog.template(wanted).id


def _country(catalog: Catalog, wanted: str, name: str) -> str:
    from modelrouter.catalog.countries import country_fault

    code = wanted.upper()
    if code in catalog.groups:
        return code
    reason = country_fault(code)
    if reason:
        raise typer.BadParameter(f"{reason}; groups are {', '.join(sorted(catalog.groups))}", param_hint=f"--{name}")
    return code


def _check_words(wanted: Mapping[str, str]) -> None:
    from modelrouter.catalog.reading import nearest
    from modelrouter.core.facts import Openness
    from modelrouter.core.request import CAPABILITIES

    words = [each.value for each in Openness]
    if wanted.get("openness", words[0]) not in words:
        raise typer.BadParameter(f"`{wanted['openness']}` is none of {', '.join(words)}", param_hint="--openness")
    capability = wanted.get("capability")
    if capability is not None and capability not in CAPABILITIES:
        reason = f"`{capability}` is no capability{nearest(capability, CAPABILITIES)}"
        raise typer.BadParameter(reason, param_hint="--capability")
    try:
        date.fromisoformat(wanted.get("retires_before", "2000-01-01"))
    except ValueError:
        reason = f"`{wanted['retires_before']}` is no day: write it as `2026-11-22`"
        raise typer.BadParameter(reason, param_hint="--retires-before") from None


# --- what matches -----------------------------------------------------------------------------------------------------


def countries_of(catalog: Catalog, organisation_id: str | None) -> list[str]:
    """Countries of an organisation and of its parents, its own first."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    while organisation_id is not None and organisation_id not in seen:
        seen.add(organisation_id)
        organisation = catalog.organisations.get(organisation_id)
        if organisation is None:
            break
        if organisation.country.value:
            found[organisation.country.value] = None
        organisation_id = organisation.parent.value
    return list(found)


def is_in_country(catalog: Catalog, organisation_id: str | None, country: str) -> bool:
    """Whether an organisation, or a parent of it, is in a country or group."""
    return bool(_members(catalog, country) & set(countries_of(catalog, organisation_id)))


def _members(catalog: Catalog, place: str) -> frozenset[str]:
    return catalog.groups.get(place, frozenset({place}))


def offers_of(catalog: Catalog, model_id: str) -> list[OperatorTemplate]:
    """The templates that list a model, by id."""
    return [template for _, template in sorted(catalog.templates.items()) if model_id in template.models]


def retires_on(model: Model, offer: OfferedModel | None = None) -> date | None:
    """The last day of a model, or of an offer of it where that states its own."""
    own = None if offer is None else offer.retires_on.value
    return own or model.retires_on.value


def model_matches(model: Model, wanted: Mapping[str, str]) -> bool:
    """Whether a model is of the wanted developer, licence and openness, and can do what is wanted."""
    openness = model.openness.value
    found = {
        "developer": model.developer.value,
        "licence": model.licence.value,
        "openness": None if openness is None else openness.value,
    }
    if wanted.get("capability") is not None and wanted["capability"] not in (model.capabilities.value or frozenset()):
        return False
    return all(found[name] == wanted[name] for name in found if name in wanted)


def places_of(catalog: Catalog, template: OperatorTemplate, place: str) -> list[str]:
    """The endpoints that compute nowhere but in a country or group."""
    return [name for name, each in template.endpoints.items() if _is_inside(catalog, each, place)]


def _is_inside(catalog: Catalog, endpoint: EndpointTemplate, place: str) -> bool:
    computes = endpoint.terms.processing.value
    if not computes:
        return False
    countries = frozenset(country for each in computes for country in _members(catalog, each))
    return countries <= _members(catalog, place)


def serves(catalog: Catalog, template: OperatorTemplate, model: Model, wanted: Mapping[str, str]) -> bool:
    """Whether an operator serves a model in the wanted place, and for how long."""
    offer = template.models[model.id]
    if "operator" in wanted and wanted["operator"] not in {template.id, template.operator}:
        return False
    if "place" in wanted:
        inside = places_of(catalog, template, wanted["place"])
        if not any(offer.endpoints is None or name in offer.endpoints for name in inside):
            return False
    if "retires_before" in wanted:
        day = retires_on(model, offer)
        return day is not None and day < date.fromisoformat(wanted["retires_before"])
    return True
