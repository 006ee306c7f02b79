"""Deployment templates: what an operator offers, under which terms, and how the wire to it looks.

A user's deployment starts from one of these and may override any fact. Text in braces (`{resource}`, `{region}`,
`{project}`, `{account}`, `{provider}`) is filled in by the deployment; `WireTemplate.filled` does it and accepts only
letters, digits and hyphens, so that no value can name another host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from modelrouter.catalog.currency import NO_RATES, scaled
from modelrouter.catalog.prices import unknown_price
from modelrouter.catalog.reading import nearest
from modelrouter.core.facts import Fact, Hosting
from modelrouter.core.pricing import PriceMode
from modelrouter.core.usage import UsageDialect
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from datetime import date

    from modelrouter.catalog.currency import CurrencyRate
    from modelrouter.catalog.prices import ListedPrice
    from modelrouter.core.bounds import BoundBasis, Overhead
    from modelrouter.core.facts import Source, Terms
    from modelrouter.core.pricing import PriceList
    from modelrouter.core.request import JSON, Reasoning

__all__ = ["KINDS", "PLACEHOLDERS", "EndpointTemplate", "OfferedModel", "OperatorTemplate", "WireTemplate"]

KINDS: Final[Mapping[str, Hosting]] = {
    "vendor_api": Hosting.VENDOR_API,
    "cloud": Hosting.MANAGED,
    "host": Hosting.MANAGED,
    "aggregator": Hosting.MANAGED,
    "self_hosted": Hosting.SELF_HOSTED,
}
"""Kinds of operators, and who holds the weights there unless a model says otherwise."""

PLACEHOLDERS: Final = frozenset({"account", "project", "provider", "region", "resource"})
PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
FILLING: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class WireTemplate:
    """How an operator is called; the fields are those of `ports.Endpoint`, before a deployment fills them in.

    Attributes:
        hosts: the host of `base_url`, and what else the operator's endpoint needs.
        key: name of the environment variable that holds the key by custom; empty where none is needed.
        supported_parameters: None is every parameter of chat completions.
        name_suffix: what must stand behind the model's name to pin a provider or a place, as `:{provider}` or `-us`.
        usage: how the operator counts what it reports.
    """

    lane: str
    base_url: str = ""
    hosts: frozenset[str] = frozenset()
    provider: str = ""
    key: str = ""
    key_header: str = "authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    parameter_names: Mapping[str, str] = field(default_factory=dict)
    supported_parameters: frozenset[str] | None = None
    pins: Mapping[str, JSON] = field(default_factory=dict)
    reasoning: Mapping[Reasoning, Mapping[str, JSON]] = field(default_factory=dict)
    extra: Mapping[str, JSON] = field(default_factory=dict)
    billed_statuses: frozenset[int] = frozenset()
    name_suffix: str = ""
    usage: UsageDialect = UsageDialect.UNSTATED

    @property
    def placeholders(self) -> frozenset[str]:
        """What a deployment must state before this can be called."""
        texts = (self.base_url, sorted(self.hosts), self.pins, self.extra, self.name_suffix)
        return frozenset(name for text in texts for name in PLACEHOLDER.findall(str(text)))

    def filled(self, values: Mapping[str, str]) -> WireTemplate:
        """This wire with every placeholder filled in.

        Raises:
            CatalogError: a placeholder without a value, or a value with a character that could change a host.
        """
        for name in sorted(self.placeholders):
            value = values.get(name)
            if value is None:
                raise CatalogError(f"`{name}` is missing: write it in the deployment, as `{name}: …`", key=name)
            if not FILLING.fullmatch(value):
                raise CatalogError(f"`{value}` cannot be a {name}: use letters, digits and hyphens", key=name)
        return replace(
            self,
            base_url=_fill(self.base_url, values),
            hosts=frozenset(_fill(host, values) for host in self.hosts),
            pins={key: _fill_in(value, values) for key, value in self.pins.items()},
            extra={key: _fill_in(value, values) for key, value in self.extra.items()},
            name_suffix=_fill(self.name_suffix, values),
        )


def _fill(text: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def _fill_in(value: JSON, values: Mapping[str, str]) -> JSON:
    if isinstance(value, str):
        return _fill(value, values)
    if isinstance(value, Mapping):
        return {key: _fill_in(item, values) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fill_in(item, values) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class EndpointTemplate:
    """One of an operator's endpoints, such as a region.

    Attributes:
        terms: the operator's, with what this endpoint states in their place.
        price_uplift: what every list price is multiplied by here; None where no one factor holds, so that a price is
            known only where it is listed for this endpoint.
        regions: the regions that a deployment may fill in here; empty is any.
        name_prefix: what stands before a model's name here, as `eu.` on Bedrock.
    """

    name: str
    wire: WireTemplate
    terms: Terms
    price_uplift: Decimal | None = Decimal(1)
    name_prefix: str = ""
    regions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """One model at one operator.

    Attributes:
        model: id in the catalog.
        name: what the operator calls it; empty where the deployment must say (a deployment name, a served name).
        stated_price: list price, before an endpoint's uplift, where nothing is listed.
        context_tokens: what is offered at this price; a longer prompt may be dearer.
        endpoints: those that serve it; None is all.
        answers_as: further names that a reply may carry.
        subprocessor: the organisation that sees the prompt beside the operator.
        own_terms: what this model states in the place of its endpoint's terms, by the name of the fact.
        price_uplift: in the place of each endpoint's, as for a model that costs the same everywhere; None keeps theirs.
        hosting: None is what the operator's kind says.
        reasoning: replaces the operator's mapping; empty where the model takes none of the levels; None keeps it.
        overhead: the operator's with what this model states laid over it; None keeps the operator's.
        bound_basis: replaces the operator's where it is known.
        listed: what the shipped prices hold on it; made a price of when somebody asks.
        listed_at: the same, by endpoint, where an endpoint has a list of its own.
    """

    model: str
    name: str = ""
    stated_price: Fact[PriceList] = field(default_factory=Fact.unknown)
    context_tokens: Fact[int] = field(default_factory=Fact.unknown)
    capabilities: Fact[frozenset[str]] = field(default_factory=Fact.unknown)
    retires_on: Fact[date] = field(default_factory=Fact.unknown)
    pinned: Fact[bool] = field(default_factory=Fact.unknown)
    quantization: Fact[str] = field(default_factory=Fact.unknown)
    endpoints: frozenset[str] | None = None
    answers_as: frozenset[str] = frozenset()
    subprocessor: str | None = None
    hosting: Hosting | None = None
    reasoning: Mapping[Reasoning, Mapping[str, JSON]] | None = None
    unsupported_parameters: frozenset[str] = frozenset()
    overhead: Overhead | None = None
    bound_basis: Fact[BoundBasis] = field(default_factory=Fact.unknown)
    listed: ListedPrice | None = None
    listed_at: Mapping[str, ListedPrice] = field(default_factory=dict)
    own_terms: Mapping[str, Fact[Any]] = field(default_factory=dict)
    price_uplift: Decimal | None = None

    @property
    def price(self) -> Fact[PriceList]:
        """The list price in dollars, before an endpoint's uplift."""
        return self.priced()

    def priced(
        self, rates: Mapping[str, CurrencyRate] = NO_RATES, mode: PriceMode = PriceMode.STANDARD
    ) -> Fact[PriceList]:
        """The list price of a mode, where a price in another currency has a rate."""
        return self.stated_price if self.listed is None else self.listed.fact(mode, rates)


