"""The tables that a configuration lays over the shipped ones, and the caller."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from modelrouter.catalog.entries import licence_from, model_from, organisation_from
from modelrouter.catalog.offers import template_from
from modelrouter.catalog.reading import Place
from modelrouter.config.nearest import nearest
from modelrouter.config.price_schema import rates_from
from modelrouter.core.facts import (
    SELF,
    Agreement,
    Caller,
    Confidence,
    Fact,
    Grade,
    Organisation,
    Ownership,
    Source,
    State,
)
from modelrouter.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from modelrouter.catalog.currency import CurrencyRate
    from modelrouter.catalog.loader import Catalog
    from modelrouter.catalog.templates import OperatorTemplate
    from modelrouter.config.caller_schema import CallerConfig
    from modelrouter.config.faults import Faults
    from modelrouter.config.files import ConfigFile
    from modelrouter.core.facts import Licence, Model

__all__ = ["Tables", "caller_from", "place_in", "tables_of", "with_caller"]

T = TypeVar("T", "Organisation", "Licence", "Model")


@dataclass(frozen=True, slots=True)
class Tables:
    """Shipped entries with those of the files laid over them.

    Attributes:
        templates: by the id that a deployment names as its operator, or `self-SERVER`.
        rates: of currencies, by their three letters.
    """

    organisations: Mapping[str, Organisation]
    licences: Mapping[str, Licence]
    models: Mapping[str, Model]
    groups: Mapping[str, frozenset[str]]
    templates: Mapping[str, OperatorTemplate]
    caller: Caller
    rates: Mapping[str, CurrencyRate] = field(default_factory=dict)


def place_in(file: ConfigFile, *path: str | int) -> Place:
    """A key of a file, for the catalog's readers."""
    document = file.document
    return Place(document.file, path, document.line) if document else Place(None, path)


def tables_of(catalog: Catalog, files: Sequence[ConfigFile], faults: Faults) -> Tables:
    """Lay what the files state over the catalog; every id that they name must exist in the result."""
    caller = _caller(files)
    organisations = {**catalog.organisations, SELF: _ourselves(caller)}
    licences, models, templates = dict(catalog.licences), dict(catalog.models), dict(catalog.templates)
    rates = {name: each for file in reversed(files) for name, each in rates_from(file.config.rates).items()}
    for file in files:
        config = file.config
        _lay_over(file, "organisations", config.organisations, organisations, organisation_from, faults)
        _lay_over(file, "licences", config.licences, licences, licence_from, faults)
        _lay_over(file, "models", config.models, models, model_from, faults)
        _lay_templates(file, templates, rates, faults)
    found = Tables(organisations, licences, models, catalog.groups, templates, caller, rates)
    for file in files:
        _check_ids(file, found, faults)
    return found


def _lay_over(  # noqa: PLR0917 - one per part of a table
    file: ConfigFile,
    table: str,
    entries: Mapping[str, Mapping[str, Any]],
    known: dict[str, T],
    read: Callable[[str, object, Ownership, Place], T],
    faults: Faults,
) -> None:
    """Read entries; one of a shipped id keeps the shipped facts that it does not state."""
    for name, entry in entries.items():
        with faults.caught(file.fault("", table, name)):
            if name == SELF:
                raise CatalogError("`self` is who `caller:` describes: write it there")
            new = read(name, entry, Ownership.USER, place_in(file, table, name))
            shipped = known.get(name)
            if shipped is not None:
                kept = {item.name: getattr(shipped, item.name) for item in fields(shipped) if item.name not in entry}
                new = replace(new, **kept)
            known[name] = new


def _lay_templates(
    file: ConfigFile, templates: dict[str, OperatorTemplate], rates: Mapping[str, CurrencyRate], faults: Faults
) -> None:
    for name, entry in file.config.operators.items():
        with faults.caught(file.fault("", "operators", name)):
            if name in templates or name == SELF:
                raise CatalogError(
                    f"`{name}` is a shipped operator: choose another id, or state facts in the deployment"
                )
            templates[name] = template_from(name, entry, Ownership.USER, place_in(file, "operators", name), rates=rates)


def _caller(files: Sequence[ConfigFile]) -> Caller:
    file = next((file for file in files if file.config.caller is not None), None)
    if file is None or file.config.caller is None:
        return Caller()
    return caller_from(file.config.caller)


