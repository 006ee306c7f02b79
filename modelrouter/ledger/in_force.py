"""Which budgets are in force in the book, and putting others in force.

A budget whose shape stays as it was keeps its accounts under a new limit. Any other is a new row, whose accounts are
added up from the lines of its present window: what was spent before a budget came counts under it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from modelrouter.core.budget import charges, period_us
from modelrouter.ledger.definitions import budget_from, definitions_text
from modelrouter.ledger.derive import accounts, spending_of
from modelrouter.ledger.tallies import ACCOUNT_SUMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.budget import Budget
    from modelrouter.ledger.page import Page
    from modelrouter.ledger.session import Row, Session

__all__ = ["in_force", "next_number", "put_in_force"]

OPEN: Final = """SELECT p.seq, p.at_us, p.accounts, c.route, c.policies, r.deployment, r.operator, r.developer, c.tags
    FROM pending p JOIN entries r ON r.seq = p.seq JOIN calls c ON c.call_id = r.call_id"""


def in_force(session: Session, ours: Sequence[Budget] = ()) -> dict[int, Budget]:
    """The budgets in force, by their rows, in order of their names.

    Args:
        ours: taken where the book says the same: they also say how long requests may wait.
    """
    known = {budget.definition: budget for budget in ours}
    rows = session.rows("SELECT budget, definition FROM budgets WHERE in_force = 1 ORDER BY name")
    return {int(row or 0): known.get(str(text)) or budget_from(str(text)) for row, text in rows}


def put_in_force(session: Session, page: Page, budgets: Sequence[Budget]) -> str:
    """Put budgets in force, with a line that says so, and make their accounts; what the line says.

    All other lines of the transaction must come after it.
    """
    text = definitions_text(budgets)
    entry = page.line("budgets", content=text)
    before = {str(row[1]): row for row in session.rows("SELECT budget, name, shape FROM budgets WHERE in_force = 1")}
    fresh: list[Budget] = []
    for budget in budgets:
        row = before.get(budget.name)
        if row is not None and row[2] == budget.shape:
            del before[budget.name]
            sql = "UPDATE budgets SET definition = ?, entry = ? WHERE budget = ?"
            session.send(sql, (budget.definition, entry, row[0]))
        else:
            fresh.append(budget)
    removed = _remove(session, list(before.values()))
    number = next_number(session, "budgets", "budget")
    rows = dict(enumerate(fresh, number))
    columns = ("budget", "name", "shape", "definition", "entry", "in_force")
    added = [(row, budget.name, budget.shape, budget.definition, entry, 1) for row, budget in rows.items()]
    if added:
        session.insert("budgets", columns, added)
    numbers = _open_accounts(session, rows, page.at_us)
    _move_pending(session, rows, numbers, removed)
    return text


def next_number(session: Session, table: str, column: str) -> int:
    """The first number that no row has had."""
    ((last,),) = session.rows(f"SELECT MAX({column}) FROM {table}")  # noqa: S608 - our own names
    return int(last or 0) + 1


def _remove(session: Session, rows: Sequence[Row]) -> frozenset[int]:
    """Take budgets out of force; the accounts that they had."""
    removed: set[int] = set()
    for budget, *_ in rows:
        removed.update(
            int(account or 0) for (account,) in session.rows("SELECT account FROM accounts WHERE budget = ?", (budget,))
        )
        session.send("DELETE FROM accounts WHERE budget = ?", (budget,))
        session.send("UPDATE budgets SET in_force = 0 WHERE budget = ?", (budget,))
    return frozenset(removed)


def _open_accounts(session: Session, rows: dict[int, Budget], at_us: int) -> dict[tuple[int, str, int], int]:
    """Make the accounts of new rows; their numbers."""
    found = accounts(session, rows, at_us)
    numbers = {key: number for number, key in enumerate(found, next_number(session, "accounts", "account"))}
    columns = ("account", "budget", "scope", "start_us", *ACCOUNT_SUMS)
    if found:
        session.insert("accounts", columns, [(numbers[key], *key, *sums) for key, sums in found.items()])
    return numbers


def _move_pending(
    session: Session, rows: dict[int, Budget], numbers: dict[tuple[int, str, int], int], removed: frozenset[int]
) -> None:
    """Tell pending reservations which accounts they are in now."""
    row_of = {budget.name: row for row, budget in rows.items()}
    for seq, at_us, written, *columns in session.rows(OPEN):
        route, policies, deployment, operator, developer, tags = map(str, columns)
        spending = spending_of(route, policies, deployment, operator, developer, tags)
        kept = [account for account in json.loads(str(written)) if account not in removed]
        keys = [
            (row_of[budget.name], scope, period_us(budget, int(at_us or 0))[0])
            for budget, scope in charges(rows.values(), spending)
        ]
        kept += [numbers[key] for key in keys if key in numbers]
        session.send("UPDATE pending SET accounts = ? WHERE seq = ?", (json.dumps(kept, separators=(",", ":")), seq))
