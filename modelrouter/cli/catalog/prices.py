"""`modelrouter catalog prices`: what each source says that a model costs, who agrees with whom, and what is charged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrouter.cli.catalog.filters import offers_of
from modelrouter.cli.facts import price_document
from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from rich.console import Console
    from rich.table import Table

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.prices import ListedPrice, Snapshot
    from modelrouter.catalog.templates import EndpointTemplate, OperatorTemplate

__all__ = ["prices"]

Document = dict[str, Any]

SHORT = {
    "cached_input": "cached",
    "cache_write": "written",
    "cache_write_1h": "written 1 h",
    "audio_input": "audio",
    "cached_audio": "cached audio",
    "image_input": "image",
    "audio_output": "audio out",
    "image_output": "image out",
    "web_search": "a search",
    "request": "a request",
}
"""Classes in words, beside `input` and `output`."""
WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def prices(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a model of the catalog")],
    operator: Annotated[str | None, typer.Option(metavar="ID", help="at this operator only")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model costs everywhere: the price that counts, what each source says, and where they differ."""
    from modelrouter.catalog import load_catalog

    catalog = load_catalog()
    known = catalog.model(model)
    offers = offers_of(catalog, known.id)
    if operator is not None:
        _check_served(catalog, known.id, operator)
        offers = [each for each in offers if each.id == operator]
    listed = {each.id: each.models[known.id].listed for each in offers}
    if as_json:
        print_document(
            {
                "model": known.id,
                "snapshot": _snapshot_document(catalog.prices),
                "offers": [_offer_document(template, known.id, catalog.prices) for template in offers],
            }
        )
        return
    _show(console(), catalog, known.id, offers, listed)


def _check_served(catalog: Catalog, model: str, operator: str) -> None:
    """Refuse an operator that is not known, or not known to serve the model."""
    from modelrouter.errors import CatalogError

    template = catalog.templates.get(operator) or catalog.template(operator)
    if model not in template.models:
        names = ", ".join(f"`{each.id}`" for each in offers_of(catalog, model))
        served = f"it is offered by {names}" if names else "no operator in the catalog offers it"
        raise CatalogError(f"`{operator}` is not known to serve `{model}`: {served}")


def _endpoints(template: OperatorTemplate, model: str) -> Iterator[EndpointTemplate]:
    served = template.models[model].endpoints
    return (each for name, each in template.endpoints.items() if served is None or name in served)


# --- documents --------------------------------------------------------------------------------------------------------


def _snapshot_document(snapshot: Snapshot | None) -> Document | None:
    if snapshot is None:
        return None
    return {
        "sha256": snapshot.sha256,
        "checked_on": snapshot.checked_on.isoformat(),
        "sources": {name: dict(each) for name, each in snapshot.sources.items()},
    }


def _offer_document(template: OperatorTemplate, model: str, snapshot: Snapshot | None) -> Document:
    offer = template.models[model]
    listed = offer.listed
    found: Document = {
        "operator": template.id,
        "currency": None if listed is None else listed.currency,
        "unpriced": None if listed is None else listed.unpriced or None,
        "endpoints": [_endpoint_document(template, endpoint, model) for endpoint in _endpoints(template, model)],
        "modes": {} if listed is None else dict(listed.entry.get("modes", {})),
        "stated": [] if listed is None else [_stated_document(each, snapshot) for each in _stated(listed)],
    }
    return found


def _endpoint_document(template: OperatorTemplate, endpoint: EndpointTemplate, model: str) -> Document:
    from modelrouter.core.pricing import PriceMode

    offer = template.models[model]
    modes = [PriceMode(each) for each in offer.listed.modes] if offer.listed is not None else [PriceMode.STANDARD]
    uplift = template.uplift(endpoint, offer)
    facts = {mode.value: template.price(endpoint, offer, mode=mode) for mode in modes}
    return {
        "endpoint": endpoint.name,
        "is_default": endpoint.name == template.default_endpoint,
        "price_uplift": None if uplift is None or endpoint.name in offer.listed_at else f"{uplift:f}",
        "prices": {mode: None if fact.value is None else price_document(fact.value) for mode, fact in facts.items()},
    }


def _stated(listed: ListedPrice) -> list[Document]:
    return list(listed.entry.get("stated", ()))


def _stated_document(stated: Document, snapshot: Snapshot | None) -> Document:
    source: Mapping[str, str] = {} if snapshot is None else snapshot.sources.get(stated["source"], {})
    return {
        "source": stated["source"],
        "version": source.get("version"),
        "published_on": source.get("published_on"),
        "ref": stated["ref"],
        "url": stated["url"] or None,
        "currency": stated.get("currency", "USD"),
        "is_copy": stated.get("copy", False),
        "modes": stated["modes"],
    }


# --- tables -----------------------------------------------------------------------------------------------------------


