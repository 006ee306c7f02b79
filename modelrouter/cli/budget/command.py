"""`modelrouter budget`: where budgets stand, how far they reach, and putting other definitions in force."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from modelrouter.cli.faults import REFUSED
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document, printable, table
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from modelrouter.cli.budget.book import Book, Change
    from modelrouter.config import Setup
    from modelrouter.core.budget import Position

__all__ = ["budget"]

OPTIONAL: Final = ("uncertain", "reserved", "overrun", "correction")
"""Columns that are left out where they hold nothing."""
FIGURES: Final = ("limit", "spent", *OPTIONAL, "left")

budget = typer.Typer(
    rich_markup_mode=None, invoke_without_command=True, help="Where budgets stand, and putting others in force."
)


@budget.callback()
def _budget(context: typer.Context, config: ConfigOption = None, as_json: AsJson = False) -> None:
    """Where budgets stand; `show` is what happens without a word."""
    if context.invoked_subcommand is None:
        show(config, as_json)
    elif config is not None or as_json:
        raise typer.BadParameter(f"write options behind `{context.invoked_subcommand}`")


@budget.command("show")
def show(config: ConfigOption = None, as_json: AsJson = False) -> None:
    """Show each budget: limit, spent, reserved, left, until when, and how far it reaches. Changes nothing."""
    from modelrouter.cli.budget.book import read_book
    from modelrouter.config import find_config
    from modelrouter.config.build import read

    setup = read(find_config(config)).setup
    book = read_book(setup)
    positions = _positions(setup, book)
    good = not book.trouble and not book.differences
    if as_json:
        print_document(_document(setup, book, positions, good=good))
    else:
        _show(setup, book, positions)
    if not good:
        raise typer.Exit(REFUSED)


@budget.command("apply")
def apply(
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the budgets of the config in force in the ledger. What their windows have spent before counts."""
    from modelrouter.cli.budget.book import budget_document, differences, has_budgets_of_its_own
    from modelrouter.config import find_config
    from modelrouter.config.build import read
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    setup = read(find_config(config)).setup
    book = open_ledger(setup.ledger, SystemClock(), lease_s=setup.lease_s, spool=setup.spool)
    try:
        found = differences(book.budgets(), setup.budgets)
        nothing_to_do = not found and (has_budgets_of_its_own(book) or not setup.budgets)
        if not as_json:
            _show_changes(found)
        agreed = nothing_to_do or yes or (not as_json and _is_agreed())
        if agreed and not nothing_to_do:
            book.apply(setup.budgets)
    finally:
        book.close(5.0)
    if as_json:
        changed = [
            {
                side: None if each is None else budget_document(each)
                for side, each in (("old", one.old), ("new", one.new))
            }
            for one in found
        ]
        print_document(
            {"ok": agreed, "ledger": setup.ledger_shown, "changes": changed, "applied": bool(found) and agreed}
        )
    elif found:
        console().print("in force" if agreed else "nothing was changed", style="bold green" if agreed else "bold red")
    if not agreed:
        raise typer.Exit(REFUSED)


# --- for people -------------------------------------------------------------------------------------------------------


def _show_changes(found: Sequence[Change]) -> None:
    screen = console()
    if not found:
        screen.print("the ledger holds the budgets of the config already: nothing to change")
        return
    for each in found:
        screen.print(each.words, soft_wrap=True)
        if each.old is not None and each.moves_accounts:
            screen.print("  its window or scope is another: what it has spent is added up anew", style="dim")
    screen.print("afterwards processes with other budgets are refused until they have these", style="yellow")


def _is_agreed() -> bool:
    """Ask a person; without one the answer is no."""
    if not sys.stdin.isatty():
        console().print("nobody to ask: write `modelrouter budget apply --yes`")
        return False
    return typer.confirm("put these in force?", default=False)


def _positions(setup: Setup, book: Book) -> Sequence[Position]:
    import time

    from modelrouter.router.outlook import standing

    if book.trouble:
        return ()  # what is not known is not shown as nothing
    return standing(setup, book.positions, int(time.time() * 1_000_000))


def _show(setup: Setup, book: Book, positions: Sequence[Position]) -> None:
    screen = console()
    if not setup.budgets:
        screen.print("no budgets: add `budgets`")
    else:
        screen.print(_table(setup, positions))
        screen.print()
    show_reach(screen, setup)
    if not book.is_there and not book.trouble:
        where = setup.ledger_path or setup.ledger_shown
        screen.print(f"{where} is made with the first call", style="dim", soft_wrap=True)
    for words in (book.trouble, book.mismatch):
        if words:
            screen.print(f"ledger: {words}", style="red", soft_wrap=True)
    for change in book.differences:
        screen.print(f"  {change.words}", style="red", soft_wrap=True)


def show_reach(screen: Console, setup: Setup) -> None:
    """How far budgets reach, and which routes fall under each."""
    from modelrouter.cli.budget.book import budget_words

    if not setup.budgets:
        return
    screen.print(f"budgets reach over {setup.reach}", style="dim", soft_wrap=True)
    for each in setup.budgets:
        routes = setup.routes_under(each)
        under = ", ".join(routes) if len(routes) < len(setup.routes) else "every route"
        screen.print(f"{each.name}: {budget_words(each)}; {under or 'no route'}", style="dim", soft_wrap=True)


def _table(setup: Setup, positions: Sequence[Position]) -> Any:  # noqa: ANN401 - rich is imported when it is needed
    from modelrouter.cli.budget.book import reset_words
    from modelrouter.core.budget_text import window_text

    figures = [_figures(each) for each in positions]
    shown = [name for name in FIGURES if name not in OPTIONAL or any(each[name] for each in figures)]
    made = table("budget", "scope", "window", *shown, "resets", right=tuple(shown), whole=("budget",))
    for position, sums in zip(positions, figures, strict=True):
        found = position.budget
        made.add_row(
            found.name,
            printable(position.scope) or ("(without)" if found.each else ""),
            window_text(found),
            *(format_usd(sums[name]) for name in shown),
            reset_words(position),
        )
    named = {each.budget.name for each in positions}
    for found in setup.budgets:
        if found.name not in named:
            limit = [format_usd(found.limit_nano_usd) if name == "limit" else "" for name in shown]
            made.add_row(found.name, f"each {found.each}" if found.each else "", window_text(found), *limit, "")
    return made


def _figures(position: Position) -> dict[str, int]:
    balance = position.balance
    return {
        "limit": position.budget.limit_nano_usd,
        "spent": balance.spent,
        "uncertain": balance.uncertain,
        "reserved": balance.reserved,
        "overrun": balance.overrun,
        "correction": balance.correction,
        "left": position.budget.limit_nano_usd - balance.used,
    }


# --- for programs -----------------------------------------------------------------------------------------------------


def _document(setup: Setup, book: Book, positions: Sequence[Position], *, good: bool) -> dict[str, Any]:
    from modelrouter.cli.budget.book import budget_document, position_document

    return {
        "ok": good,
        "ledger": {"url": setup.ledger_shown, "exists": book.is_there, "trouble": book.trouble or None},
        "reach": setup.reach,
        "budgets": [
            {
                **budget_document(each),
                "wait_s": each.wait_s,
                "routes": list(setup.routes_under(each)),
                "positions": [position_document(one) for one in positions if one.budget.name == each.name],
            }
            for each in setup.budgets
        ],
        "mismatch": [
            {"old": one.old and budget_document(one.old), "new": one.new and budget_document(one.new)}
            for one in book.differences
        ],
    }
