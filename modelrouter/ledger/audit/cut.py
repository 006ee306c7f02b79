"""Where a book may be cut: a moment before which everything is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.audit.attempts import first_seq_at
from modelrouter.ledger.audit.bookings import HOUR_US
from modelrouter.ledger.audit.lines import whole
from modelrouter.ledger.audit.windows import definitions_of

if TYPE_CHECKING:
    from modelrouter.ledger.audit.lines import Reader

__all__ = ["Cut", "cut_before", "refers_across"]


@dataclass(frozen=True, slots=True)
class Cut:
    """A book cut in two.

    Attributes:
        last_seq: the last line of the first part; below the book's first line where nothing can be cut off.
        before_us: the hour at which the second part begins.
        reason: what keeps the cut from being later than it is; empty where it is as late as was asked.
    """

    last_seq: int
    before_us: int
    reason: str


ACROSS: Final = (
    ("ended later", "SELECT MIN(CASE WHEN resolves <= ? THEN resolves END) FROM entries WHERE seq > ?"),
    ("was corrected later", "SELECT MIN(CASE WHEN corrects <= ? THEN corrects END) FROM entries WHERE seq > ?"),
    (
        "belongs to a call that went on",
        """SELECT MIN(CASE WHEN first <= ? THEN first END) FROM
            (SELECT (SELECT MIN(f.seq) FROM entries f WHERE f.call_id = e.call_id) AS first
                FROM entries e WHERE e.seq > ? AND e.kind = 'reserve') AS begun""",
    ),
)
"""What is said of a reservation of the first part that lines of the second speak of. The conditions stand in a CASE so
that nothing but the lines after the cut is read."""
PENDING: Final = "SELECT MIN(seq) FROM pending WHERE seq <= ?"


def cut_before(session: Reader, before_us: int, now_us: int) -> Cut:
    """The latest cut that is not after a moment.

    Every reservation of the first part has its end and its corrections there, every call all its attempts; the second
    part begins with an hour, so that no hour's sums are made of both; and no window that still counts reaches back.
    """
    rows = session.rows("SELECT first_seq FROM state")
    first_seq = whole(rows[0][0])
    open_us, name = _windows(session, now_us)
    reason = f"the present window of budget `{name}` begins there" if open_us < before_us else ""
    [(oldest, at_us)] = session.rows("SELECT MIN(seq), MIN(at_us) FROM pending")
    if oldest is not None and _windows(session, whole(at_us))[0] < min(open_us, before_us):
        open_us, reason = _windows(session, whole(at_us))[0], f"the reservation in line {oldest} has no end yet"
    edge_us = min(before_us, open_us) // HOUR_US * HOUR_US
    seq = first_seq_at(session, edge_us) - 1
    while seq >= first_seq:
        across, why = refers_across(session, seq)
        if not across:
            break
        reason = why
        [(at_us,)] = session.rows("SELECT at_us FROM entries WHERE seq = ?", (across,))
        edge_us = whole(at_us) // HOUR_US * HOUR_US
        seq = first_seq_at(session, edge_us) - 1
    return Cut(seq, edge_us, reason)


def refers_across(session: Reader, seq: int, after: int | None = None) -> tuple[int, str]:
    """The first line up to `seq` that is not over there, and why; 0 where all are.

    Args:
        after: lines up to here were looked at before; None looks at all after `seq`.
    """
    found = [(whole(session.rows(PENDING, (seq,))[0][0]), "has no end yet")]
    values = (seq, seq if after is None else after)
    found += [(whole(session.rows(sql, values)[0][0]), why) for why, sql in ACROSS]
    first, why = min(((line, why) for line, why in found if line), default=(0, ""))
    return first, f"the reservation in line {first} {why}" if first else ""


def _windows(session: Reader, now_us: int) -> tuple[int, str]:
    """When the first window begins that counts at a moment, budgets without an end left out, and whose it is."""
    begins = [(now_us // HOUR_US * HOUR_US, "")]
    for (definition,) in session.rows("SELECT definition FROM budgets WHERE in_force = 1"):
        [budget] = definitions_of(f"[{definition}]")
        if budget.shape.window != "total":
            begins.append((budget.shape.counts_from_us(now_us), budget.name))
    return min(begins)