@dataclass(frozen=True, slots=True)
class OperatorTemplate:
    """What one operator, or one kind of self-hosted server, brings to a deployment.

    Attributes:
        id: as `azure` or `self-vllm`.
        operator: id of the organisation; `self` for servers of one's own.
        kind: one of `KINDS`.
        server: `vllm`, `llamacpp`, … for templates of `self`, else empty.
        default_endpoint: None where a deployment must choose.
        providers: for aggregators, operator id to the name under which the aggregator pins it.
        capabilities: what it adds to any model, as grammars that make JSON; unknown where offers say all.
        attestations: of this service; None where those of the organisation hold for it.
        models: by model id. A self-hosted template lists models that need something of their own; it serves any.
    """

    id: str
    operator: str
    name: str
    kind: str
    source: Source
    terms: Terms
    endpoints: Mapping[str, EndpointTemplate]
    default_endpoint: str | None
    models: Mapping[str, OfferedModel]
    bound_basis: Fact[BoundBasis]
    overhead: Overhead
    server: str = ""
    providers: Mapping[str, str] = field(default_factory=dict)
    capabilities: Fact[frozenset[str]] = field(default_factory=Fact.unknown)
    attestations: Fact[frozenset[str]] | None = None

    def endpoint(self, name: str | None = None) -> EndpointTemplate:
        """An endpoint by its name, or the default one.

        Raises:
            CatalogError: no such endpoint, or none was named where one must be chosen.
        """
        wanted = name or self.default_endpoint
        if wanted is None:
            raise CatalogError(
                f"choose an endpoint of `{self.id}`: {', '.join(sorted(self.endpoints))}", key="endpoint"
            )
        if wanted not in self.endpoints:
            raise CatalogError(
                f"`{self.id}` has no endpoint `{wanted}`{nearest(wanted, self.endpoints)}", key="endpoint"
            )
        return self.endpoints[wanted]

    def offer(self, model: str, endpoint: str | None = None) -> OfferedModel:
        """A model as this operator offers it; a self-hosted server takes any model.

        Raises:
            CatalogError: the operator, or the endpoint, is not known to serve it.
        """
        found = self.models.get(model)
        if found is None and self.kind == "self_hosted":
            return OfferedModel(model)
        if found is None:
            message = f"`{self.id}` is not known to serve `{model}`{nearest(model, self.models)}"
            raise CatalogError(f"{message}; state its `name` and `price` to use it all the same", key="model")
        if endpoint is not None and found.endpoints is not None and endpoint not in found.endpoints:
            served = ", ".join(sorted(found.endpoints))
            raise CatalogError(f"`{self.id}` serves `{model}` at {served}, not at `{endpoint}`", key="endpoint")
        return found

    def hosting(self, offer: OfferedModel) -> Hosting:
        """Who holds the weights of a model here."""
        return offer.hosting or KINDS[self.kind]

    def terms_of(self, endpoint: EndpointTemplate, offer: OfferedModel) -> Terms:
        """The terms under which one model is served at one endpoint; places that nothing binds are unknown."""
        terms = replace(endpoint.terms, **offer.own_terms) if offer.own_terms else endpoint.terms
        if offer.model in self.models or self._binds_place(endpoint):
            return terms
        return replace(terms, processing=Fact.unknown(), storage=Fact.unknown())

    def _binds_place(self, endpoint: EndpointTemplate) -> bool:
        """Whether any model called here runs in its places: their source may speak of the models listed here alone.

        It does where no endpoint of other places is called in the same way (address, pins, beginning and end of names),
        and no model listed here has places of its own.
        """
        places = (endpoint.terms.processing, endpoint.terms.storage)
        alike = (
            other
            for other in self.endpoints.values()
            if (other.wire, other.name_prefix) == (endpoint.wire, endpoint.name_prefix)
        )
        return all((other.terms.processing, other.terms.storage) == places for other in alike) and not any(
            offer.own_terms.keys() & {"processing", "storage"} for offer in self.models.values()
        )

    def wire(self, endpoint: EndpointTemplate, offer: OfferedModel) -> WireTemplate:
        """The wire to one model at one endpoint."""
        wire = endpoint.wire
        if offer.unsupported_parameters and wire.supported_parameters is not None:
            wire = replace(wire, supported_parameters=wire.supported_parameters - offer.unsupported_parameters)
        return wire if offer.reasoning is None else replace(wire, reasoning=offer.reasoning)

    def called(self, endpoint: EndpointTemplate, offer: OfferedModel) -> str:
        """What to call a model at an endpoint, placeholders not yet filled in; empty where the deployment must say."""
        return f"{endpoint.name_prefix}{offer.name}{endpoint.wire.name_suffix}" if offer.name else ""

    def price(
        self,
        endpoint: EndpointTemplate,
        offer: OfferedModel,
        rates: Mapping[str, CurrencyRate] = NO_RATES,
        mode: PriceMode = PriceMode.STANDARD,
    ) -> Fact[PriceList]:
        """The price of one model at one endpoint, exact; what is listed for the endpoint goes before any uplift."""
        own = offer.listed_at.get(endpoint.name)
        if own is not None:
            return own.fact(mode, rates)
        uplift = self.uplift(endpoint, offer)
        if uplift is None:
            return unknown_price(f"prices differ at `{endpoint.name}`, and no source lists this one: state yours")
        found = offer.priced(rates, mode)
        if found.value is None:
            return found
        return replace(found, value=scaled(found.value, uplift))

    @staticmethod
    def uplift(endpoint: EndpointTemplate, offer: OfferedModel) -> Decimal | None:
        """What a list price is multiplied by for one model at one endpoint; None where no factor holds."""
        return endpoint.price_uplift if offer.price_uplift is None else offer.price_uplift
