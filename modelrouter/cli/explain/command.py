"""`modelrouter explain`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import (
    AsJson,
    CeilingOption,
    ConfigOption,
    PolicyOption,
    PromptArgument,
    TagOption,
    call_options,
)
from modelrouter.cli.screen import console, print_document

__all__ = ["explain"]


def explain(
    route: Annotated[
        str | None, typer.Argument(metavar="ROUTE", help="a route of the config", show_default=False)
    ] = None,
    prompt: PromptArgument = None,
    *,
    policy: PolicyOption = None,
    tag: TagOption = None,
    max_cost_usd: CeilingOption = None,
    call: Annotated[
        str | None,
        typer.Option(metavar="ID", help="instead: a call of the ledger, its decision derived anew from stored inputs"),
    ] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="instead: requests that nobody might serve, counted by their reasons")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="with --refused: a length as 24h, 30d, or a day as 2026-11-01")
    ] = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Show one decision in full: who would serve, in which order, who not and why, and budgets' room. Sends nothing.

    With `--call` it is a decision of the past, derived from the ledger alone: facts, prices and policies as they were.
    """
    asked = {"--policy": policy, "--tag": tag, "--max-cost-usd": max_cost_usd}
    if call is not None or refused:
        _check_alone({"ROUTE": route, **asked}, "--call" if call is not None else "--refused")
        if call is not None and refused:
            raise typer.BadParameter("`--call` and `--refused` are two questions: ask one", param_hint="--refused")
    if since is not None and not refused:
        raise typer.BadParameter("`--since` says how far `--refused` looks back: add it", param_hint="--since")
    if call is not None:
        from modelrouter.cli.explain.past import explain_call

        explain_call(call, config, as_json=as_json)
    elif refused:
        from modelrouter.cli.explain.refused import show_refused_calls

        show_refused_calls(since, config, as_json=as_json)
    elif route is None:
        raise typer.BadParameter("missing argument: name a route, or ask with `--call ID`", param_hint="ROUTE")
    else:
        _explain_route(route, prompt, call_options(policy, tag, max_cost_usd), config, as_json=as_json)


def _check_alone(others: dict[str, object], option: str) -> None:
    for name, value in others.items():
        if value is not None:
            raise typer.BadParameter(
                f"`{name}` asks about a new request, and `{option}` about past ones", param_hint=name
            )


def _explain_route(route: str, prompt: str | None, options: Any, config: str | None, *, as_json: bool) -> None:  # noqa: ANN401 - `Options`
    from modelrouter import Router
    from modelrouter.cli.budget.book import read_book, rooms_in
    from modelrouter.cli.decisions import decision_document, show_decision
    from modelrouter.cli.room import room_documents, show_rooms
    from modelrouter.cli.unwritten import UnwrittenLedger

    ledger = UnwrittenLedger()
    with Router.from_config(config, ledger=ledger) as router:
        setup = router.setup
        book = read_book(setup)
        ledger.tell(book.revoked)
        decision = router.explain(route, prompt, **options)
    rooms = rooms_in(book, setup, decision, options.get("tags") or {})
    if as_json:
        print_document({**decision_document(decision), "budgets": room_documents(book, rooms)})
    else:
        screen = console()
        show_decision(screen, decision)
        show_rooms(screen, book, rooms)
    if not decision.permitted:
        raise typer.Exit(REFUSED)