def _show(
    screen: Console,
    catalog: Catalog,
    model: str,
    offers: list[OperatorTemplate],
    listed: Mapping[str, ListedPrice | None],
) -> None:
    snapshot = catalog.prices
    screen.print(f"prices of {model}", style="bold", end="")
    screen.print(f", in USD per million tokens, as read on {snapshot.checked_on}" if snapshot else "")
    if not offers:
        screen.print("no operator in the catalog offers it", style="yellow")
        return
    shown = [each for each in offers if (price := listed[each.id]) is not None and not price.unpriced]
    for template in shown:
        price = listed[template.id]
        if price is not None:
            _show_offer(screen, template, model, price, snapshot)
    for template in offers:
        if template not in shown:
            entry = listed[template.id]
            screen.print(f"{template.id}: no price", style="yellow", end="")
            screen.print(f" ({entry.unpriced})" if entry is not None else "")
    if snapshot is not None and shown:
        screen.print(f"snapshot {snapshot.sha256[:16]}…", style="dim")


def _show_offer(
    screen: Console, template: OperatorTemplate, model: str, price: ListedPrice, snapshot: Snapshot | None
) -> None:
    screen.print()
    screen.print(template.id, style="bold", end="")
    screen.print("" if price.currency == "USD" else f", in {price.currency}: needs a rate for it in your configuration")
    charged = table("endpoint", "mode", "holds", "charged", "known", whole=("endpoint", "mode"))
    own = template.models[model].listed_at
    for uplift, names in _by_uplift(template, model).items():
        _add_charged(charged, "\n".join(names), price, uplift)
    for name in sorted(own):
        _add_charged(charged, name, own[name], None)
    screen.print(charged)
    said = table("source", "id", "mode", "says", whole=("source",))
    for each in (*_stated(price), *(each for name in sorted(own) for each in _stated(own[name]))):
        version = "" if snapshot is None else snapshot.sources.get(each["source"], {}).get("version", "")
        published = "" if snapshot is None else snapshot.sources.get(each["source"], {}).get("published_on", "")
        name = f"{each['source']} {version}".strip() + (", copied" if each.get("copy") else "")
        for mode in each["modes"]:
            for sheet in each["modes"][mode]:
                since = f"from {sheet['starts_on']}: " if "starts_on" in sheet else ""
                words = since + _sheet_words(sheet) + _money(each)
                said.add_row(name, f"{each['ref']} ({published})" if published else each["ref"], mode, words)
    screen.print(said)


def _add_charged(charged: Table, where: str, price: ListedPrice, uplift: Decimal | None) -> None:
    for mode in price.modes:
        for held in price.entry["modes"][mode]:
            charged.add_row(where, mode, _days(held), _sheet_words(held, uplift), _known(held))


def _by_uplift(template: OperatorTemplate, model: str) -> dict[Decimal, list[str]]:
    """Endpoints that cost the same, together; those with a list of their own, or with no price, are none of them."""
    found: dict[Decimal, list[str]] = {}
    offer = template.models[model]
    for endpoint in _endpoints(template, model):
        uplift = template.uplift(endpoint, offer)
        if uplift is not None and endpoint.name not in offer.listed_at:
            found.setdefault(uplift, []).append(endpoint.name)
    return found


def _money(stated: Document) -> str:
    return f" {stated['currency']}" if "currency" in stated else ""


def _days(held: Document) -> str:
    if "starts_on" in held and "ends_on" in held:
        return f"{held['starts_on']} to {held['ends_on']}"
    if "starts_on" in held:
        return f"from {held['starts_on']}"
    return f"until {held['ends_on']}" if "ends_on" in held else "now"


def _known(held: Document) -> str:
    words = str(held["agreement"])
    if held.get("disputed"):
        words += f" ({', '.join(_class_words(each) for each in held['disputed'])}): the dearest counts"
    return words


def _class_words(name: str) -> str:
    return SHORT.get(name, name)


def _sheet_words(sheet: Document, uplift: Decimal | None = None) -> str:
    """`4 in, 20 out, cached 0.4; above 272000: 8 in …; Mon-Fri 00:00-01:00: …`."""
    parts = [_rate_words(sheet["rates"], uplift)]
    parts.extend(f"above {tier['above']}: {_rate_words(tier['rates'], uplift)}" for tier in sheet.get("tiers", ()))
    for hours in sheet.get("hours", ()):
        when = f"{_weekdays(hours['days'])} {hours['from']}-{hours['until']} UTC"
        parts.append(f"{when}: {_sheet_words(hours, uplift)}")
    return "; ".join(parts)


def _rate_words(rates: Mapping[str, str], uplift: Decimal | None) -> str:
    from decimal import Decimal

    from modelrouter.core.tariff import exact_product

    def said(text: str) -> str:
        if uplift is None or uplift == 1:
            return text
        digits = f"{exact_product(Decimal(text), uplift):f}"
        return digits.rstrip("0").rstrip(".") if "." in digits else digits

    first = [f"{said(rates[name])} {word}" for name, word in (("input", "in"), ("output", "out")) if name in rates]
    rest = [f"{_class_words(name)} {said(rate)}" for name, rate in rates.items() if name not in {"input", "output"}]
    return ", ".join(first + rest)


def _weekdays(days: list[int]) -> str:
    if len(days) == 7:
        return "daily"
    is_run = len(days) > 2 and days == list(range(days[0], days[-1] + 1))
    return f"{WEEK[days[0] - 1]}-{WEEK[days[-1] - 1]}" if is_run else ", ".join(WEEK[day - 1] for day in days)
