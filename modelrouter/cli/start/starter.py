"""What a deployment can start from: an operator's model and endpoint, what fills its address, and what is missing.

`starts` looks for operators whose key variable is set; `start_for` takes what somebody named.

Only the names of variables are looked at, and whether they are empty. Values are read of two kinds that are no secrets:
the host in `AZURE_OPENAI_ENDPOINT`, and AWS region names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from modelrouter.catalog import Catalog
    from modelrouter.catalog.templates import EndpointTemplate, OfferedModel, OperatorTemplate

__all__ = ["Start", "begin_with", "endpoints_of", "key_variables", "start_for", "start_without_models", "starts"]

PRICE: Final = "price"
UNLISTED: Final = ("model", "name")
"""What is missing beside the price where the catalog lists no model of an operator."""
STAYS_DAYS: Final = 90
"""A model that retires sooner is not what one begins with."""
REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
AZURE: Final = "AZURE_OPENAI_ENDPOINT"
AZURE_HOST: Final = re.compile(r"https://([A-Za-z0-9-]+)\.openai\.azure\.com(?:/.*)?")
REGION: Final = re.compile(r"[a-z]+(?:-[a-z]+)+-[0-9]+")


@dataclass(frozen=True, slots=True)
class Start:
    """What one deployment starts from.

    Attributes:
        key: name of the variable; empty where none is needed.
        model: what to begin with; None where the catalog has no price for anything it serves.
        endpoint: where; None for an aggregator.
        values: what fills the operator's address, as `{"resource": "acme"}`.
        missing: what a person must add before it can be called; empty where nothing is.
        others: further models with a price at this endpoint.
        name: of the deployment; empty takes the template's id.
        provider: organisation that an aggregator is pinned to; empty where it is still to be chosen.
        key_is_set: whether the variable is there.
    """

    template: OperatorTemplate
    key: str
    model: OfferedModel | None = None
    endpoint: EndpointTemplate | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    others: tuple[OfferedModel, ...] = ()
    name: str = ""
    provider: str = ""
    key_is_set: bool = True

    @property
    def deployment(self) -> str:
        """The deployment's name."""
        return self.name or self.template.id

    @property
    def is_ready(self) -> bool:
        """Whether it can serve as it stands."""
        return not self.missing

    @property
    def can_load(self) -> bool:
        """Whether it can be a deployment: one without a price can, and is refused until it has one."""
        return set(self.missing) <= {PRICE}

    @property
    def rate(self) -> Decimal:
        """Its output price there, by which starts are put in order; only where a model with a price was found."""
        price = None
        if self.model is not None and self.endpoint is not None:
            price = self.template.price(self.endpoint, self.model).value
        if price is None:
            raise ValueError(f"`{self.template.id}` has no price")
        return price.output_usd_per_mtok


def key_variables(catalog: Catalog) -> dict[str, list[str]]:
    """Key variables to the operators that take them."""
    found: dict[str, list[str]] = {}
    for name, template in sorted(catalog.templates.items()):
        for key in sorted({endpoint.wire.key for endpoint in template.endpoints.values()} - {""}):
            found.setdefault(key, []).append(name)
    return found


def starts(catalog: Catalog, environment: Mapping[str, str], today: date) -> list[Start]:
    """A start for each operator whose key is set: those that are ready first, the cheapest of them in front."""
    found = [
        _start(catalog.templates[name], key, environment, today)
        for key, names in key_variables(catalog).items()
        if environment.get(key)
        for name in names
    ]
    ready = sorted((each for each in found if each.is_ready), key=lambda each: (each.rate, each.template.id))
    return [*ready, *(each for each in found if not each.is_ready)]


def _start(template: OperatorTemplate, key: str, environment: Mapping[str, str], today: date) -> Start:
    if template.providers:
        return Start(template, key, missing=("operator", PRICE))
    values = _fillings(environment)
    for endpoint in endpoints_of(template, values.get("region", "")):
        offers = _priced(template, endpoint, today)
        if offers:
            return _at(Start(template, key, _middle(offers), endpoint), values, offers)
    endpoint = template.endpoints[template.default_endpoint or next(iter(template.endpoints))]
    model = next(iter(template.models.values()), None)
    return Start(template, key, model, endpoint, missing=(PRICE,))


def _at(start: Start, values: Mapping[str, str], offers: Sequence[OfferedModel]) -> Start:
    """With what fills the address of its endpoint, and the other models that are priced there."""
    needed = frozenset() if start.endpoint is None else start.endpoint.wire.placeholders - {"provider"}
    return replace(
        start,
        values={name: values[name] for name in sorted(needed & values.keys())},
        missing=(*start.missing, *sorted(needed - values.keys())),
        others=tuple(each for each in offers if start.model is None or each.model != start.model.model),
    )


