"""`modelrouter catalog why`: what a policy says of every way to a model, by which rule, on which fact and source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.catalog.offered import ASSUMED, OWN
from modelrouter.cli.decisions import show_refused, verdict_document
from modelrouter.cli.facts import fact_document, price_words
from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson
from modelrouter.cli.screen import console, print_document, table

if TYPE_CHECKING:
    from modelrouter.cli.catalog.asked import Asked
    from modelrouter.core.policy import Obligation
    from modelrouter.core.verdict import Verdict

__all__ = ["why"]

PRICE: Final = ("catalog", "price")
"""The rule that no policy has to state: what has no price is not called. A price can be stated by whoever pays it."""


def why(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="a model of the catalog, or of the config")],
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="a policy by its name, or its file")],
    *,
    country: Annotated[str | None, typer.Option(metavar="CODE", help="where your organisation is")] = None,
    agreement: Annotated[
        list[str] | None, typer.Option(metavar="TYPE:ID", help="a paper that you have signed, as `dpa:mistral`")
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="FILE", help="take caller and policies from a config")] = None,
    in_full: Annotated[
        bool, typer.Option("--full", help="every rule that refuses with its source, not the first")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say who may serve a model under a policy, and what keeps each other one out; 1 if nobody may."""
    from modelrouter.cli.catalog.asked import agreement_of, ask

    if config is not None and (country or agreement):
        option = "--country" if country else "--agreement"
        raise typer.BadParameter("the config says who asks: leave one of the two out", param_hint=option)
    papers = [agreement_of(text) for text in agreement or []]
    asked = ask(model, policy, country=country, agreements=papers, config=config)
    refusals = {name: _refusals(asked, name) for name in asked.decision.considered}
    if as_json:
        print_document(_document(model, asked, refusals))
    else:
        _show(model, asked, refusals, in_full=in_full)
    if all(refusals.values()):
        raise typer.Exit(REFUSED)


def _refusals(asked: Asked, name: str) -> tuple[Verdict, ...]:
    return tuple(each for each in asked.decision.refusals(name) if (each.layer, each.rule) != PRICE)


def _duties(asked: Asked, name: str) -> tuple[Obligation, ...]:
    return asked.decision.rows[name].obligations


def _document(model: str, asked: Asked, refusals: dict[str, tuple[Verdict, ...]]) -> dict[str, Any]:
    world = asked.world
    return {
        "model": model,
        "policy": asked.policy,
        "policies": [{"name": each.name, "digest": each.digest} for each in asked.layers],
        "caller": {
            "country": world.caller.country.value,
            "agreements": [{"type": each.type, "with": each.partner} for each in world.caller.agreements],
        },
        "ok": not all(refusals.values()),
        "permitted": [
            {
                **_offer_document(asked, name),
                "obligations": [{"subject": duty.subject, "text": duty.text} for duty in _duties(asked, name)],
            }
            for name, found in refusals.items()
            if not found
        ],
        "refused": [
            {**_offer_document(asked, name), "refusals": [verdict_document(each) for each in found]}
            for name, found in refusals.items()
            if found
        ],
    }


def _offer_document(asked: Asked, name: str) -> dict[str, Any]:
    deployment = asked.world.deployments[name]
    return {
        "offer": name,
        "operator": deployment.operator,
        "contract_partner": deployment.contract_partner,
        "hosting": deployment.hosting.value,
        "price": fact_document(deployment.price),
        "assumed": ASSUMED if name == OWN else None,
    }


def _show(model: str, asked: Asked, refusals: dict[str, tuple[Verdict, ...]], *, in_full: bool) -> None:
    screen = console()
    permitted = [name for name, found in refusals.items() if not found]
    refused = [(name, found) for name, found in refusals.items() if found]
    screen.print(f"{model} under {asked.policy}", style="bold", end="")
    screen.print(f": {len(permitted)} of {len(refusals)} may serve", style="green" if permitted else "red")
    caller = asked.world.caller
    papers = ", ".join(f"{each.type} with {each.partner}" for each in caller.agreements) or "no agreements"
    screen.print(f"asked by a caller in {caller.country.value or 'an unknown country'}, {papers}", style="dim")
    if permitted:
        shown = table("may serve", "contract with", "USD per Mtok", whole=("may serve",))
        for name in permitted:
            deployment = asked.world.deployments[name]
            is_stated = deployment.price.value is not None and name != OWN
            price = price_words(deployment.price) if is_stated else "yours to state"
            shown.add_row(name, deployment.contract_partner, price)
        screen.print(shown)
        for duty in dict.fromkeys(duty for name in permitted for duty in _duties(asked, name)):
            screen.print(f"duty: {duty.text} ({duty.subject})", style="yellow")
    if refused:
        show_refused(screen, refused, in_full=in_full)
    if OWN in refusals:
        screen.print(f"{OWN} is {ASSUMED}", style="dim")
    if not permitted:
        remedies = dict.fromkeys(found[0].judgement.remedy for _, found in refused if found[0].judgement.remedy)
        for remedy in list(remedies)[:3]:
            screen.print(f"missing: {remedy}", soft_wrap=True)
