"""Reading a book: single attempts and calls, texts, sums over all of it, and where budgets stand.

The caller brings a session that holds one picture of the book (`Session.snapshot`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.core.budget import Balance, Position, span_us
from modelrouter.ledger.derive import accounts
from modelrouter.ledger.endings import in_parts
from modelrouter.ledger.in_force import in_force
from modelrouter.ledger.records import BookedCall, Totals
from modelrouter.ledger.report_sums import ADDED, ROLLUPS, grouped
from modelrouter.ledger.rows import ATTEMPT_COLUMNS, END_COLUMNS, attempt_from, call_from
from modelrouter.ledger.tallies import ACCOUNT_SUMS
from modelrouter.ports import Document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.budget import Budget
    from modelrouter.ledger.records import AttemptRow
    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["attempts", "call", "document", "positions", "totals"]

LINES: Final = f"""SELECT {ATTEMPT_COLUMNS} FROM entries r JOIN calls c ON c.call_id = r.call_id
    JOIN documents d ON d.digest = r.price LEFT JOIN entries e ON e.resolves = r.seq
    WHERE r.kind = 'reserve'"""  # noqa: S608 - our own names
CALL: Final = "SELECT call_id, request_id, route, session, tags, policies, decision, at_us FROM calls"
TOTALS: Final = tuple(
    ADDED.index(name)
    for name in (
        "calls", "attempts", "failures", "settled_nano_usd", "uncertain_nano_usd", "reserved_nano_usd",
        "saved_nano_usd", "overrun_nano_usd", "correction_nano_usd",
    )
)  # fmt: skip


def attempts(session: Session, call_id: str | None, limit: int) -> Sequence[AttemptRow]:
    """The newest attempts, of one call or of all, oldest of them first."""
    order = "ORDER BY r.seq DESC LIMIT ?"
    if call_id is None:
        rows = session.rows(f"{LINES} {order}", (max(limit, 0),))
    else:
        rows = session.rows(f"{LINES} AND r.call_id = ? {order}", (call_id, max(limit, 0)))
    return _attempts(session, rows[::-1])


def call(session: Session, known_as: str) -> BookedCall | None:
    """A call by `call_id`, else by `request_id`."""
    rows = session.rows(f"{CALL} WHERE call_id = ?", (known_as,))
    rows = rows or session.rows(f"{CALL} WHERE request_id = ?", (known_as,))
    if not rows:
        return None
    *columns, at_us = rows[0]
    record = call_from(columns)
    found = session.rows(f"{LINES} AND r.call_id = ? ORDER BY r.seq", (record.call_id,))
    return BookedCall(record, int(at_us or 0), _attempts(session, found))


def document(session: Session, digest: str) -> Document | None:
    """A document by its digest."""
    rows = session.rows("SELECT digest, kind, name, body FROM documents WHERE digest = ?", (digest,))
    return Document(*map(str, rows[0])) if rows else None


def totals(session: Session) -> Totals:
    """The sums over the whole book, archived lines included."""
    ((_, sums),) = grouped(session, ROLLUPS, (), "1 = 1", (), moments=False)
    return Totals(*(sums[place] for place in TOTALS))


def positions(session: Session, ours: Sequence[Budget], at_us: int) -> Sequence[Position]:
    """Where each budget stands at a moment, for every scope that has spent anything in its window.

    Args:
        ours: what this process goes by; they stand for the book's own where it has not put any in force.
    """
    ((digest, last_us),) = session.rows("SELECT budgets, at_us FROM state")
    at_us = max(at_us, int(last_us or 0))
    budgets = in_force(session, ours) if digest else dict(enumerate(ours))
    sums = _accounts(session, budgets, at_us) if digest else accounts(session, budgets, at_us)
    found: list[Position] = []
    for row, budget in sorted(budgets.items(), key=lambda each: each[1].name):
        scopes: dict[str, Balance] = {}
        for (number, scope, _), amounts in sums.items():
            if number == row:
                scopes[scope] = scopes.get(scope, Balance()).plus(Balance(*amounts))
        resets_us = span_us(budget, at_us)[1]
        found += [
            Position(budget, scope, scopes[scope], resets_us) for scope in sorted(scopes) if scopes[scope] != Balance()
        ]
    return tuple(found)


def _accounts(session: Session, budgets: dict[int, Budget], at_us: int) -> dict[tuple[int, str, int], list[int]]:
    """The accounts that count now."""
    found: dict[tuple[int, str, int], list[int]] = {}
    for row, budget in budgets.items():
        for scope, start_us, *sums in session.rows(
            f"SELECT scope, start_us, {', '.join(ACCOUNT_SUMS)} FROM accounts WHERE budget = ? AND start_us >= ?",  # noqa: S608 - ours
            (row, span_us(budget, at_us)[0]),
        ):
            found[row, str(scope), int(start_us or 0)] = [int(amount or 0) for amount in sums]
    return found


def _attempts(session: Session, rows: Sequence[Row]) -> tuple[AttemptRow, ...]:
    changes: dict[Column, list[Row]] = {}
    for marks, part in in_parts([row[0] for row in rows]):
        for change in session.rows(
            f"SELECT corrects, kind, amount_nano_usd, {', '.join(END_COLUMNS)} FROM entries "  # noqa: S608 - ours
            f"WHERE corrects IN ({marks}) ORDER BY seq",
            part,
        ):
            changes.setdefault(change[0], []).append(change[1:])
    return tuple(_attempt(row, changes.get(row[0], [])) for row in rows)


def _attempt(row: Row, changes: Sequence[Row]) -> AttemptRow:
    overrun = correction = 0
    late: list[Column] | None = None
    for kind, amount, *columns in changes:
        if kind == "overrun":
            overrun += int(amount or 0)
            continue
        correction += int(amount or 0)
        known = late or [None] * len(columns)
        late = [first if first is not None else second for first, second in zip(known, columns, strict=True)]
    return attempt_from(row, overrun, correction, late)
