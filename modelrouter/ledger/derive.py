"""The derived tables, made anew from the book itself.

Used where a book of an older version is taken over, and where budgets are put in force that count what was spent before
they came. The auditor has a derivation of its own.
"""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.budget import Spending, charges, period_us, span_us
from modelrouter.ledger.rows import END_COLUMNS
from modelrouter.ledger.tallies import (
    ACCOUNT_SUMS,
    HOUR_US,
    MONEY,
    ROLLUP_SUMS,
    SETTLED,
    UNCERTAIN,
    add_correction,
    add_end,
    add_reservation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.core.budget import Budget
    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["Booked", "RollupKey", "accounts", "booked_since", "fill", "first_seq_at", "rollups", "spending_of"]

RollupKey = tuple[int, str, str, str, str, str, str, str]
"""`tallies.ROLLUP_KEY`."""
AccountKey = tuple[int, str, int]
"""Row of the budget, scope, and when the account begins."""

PAGE: Final = 2_000
QUERY: Final = f"""SELECT r.seq, r.reservation_id, r.writer, r.at_us, r.amount_nano_usd, r.call_digest, r.deployment,
    r.operator, r.developer, r.model, c.route, c.tags, c.policies, e.kind, e.amount_nano_usd,
    {", ".join(f"e.{name}" for name in END_COLUMNS)}
    FROM entries r JOIN calls c ON c.call_id = r.call_id LEFT JOIN entries e ON e.resolves = r.seq
    WHERE r.kind = 'reserve' AND r.seq >= ? ORDER BY r.seq LIMIT {PAGE}"""  # noqa: S608 - our own names
CHANGES: Final = f"""SELECT corrects, kind, amount_nano_usd, {", ".join(END_COLUMNS)} FROM entries
    WHERE corrects >= ? AND corrects <= ?"""  # noqa: S608 - our own names


@dataclass(frozen=True, slots=True)
class Booked:
    """One attempt with all that came of it.

    Attributes:
        key: the rollup that it counts in.
        sums: what it adds there.
        is_open: it has no end yet.
    """

    seq: int
    reservation_id: str
    writer: int
    at_us: int
    bound: int
    key: RollupKey
    spending: Spending
    sums: tuple[int, ...]
    is_open: bool

    @property
    def money(self) -> tuple[int, ...]:
        """What it adds to an account."""
        return self.sums[MONEY : MONEY + 5]


def booked_since(session: Session, seq: int) -> Iterator[Booked]:
    """All attempts reserved from a line on, in order."""
    while True:
        rows = session.rows(QUERY, (seq,))
        if not rows:
            return
        last = int(rows[-1][0] or 0)
        changes: dict[int, list[Row]] = {}
        for change in session.rows(CHANGES, (rows[0][0], last)):
            changes.setdefault(int(change[0] or 0), []).append(change[1:])
        for row in rows:
            yield _booked(row, changes.get(int(row[0] or 0), []))
        if len(rows) < PAGE:
            return
        seq = last + 1


def first_seq_at(session: Session, at_us: int) -> int:
    """The first line that is not older than a moment, found by halving: times never go back from line to line."""
    ((first, last),) = session.rows("SELECT first_seq, seq FROM state")
    low, high = int(first or 1), int(last or 0) + 1
    while low < high:
        middle = (low + high) // 2
        found = session.rows("SELECT at_us FROM entries WHERE seq = ?", (middle,))
        if found and int(found[0][0] or 0) < at_us:
            low = middle + 1
        else:
            high = middle
    return low


def rollups(session: Session) -> dict[RollupKey, list[int]]:
    """The sums of reports."""
    found: dict[RollupKey, list[int]] = {}
    for each in booked_since(session, 0):
        _add(found.setdefault(each.key, [0] * len(ROLLUP_SUMS)), each.sums)
    return found


def accounts(session: Session, budgets: Mapping[int, Budget], at_us: int) -> dict[AccountKey, list[int]]:
    """The accounts that count at a moment, of budgets by their rows.

    Lines that were moved to an archive still count through the rollups, by whole hours: each as if reserved at the end
    of its hour, so that it leaves no window too early.
    """
    firsts = {row: span_us(budget, at_us)[0] for row, budget in budgets.items()}
    found: dict[AccountKey, list[int]] = {}
    if not budgets:
        return found
    rows = {budget.name: row for row, budget in budgets.items()}
    since_us = min(firsts.values())
    lines = booked_since(session, first_seq_at(session, since_us))
    here = ((each.at_us, each.spending, each.money) for each in lines)
    for moment_us, spending, money in itertools.chain(_archived(session, since_us), here):
        for budget, scope in charges(budgets.values(), spending):
            row, start = rows[budget.name], period_us(budget, moment_us)[0]
            if start >= firsts[row]:
                _add(found.setdefault((row, scope, start), [0] * 5), money)
    return found


def _archived(session: Session, since_us: int) -> Iterator[tuple[int, Spending, tuple[int, ...]]]:
    """Hours whose lines were moved to an archive: their sums stand in for them, as if all came at the hour's end."""
    begins = session.rows("SELECT e.at_us FROM state s JOIN entries e ON e.seq = s.first_seq WHERE s.first_seq > 1")
    if not begins:
        return
    edge_us = _number(begins[0][0]) // HOUR_US * HOUR_US
    rows = session.rows(
        f"""SELECT hour_us, route, policies, deployment, operator, developer, tags, {", ".join(ACCOUNT_SUMS)}
            FROM rollups WHERE hour_us < ? AND hour_us > ?""",  # noqa: S608 - our own names
        (edge_us, since_us - HOUR_US),
    )
    for hour_us, route, policies, deployment, operator, developer, tags, *money in rows:
        texts = map(_text, (route, policies, deployment, operator, developer, tags))
        yield _number(hour_us) + HOUR_US - 1, spending_of(*texts), tuple(map(_number, money))


def fill(session: Session) -> None:
    """Write pending reservations and rollups of a book that has neither, nor budgets."""
    pending: list[Row] = []
    sums: dict[RollupKey, list[int]] = {}
    numbers: dict[RollupKey, int] = {}
    for each in booked_since(session, 0):
        _add(sums.setdefault(each.key, [0] * len(ROLLUP_SUMS)), each.sums)
        number = numbers.setdefault(each.key, len(numbers) + 1)
        if each.is_open:
            pending.append((each.seq, each.reservation_id, each.writer, each.at_us, each.bound, "[]", number))
    columns = ("rollup", "hour_us", "route", "deployment", "operator", "developer", "model", "tags", "policies")
    session.insert("rollups", (*columns, *ROLLUP_SUMS), [(numbers[key], *key, *sums[key]) for key in sums])
    names = ("seq", "reservation_id", "writer", "at_us", "amount_nano_usd", "accounts", "rollup")
    session.insert("pending", names, pending)


@functools.lru_cache(maxsize=4_096)
def spending_of(  # noqa: PLR0917 - six columns
    route: str, policies: str, deployment: str, operator: str, developer: str, tags: str
) -> Spending:
    """An attempt as budgets see it, from the columns of the book."""
    return Spending(route, tuple(json.loads(policies)), deployment, operator, developer, json.loads(tags))


def _booked(row: Row, changes: list[Row]) -> Booked:
    seq, reservation_id, writer, at_us, bound, digest = row[:6]
    deployment, operator, developer, model, route, tags, policies = map(_text, row[6:13])
    kind, amount, *end = row[13:]
    total = [0] * len(ROLLUP_SUMS)
    add_reservation(total, _number(bound), opens_call=digest is not None)
    if kind is not None:
        place = SETTLED if kind == "settle" else UNCERTAIN
        overrun = sum(_number(change[1]) for change in changes if change[0] == "overrun")
        add_end(total, place, _number(bound), _number(amount), overrun, end)
    for change in changes:
        if change[0] == "correction":
            add_correction(total, _number(change[1]), change[2:])
    hour_us = _number(at_us) // HOUR_US * HOUR_US
    return Booked(
        seq=_number(seq),
        reservation_id=_text(reservation_id),
        writer=_number(writer),
        at_us=_number(at_us),
        bound=_number(bound),
        key=(hour_us, route, deployment, operator, developer, model, tags, policies),
        spending=spending_of(route, policies, deployment, operator, developer, tags),
        sums=tuple(total),
        is_open=kind is None,
    )


def _add(sums: list[int], more: Sequence[int]) -> None:
    for place, amount in enumerate(more):
        sums[place] += amount


def _number(value: Column) -> int:
    return int(value or 0)


def _text(value: Column) -> str:
    return "" if value is None else str(value)
