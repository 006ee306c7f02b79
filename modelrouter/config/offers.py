"""From what a deployment says to the template it starts from: whose endpoint it is, and what is offered there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from modelrouter.catalog.templates import EndpointTemplate, OfferedModel, OperatorTemplate, WireTemplate
from modelrouter.config.nearest import nearest
from modelrouter.core.bounds import Overhead
from modelrouter.core.facts import SELF, Confidence, Fact, Hosting, Ownership, Source, Terms
from modelrouter.core.pricing import PriceMode
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from modelrouter.config.deployment_schema import DeploymentConfig
    from modelrouter.config.world import Tables

__all__ = ["Offer", "offer_for"]

SERVICE_TIER: Final = "service_tier"
OWN_SOURCE = Source("the deployment, as configured", None, Confidence.MEDIUM, ownership=Ownership.USER)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a deployment starts from.

    Attributes:
        template: the aggregator's where there is one, else the operator's.
        operator: id of the organisation that runs the machines.
        provider: how the aggregator calls that operator; empty without one.
        is_bare: nothing is known of the endpoint: the deployment must say where it is.
        mode: the service tier whose listed price it takes.
        takes_listed_price: the deployment states no price of its own.
    """

    template: OperatorTemplate
    endpoint: EndpointTemplate
    model: OfferedModel
    operator: str
    provider: str = ""
    is_bare: bool = False
    mode: PriceMode = PriceMode.STANDARD
    takes_listed_price: bool = True

    @property
    def wire(self) -> WireTemplate:
        """The wire to this model; it asks for the service tier whose listed price is taken."""
        wire = self.template.wire(self.endpoint, self.model)
        if self.mode is PriceMode.STANDARD:
            return wire
        return replace(wire, pins={**wire.pins, SERVICE_TIER: self.mode.value})


def offer_for(written: DeploymentConfig, tables: Tables) -> Offer:
    """The offer of a deployment.

    Raises:
        CatalogError: the operator, aggregator, endpoint or model is not known, or they do not go together; `key` is the
            key of the deployment that is wrong.
    """
    if written.via is not None:
        return _priced(_through(written, tables), written)
    template, is_bare = _template(written, tables)
    endpoint = template.endpoint(written.endpoint)
    found = Offer(template, endpoint, _model(written, template, endpoint), template.operator, is_bare=is_bare)
    return _priced(found, written)


def _priced(offer: Offer, written: DeploymentConfig) -> Offer:
    """With the mode that `price: {mode: …}` asks for, where nothing else is stated about the price."""
    if "price" not in written.model_fields_set:
        return offer
    if not isinstance(written.price, Mapping) or set(written.price) != {"mode"}:
        return replace(offer, takes_listed_price=False)
    wanted = written.price["mode"]
    known = [each.value for each in PriceMode if each is not PriceMode.BATCH]
    if wanted not in known:
        raise CatalogError(
            f"`{wanted}` is no mode in which calls are made: write {', '.join(f'`{each}`' for each in known)}",
            key="price",
        )
    mode = PriceMode(wanted)
    if mode is not PriceMode.STANDARD and SERVICE_TIER not in offer.template.wire(offer.endpoint, offer.model).pins:
        raise CatalogError(
            f"calls to `{offer.template.id}` cannot ask for `{wanted}`: state the amounts of the price that you pay",
            key="price",
        )
    return replace(offer, mode=mode)


def _template(written: DeploymentConfig, tables: Tables) -> tuple[OperatorTemplate, bool]:
    name = written.operator
    if name == SELF:
        return _own(written, tables)
    if written.server is not None:
        raise CatalogError("only your own server has a kind: remove it, or write `operator: self`", key="server")
    if written.runs_on is not None:
        raise CatalogError("only your own server runs on a cloud of your choice: remove it", key="runs_on")
    found = tables.templates.get(name)
    if found is not None and not found.server:
        return found, False
    if name not in tables.organisations:
        known = {each for each, template in tables.templates.items() if not template.server} | {SELF}
        raise CatalogError(f"unknown operator `{name}`{nearest(name, known)}", key="operator")
    return _bare(name, tables.organisations[name].name, "host", tables.organisations[name].terms), True


def _own(written: DeploymentConfig, tables: Tables) -> tuple[OperatorTemplate, bool]:
    kinds = {template.server: template for template in tables.templates.values() if template.server}
    if written.server is None:
        return _bare(SELF, "our own server", "self_hosted", Terms()), True
    if written.server not in kinds:
        raise CatalogError(f"unknown kind of server `{written.server}`{nearest(written.server, kinds)}", key="server")
    return kinds[written.server], not kinds[written.server].endpoint().wire.hosts


def _bare(operator: str, name: str, kind: str, terms: Terms) -> OperatorTemplate:
    """Any server that speaks OpenAI's chat completions; nothing else is known of it."""
    return OperatorTemplate(
        id=operator,
        operator=operator,
        name=name,
        kind=kind,
        source=OWN_SOURCE,
        terms=terms,
        endpoints={"default": EndpointTemplate("default", WireTemplate("direct"), terms)},
        default_endpoint="default",
        models={},
        bound_basis=Fact.unknown(),
        overhead=Overhead(),
    )


def _model(written: DeploymentConfig, template: OperatorTemplate, endpoint: EndpointTemplate) -> OfferedModel:
    if written.model not in template.models and {"name", "price"} <= written.model_fields_set:
        return OfferedModel(written.model)
    return template.offer(written.model, endpoint.name)


def _through(written: DeploymentConfig, tables: Tables) -> Offer:
    """An offer through an aggregator, pinned to the operator that was declared."""
    via = written.via or ""
    for key in ("server", "runs_on", "subprocessor"):
        if getattr(written, key) is not None:
            raise CatalogError(f"`{key}` and `via` exclude each other: remove one", key=key)
    template = tables.templates.get(via)
    if template is None or not template.providers:
        known = {name for name, each in tables.templates.items() if each.providers}
        raise CatalogError(f"`{via}` is no aggregator that is known{nearest(via, known)}", key="via")
    if written.operator not in tables.organisations:
        raise CatalogError(
            f"unknown operator `{written.operator}`{nearest(written.operator, template.providers)}", key="operator"
        )
    provider = template.providers.get(written.operator)
    if provider is None:
        raise CatalogError(
            f"`{via}` cannot be pinned to operator `{written.operator}`{nearest(written.operator, template.providers)}",
            key="operator",
        )
    endpoint = template.endpoint(written.endpoint)
    offered = _model(written, template, endpoint)
    developer = tables.models[written.model].developer.value
    hosting = Hosting.VENDOR_API if developer == written.operator else Hosting.MANAGED
    return Offer(template, endpoint, replace(offered, hosting=offered.hosting or hosting), written.operator, provider)
