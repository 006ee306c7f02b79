"""Whether budgets have room for a decision's candidates now, on screen and as documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from modelrouter.cli.screen import table
from modelrouter.core.money import format_usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from modelrouter.cli.budget.book import Book
    from modelrouter.router.outlook import Room

__all__ = ["room_documents", "show_rooms"]

UNKNOWN: Final = "unknown"
"""Said where the book could not be read."""


def show_rooms(screen: Console, book: Book, rooms: Mapping[str, tuple[Room, ...]]) -> None:
    """A line for each candidate and budget, and what of the book could not be read."""
    if any(rooms.values()):
        found = table("candidate", "budget", "scope", "left", "room now", "resets", right=("left",))
        for deployment, each in rooms.items():
            for room in each:
                found.add_row(deployment, *_cells(room, is_known=not book.trouble))
        screen.print(found)
    for words in (book.trouble, book.mismatch):
        if words:
            screen.print(f"ledger: {words}", style="red", soft_wrap=True)


def room_documents(book: Book, rooms: Mapping[str, tuple[Room, ...]]) -> dict[str, Any]:
    """The same for programs, by candidate."""
    from modelrouter.cli.budget.book import position_document

    return {
        "candidates": {
            deployment: [
                {
                    "budget": room.position.budget.name,
                    "room": _word(room),
                    **position_document(room.position),
                }
                if not book.trouble
                else {"budget": room.position.budget.name, "room": UNKNOWN, "scope": room.position.scope}
                for room in each
            ]
            for deployment, each in rooms.items()
        },
        "trouble": book.trouble or book.mismatch or None,
    }


def _cells(room: Room, *, is_known: bool) -> tuple[str, ...]:
    from modelrouter.cli.budget.book import reset_words

    position = room.position
    budget = position.budget
    return (
        budget.name,
        position.scope or ("(without)" if budget.each else ""),
        format_usd(budget.limit_nano_usd - position.balance.used) if is_known else "",
        _word(room) if is_known else UNKNOWN,
        reset_words(position),
    )


def _word(room: Room) -> str:
    """`yes`, `busy` (reserved by calls under way) or `no` (spent)."""
    if room.refusal is None:
        return "yes"
    return "busy" if room.refusal.is_busy else "no"
