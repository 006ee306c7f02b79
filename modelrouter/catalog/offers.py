"""Reads an operator's file into an `OperatorTemplate`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from modelrouter.catalog.currency import NO_RATES
from modelrouter.catalog.entries import TERMS_KEYS, capabilities, terms_from
from modelrouter.catalog.on_demand import OnDemand
from modelrouter.catalog.overheads import OVERHEAD_KEYS, basis_from, overhead_from
from modelrouter.catalog.price_entries import price_from
from modelrouter.catalog.reading import Reading, nearest
from modelrouter.catalog.templates import (
    KINDS,
    PLACEHOLDERS,
    EndpointTemplate,
    OfferedModel,
    OperatorTemplate,
    WireTemplate,
)
from modelrouter.core.facts import Fact, Hosting, Ownership, Terms
from modelrouter.core.request import Reasoning
from modelrouter.core.usage import UsageDialect

if TYPE_CHECKING:
    from modelrouter.catalog.currency import CurrencyRate
    from modelrouter.catalog.prices import ListedPrice, Snapshot
    from modelrouter.catalog.reading import Entry, Place
    from modelrouter.core.bounds import Overhead
    from modelrouter.core.request import JSON

__all__ = ["ENDPOINT_KEYS", "MODEL_OFFER_KEYS", "OPERATOR_KEYS", "OVERHEAD_KEYS", "WIRE_KEYS", "template_from"]

OPERATOR_KEYS: Final = frozenset(
    {
        "operator", "name", "kind", "server", "source", "terms", "wire", "bound", "endpoints", "default_endpoint",
        "providers", "models", "attestations", "capabilities",
    },
)  # fmt: skip
WIRE_KEYS: Final = frozenset(
    {
        "lane", "base_url", "hosts", "provider", "key", "key_header", "headers", "parameter_names",
        "supported_parameters", "pins", "reasoning", "extra", "billed_statuses", "name_suffix", "usage",
    },
)  # fmt: skip
DIALECTS: Final = tuple(dialect.value for dialect in UsageDialect)
ENDPOINT_KEYS: Final = TERMS_KEYS | {
    "source", "base_url", "hosts", "pins", "extra", "regions", "price_uplift", "name_prefix", "name_suffix",
}  # fmt: skip
MODEL_OFFER_KEYS: Final = frozenset(
    {
        "name", "price", "context_tokens", "capabilities", "retires_on", "pinned", "quantization", "source",
        "endpoints", "answers_as", "subprocessor", "hosting", "reasoning", "unsupported_parameters", "overhead",
        "bound_basis", "terms", "price_uplift",
    },
)  # fmt: skip
UNKNOWN: Final = "unknown"


def template_from(
    template_id: str,
    entry: object,
    ownership: Ownership,
    place: Place,
    *,
    prices: Snapshot | None = None,
    rates: Mapping[str, CurrencyRate] = NO_RATES,
    on_demand: bool = False,
) -> OperatorTemplate:
    """A template from its file.

    Args:
        template_id: its id, by which `prices` know it.
        entry: the file's content.
        ownership: whose file it is.
        place: where it stands.
        prices: what is listed of its offers; a price in the file itself was a voice when that list was made.
        rates: of other currencies than the dollar.
        on_demand: its models are read when they are asked for, and so are faults in them found.

    Raises:
        CatalogError: an unknown key, kind, level of reasoning or placeholder; no source; an unlisted endpoint.
    """
    reading = Reading(entry, ownership, place)
    reading.only(OPERATOR_KEYS)
    if reading.source is None:
        place.fail("say where the terms of this operator can be checked: add `source:`")
    kind = reading.word("kind", tuple(KINDS), "")
    terms_reading, wire_reading, bound = reading.inside("terms"), reading.inside("wire"), reading.inside("bound")
    terms_reading.only(TERMS_KEYS | {"source"})
    bound.only({"basis", "overhead", "source"})
    terms = terms_from(terms_reading.entry, reading.source, ownership, terms_reading.place)
    overhead = overhead_from(bound.entry.get("overhead", {}), bound)
    wire = _wire(wire_reading)
    endpoints = {
        name: _endpoint(
            name, value, wire, operator_terms=terms_reading.entry, outer=reading, place=place.at("endpoints", name)
        )
        for name, value in reading.table("endpoints").items()
    } or {"default": EndpointTemplate("default", wire, terms)}
    context = _Context(template_id, wire, endpoints, overhead, reading, prices, rates)
    offer = functools.partial(_offered, context)
    entries = reading.table("models")
    return OperatorTemplate(
        id=template_id,
        operator=reading.text("operator"),
        name=reading.text("name", template_id),
        kind=kind,
        source=reading.source,
        terms=terms,
        endpoints=endpoints,
        default_endpoint=_default_of(reading, endpoints),
        models=OnDemand(entries, offer) if on_demand else {name: offer(name, entry) for name, entry in entries.items()},
        bound_basis=bound.fact("basis", basis_from),
        overhead=overhead,
        server=reading.text("server", ""),
        providers={key: Reading.string(value, place) for key, value in reading.table("providers").items()},
        capabilities=reading.fact("capabilities", capabilities),
        attestations=reading.fact("attestations", Reading.identifiers, none="holds none")
        if "attestations" in reading.entry
        else None,
    )


@dataclass(frozen=True, slots=True)
class _Context:
    """What the entries of an operator's models rest on."""

    template: str
    wire: WireTemplate
    endpoints: Mapping[str, EndpointTemplate]
    overhead: Overhead
    outer: Reading
    prices: Snapshot | None
    rates: Mapping[str, CurrencyRate]


