"""Budgets as the book writes them down, and back."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from modelrouter.core.budget import Budget, Window
from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.chain import text_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["budget_from", "definitions_digest", "definitions_text", "differing"]


def definitions_text(budgets: Iterable[Budget]) -> str:
    """What a line says that puts these budgets in force: a JSON array of their definitions, in order of their text."""
    return f"[{','.join(sorted(budget.definition for budget in budgets))}]"


def definitions_digest(budgets: Iterable[Budget]) -> str:
    """What `state.budgets` says while these are in force."""
    return text_digest(definitions_text(budgets))


def budget_from(definition: str) -> Budget:
    """The budget that a definition describes. How long requests may wait for it is nobody's agreement, and not there.

    Raises:
        LedgerUnavailableError: it cannot be read here.
    """
    try:
        written: dict[str, Any] = json.loads(definition)
        shape = written["shape"]
        return Budget(
            name=str(written["name"]),
            limit_nano_usd=int(written["limit_nano_usd"]),
            window=Window(shape["window"]),
            length_s=int(shape["length_s"]),
            zone=UTC if shape["tz"] == "UTC" else ZoneInfo(shape["tz"]),
            zone_name=str(shape["tz"]),
            each=str(shape["each"]),
            only={name: frozenset(values) for name, values in shape["only"].items()},
        )
    except ZoneInfoNotFoundError as error:
        raise LedgerUnavailableError(
            f"the time zone of budget `{json.loads(definition).get('name')}` is unknown on this machine: install the "
            "package `tzdata`"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerUnavailableError(
            "the ledger holds a budget that this version cannot read: update the package"
        ) from error


def differing(ours: Sequence[Budget], theirs: Iterable[str]) -> list[str]:
    """The names of budgets that are not the same on both sides, in order.

    Args:
        theirs: definitions in force in the book.
    """
    mine = {budget.definition for budget in ours}
    names = {budget.name for budget in ours}
    others = set(theirs)
    names_of = {text: str(json.loads(text)["name"]) for text in others}
    changed = {budget.name for budget in ours if budget.definition not in others}
    return sorted(changed | {names_of[text] for text in others - mine} | (names - set(names_of.values())))
