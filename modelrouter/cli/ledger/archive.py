"""`modelrouter ledger archive`: old lines into a file, out of the book, both still provable."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from modelrouter.cli.ledger.book import opened
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document
from modelrouter.cli.spend.when import moment_us, written
from modelrouter.errors import LedgerError

if TYPE_CHECKING:
    from modelrouter.ledger import Ledger

__all__ = ["archive"]

PAUSE_S: Final = 0.01


def archive(
    *,
    before: Annotated[str, typer.Option(metavar="DATE", help="a day as 2026-10-01 (UTC), or a length as 90d")],
    to: Annotated[Path, typer.Option(metavar="FILE", help="a new file for them; keep it")],
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Move lines from before a day into a file.

    Only what is over moves: attempts with an end, calls with all their attempts, nothing that a budget's present window
    still counts. Sums for reports stay, and so does what budgets without an end have counted. A `request_id` is
    known as long as its call is in the book. Reconcile first: what has moved cannot be corrected any more.
    """
    from modelrouter import __version__
    from modelrouter.ledger.audit.archive import begins_at, maintain, remove_archived, write_archive

    before_us = moment_us(before, datetime.now(UTC), UTC, option="--before")
    with opened(config) as book:
        _clear(book)  # what an interrupted run has left
        with book.reading() as session:
            made = write_archive(session, to, before_us)
        if isinstance(made, str):
            _nothing(made, as_json=as_json)
            return
        try:
            moved = maintain(book.access, lambda session: remove_archived(session, made, __version__))
        except BaseException:
            with contextlib.suppress(LedgerError), book.reading() as session:  # where that is not known, the file stays
                if begins_at(session) == made.start.seq + 1:
                    to.unlink(missing_ok=True)
            raise
        _clear(book)
    if as_json:
        print_document(
            {
                "file": str(to),
                "first_seq": moved.first_seq,
                "last_seq": moved.last_seq,
                "before": written(made.cut.before_us, UTC),
                "lines": moved.lines,
                "calls": moved.calls,
                "entry": moved.entry,
                "kept_because": made.cut.reason or None,
            }
        )
        return
    screen = console()
    screen.print(
        f"lines {moved.first_seq} to {moved.last_seq} are in {to} ({moved.lines:,} lines, {moved.calls:,} calls, from "
        f"before {written(made.cut.before_us, UTC)}); line {moved.entry} of the book says so",
        soft_wrap=True,
    )
    if made.cut.reason:
        screen.print(f"nothing later was moved, because {made.cut.reason}", soft_wrap=True)


def _clear(book: Ledger) -> None:
    """Remove archived rows, lot by lot, with pauses in which writers come in."""
    from modelrouter.ledger.audit.archive import clear_archived, maintain

    while maintain(book.access, clear_archived):
        time.sleep(PAUSE_S)


def _nothing(reason: str, *, as_json: bool) -> None:
    if as_json:
        print_document({"file": None, "lines": 0, "kept_because": reason})
    else:
        console().print(f"nothing was archived: {reason}", soft_wrap=True)