def _offered(context: _Context, name: str, value: object) -> OfferedModel:
    """One model, with the prices that are listed of it."""
    prices, template, endpoints = context.prices, context.template, context.endpoints
    return _offer(
        name,
        value,
        context.wire,
        endpoints=endpoints,
        overhead=context.overhead,
        outer=context.outer,
        place=context.outer.place.at("models", name),
        listed=prices.offer(template, name) if prices else None,
        listed_at={each: found for each in endpoints if (found := prices.offer(template, name, each))}
        if prices
        else {},
        rates=context.rates,
    )


def _default_of(reading: Reading, endpoints: Mapping[str, EndpointTemplate]) -> str | None:
    """The endpoint of a deployment that names none: the one stated, or the only one."""
    default = reading.text("default_endpoint", "") or (next(iter(endpoints)) if len(endpoints) == 1 else None)
    if default is not None and default not in endpoints:
        reading.place.at("default_endpoint").fail(f"`{default}` is no endpoint here{nearest(default, endpoints)}")
    return default


def _wire(reading: Reading) -> WireTemplate:
    reading.only(WIRE_KEYS)
    base_url = reading.text("base_url", "")
    supported = reading.texts("supported_parameters")
    statuses = reading.entry.get("billed_statuses", [])
    if not isinstance(statuses, (list, tuple)):
        reading.place.at("billed_statuses").fail("this must be a list of HTTP statuses")
    wire = WireTemplate(
        lane=reading.word("lane", ("direct", "litellm"), "direct"),
        base_url=base_url,
        hosts=frozenset(reading.texts("hosts")) | _host(base_url, reading.place),
        provider=reading.text("provider", ""),
        key=reading.text("key", ""),
        key_header=reading.text("key_header", "authorization"),
        headers={key: Reading.string(value, reading.place) for key, value in reading.table("headers").items()},
        parameter_names={
            key: Reading.string(value, reading.place) for key, value in reading.table("parameter_names").items()
        },
        supported_parameters=frozenset(supported) if supported else None,
        pins=_json(reading.table("pins"), reading.place.at("pins")),
        reasoning=_reasoning(reading.table("reasoning"), reading.place.at("reasoning")),
        extra=_json(reading.table("extra"), reading.place.at("extra")),
        billed_statuses=frozenset(Reading.count(status, reading.place) for status in statuses),
        name_suffix=reading.text("name_suffix", ""),
        usage=UsageDialect(reading.word("usage", DIALECTS, UsageDialect.UNSTATED.value)),
    )
    _known_placeholders(wire, reading.place)
    return wire


def _known_placeholders(wire: WireTemplate, place: Place) -> None:
    for name in sorted(wire.placeholders - PLACEHOLDERS):
        place.fail(f"`{{{name}}}` is no placeholder{nearest(name, PLACEHOLDERS)}")


def _host(base_url: str, place: Place) -> frozenset[str]:
    if not base_url:
        return frozenset()
    host = urlsplit(base_url).netloc
    if not base_url.startswith("https://") or not host or "@" in host:
        place.at("base_url").fail(f"`{base_url}` is no base URL of an operator: write it as `https://host/path`")
    return frozenset({host})


def _reasoning(table: Mapping[str, object], place: Place) -> dict[Reasoning, Mapping[str, JSON]]:
    levels = {level.value: level for level in Reasoning}
    found: dict[Reasoning, Mapping[str, JSON]] = {}
    for word, members in table.items():
        if word not in levels:
            place.at(word).fail(f"`{word}` is no level of reasoning: write `none`, `low` or `high`")
        found[levels[word]] = _json(Reading(members, Ownership.SHIPPED, place.at(word)).entry, place.at(word))
    return found


def _json(table: Entry, place: Place) -> dict[str, JSON]:
    return {key: _json_value(value, place.at(key)) for key, value in table.items()}


def _json_value(value: object, place: Place) -> JSON:
    if isinstance(value, Decimal):
        place.fail("numbers that are sent must be whole; put others in quotes")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return _json(value, place)
    if not isinstance(value, (list, tuple)):
        place.fail("this is nothing that JSON can hold")
    return [_json_value(item, place.at(index)) for index, item in enumerate(value)]


