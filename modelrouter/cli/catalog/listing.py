"""`modelrouter catalog list`: what is known, narrowed down by who made it, who runs it, where, and what it can do."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.catalog.filters import (
    Kind,
    checked,
    countries_of,
    is_in_country,
    model_matches,
    offers_of,
    places_of,
    retires_on,
    serves,
)
from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from modelrouter.catalog import Catalog
    from modelrouter.core.facts import Model

__all__ = ["list_entries"]

Row = dict[str, Any]
ABOUT_OFFERS: Final = frozenset({"operator", "place"})
"""Filters that only an offer can meet."""


def list_entries(
    kind: Annotated[Kind, typer.Argument(help="of what")] = Kind.MODELS,
    *,
    developer: Annotated[str | None, typer.Option(metavar="ID", help="trained by this organisation")] = None,
    country: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="whose organisation, or a parent of it, is in this country or group"),
    ] = None,
    licence: Annotated[str | None, typer.Option(metavar="ID", help="under this licence, by catalog or SPDX id")] = None,
    operator: Annotated[str | None, typer.Option(metavar="ID", help="served by this operator")] = None,
    openness: Annotated[str | None, typer.Option(metavar="KIND", help="closed, open_weights or open_source")] = None,
    place: Annotated[
        str | None, typer.Option(metavar="CODE", help="served where computing stays in this country or group")
    ] = None,
    capability: Annotated[str | None, typer.Option(metavar="WORD", help="that can do this, as tools or vision")] = None,
    retires_before: Annotated[str | None, typer.Option(metavar="DAY", help="that ends before this day")] = None,
    as_json: AsJson = False,
) -> None:
    """List models, operators, licences or organisations."""
    from modelrouter.catalog import load_catalog

    catalog = load_catalog()
    given = {
        "developer": developer,
        "country": country,
        "licence": licence,
        "operator": operator,
        "openness": openness,
        "place": place,
        "capability": capability,
        "retires_before": retires_before,
    }
    wanted = checked(catalog, kind, {name: value for name, value in given.items() if value is not None})
    rows = list(_LISTS[kind](catalog, wanted))
    if as_json:
        print_document({"kind": kind.value, "filters": wanted, "entries": rows})
    else:
        _show(kind, rows, [*COLUMNS[kind], *(["retires"] if retires_before else [])])


# --- rows -------------------------------------------------------------------------------------------------------------


def _models(catalog: Catalog, wanted: Mapping[str, str]) -> Iterator[Row]:
    for model_id, model in sorted(catalog.models.items()):
        if not model_matches(model, wanted):
            continue
        if "country" in wanted and not is_in_country(catalog, model.developer.value, wanted["country"]):
            continue
        offers = [each for each in offers_of(catalog, model_id) if serves(catalog, each, model, wanted)]
        if not offers and (ABOUT_OFFERS & wanted.keys() or not _retires_itself(model, wanted)):
            continue
        days = [day for day in (retires_on(model, each.models[model_id]) for each in offers) if day]
        day = min(days, default=retires_on(model))
        yield {
            "id": model_id,
            "developer": model.developer.value,
            "countries": countries_of(catalog, model.developer.value),
            "licence": model.licence.value or model.licence.state.value,
            "openness": model.openness.value.value if model.openness.value else model.openness.state.value,
            "retires": None if day is None else day.isoformat(),
            "operators": [template.id for template in offers],
        }


def _retires_itself(model: Model, wanted: Mapping[str, str]) -> bool:
    """Whether a model that no matching offer retires ends by itself before the wanted day, if one is wanted."""
    day = retires_on(model)
    last = wanted.get("retires_before")
    return last is None or (day is not None and day < date.fromisoformat(last))


def _operators(catalog: Catalog, wanted: Mapping[str, str]) -> Iterator[Row]:
    for template_id, template in sorted(catalog.templates.items()):
        served = [catalog.models[name] for name in template.models]
        matching = [
            model.id for model in served if model_matches(model, wanted) and serves(catalog, template, model, wanted)
        ]
        if wanted.keys() - {"country", "operator", "place"} and not matching:
            continue
        if "country" in wanted and not is_in_country(catalog, template.operator, wanted["country"]):
            continue
        if "operator" in wanted and wanted["operator"] not in {template.id, template.operator}:
            continue
        inside = places_of(catalog, template, wanted["place"]) if "place" in wanted else list(template.endpoints)
        if not inside:
            continue
        keys = sorted({endpoint.wire.key for endpoint in template.endpoints.values()} - {""})
        yield {
            "id": template_id,
            "name": template.name,
            "kind": template.kind,
            "organisation": template.operator,
            "countries": countries_of(catalog, template.operator),
            "endpoints": sorted(inside),
            "key_variables": keys,
            "models": sorted(matching),
        }


def _licences(catalog: Catalog, wanted: Mapping[str, str]) -> Iterator[Row]:
    for licence_id, licence in sorted(catalog.licences.items()):
        if wanted.get("licence", licence_id) == licence_id:
            commercial = licence.commercial_use
            yield {
                "id": licence_id,
                "spdx": licence.spdx,
                "name": licence.name,
                "commercial_use": commercial.state.value if commercial.value is None else commercial.value,
                "conditions": sorted({each.kind.value for each in licence.conditions.value or ()}),
                "models": sorted(name for name, model in catalog.models.items() if model.licence.value == licence_id),
            }


def _organisations(catalog: Catalog, wanted: Mapping[str, str]) -> Iterator[Row]:
    for organisation_id, organisation in sorted(catalog.organisations.items()):
        if "country" not in wanted or is_in_country(catalog, organisation_id, wanted["country"]):
            yield {
                "id": organisation_id,
                "name": organisation.name,
                "countries": countries_of(catalog, organisation_id),
                "parent": organisation.parent.value or organisation.parent.state.value,
                "roles": sorted(organisation.roles),
            }


_LISTS: Final[Mapping[Kind, Callable[[Catalog, Mapping[str, str]], Iterator[Row]]]] = {
    Kind.MODELS: _models,
    Kind.OPERATORS: _operators,
    Kind.LICENCES: _licences,
    Kind.ORGANISATIONS: _organisations,
}
COLUMNS: Final = {
    Kind.MODELS: ("id", "developer", "licence", "openness", "operators"),
    Kind.OPERATORS: ("id", "countries", "endpoints", "key variables", "models"),
    Kind.LICENCES: ("id", "commercial use", "conditions", "models"),
    Kind.ORGANISATIONS: ("id", "name", "countries", "parent", "roles"),
}
COUNTED: Final = ("operators", "models")
"""Long lists of which a table shows the number; `catalog show` and `--json` name them."""


def _show(kind: Kind, rows: list[Row], columns: list[str]) -> None:
    listed = table(*columns, right=COUNTED, whole=("id", "retires"))
    for row in rows:
        listed.add_row(*(_cell(row, name) for name in columns))
    screen = console()
    screen.print(listed)
    screen.print(f"{len(rows)} {kind.value}; `modelrouter catalog show ID` tells everything about one", style="dim")


def _cell(row: Row, name: str) -> str:
    value = row[name.replace(" ", "_")]
    if name == "developer":
        return f"{value} ({', '.join(row['countries'])})"
    if isinstance(value, list):
        return str(len(value)) if name in COUNTED else ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value).replace("_", " ")
