"""The tables of facts: deployments, models and licences as the configuration of the day has them, with sources."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.facts import fact_words, terms_of
from modelrouter.config.canonical import canonical, static
from modelrouter.core.facts import Fact, State
from modelrouter.core.pricing import PriceList

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.config import Setup
    from modelrouter.core.assurance import Dependence
    from modelrouter.core.facts import Deployment, Licence

__all__ = ["FACTS", "fact_sheets"]

NOT_HELD: Final = "not held: see the reference"
UNITS: Final = {"price": "USD per million tokens", "context_tokens": "tokens", "retention_days": "days"}
FACTS: Final = {
    "processing": "where prompts are worked on, by the organisation named in front; `global` is anywhere",
    "storage": "where it keeps prompts or answers; none: it keeps nothing",
    "training": "whether it trains models on them: never, opt_out (unless one objects), used",
    "retention_days": "how long it keeps them",
    "price": "list price of input and output; each charge rests on the price list that documents.csv names",
    "chain_complete": "whether everybody between the application and the machines is declared",
    "context_tokens": "the longest input and output together: of the model, or what this service serves of it",
    "capabilities": "what it can do, as tools (calls of functions) or json_schema (answers in a given form)",
    "quantization": "whether weights were rounded to save memory, and how",
    "pinned": "whether the name always means the same weights; no: it may be changed behind the name",
    "retires_on": "the last day of service",
    "bound_basis": "how the most that an input can cost is known: proved, documented, or window (the longest)",
    "quality": "a figure of the organisation's own; no rule reads it",
    "developer": "who trained the model",
    "licence": "under which licence its weights are",
    "openness": "closed, open_weights or open_source",
    "derived_from": "models whose weights it continues",
    "distilled_from": "models from whose answers it learned",
    "lineage_claim": "models from which somebody alleges that it comes; none: no allegation is known",
    "alias_of": "for a name that stands for other models in turn: which, since when",
    "country": "of the entity one contracts with, ISO 3166-1",
    "parent": "the organisation that controls it",
    "lists": "lists of governments on which it stands, as of sanctions",
    "attestations": "certificates and reports of auditors that it says it has",
}
"""What each fact says; those that stand behind an organisation's name are told by what follows the dot."""


def fact_sheets(setup: Setup, evidence: Evidence, found: Dependence, cut_off: Mapping[str, str]) -> Iterator[Sheet]:
    """Deployments, models with their licences, and every fact with its source.

    Args:
        cut_off: deployments that are, by which line of the ledger.
    """
    yield _deployments(setup, evidence, found, cut_off)
    yield _models(setup, evidence)
    yield _facts(setup)


def _deployments(setup: Setup, evidence: Evidence, found: Dependence, cut_off: Mapping[str, str]) -> Sheet:
    world = setup.world
    used = {row.group[0]: row.sums.attempts for row in evidence.reports["deployment"].rows}
    missed = not_callable(evidence)
    rows: list[tuple[Cell, ...]] = []
    for name, each in sorted(world.deployments.items()):
        links = "; ".join(f"{link.role.value}: {link.organisation}" for link in each.chain)
        routes = ", ".join(name_of for name_of, route in setup.routes.items() if name in route.candidates)
        permitted = ", ".join(route for route, left in found.permitted.items() if name in left)
        complete = "yes" if each.chain_complete.value is True else "no"
        places = (_said_of(each, term) for term in ("processing", "storage", "training", "retention_days"))
        rows.append(
            (
                name, each.model, links, complete, each.hosting.value, *places, routes, permitted,
                cut_off.get(name, ""),
                used.pop(name, 0), missed.get(name, 0),
            )
        )  # fmt: skip
    gone = "not in the configuration any more"
    rows += [(name, "", gone, *[""] * 9, count, missed.get(name, 0)) for name, count in sorted(used.items())]
    return Sheet(
        "deployments",
        "Every service that can be called: a model at an operator. Services that were used in the period and are not "
        "in the configuration any more stand at the end.",
        {
            "deployment": "its name in the configuration",
            "model": "the model",
            "chain": "who stands between the application and the model's machines",
            "chain_complete": "whether everybody in that chain is declared",
            "hosting": "who holds the weights: self_hosted, managed (another operator), vendor_api (the developer)",
            "processing": "where prompts are worked on; with several organisations in the chain, for each of them",
            "storage": "where they keep prompts or answers; none: nowhere",
            "training": "whether they train on them: never, opt_out (unless one objects), used",
            "retention_days": "how many days they keep them",
            "routes": "the uses for which it is a candidate",
            "permitted_for": "of these, those for which all policies permit it on the day of this pack, without tags; "
            "none where it is cut off",
            "cut_off_by": "the line of the ledger that cuts it off on that day, see revocations.csv",
            "attempts": "calls to it in the period",
            "not_callable": "calls of the period in which it stood as a candidate, and could not be called at all, as "
            "for want of its key",
        },
        rows,
    )


def not_callable(evidence: Evidence) -> dict[str, int]:
    """Calls in which a deployment could not be called, whatever the policies said."""
    found: dict[str, int] = {}
    for (_, name, layer, _, _), count in evidence.tally.refusals.items():
        if layer == "wire":
            found[name] = found.get(name, 0) + count.calls
    return dict(sorted(found.items()))


def _said_of(deployment: Deployment, term: str) -> str:
    """A data term of every organisation in the chain; without its name where there is one alone."""
    said = {link.organisation: fact_words(terms_of(link.terms)[term]) for link in deployment.chain}
    return next(iter(said.values())) if len(said) == 1 else "; ".join(f"{name}: {text}" for name, text in said.items())


