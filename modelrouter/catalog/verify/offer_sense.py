"""Facts of operators' files that contradict each other, or those of the models and prices that they name."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from modelrouter.catalog.price_entries import price_from
from modelrouter.catalog.reading import Place
from modelrouter.catalog.verify.sense import LATEST, kin, released_on
from modelrouter.core.facts import GLOBAL, SELF, Hosting, Openness, Ownership, Source, State
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.catalog.templates import EndpointTemplate, OfferedModel, OperatorTemplate
    from modelrouter.catalog.verify.shelf import Shelf
    from modelrouter.core.pricing import PriceList
    from modelrouter.yaml12 import Path

__all__ = ["check_offers"]

UPLIFT: Final = (Decimal("0.5"), Decimal(2))
"""What a place changes a list price by, at least and at most; the largest that operators publish is 1.25."""
APART_MAX: Final = 5
"""How far an operator's file and the listed prices may be apart: prices are cut, units are mistaken by a thousand."""
ROUNDING: Final = Decimal("1.001")
"""What sources lose between an amount for a token and one for a million."""
WINDOW_FACTOR_MAX: Final = 8
"""How much further than its own window a model may be served: positions are stretched, digits are typed twice."""
NEIGHBOURS: Final = frozenset({"CH", "GB", "IS", "LI", "NO"})
"""Where an endpoint that is called European may compute beside the EU."""

Faults: TypeAlias = "Iterator[tuple[Path, str]]"


def check_offers(shelf: Shelf) -> None:
    """Note contradictions in operators' files."""
    for template in shelf.templates.values():
        faults = [*_kind_faults(shelf, template), *_endpoint_faults(shelf, template)]
        for name, offer in template.models.items():
            faults += [(("models", name, *path), message) for path, message in _offer_faults(shelf, template, offer)]
        faults += _double_names(template)
        for path, message in faults:
            shelf.contradiction("operators", template.id, path, message)


def _kind_faults(shelf: Shelf, template: OperatorTemplate) -> Faults:
    own = template.kind == "self_hosted"
    if own != bool(template.server):
        yield ("kind",), "a server of one's own has a `server`, and nobody else has: correct one"
    if own != (template.operator == SELF):
        yield ("operator",), "a server of one's own is run by `self`, and no other is: correct one"
    if (template.kind == "aggregator") != bool(template.providers):
        yield ("kind",), "an aggregator says under which names it pins `providers`, nobody else does: correct one"
    organisation = shelf.organisations.get(template.operator)
    if organisation is not None and not organisation.roles & {"operator", "aggregator", "cloud"}:
        yield ("operator",), f"`{organisation.id}` has the role of no operator: add it to its roles"


def _endpoint_faults(shelf: Shelf, template: OperatorTemplate) -> Faults:
    written = shelf.written("operators", template.id, "endpoints")
    for name, endpoint in template.endpoints.items():
        path: Path = ("endpoints", name) if name in written else ()
        for key, message in _place_faults(shelf, endpoint):
            yield (*path, key) if path else ("terms", key), message
        uplift = endpoint.price_uplift
        if uplift and not UPLIFT[0] <= uplift <= UPLIFT[1]:
            yield (*path, "price_uplift"), f"prices times {uplift:f} are not those of a place: correct it"
        if endpoint.wire.lane == "direct" and not endpoint.wire.base_url and template.kind != "self_hosted":
            yield path or ("wire",), "nobody could call it: add its `base_url`"


def _place_faults(shelf: Shelf, endpoint: EndpointTemplate) -> Iterator[tuple[str, str]]:
    terms = endpoint.terms
    if terms.storage.state is State.NONE and terms.retention_days.value:
        days = terms.retention_days.value
        yield "retention_days", f"what is stored nowhere cannot be kept for {days} days: correct one"
    words = set(re.split(r"[-._]", f"{endpoint.name}-{endpoint.name_prefix}".lower()))
    union = shelf.groups.get("EU", frozenset())
    inside = {"eu": union | NEIGHBOURS | {"EU", "EEA", "EFTA"}, "us": frozenset({"US"})}
    computes = terms.processing.value or frozenset()
    for word in sorted(words & inside.keys()) if GLOBAL not in words else ():
        foreign = sorted(computes - inside[word])
        if foreign and union:
            yield "processing", f"an endpoint `{endpoint.name}` that computes in {', '.join(foreign)}: correct one"


def _double_names(template: OperatorTemplate) -> Faults:
    seen: dict[tuple[str, frozenset[str] | None], str] = {}
    for name, offer in template.models.items():
        first = seen.setdefault((offer.name, offer.endpoints), name)
        if offer.name and first != name:
            yield (
                ("models", name, "name"),
                f"`{offer.name}` is what it calls `{first}`: one of the two has another name",
            )


def _offer_faults(shelf: Shelf, template: OperatorTemplate, offer: OfferedModel) -> Faults:
    model = shelf.models.get(offer.model)
    if offer.pinned.value and LATEST.search(offer.name):
        yield ("pinned",), f"`{offer.name}` is an alias that moves, and never pinned: write `false`"
    released, retires = released_on(offer.name) or released_on(offer.model), offer.retires_on.value
    if released is not None and retires is not None and retires < released:
        yield ("retires_on",), f"it would retire on {retires}, before its release on {released}: correct it"
    yield from _price_faults(shelf, template, offer)
    if model is None:
        return
    if template.kind == "self_hosted" and model.openness.value is Openness.CLOSED:
        yield (), "its weights are closed, so nobody can host them: remove it"
    own, served = model.context_tokens.value, offer.context_tokens.value
    if own and served and served > own * WINDOW_FACTOR_MAX:
        yield ("context_tokens",), f"it serves {served} tokens of a model that has {own}: correct one"
    developer = model.developer.value
    is_vendor = template.hosting(offer) is Hosting.VENDOR_API
    if is_vendor and developer is not None and not kin(shelf, template.operator, developer):
        message = f"`{template.operator}` is no vendor of a model by `{developer}`: write `hosting: managed`"
        yield ("hosting",), message


def _price_faults(shelf: Shelf, template: OperatorTemplate, offer: OfferedModel) -> Faults:
    listed = offer.price.value
    written = _written_price(shelf.written("operators", template.id, "models", offer.model))
    for price in {id(each): each for each in (written, listed) if each is not None}.values():
        cached = price.cached_input_usd_per_mtok
        if cached is not None and cached > price.input_usd_per_mtok * ROUNDING:
            yield (
                ("price",),
                f"cached input at ${cached:f} is dearer than fresh at ${price.input_usd_per_mtok:f}: correct one",
            )
    if written is None or listed is None:
        return
    for name in ("input_usd_per_mtok", "output_usd_per_mtok"):
        here, there = getattr(written, name), getattr(listed, name)
        if here and there and max(here, there) > min(here, there) * APART_MAX:
            yield (
                ("price", name),
                f"${here:f} here, ${there:f} in the listed prices: correct one, or refresh the prices",
            )


def _written_price(entry: Mapping[str, Any]) -> PriceList | None:
    """The price in the operator's own file, which stands behind the listed ones."""
    try:
        source = Source("the operator's file")
        return price_from(entry.get("price"), source, Ownership.SHIPPED, Place(), {}).value
    except CatalogError:
        return None