def _middle(offers: Sequence[OfferedModel]) -> OfferedModel:
    return offers[(len(offers) - 1) // 2]  # neither the cheapest nor the dearest


def begin_with(template: OperatorTemplate, models: Sequence[str], today: date) -> str | None:
    """Of several models of an operator the one to begin with; None of none."""
    for endpoint in template.endpoints.values():
        offers = [each for each in _priced(template, endpoint, today) if each.model in models]
        if offers:
            return _middle(offers).model
    return next(iter(models), None)


def start_for(
    template: OperatorTemplate,
    model: str,
    endpoint: str | None,
    environment: Mapping[str, str],
    today: date,
    *,
    stated: Mapping[str, str] | None = None,
    name: str = "",
    provider: str = "",
) -> Start:
    """A start for what somebody named.

    Args:
        endpoint: None chooses one that serves the model.
        stated: what fills the operator's address; it goes before what the environment says.
        name: of the deployment.
        provider: the organisation that an aggregator is pinned to.

    Raises:
        CatalogError: the operator does not serve the model, or not there, or a value cannot be part of an address.
    """
    offer = template.offer(model, endpoint)
    values = {**_fillings(environment), **(stated or {})}
    chosen = template.endpoint(endpoint) if endpoint else _serving(template, offer, values.get("region", ""))
    for key in sorted((stated or {}).keys() - chosen.wire.placeholders):
        raise CatalogError(f"the address of `{template.id}` at `{chosen.name}` has no {key}: leave it out")
    key = chosen.wire.key
    price = template.price(chosen, offer).value
    start = Start(
        template,
        key,
        offer,
        chosen,
        missing=() if price is not None or template.server else (PRICE,),
        name=name,
        provider=provider,
        key_is_set=bool(environment.get(key)),
    )
    found = _at(start, values, _priced(template, chosen, today))
    if not set(found.missing) - {PRICE}:
        chosen.wire.filled({"provider": "any", **found.values})
    return found


def start_without_models(
    template: OperatorTemplate, endpoint: str | None, environment: Mapping[str, str], *, name: str
) -> Start:
    """A start at an operator of which no model is listed: that, its name there and its price are for a person."""
    chosen = template.endpoint(endpoint) if endpoint else endpoints_of(template, "")[0]
    key = chosen.wire.key
    start = Start(
        template, key, None, chosen, missing=(*UNLISTED, PRICE), name=name, key_is_set=bool(environment.get(key))
    )
    return _at(start, _fillings(environment), ())


def _serving(template: OperatorTemplate, offer: OfferedModel, region: str) -> EndpointTemplate:
    served = (
        each for each in endpoints_of(template, region) if offer.endpoints is None or each.name in offer.endpoints
    )
    return next(served)


def endpoints_of(template: OperatorTemplate, region: str) -> list[EndpointTemplate]:
    """Endpoints, the operator's default first; then one that goes with the region, or else takes any; then places."""

    def rank(endpoint: EndpointTemplate) -> tuple[bool, bool, bool, str]:
        geography = endpoint.name_prefix.rstrip(".")
        places = endpoint.terms.processing.value or frozenset({"global"})
        return (
            endpoint.name != template.default_endpoint,
            not (geography and region.startswith(f"{geography}-")),
            bool(region and "region" in endpoint.wire.placeholders) != ("global" in places),
            endpoint.name,
        )

    return sorted(template.endpoints.values(), key=rank)


def _priced(template: OperatorTemplate, endpoint: EndpointTemplate, today: date) -> list[OfferedModel]:
    """Models with a price at an endpoint that stay for a while, the cheapest first."""
    last = today + timedelta(days=STAYS_DAYS)
    found = []
    for name, offer in sorted(template.models.items()):
        served = offer.endpoints is None or endpoint.name in offer.endpoints
        retires_on = offer.retires_on.value
        price = template.price(endpoint, offer).value
        if served and price is not None and offer.name and (retires_on is None or retires_on > last):
            found.append((price.output_usd_per_mtok, price.input_usd_per_mtok, name, offer))
    return [offer for *_, offer in sorted(found, key=lambda each: each[:3])]


def _fillings(environment: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    resource = AZURE_HOST.fullmatch(environment.get(AZURE, ""))
    if resource:
        found["resource"] = resource[1]
    region = next((environment[name] for name in REGIONS if environment.get(name)), "")
    if REGION.fullmatch(region):
        found["region"] = region
    return found