def _models(setup: Setup, evidence: Evidence) -> Sheet:
    world = setup.world
    used = {row.group[0]: row.sums.attempts for row in evidence.reports["model"].rows}
    names = sorted({*(each.model for each in world.deployments.values()), *used} - {""})
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        model = world.models.get(name)
        if model is None:
            rows.append((name, "not in the catalog any more", *[""] * 13, used.get(name, 0)))
            continue
        licence, openness = world.licences.get(model.licence.value or ""), fact_words(model.openness)
        rows.append(
            (
                name,
                model.name,
                fact_words(model.developer),
                openness,
                fact_words(model.derived_from),
                fact_words(model.licence),
                licence.spdx if licence else "",
                licence.name if licence else "",
                "as the operator's terms say" if openness == "closed" else _conditions(licence),
                model.licence.source.ref if model.licence.state is not State.UNKNOWN else "",
                NOT_HELD,
                static(canonical(licence)).sha256 if licence else "",
                model.openness.source.ref if model.openness.state is not State.UNKNOWN else "",
                NOT_HELD,
                static(canonical(model)).sha256,
                used.get(name, 0),
            )
        )
    return Sheet(
        "models",
        "Every model that could be called, or was in the period, with its developer and its licence. The catalog holds "
        "neither licence texts nor model cards, but what it read from them, with references; the hashes are of those "
        "entries, so that two packs can be compared.",
        {
            "model": "its id",
            "name": "its name",
            "developer": "who trained it",
            "openness": "closed, open_weights or open_source",
            "derived_from": "the models whose weights it continues",
            "licence": "the licence's id in the catalog",
            "spdx": "its SPDX identifier",
            "licence_name": "its name",
            "licence_conditions": "what it demands, in words",
            "licence_reference": "where the licence can be read",
            "licence_text_sha256": "SHA-256 of the licence's text, where one is held",
            "licence_entry_sha256": "SHA-256 of what the catalog says of the licence",
            "card_reference": "the model card, or what the developer says of the model",
            "card_sha256": "SHA-256 of the model card, where one is held",
            "model_entry_sha256": "SHA-256 of what the catalog says of the model",
            "attempts": "calls to it in the period",
        },
        rows,
    )


def _conditions(licence: Licence | None) -> str:
    if licence is None:
        return ""
    return "; ".join(each.text for each in licence.conditions.value or ()) or licence.conditions.state.value


def _facts(setup: Setup) -> Sheet:
    world = setup.world
    rows: list[tuple[Cell, ...]] = []
    for name, each in sorted(world.deployments.items()):
        rows += [_row("deployment", name, path, fact) for path, fact in _of_deployment(each)]
    for name in sorted({each.model for each in world.deployments.values()}):
        model = world.models.get(name)
        rows += [_row("model", name, path, fact) for path, fact in (_of(model) if model else ())]
    links = {link.organisation for each in world.deployments.values() for link in each.chain}
    developers = {world.models[each.model].developer.value or "" for each in world.deployments.values()}
    for name in sorted((links | developers) & world.organisations.keys()):
        rows += [_row("organisation", name, path, fact) for path, fact in _of(world.organisations[name])]
    return Sheet(
        "facts",
        "Every fact on which the policies can judge these services, with its source, as of the day of this pack. "
        "`unknown` means that there is no source: a rule that asks for it refuses. What was known when a call was "
        "decided is in the ledger: `modelrouter explain --call ID`.",
        {
            "about": "deployment, model or organisation",
            "id": "which one",
            "fact": "its name, behind that of an organisation of the chain where it is of that one",
            "state": "known, none (a source says there is none), undisclosed (its owner does not say), unknown",
            "value": "what it is",
            "unit": "of the value",
            "source": "where it can be checked",
            "checked_on": "when it was last checked",
            "confidence": "of the source: high, medium or low; low never permits",
            "grade": "what a statement about places rests on: contractual, technical or asserted",
            "whose": "`shipped` with the tool, or from a file of the `user`",
        },
        rows,
    )


def _of(thing: Any) -> Iterator[tuple[str, Fact[Any]]]:  # noqa: ANN401 - an entry of any table
    for item in fields(thing):
        value = getattr(thing, item.name)
        if isinstance(value, Fact):
            yield item.name, value


def _of_deployment(each: Deployment) -> Iterator[tuple[str, Fact[Any]]]:
    for link in each.chain:
        for name, fact in terms_of(link.terms).items():
            yield f"{link.organisation}.{name}", fact
    yield from _of(each)


def _unit(name: str, value: object) -> str:
    """Of a value that has one: a price by machine hours, or none, says so in its own words."""
    by_hours = isinstance(value, PriceList) and value.machine_hour_usd is not None and not value.output_usd_per_mtok
    is_free = isinstance(value, PriceList) and value.free
    return "" if value is None or by_hours or is_free else UNITS.get(name, "")


def _row(about: str, name: str, path: str, fact: Fact[Any]) -> tuple[Cell, ...]:
    bare = path.rpartition(".")[2]
    begin = about, name, path, fact.state.value
    if fact.state is State.UNKNOWN:
        return *begin, *[""] * 7
    source, value = fact.source, fact_words(fact) if fact.value is not None else ""
    return (
        *begin,
        value,
        _unit(bare, fact.value),
        source.ref,
        "" if source.checked_on is None else source.checked_on.isoformat(),
        source.confidence.name.lower(),
        source.grade.value,
        source.ownership.value,
    )
