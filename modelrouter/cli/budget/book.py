"""Budgets as the config writes them beside what the book holds: where they stand, and what differs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelrouter.cli.booked import opened
from modelrouter.cli.screen import amount
from modelrouter.core.budget_text import reset_text, window_text
from modelrouter.core.money import format_usd
from modelrouter.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.config import Setup
    from modelrouter.core.assurance import Revocation
    from modelrouter.core.budget import Budget, Position
    from modelrouter.core.decision import Decision
    from modelrouter.ledger import Ledger
    from modelrouter.router.outlook import Room

__all__ = [
    "Book",
    "Change",
    "budget_document",
    "budget_words",
    "differences",
    "has_budgets_of_its_own",
    "position_document",
    "read_book",
    "reset_words",
    "rooms_in",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One budget that is not the same in the book and in the config.

    Attributes:
        old: in the book; None where it is new.
        new: in the config; None where it is gone.
    """

    old: Budget | None
    new: Budget | None

    @property
    def name(self) -> str:
        """The budget's."""
        return (self.new or self.old).name  # type: ignore[union-attr]  # one of them is there

    @property
    def moves_accounts(self) -> bool:
        """Whether what was spent is added up anew, because window or scope are others."""
        return self.old is None or (self.new is not None and self.old.shape != self.new.shape)

    @property
    def words(self) -> str:
        """Old and new, for people."""
        old, new = (None if each is None else budget_words(each) for each in (self.old, self.new))
        return f"{self.name}: {old or 'not there'} -> {new or 'removed'}"


@dataclass(frozen=True, slots=True)
class Book:
    """What a book says of budgets.

    Attributes:
        is_there: False where the first call will make it.
        positions: by the definitions that are in force in it.
        differences: to the config; empty where nothing was ever put in force, because the first call adopts its own.
        trouble: why it could not be read, or empty.
        revoked: who is cut off in it.
    """

    is_there: bool
    positions: Sequence[Position] = ()
    differences: tuple[Change, ...] = ()
    trouble: str = ""
    revoked: Sequence[Revocation] = ()

    @property
    def mismatch(self) -> str:
        """What to do about differences, or empty."""
        if not self.differences:
            return ""
        names = ", ".join(each.name for each in self.differences)
        return (
            f"the ledger holds other budgets than the config ({names}), so that every call is refused: put the "
            "config's in force with `modelrouter budget apply`, or correct the config"
        )


def read_book(setup: Setup) -> Book:
    """Read it, if it is there; nothing is made or changed."""
    path = Path(setup.ledger_path)
    is_there = not setup.ledger_path or path.exists()
    if not is_there and path.parent.is_dir():
        return Book(is_there=False)
    from modelrouter.ledger.access import NoBookError

    try:
        with opened(setup.ledger) as book:
            book.configure(budgets=setup.budgets)
            found = differences(book.budgets(), setup.budgets) if has_budgets_of_its_own(book) else ()
            return Book(is_there=True, positions=book.positions(), differences=found, revoked=tuple(book.revoked()))
    except NoBookError:
        return Book(is_there=False)
    except LedgerError as error:
        return Book(is_there, trouble=error.message)


def has_budgets_of_its_own(book: Ledger) -> bool:
    """Whether anybody has put budgets in force in it; else the first call puts those of its process in force."""
    from modelrouter.ledger.transaction import NOT_ADOPTED, read_state

    with book.reading() as session:
        return read_state(session).budgets != NOT_ADOPTED


def differences(old: Sequence[Budget], new: Sequence[Budget]) -> tuple[Change, ...]:
    """By name, in order; how long requests wait is no difference."""
    olds, news = ({each.name: each for each in side} for side in (old, new))
    pairs = [(olds.get(name), news.get(name)) for name in sorted({*olds, *news})]
    return tuple(
        Change(one, other) for one, other in pairs if one is None or other is None or one.definition != other.definition
    )


def rooms_in(book: Book, setup: Setup, decision: Decision, tags: Mapping[str, str]) -> Mapping[str, tuple[Room, ...]]:
    """For each permitted candidate, whether the budgets that it falls under have room for its bound now."""
    from modelrouter.router.outlook import rooms

    def pseudonym(tag: str, value: str) -> str:
        """Nobody has spent anything under it: there is nothing to look up, and no key is made for a question."""
        if not any(each.budget.each == f"tag.{tag}" for each in book.positions):
            return "~"
        with opened(setup.ledger) as ledger:
            return ledger.pseudonym(tag, value)

    return rooms(decision, setup, tags, book.positions, pseudonym, int(time.time() * 1_000_000))


# --- for people and programs ------------------------------------------------------------------------------------------


def budget_words(budget: Budget) -> str:
    """A definition, as `$50 a day (Europe/Berlin) for each tag.team`."""
    zone = f" ({budget.zone_name})" if budget.zone_name != "UTC" else ""
    word = window_text(budget)
    window = {"total": "in total"}.get(word, f"in {word}" if budget.length_s else f"a {word}")
    each = f" for each {budget.each}" if budget.each else ""
    only = "".join(f", only {name} {' or '.join(sorted(values))}" for name, values in sorted(budget.only.items()))
    return f"{format_usd(budget.limit_nano_usd)} {window}{zone}{each}{only}"


def budget_document(budget: Budget) -> dict[str, Any]:
    """A definition for programs."""
    return {
        "name": budget.name,
        "limit_usd": amount(budget.limit_nano_usd),
        "window": window_text(budget),
        "tz": budget.zone_name,
        "each": budget.each or None,
        "only": {name: sorted(values) for name, values in sorted(budget.only.items())},
    }


def reset_words(position: Position) -> str:
    """When money comes back, in the budget's own time zone, to the minute."""
    text = reset_text(position.budget, position.resets_us)
    return text if position.resets_us is None else text[:16].replace("T", " ")


def position_document(position: Position) -> dict[str, Any]:
    """Where a budget stands, for programs; the five kinds of money are kept apart."""
    budget, balance, resets_us = position.budget, position.balance, position.resets_us
    return {
        "scope": position.scope,
        "limit_usd": amount(budget.limit_nano_usd),
        "spent_usd": amount(balance.spent),
        "settled_usd": amount(balance.settled),
        "uncertain_usd": amount(balance.uncertain),
        "overrun_usd": amount(balance.overrun),
        "correction_usd": amount(balance.correction),
        "reserved_usd": amount(balance.reserved),
        "left_usd": amount(budget.limit_nano_usd - balance.used),
        "resets": None if resets_us is None else reset_text(budget, resets_us),
    }