def caller_from(written: CallerConfig) -> Caller:
    """The caller as the core has it."""
    source = Source("caller, as configured", written.checked_on, Confidence.HIGH, Grade.ASSERTED, Ownership.USER)
    country = Fact.known(written.country, source) if written.country else Fact.unknown()
    parent = Fact.known(written.parent_country, source) if written.parent_country else country
    agreements = tuple(Agreement(paper.type, paper.with_, paper.id, paper.expires) for paper in written.agreements)
    return Caller(written.name, country, parent, written.metrics, agreements)


def with_caller(tables: Tables, caller: Caller) -> Tables:
    """The same facts, asked for by somebody else."""
    return replace(tables, caller=caller, organisations={**tables.organisations, SELF: _ourselves(caller)})


def _ourselves(caller: Caller) -> Organisation:
    """The caller as an organisation; rules read its two countries from the caller itself."""
    known = caller.country.value is not None
    parent: Fact[str] = Fact.none(caller.country.source) if known else Fact.unknown()
    return Organisation(SELF, caller.name or SELF, caller.country, parent, frozenset({"developer", "operator"}))


def _check(
    file: ConfigFile, faults: Faults, what: str, names: object, table: Mapping[str, object], *path: str | int
) -> None:
    for name in sorted(names) if isinstance(names, frozenset) else [names]:
        if isinstance(name, str) and name not in table:
            faults.add(file.fault(f"unknown {what} `{name}`{nearest(name, table)}", *path, kind=CatalogError))


def _check_ids(file: ConfigFile, known: Tables, faults: Faults) -> None:
    """Every id that an entry of this file names must exist."""
    config = file.config
    for index, paper in enumerate(config.caller.agreements if config.caller else ()):
        _check(file, faults, "organisation", paper.with_, known.organisations, "caller", "agreements", index, "with")
    for name in config.organisations:
        organisation = known.organisations.get(name)
        if organisation is not None:
            _check(
                file,
                faults,
                "organisation",
                organisation.parent.value,
                known.organisations,
                "organisations",
                name,
                "parent",
            )
    for name in config.operators:
        template = known.templates.get(name)
        if template is not None:
            _check(file, faults, "organisation", template.operator, known.organisations, "operators", name, "operator")
            _check(file, faults, "model", frozenset(template.models), known.models, "operators", name, "models")
    _check_models(file, known, faults)
    _check_circles(file, known, faults)


def _check_models(file: ConfigFile, known: Tables, faults: Faults) -> None:
    """Every id that a model of this file names must exist, and an alias must not stand for another."""
    for name in file.config.models:
        model = known.models.get(name)
        if model is None:
            continue
        _check(file, faults, "organisation", model.developer.value, known.organisations, "models", name, "developer")
        _check(file, faults, "licence", model.licence.value, known.licences, "models", name, "licence")
        for relation in ("derived_from", "distilled_from", "lineage_claim"):
            _check(file, faults, "model", getattr(model, relation).value, known.models, "models", name, relation)
        stood_for = frozenset(each.model for each in model.alias_of.value or ())
        _check(file, faults, "model", stood_for, known.models, "models", name, "alias_of")
        for each in sorted(stood_for & known.models.keys()):
            if known.models[each].alias_of.state is not State.NONE:
                fault = f"`{each}` is an alias too: name the model that it stands for"
                faults.add(file.fault(fault, "models", name, "alias_of"))


def _check_circles(file: ConfigFile, known: Tables, faults: Faults) -> None:
    """Nobody is its own parent, no model its own ancestor."""
    for name in file.config.organisations:
        trail, above = [name], known.organisations.get(name)
        while above is not None and above.parent.value is not None:
            trail.append(above.parent.value)
            if trail[-1] in trail[:-1]:
                circle = " -> ".join(trail)
                faults.add(file.fault(f"parents in a circle: {circle}: correct one", "organisations", name, "parent"))
                break
            above = known.organisations.get(trail[-1])
    for name in file.config.models:
        seen: set[str] = set()
        ahead = sorted(known.models[name].derived_from.value or ()) if name in known.models else []
        while ahead:
            ancestor = ahead.pop()
            if ancestor == name:
                faults.add(file.fault(f"`{name}` is made from itself: correct it", "models", name, "derived_from"))
                break
            if ancestor not in seen and ancestor in known.models:
                seen.add(ancestor)
                ahead.extend(known.models[ancestor].derived_from.value or ())
