"""What is known about an operator: who it is, its endpoints with their terms, and the models that it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelrouter.cli.decisions import source_document
from modelrouter.cli.facts import fact_document, price_words, show_facts, terms_of, uplift_words
from modelrouter.cli.screen import table
from modelrouter.core.facts import State

if TYPE_CHECKING:
    from rich.console import Console

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import OfferedModel, OperatorTemplate
    from modelrouter.cli.facts import Sources
    from modelrouter.core.facts import Fact, Organisation

__all__ = ["offer_facts", "operator_document", "show_operator", "standing"]

Document = dict[str, Any]


def offer_facts(template: OperatorTemplate, offer: OfferedModel) -> dict[str, Fact[Any]]:
    """What an operator states of a model beside its price."""
    is_stated = offer.bound_basis.state is not State.UNKNOWN
    return {
        "context_tokens": offer.context_tokens,
        "capabilities": offer.capabilities,
        "pinned": offer.pinned,
        "retires_on": offer.retires_on,
        "quantization": offer.quantization,
        "bound_basis": offer.bound_basis if is_stated else template.bound_basis,
    }


def standing(organisation: Organisation) -> dict[str, Fact[Any]]:
    """Who an organisation is, beside its terms."""
    return {
        "country": organisation.country,
        "parent": organisation.parent,
        "lists": organisation.lists,
        "attestations": organisation.attestations,
    }


def operator_document(catalog: Catalog, template: OperatorTemplate) -> Document:
    """An operator for programs: who it is, endpoints with terms, models with prices."""
    organisation = catalog.organisations.get(template.operator)
    return {
        "name": template.name,
        "organisation": template.operator,
        "organisation_facts": None
        if organisation is None
        else {name: fact_document(fact) for name, fact in standing(organisation).items()},
        "agreements_with": None if template.server else template.operator,
        "bound_basis": fact_document(template.bound_basis),
        "capabilities": fact_document(template.capabilities),
        "kind": template.kind,
        "server": template.server or None,
        "source": source_document(template.source),
        "default_endpoint": template.default_endpoint,
        "endpoints": [
            {
                "name": name,
                "lane": endpoint.wire.lane,
                "base_url": endpoint.wire.base_url or None,
                "hosts": sorted(endpoint.wire.hosts),
                "key_variable": endpoint.wire.key or None,
                "needs": sorted(endpoint.wire.placeholders),
                "price_uplift": None if endpoint.price_uplift is None else f"{endpoint.price_uplift:f}",
                "terms": {key: fact_document(fact) for key, fact in terms_of(endpoint.terms).items()},
            }
            for name, endpoint in template.endpoints.items()
        ],
        "providers": dict(template.providers),
        "models": [
            {
                "model": name,
                "name": offer.name or None,
                "price": fact_document(offer.price),
                **{key: fact_document(fact) for key, fact in offer_facts(template, offer).items()},
                "endpoints": None if offer.endpoints is None else sorted(offer.endpoints),
            }
            for name, offer in template.models.items()
        ],
    }


def show_operator(screen: Console, catalog: Catalog, template: OperatorTemplate, sources: Sources) -> None:
    """The same for people."""
    screen.print(f"operator {template.id}", style="bold", end="")
    screen.print(f": {template.name} ({template.kind}, organisation {template.operator})")
    organisation = catalog.organisations.get(template.operator)
    if organisation is not None:
        show_facts(screen, standing(organisation), sources)
    if not template.server:
        screen.print(f"  agreements are made with {template.operator}, and written under `caller.agreements`")
    if template.providers:
        screen.print(f"  can be pinned to {', '.join(template.providers)}")
    show_facts(screen, {"bound_basis": template.bound_basis}, sources)
    for name, endpoint in template.endpoints.items():
        wire = endpoint.wire
        default = ", default" if name == template.default_endpoint else ""
        screen.print(f"endpoint {name}{default}{uplift_words(endpoint)}", style="bold")
        needs = f"; needs {', '.join(sorted(wire.placeholders))}" if wire.placeholders else ""
        key = f"; key in {wire.key}" if wire.key else ""
        screen.print(f"  {wire.lane} lane, {wire.base_url or 'no fixed address'}{key}{needs}")
        show_facts(screen, terms_of(endpoint.terms), sources)
    served = table("model", "called", "USD per Mtok", "endpoints", whole=("model",))
    for model, offer in template.models.items():
        endpoints = "all" if offer.endpoints is None else ", ".join(sorted(offer.endpoints))
        served.add_row(
            model, offer.name or "as deployed", price_words(offer.price) + sources.mark(offer.price), endpoints
        )
    if template.models:
        screen.print(served)