def _endpoint(
    name: str, value: object, wire: WireTemplate, *, operator_terms: Entry, outer: Reading, place: Place
) -> EndpointTemplate:
    reading = Reading(value or {}, outer.ownership, place, outer.source)
    reading.only(ENDPOINT_KEYS)
    base_url = reading.text("base_url", "")
    hosts = frozenset(reading.texts("hosts")) | (_host(base_url, place) if base_url else wire.hosts)
    own = replace(
        wire,
        base_url=base_url or wire.base_url,
        hosts=hosts,
        pins={**wire.pins, **_json(reading.table("pins"), place.at("pins"))},
        extra={**wire.extra, **_json(reading.table("extra"), place.at("extra"))},
        name_suffix=reading.text("name_suffix", wire.name_suffix),
    )
    _known_placeholders(own, place)
    stated = terms_from(reading.entry, reading.source, outer.ownership, place)
    inherited = terms_from(operator_terms, outer.source, outer.ownership, outer.place.at("terms"))
    terms = Terms(
        processing=stated.processing if "processing" in reading.entry else inherited.processing,
        storage=stated.storage if "storage" in reading.entry else inherited.storage,
        training=stated.training if "training" in reading.entry else inherited.training,
        retention_days=stated.retention_days if "retention_days" in reading.entry else inherited.retention_days,
    )
    prefix, regions = reading.text("name_prefix", ""), frozenset(reading.texts("regions"))
    if regions and "region" not in own.placeholders:
        place.at("regions").fail("the address here has no `{region}`: remove them")
    return EndpointTemplate(name, own, terms, _uplift(reading), prefix, regions)


def _uplift(reading: Reading) -> Decimal | None:
    """What list prices are multiplied by; None is `unknown`: no one factor holds for all models."""
    if reading.entry.get("price_uplift") == UNKNOWN:
        return None
    uplift = _factor(reading)
    return Decimal(1) if uplift is None else uplift


def _factor(reading: Reading) -> Decimal | None:
    uplift = reading.amount("price_uplift")
    if uplift == 0:
        reading.place.at("price_uplift").fail("a price times zero is no price: write `1.1` for 10 % more")
    return uplift


def _offer(
    model: str,
    value: object,
    wire: WireTemplate,
    *,
    endpoints: Mapping[str, EndpointTemplate],
    overhead: Overhead,
    outer: Reading,
    place: Place,
    listed: ListedPrice | None,
    listed_at: Mapping[str, ListedPrice],
    rates: Mapping[str, CurrencyRate],
) -> OfferedModel:
    reading = Reading(value or {}, outer.ownership, place, outer.source)
    reading.only(MODEL_OFFER_KEYS)
    terms = reading.inside("terms")
    terms.only(TERMS_KEYS | {"source"})
    stated = terms_from(terms.entry, terms.source, outer.ownership, terms.place)
    served = reading.texts("endpoints")
    for name in served:
        if name not in endpoints:
            place.at("endpoints").fail(f"`{name}` is no endpoint here{nearest(name, endpoints)}")
    refused = frozenset(reading.texts("unsupported_parameters"))
    if refused and wire.supported_parameters is None:
        place.at("unsupported_parameters").fail(
            "list the operator's `supported_parameters` first: these are taken away"
        )
    hosting = reading.text("hosting", "")
    if hosting and hosting not in {each.value for each in Hosting}:
        place.at("hosting").fail(f"`{hosting}` is not known here: write one of {', '.join(h.value for h in Hosting)}")
    levels = "reasoning" in reading.entry
    return OfferedModel(
        model=model,
        name=reading.text("name", ""),
        stated_price=Fact.unknown()
        if listed is not None
        else price_from(reading.entry.get("price"), reading.source, outer.ownership, place.at("price"), rates),
        listed=listed,
        context_tokens=reading.fact("context_tokens", Reading.count),
        capabilities=reading.fact("capabilities", capabilities, none="plain text only"),
        retires_on=reading.fact("retires_on", Reading.day, none="no date is set"),
        pinned=reading.fact("pinned", Reading.boolean),
        quantization=reading.fact("quantization", Reading.string, none="as released"),
        endpoints=frozenset(served) if served else None,
        answers_as=frozenset(reading.texts("answers_as")),
        subprocessor=reading.text("subprocessor", "") or None,
        hosting=Hosting(hosting) if hosting else None,
        reasoning=_reasoning(reading.table("reasoning"), place.at("reasoning")) if levels else None,
        unsupported_parameters=refused,
        overhead=overhead_from(reading.entry["overhead"], reading, overhead) if "overhead" in reading.entry else None,
        bound_basis=reading.fact("bound_basis", basis_from),
        listed_at=listed_at,
        price_uplift=_factor(reading),
        own_terms={key: getattr(stated, key) for key in sorted(TERMS_KEYS & terms.entry.keys())},
    )
