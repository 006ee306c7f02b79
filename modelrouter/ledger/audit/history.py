# ruff: noqa: S608 - statements are put together from our own names
"""Reservations that ended long ago, looked up again because a later line corrects them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.ledger.audit.bookings import ENDS
from modelrouter.ledger.audit.lines import CALL_COLUMNS, COLUMNS, call_from, in_parts, line_from, misfit, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger.audit.lines import CallRow, Line, Reader
    from modelrouter.ledger.session import Column

__all__ = ["Later", "ended_before"]

Later: TypeAlias = "tuple[str, int, bool, Column]"
"""A line that ended or changed a reservation: its kind, its amount, whether it says that the attempt failed, and what
it says beside."""


NAMES: Final = ", ".join(f"e.{name}" for name in COLUMNS)
CALLS: Final = ", ".join(f"c.{name}" for name in CALL_COLUMNS[:-1])


def ended_before(session: Reader, seqs: Sequence[int], before: int) -> Iterator[tuple[Line, CallRow, Sequence[Later]]]:
    """Reservations that had an end before a line, each with its call and all that was booked on it by then."""
    width = len(COLUMNS)
    for marks, lot in in_parts(seqs):
        later = _later(session, marks, lot, before)
        rows = session.rows(
            f"SELECT {NAMES}, {CALLS}"
            f" FROM entries e JOIN calls c ON c.call_id = e.call_id WHERE e.kind = 'reserve' AND e.seq IN ({marks})",
            lot,
        )
        for row in rows:
            booked = later.get(whole(row[0]))
            call = call_from(row[width:])
            if booked and call is not None and misfit(row) is None:
                yield line_from(row), call, booked


def _later(session: Reader, marks: str, seqs: Sequence[Column], before: int) -> dict[int, list[Later]]:
    found: dict[int, list[Later]] = {}
    for column in ("resolves", "corrects"):
        rows = session.rows(
            f"SELECT {column}, kind, amount_nano_usd, failure, content FROM entries"
            f" WHERE {column} IN ({marks}) AND seq < ? ORDER BY seq",
            (*seqs, before),
        )
        for of, kind, amount, failure, content in rows:
            found.setdefault(whole(of), []).append((str(kind), whole(amount), failure is not None, content))
    return {seq: lines for seq, lines in found.items() if any(kind in ENDS for kind, *_ in lines)}
