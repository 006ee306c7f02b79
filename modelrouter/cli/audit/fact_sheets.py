"""The tables of facts: deployments, models and licences as the configuration of the day has them, with sources."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from modelrouter.cli.audit.sheet import Sheet
from modelrouter.cli.facts import fact_words, terms_of
from modelrouter.config.canonical import canonical, static
from modelrouter.core.facts import Fact, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.cli.audit.evidence import Evidence
    from modelrouter.cli.audit.sheet import Cell
    from modelrouter.config import Setup
    from modelrouter.core.facts import Deployment, Licence

__all__ = ["fact_sheets"]

NOT_HELD = "not held: see the reference"


def fact_sheets(setup: Setup, evidence: Evidence) -> Iterator[Sheet]:
    """Deployments, models with their licences, and every fact with its source."""
    yield _deployments(setup, evidence)
    yield _models(setup, evidence)
    yield _facts(setup)


def _deployments(setup: Setup, evidence: Evidence) -> Sheet:
    world = setup.world
    used = {row.group[0]: row.sums.attempts for row in evidence.reports["deployment"].rows}
    rows: list[tuple[Cell, ...]] = []
    for name, each in sorted(world.deployments.items()):
        links = "; ".join(f"{link.role.value}: {link.organisation}" for link in each.chain)
        routes = ", ".join(route for route, found in setup.routes.items() if name in found.candidates)
        complete = "yes" if each.chain_complete.value is True else "no"
        rows.append((name, each.model, links, complete, each.hosting.value, routes, used.pop(name, 0)))
    rows += [(name, "", "", "", "", "not in the configuration any more", count) for name, count in sorted(used.items())]
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
            "routes": "the uses for which it is a candidate",
            "attempts": "calls to it in the period",
        },
        rows,
    )


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
        licence = world.licences.get(model.licence.value or "")
        rows.append(
            (
                name,
                model.name,
                fact_words(model.developer),
                fact_words(model.openness),
                fact_words(model.derived_from),
                fact_words(model.licence),
                licence.spdx if licence else "",
                licence.name if licence else "",
                _conditions(licence),
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
        "Every fact on which the policies can judge these services, with its source. `unknown` means that there is no "
        "source: a rule that asks for it refuses.",
        {
            "about": "deployment, model or organisation",
            "id": "which one",
            "fact": "its name",
            "state": "known, none (a source says there is none), undisclosed (its owner does not say), unknown",
            "value": "what it is",
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


def _row(about: str, name: str, path: str, fact: Fact[Any]) -> tuple[Cell, ...]:
    if fact.state is State.UNKNOWN:
        return about, name, path, fact.state.value, "", "", "", "", "", ""
    source = fact.source
    return (
        about,
        name,
        path,
        fact.state.value,
        fact_words(fact) if fact.value is not None else "",
        source.ref,
        "" if source.checked_on is None else source.checked_on.isoformat(),
        source.confidence.name.lower(),
        source.grade.value,
        source.ownership.value,
    )
