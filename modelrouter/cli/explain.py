"""`modelrouter explain`."""

from __future__ import annotations

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import (
    AsJson,
    CeilingOption,
    ConfigOption,
    PolicyOption,
    PromptArgument,
    RouteArgument,
    TagOption,
    call_options,
)
from modelrouter.cli.screen import console, print_document

__all__ = ["explain"]


def explain(
    route: RouteArgument,
    prompt: PromptArgument = None,
    *,
    policy: PolicyOption = None,
    tag: TagOption = None,
    max_cost_usd: CeilingOption = None,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Show one decision in full: who would serve, in which order, who not and why, and budgets' room. Sends nothing."""
    options = call_options(policy, tag, max_cost_usd)
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
