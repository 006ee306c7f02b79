"""A deployment's facts: those of its template, with what the deployment itself states laid over them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

from modelrouter.catalog.countries import COUNTRIES
from modelrouter.catalog.entries import capabilities, terms_from
from modelrouter.catalog.overheads import basis_from, overhead_from
from modelrouter.catalog.price_entries import price_from
from modelrouter.catalog.reading import Reading, source_from
from modelrouter.config.deployment_schema import FACT_KEYS
from modelrouter.config.nearest import nearest
from modelrouter.core.bounds import BoundBasis
from modelrouter.core.facts import GLOBAL, SELF, Deployment, Fact, Hosting, Link, LinkRole, Ownership, State, Terms
from modelrouter.core.money import exact_decimal

if TYPE_CHECKING:
    from modelrouter.catalog.reading import Place
    from modelrouter.config.deployment_schema import DeploymentConfig
    from modelrouter.config.offers import Offer
    from modelrouter.config.world import Tables
    from modelrouter.core.bounds import Overhead
    from modelrouter.core.facts import Model, Source
    from modelrouter.core.pricing import PriceList

__all__ = ["deployment_from"]

NOWHERE: Final = "none"
TERMS: Final = ("processing", "storage", "training", "retention_days")

T = TypeVar("T")


def deployment_from(name: str, written: DeploymentConfig, place: Place, offer: Offer, tables: Tables) -> Deployment:
    """The facts of one deployment.

    Args:
        place: where it is written.

    Raises:
        CatalogError: a fact is wrong or has no source, or a link of the chain is not known.
    """
    stated: dict[str, Any] = {
        key: getattr(written, key) for key in (*FACT_KEYS, "source") if key in written.model_fields_set
    }
    reading = Reading(stated, Ownership.USER, place)
    model = tables.models[written.model]
    _check_alias(written, offer, tables, place)
    template, offered = offer.template, offer.model
    own_terms = _laid_over(_base_terms(offer, tables), stated, reading.source, place, tables)
    return Deployment(
        id=name,
        model=written.model,
        chain=_chain(written, offer, tables, own_terms, place),
        hosting=template.hosting(offered),
        price=_price(reading, offer, tables),
        chain_complete=_completeness(written, offer, reading.source),
        context_tokens=_stated(reading, "context_tokens", _first(offered.context_tokens, model.context_tokens)),
        capabilities=_capabilities(reading, offer, model),
        quantization=_quantization(reading, offered.quantization),
        pinned=_pinned(written, reading, offer, model),
        retires_on=_retirement(reading, offer, model),
        bound_basis=_bound_basis(reading, written, offer),
        overhead=_overhead(written, offer, reading),
        quality=reading.fact("quality", _quality),
    )


# --- the chain --------------------------------------------------------------------------------------------------------


def _base_terms(offer: Offer, tables: Tables) -> Terms:
    """What holds at the operator before the deployment says anything; behind an aggregator, its own terms."""
    if not offer.provider:
        return offer.template.terms_of(offer.endpoint, offer.model)
    return tables.organisations[offer.operator].terms


def _laid_over(base: Terms, stated: dict[str, Any], source: Source | None, place: Place, tables: Tables) -> Terms:
    found = terms_from({key: stated[key] for key in TERMS if key in stated}, source, Ownership.USER, place)
    for key, fact in (("processing", found.processing), ("storage", found.storage)):
        for name in sorted(fact.value or ()):
            if name not in COUNTRIES and name != GLOBAL and name not in tables.groups:
                groups = ", ".join(f"`{group}`" for group in sorted(tables.groups))
                place.at(key).fail(f"`{name}` is no place: write two capitals, as `DE`, `{GLOBAL}`, or one of {groups}")
    return replace(base, **{key: getattr(found, key) for key in TERMS if key in stated})


def _chain(written: DeploymentConfig, offer: Offer, tables: Tables, own: Terms, place: Place) -> tuple[Link, ...]:
    service = offer.template.attestations
    links = [Link(LinkRole.OPERATOR, offer.operator, own, None if written.via is not None else service)]
    if written.via is not None:
        terms = _filled_up(_terms_of(written.via, tables), offer.endpoint.terms)
        links.append(Link(LinkRole.VIA, offer.template.operator, terms, service))
    behind = written.subprocessor or offer.model.subprocessor
    if behind is not None and behind != offer.operator:
        links.append(Link(LinkRole.SUBPROCESSOR, behind, _terms_of(behind, tables, place.at("subprocessor"))))
    if written.runs_on is not None and written.runs_on not in {NOWHERE, SELF}:
        cloud = _terms_of(written.runs_on, tables, place.at("runs_on"))
        links.append(
            Link(LinkRole.RUNS_ON, written.runs_on, replace(cloud, processing=own.processing, storage=own.storage))
        )
    return _with_own_words(tuple(links), written, place, tables)


def _terms_of(organisation: str, tables: Tables, place: Place | None = None) -> Terms:
    found = tables.organisations.get(organisation)
    if found is not None:
        return found.terms
    if place is not None:
        place.fail(f"unknown organisation `{organisation}`{nearest(organisation, tables.organisations)}")
    return Terms()


def _filled_up(first: Terms, second: Terms) -> Terms:
    return Terms(*(_first(getattr(first, key), getattr(second, key)) for key in TERMS))


def _with_own_words(
    links: tuple[Link, ...], written: DeploymentConfig, place: Place, tables: Tables
) -> tuple[Link, ...]:
    """Terms that the deployment states for other links of its chain."""
    others = {link.organisation for link in links[1:]}
    for name in written.links:
        if name not in others:
            known = nearest(name, others) if others else ": this deployment's terms are written beside `operator`"
            place.at("links", name).fail(f"`{name}` is no other link of this chain{known}")
    return tuple(
        _in_own_words(link, written, place, tables) if link.organisation in written.links else link for link in links
    )


def _in_own_words(link: Link, written: DeploymentConfig, place: Place, tables: Tables) -> Link:
    terms = written.links[link.organisation]
    at = place.at("links", link.organisation)
    stated: dict[str, Any] = {key: getattr(terms, key) for key in TERMS if key in terms.model_fields_set}
    given = terms.source or written.source
    source = None if given is None else source_from(given, Ownership.USER, at.at("source"))
    return replace(link, terms=_laid_over(link.terms, stated, source, at, tables))


def _completeness(written: DeploymentConfig, offer: Offer, source: Source | None) -> Fact[bool]:
    if offer.operator != SELF:
        return Fact.known(value=True, source=offer.template.source)
    if written.runs_on is None:
        return Fact.unknown()
    return Fact.known(value=True, source=source or offer.template.source)


# --- single facts -----------------------------------------------------------------------------------------------------


def _first(*facts: Fact[T]) -> Fact[T]:
    """The first fact that says anything."""
    return next((fact for fact in facts if fact.state is not State.UNKNOWN), facts[-1])


def _stated(reading: Reading, key: str, otherwise: Fact[int]) -> Fact[int]:
    return reading.fact(key, Reading.count) if key in reading.entry else otherwise


def _price(reading: Reading, offer: Offer, tables: Tables) -> Fact[PriceList]:
    """What is stated, else what is listed: of the standard mode, or of the one that `price: {mode: …}` asks for."""
    if offer.takes_listed_price:
        return offer.template.price(offer.endpoint, offer.model, tables.rates, offer.mode)
    place = reading.place.at("price")
    return price_from(reading.entry["price"], reading.source, Ownership.USER, place, tables.rates)


def _capabilities(reading: Reading, offer: Offer, model: Model) -> Fact[frozenset[str]]:
    """What is stated, else what both the model can and the operator offers, with what the server adds to any model."""
    if "capabilities" in reading.entry:
        return reading.fact("capabilities", capabilities, none="plain text only")
    both = _shared(offer.model.capabilities, model.capabilities)
    added = offer.template.capabilities
    if added.state is not State.KNOWN:
        return both
    return Fact.known((both.value or frozenset()) | (added.value or frozenset()), added.source)


def _shared(offered: Fact[frozenset[str]], able: Fact[frozenset[str]]) -> Fact[frozenset[str]]:
    if offered.state is State.UNKNOWN or able.state is State.UNKNOWN:
        return _first(offered, able)
    if offered.state is not State.KNOWN or able.state is not State.KNOWN:
        return _poorer(offered, able)
    both = (offered.value or frozenset()) & (able.value or frozenset())
    return Fact.known(both, offered.source) if both else Fact.none(offered.source)


def _poorer(first: Fact[T], second: Fact[T]) -> Fact[T]:
    """Of two facts the one without a value: `none` before `undisclosed`."""
    return next(fact for state in (State.NONE, State.UNDISCLOSED) for fact in (first, second) if fact.state is state)


def _quantization(reading: Reading, offered: Fact[str]) -> Fact[str]:
    return (
        reading.fact("quantization", Reading.string, none="as released") if "quantization" in reading.entry else offered
    )


def _check_alias(written: DeploymentConfig, offer: Offer, tables: Tables, place: Place) -> None:
    """A name that moves at its developer's own endpoint must be declared, so that it is judged as what it stands for.

    Other operators may call a fixed version by the same name.
    """
    named = tables.models.get(written.name or "")
    is_own = offer.template.hosting(offer.model) is Hosting.VENDOR_API
    if named is None or named.id == written.model or named.alias_of.state is State.NONE or not is_own:
        return
    place.at("name").fail(f"`{named.id}` is an alias that moves: write `model: {named.id}`, or name a dated version")


def _pinned(written: DeploymentConfig, reading: Reading, offer: Offer, model: Model) -> Fact[bool]:
    """Whether the name stays the same weights. An alias never does; a name of one's own choice may not."""
    name = written.name or offer.model.name
    is_alias = name.endswith(("-latest", ":latest")) or name == "latest"
    if "pinned" in reading.entry:
        stated = reading.fact("pinned", Reading.boolean)
        if stated.value and is_alias:
            reading.place.at("pinned").fail(f"`{name}` is an alias that moves and never pinned: name a dated version")
        return stated
    if is_alias:
        return Fact.known(value=False, source=offer.template.source)
    if written.name not in {None, offer.model.name} and offer.operator != SELF and offer.model.name:
        return Fact.unknown()
    return _first(offer.model.pinned, model.pinned)


