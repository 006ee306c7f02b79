"""`modelrouter explain --call ID`: the decision of a call, derived anew from what the ledger holds of it."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.screen import amount, console, print_document, table
from modelrouter.cli.spend.when import written
from modelrouter.core.money import format_usd
from modelrouter.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from modelrouter.ledger.decisions import Rederived
    from modelrouter.ledger.records import AttemptRow

__all__ = ["explain_call"]

ATTEMPTS_MAX = 1000


def explain_call(known_as: str, config: str | None, *, as_json: bool) -> None:
    """Print what was decided, what was attempted, and whether the stored inputs are as they were written.

    Raises:
        RequestError: the book knows no such call.
        Exit: 1 where something stored was altered or the outcome is another.
    """
    from modelrouter.cli.ledger.book import opened
    from modelrouter.ledger.decisions import rederive

    with opened(config) as book:
        with book.reading() as session:
            found = rederive(session, known_as)
        if found is None:
            raise RequestError(
                f"the ledger knows no call `{known_as}`: give a call_id or a request_id; one that was moved to an "
                "archive is not here any more"
            )
        attempts = () if found.was_refused else book.attempts(found.call_id, limit=ATTEMPTS_MAX)
    if as_json:
        print_document(_document(found, attempts))
    else:
        _show(console(), found, attempts)
    if found.faults:
        raise typer.Exit(REFUSED)


def _document(found: Rederived, attempts: Sequence[AttemptRow]) -> dict[str, Any]:
    from modelrouter.cli.decisions import decision_document

    return {
        "call_id": found.call_id,
        "request_id": found.request_id,
        "at": written(found.at_us, UTC),
        "route": found.route,
        "session": found.session,
        "tags": json.loads(found.tags),
        "refused": found.was_refused,
        "count": found.count,
        "version": found.version or None,
        "ok": not found.faults,
        "faults": list(found.faults),
        "decision": None if found.decision is None else decision_document(found.decision),
        "attempts": [_attempt_document(each) for each in attempts],
        "cost_usd": amount(sum(each.cost_nano_usd for each in attempts)),
    }


def _attempt_document(row: AttemptRow) -> dict[str, Any]:
    usage = row.usage
    return {
        "number": row.number,
        "deployment": row.deployment,
        "operator": row.operator,
        "model": row.model,
        "state": row.state.value,
        "failure": None if row.failure is None else row.failure.value,
        "detail": row.detail or None,
        "status": row.status,
        "cost_usd": amount(row.cost_nano_usd),
        "most_usd": amount(row.bound.nano_usd),
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
    }


def _show(screen: Console, found: Rederived, attempts: Sequence[AttemptRow]) -> None:
    from modelrouter.cli.decisions import show_decision

    screen.print(f"call {found.call_id}", style="bold", end="")
    screen.print(f", {written(found.at_us, UTC)}" + (f", request {found.request_id}" if found.request_id else ""))
    tags = ", ".join(f"{name}={value}" for name, value in json.loads(found.tags).items())
    if tags:
        screen.print(f"tags: {tags}", style="dim", soft_wrap=True)
    if found.decision is not None:
        show_decision(screen, found.decision)
    if attempts:
        _show_attempts(screen, attempts)
    if found.was_refused:
        asked = "once" if found.count == 1 else f"{found.count} times"
        screen.print(f"refused {asked} before anything was reserved: it cost nothing")
    for fault in found.faults:
        screen.print(f"! {fault}", style="red", soft_wrap=True)
    if not found.faults:
        screen.print(
            f"derived anew from the ledger, as version {found.version} decided it: the same outcome", style="green"
        )


def _show_attempts(screen: Console, attempts: Sequence[AttemptRow]) -> None:
    shown = table(
        "attempt", "deployment", "what came of it", "input", "output", "cost", right=("input", "output", "cost")
    )
    for row in attempts:
        came = row.state.value if row.failure is None else f"{row.state.value}: {row.failure.value}"
        usage = row.usage
        counts = ("", "") if usage is None else (str(usage.input_tokens), str(usage.output_tokens))
        shown.add_row(str(row.number), row.deployment, came, *counts, format_usd(row.cost_nano_usd))
    screen.print(shown)
