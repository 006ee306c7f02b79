"""`modelrouter catalog show`: everything that is known about one id, with sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from modelrouter.cli.catalog.filters import offers_of
from modelrouter.cli.catalog.lineage import descendants, lineage_document, lineage_tree
from modelrouter.cli.catalog.operators import offer_facts, operator_document, show_operator, standing
from modelrouter.cli.facts import Sources, fact_document, price_words, show_facts, terms_of
from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document, table
from modelrouter.core.facts import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.core.facts import Fact, Licence, Model, Organisation

__all__ = ["show"]

Document = dict[str, Any]


def show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="a model, operator, licence or organisation")],
    as_json: AsJson = False,
) -> None:
    """Show everything about one id: facts with sources, lineage, who offers it at which price."""
    from modelrouter.catalog import load_catalog

    catalog = load_catalog()
    model, template = catalog.models.get(entry), catalog.templates.get(entry)
    organisation, licence = catalog.organisations.get(entry), _licence(catalog, entry)
    if model is None and template is None and organisation is None and licence is None:
        _fail(catalog, entry)
    if as_json:
        print_document(
            {
                "id": entry,
                "model": None if model is None else _model_document(catalog, model),
                "operator": None if template is None else operator_document(catalog, template),
                "organisation": None if organisation is None else _organisation_document(catalog, organisation),
                "licence": None if licence is None else _licence_document(catalog, licence),
            }
        )
        return
    screen, sources = console(), Sources()
    if model is not None:
        _show_model(screen, catalog, model, sources)
    if organisation is not None:
        _show_organisation(screen, catalog, organisation, sources)
    if template is not None:
        show_operator(screen, catalog, template, sources)
    if licence is not None:
        _show_licence(screen, catalog, licence, sources)
    sources.show(screen)


def _licence(catalog: Catalog, entry: str) -> Licence | None:
    wanted = entry.casefold()
    return next((each for each in catalog.licences.values() if wanted in {each.id, each.spdx.casefold()}), None)


def _fail(catalog: Catalog, entry: str) -> NoReturn:
    from modelrouter.catalog.reading import nearest
    from modelrouter.errors import CatalogError

    known = {*catalog.models, *catalog.templates, *catalog.organisations, *catalog.licences}
    raise CatalogError(f"`{entry}` is not in the catalog{nearest(entry, frozenset(known))}")


# --- models -----------------------------------------------------------------------------------------------------------


def _model_facts(model: Model) -> dict[str, Fact[Any]]:
    """Facts by name; an alias has no licence and openness but those of what it stands for."""
    of_weights = {"licence": model.licence, "openness": model.openness} if model.alias_of.value is None else {}
    return {
        "developer": model.developer,
        **of_weights,
        "context_tokens": model.context_tokens,
        "capabilities": model.capabilities,
        "pinned": model.pinned,
        "retires_on": model.retires_on,
        **({} if model.alias_of.state is State.NONE else {"alias_of": model.alias_of}),
    }


def _model_document(catalog: Catalog, model: Model) -> Document:
    return {
        "name": model.name,
        "family": model.family,
        "facts": {name: fact_document(fact) for name, fact in _model_facts(model).items()},
        "lineage": lineage_document(catalog, model.id),
        "descendants": descendants(catalog, model.id),
        "offers": [
            offer for template in offers_of(catalog, model.id) for offer in _offer_documents(template, model.id)
        ],
    }


def _offer_documents(template: OperatorTemplate, model_id: str) -> list[Document]:
    """A model at one operator, once for each endpoint that serves it."""
    offer = template.models[model_id]
    found = []
    for name, endpoint in template.endpoints.items():
        if offer.endpoints is None or name in offer.endpoints:
            price = template.price(endpoint, offer)
            found.append(
                {
                    "operator": template.id,
                    "endpoint": name,
                    "is_default": name == template.default_endpoint,
                    "name": template.called(endpoint, offer) or None,
                    "hosting": template.hosting(offer).value,
                    "subprocessor": offer.subprocessor,
                    "price": fact_document(price),
                    **{key: fact_document(fact) for key, fact in offer_facts(template, offer).items()},
                    "terms": {
                        key: fact_document(fact) for key, fact in terms_of(template.terms_of(endpoint, offer)).items()
                    },
                }
            )
    return found


def _show_model(screen: Console, catalog: Catalog, model: Model, sources: Sources) -> None:
    screen.print(f"model {model.id}", style="bold", end="")
    screen.print(f": {model.name}")
    show_facts(screen, _model_facts(model), sources)
    screen.print(lineage_tree(catalog, model.id, sources))
    made = descendants(catalog, model.id)
    if made:
        screen.print(f"models made from it: {', '.join(made)}")
    offers = offers_of(catalog, model.id)
    if not offers:
        screen.print("no operator in the catalog offers it", style="yellow")
        return
    offered = table("offer", "USD per Mtok", "computes in", "stores in", "trains", "keeps days", whole=("offer",))
    for template in offers:
        offer = template.models[model.id]
        for name, endpoint in template.endpoints.items():
            if offer.endpoints is None or name in offer.endpoints:
                price, terms = template.price(endpoint, offer), template.terms_of(endpoint, offer)
                offered.add_row(
                    f"{template.id}/{name}",
                    price_words(price) + sources.mark(price),
                    *(sources.said(each) for each in terms_of(terms).values()),
                )
    screen.print(offered)
    for template in offers:
        day = template.models[model.id].retires_on
        if day.state is State.KNOWN:
            screen.print(f"{template.id} serves it until {sources.said(day)}")


# --- organisations and licences ---------------------------------------------------------------------------------------


def _organisation_facts(organisation: Organisation) -> dict[str, Fact[Any]]:
    return {
        **standing(organisation),
        **terms_of(organisation.terms),
    }


def _developed(catalog: Catalog, organisation_id: str) -> list[str]:
    return sorted(name for name, model in catalog.models.items() if model.developer.value == organisation_id)


def _operated(catalog: Catalog, organisation_id: str) -> list[str]:
    return sorted(name for name, each in catalog.templates.items() if each.operator == organisation_id)


def _organisation_document(catalog: Catalog, organisation: Organisation) -> Document:
    return {
        "name": organisation.name,
        "roles": sorted(organisation.roles),
        "facts": {name: fact_document(fact) for name, fact in _organisation_facts(organisation).items()},
        "models": _developed(catalog, organisation.id),
        "operators": _operated(catalog, organisation.id),
    }


def _show_organisation(screen: Console, catalog: Catalog, organisation: Organisation, sources: Sources) -> None:
    screen.print(f"organisation {organisation.id}", style="bold", end="")
    screen.print(f": {organisation.name} ({', '.join(sorted(organisation.roles)) or 'no role'})")
    show_facts(screen, _organisation_facts(organisation), sources)
    for what, names in (
        ("models", _developed(catalog, organisation.id)),
        ("operates", _operated(catalog, organisation.id)),
    ):
        if names:
            screen.print(f"{what}: {', '.join(names)}")


def _licence_facts(licence: Licence) -> Mapping[str, Fact[Any]]:
    return {
        "commercial_use": licence.commercial_use,
        "conditions": licence.conditions,
        "osi_approved": licence.osi_approved,
    }


def _under(catalog: Catalog, licence_id: str) -> list[str]:
    return sorted(name for name, model in catalog.models.items() if model.licence.value == licence_id)


def _licence_document(catalog: Catalog, licence: Licence) -> Document:
    return {
        "id": licence.id,
        "spdx": licence.spdx,
        "name": licence.name,
        "facts": {name: fact_document(fact) for name, fact in _licence_facts(licence).items()},
        "reaches_hosted_use": licence.reaches_hosted_use,
        "models": _under(catalog, licence.id),
    }


def _show_licence(screen: Console, catalog: Catalog, licence: Licence, sources: Sources) -> None:
    screen.print(f"licence {licence.id}", style="bold", end="")
    screen.print(f": {licence.name} ({licence.spdx})")
    show_facts(screen, _licence_facts(licence), sources)
    if licence.reaches_hosted_use:
        screen.print("its terms also bind those who only call a hosted copy", style="yellow")
    names = _under(catalog, licence.id)
    if names:
        screen.print(f"models: {', '.join(names)}")
