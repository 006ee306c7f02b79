"""`modelrouter ledger reconcile`: a provider's bill against the book."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.ledger.book import opened
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import amount, console, print_document, printable, table
from modelrouter.core.money import format_usd
from modelrouter.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.ledger import Ledger
    from modelrouter.ledger.audit.attempts import BookedAttempt
    from modelrouter.ledger.audit.reconcile import Match, Reconciliation
    from modelrouter.ledger.audit.statement import Charge

__all__ = ["reconcile"]

TOGETHER: Final = 200
"""Corrections written at once."""
PATIENCE_S: Final = 30.0
SHOWN: Final = 20


def reconcile(
    *,
    source: Annotated[
        Path,
        typer.Option(
            "--from", metavar="EXPORT", help="a provider's billing export: CSV with a line of names, or JSON lines"
        ),
    ],
    provider: Annotated[
        str | None, typer.Option(metavar="OPERATOR", help="look at this operator's attempts only, as `openai`")
    ] = None,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="it holds all requests of its time: uncertain ones that it lacks cost nothing"),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be written, and write nothing")] = False,
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Correct uncertain attempts to what their provider charged.

    Columns: `cost_usd`, and `reservation_id`, `call_id` or `request_id`, or `time` and `model`; also `input_tokens`,
    `output_tokens`, `cached_input_tokens`. What was settled is compared and left as it is. Exit code 1 where something
    is left over on either side.
    """
    from modelrouter.ledger.audit.reconcile import reconcile as compare
    from modelrouter.ledger.audit.statement import read_statement

    charges = read_statement(source)
    with opened(config) as book:
        with book.reading() as session:
            found = compare(session, charges, provider=provider, complete=complete)
        if not dry_run:
            _write(book, found.corrections)
    if as_json:
        print_document(_document(found, len(charges), written=not dry_run))
    else:
        _show(found, len(charges), written=not dry_run)
    if not found.is_complete:
        raise typer.Exit(1)


def _write(book: Ledger, corrections: Sequence[Match]) -> None:
    for first in range(0, len(corrections), TOGETHER):
        told = threading.Event()
        outcomes: list[Exception | None] = []

        def done(
            outcome: Exception | None, told: threading.Event = told, to: list[Exception | None] = outcomes
        ) -> None:
            to.append(outcome)
            told.set()

        book.correct([each.correction() for each in corrections[first : first + TOGETHER]], done)
        if not told.wait(PATIENCE_S):
            raise LedgerUnavailableError(
                f"the book did not take the corrections within {PATIENCE_S:.0f} s: run it again, what is written is "
                "not written twice"
            )
        if outcomes[0] is not None:
            raise outcomes[0]


def _document(found: Reconciliation, lines: int, *, written: bool) -> dict[str, Any]:
    return {
        "lines": lines,
        "written": written,
        "corrections": [_match_document(each) for each in found.corrections],
        "agreeing": len(found.agreeing),
        "differing": [_match_document(each) for each in found.differing],
        "unmatched": [_charge_document(each) for each in found.unmatched],
        "ambiguous": [_charge_document(each) for each in found.ambiguous],
        "missing": [_attempt_document(each) for each in found.missing],
        "charged_usd": amount(found.charged_nano_usd),
        "booked_usd": amount(found.booked_nano_usd),
        "change_usd": amount(found.change_nano_usd),
    }


def _match_document(match: Match) -> dict[str, Any]:
    return {
        **_attempt_document(match.attempt),
        "line": None if match.charge is None else match.charge.line,
        "charged_usd": amount(match.cost_nano_usd),
        "change_usd": amount(match.change_nano_usd),
    }


def _attempt_document(attempt: BookedAttempt) -> dict[str, Any]:
    return {
        "seq": attempt.reservation.seq,
        "reservation_id": attempt.reservation.reservation_id,
        "call_id": attempt.call.call_id,
        "request_id": attempt.call.request_id,
        "deployment": attempt.reservation.deployment,
        "state": attempt.state,
        "booked_usd": amount(attempt.booked),
    }


def _charge_document(charge: Charge) -> dict[str, Any]:
    return {"line": charge.line, "model": charge.model, "charged_usd": amount(charge.cost_nano_usd)}


def _show(found: Reconciliation, lines: int, *, written: bool) -> None:
    screen = console()
    if found.corrections:
        shown = table(
            "attempt", "deployment", "state", "booked", "charged", "change", right=("booked", "charged", "change")
        )
        for match in found.corrections[:SHOWN]:
            line = match.attempt.reservation
            shown.add_row(
                str(line.seq),
                line.deployment or "",
                match.attempt.state,
                format_usd(match.attempt.booked),
                format_usd(match.cost_nano_usd),
                format_usd(match.change_nano_usd),
            )
        screen.print(shown)
        _more(len(found.corrections))
    verb = "corrected" if written else "to be corrected"
    counted = "1 line" if lines == 1 else f"{lines} lines"
    screen.print(
        f"{counted}: {len(found.corrections)} {verb} by {format_usd(found.change_nano_usd)}, "
        f"{len(found.agreeing)} agree already; the export charges {format_usd(found.charged_nano_usd)}, the book held "
        f"{format_usd(found.booked_nano_usd)} for its time and matches",
        soft_wrap=True,
    )
    for match in found.differing[:SHOWN]:
        screen.print(
            f"left as it is: attempt {match.attempt.reservation.seq} was settled at "
            f"{format_usd(match.attempt.booked)}, {_line(match.charge)} charges {format_usd(match.cost_nano_usd)}",
            soft_wrap=True,
        )
    for charge in found.unmatched[:SHOWN]:
        screen.print(printable(f"belongs to no attempt: {_charge(charge)}"), soft_wrap=True)
    for charge in found.ambiguous[:SHOWN]:
        screen.print(printable(f"may belong to several attempts: {_charge(charge)}"), soft_wrap=True)
    for attempt in found.missing[:SHOWN]:
        line = attempt.reservation
        screen.print(
            f"not in the export: attempt {line.seq} on {line.deployment}, {attempt.state} at "
            f"{format_usd(attempt.booked)}",
            soft_wrap=True,
        )
    for left in (found.differing, found.unmatched, found.ambiguous, found.missing):
        _more(len(left))


def _more(count: int) -> None:
    if count > SHOWN:
        console().print(f"and {count - SHOWN} more, which `--json` lists")


def _line(charge: Charge | None) -> str:
    return "the export" if charge is None else f"line {charge.line}"


def _charge(charge: Charge) -> str:
    return f"line {charge.line}, {format_usd(charge.cost_nano_usd)}{f' for {charge.model}' if charge.model else ''}"
