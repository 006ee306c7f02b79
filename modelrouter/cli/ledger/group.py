"""`modelrouter ledger …`: the book proved, kept, corrected and moved."""

from __future__ import annotations

import typer

from modelrouter.cli.ledger.archive import archive
from modelrouter.cli.ledger.export import export
from modelrouter.cli.ledger.reconcile import reconcile
from modelrouter.cli.ledger.tags import forget, pseudonym
from modelrouter.cli.ledger.verify import head, verify

__all__ = ["ledger"]

ledger = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Prove, keep, export, correct and move the book."
)
ledger.command()(verify)
ledger.command()(head)
ledger.command()(export)
ledger.command()(reconcile)
ledger.command()(archive)
ledger.command()(forget)
ledger.command()(pseudonym)