def _retirement(reading: Reading, offer: Offer, model: Model) -> Fact[Any]:
    if "retires_on" in reading.entry:
        return reading.fact("retires_on", Reading.day, none="no date is set")
    return _first(offer.model.retires_on, model.retires_on)


def _bound_basis(reading: Reading, written: DeploymentConfig, offer: Offer) -> Fact[BoundBasis]:
    """What is stated, else the offer's, else the operator's. What was proved was not proved for another overhead."""
    if "bound_basis" in reading.entry:
        return reading.fact("bound_basis", basis_from)
    found = _first(offer.model.bound_basis, offer.template.bound_basis)
    if written.overhead is not None and found.value is BoundBasis.PROVED:
        return Fact.known(BoundBasis.DOCUMENTED, found.source)
    return found


def _overhead(written: DeploymentConfig, offer: Offer, reading: Reading) -> Overhead:
    """The template's, with what is stated in its place.

    A server refuses prompts beyond the window that it serves, which may be longer than the model's own: only a window
    that the deployment or the operator's offer states is taken for that.
    """
    base = offer.model.overhead or offer.template.overhead
    if "context_tokens" not in reading.entry and offer.model.context_tokens.state is not State.KNOWN:
        base = replace(base, hard_window=False)
    if written.overhead is not None:
        return overhead_from(written.overhead.model_dump(exclude_unset=True), reading, base)
    return base


def _quality(value: object, place: Place) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        place.fail("not a figure: write a number, as `0.83`")
    try:
        return exact_decimal(value)
    except ValueError as error:
        place.fail(str(error))
