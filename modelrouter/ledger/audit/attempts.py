"""Attempts put together from the lines about them: the reservation, its end, and what was learned later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.bookings import ENDS
from modelrouter.ledger.audit.lines import CALL_COLUMNS, COLUMNS, LARGEST, call_from, line_from, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger.audit.lines import CallRow, Line, Reader
    from modelrouter.ledger.session import Row

__all__ = ["BookedAttempt", "attempts_between", "first_seq_at"]

PAGE: Final = 1_000
NAMES: Final = ", ".join(f"e.{name}" for name in COLUMNS)
CALLS: Final = ", ".join(f"c.{name}" for name in CALL_COLUMNS[:-1])


@dataclass(slots=True)
class BookedAttempt:
    """One attempt with all that was written about it.

    Attributes:
        end: None while it is reserved.
        changes: overruns and corrections, in their order.
    """

    reservation: Line
    call: CallRow
    end: Line | None = None
    changes: list[Line] = field(default_factory=list)

    @property
    def state(self) -> str:
        """`reserved`, `settled`, `uncertain`, `released` or `expired`."""
        kind = None if self.end is None else self.end.kind
        words = {"settle": "settled", "uncertain": "uncertain", "release": "released", "expire": "expired"}
        return "reserved" if kind is None else words[kind]

    def sum_of(self, kind: str) -> int:
        """All its lines of one kind together."""
        ended = self.end.amount_nano_usd if self.end is not None and self.end.kind == kind else 0
        return ended + sum(each.amount_nano_usd for each in self.changes if each.kind == kind)

    @property
    def booked(self) -> int:
        """What it has come to: settled or uncertain, overrun and corrections; 0 while it is reserved."""
        ended = 0 if self.end is None else self.end.amount_nano_usd
        return ended + sum(each.amount_nano_usd for each in self.changes)

    @property
    def counted(self) -> Line | None:
        """The first line that knows its usage."""
        lines = ([] if self.end is None else [self.end]) + self.changes
        return next((each for each in lines if each.input_tokens is not None), None)


def attempts_between(session: Reader, since_us: int, until_us: int = LARGEST) -> Iterator[BookedAttempt]:
    """Attempts that were reserved from one moment until another, in their order, a page in memory at a time.

    Args:
        session: in one picture.
    """
    after = first_seq_at(session, since_us) - 1
    sql = f"""SELECT {NAMES}, {CALLS} FROM entries e JOIN calls c ON c.call_id = e.call_id
        WHERE e.kind = 'reserve' AND e.seq > ? ORDER BY e.seq LIMIT {PAGE}"""  # noqa: S608 - our own names
    while rows := session.rows(sql, (after,)):
        found = {whole(row[0]): _attempt(row) for row in rows}
        first, after = min(found), max(found)
        _add_lines(session, found, first, after)
        for each in found.values():
            if each.reservation.at_us >= until_us:
                return
            yield each


def first_seq_at(session: Reader, at_us: int) -> int:
    """The first line that is not older than a moment."""
    rows = session.rows("SELECT first_seq, seq FROM state")
    low, high = whole(rows[0][0]), whole(rows[0][1]) + 1
    while low < high:
        middle = (low + high) // 2
        found = session.rows("SELECT at_us FROM entries WHERE seq = ?", (middle,))
        if found and whole(found[0][0]) < at_us:
            low = middle + 1
        else:
            high = middle
    return low


def _attempt(row: Row) -> BookedAttempt:
    call = call_from(row[len(COLUMNS) :])
    if call is None:
        raise LedgerError(f"line {row[0]} has no call: see `modelrouter ledger verify`")
    return BookedAttempt(line_from(row), call)


def _add_lines(session: Reader, found: dict[int, BookedAttempt], first: int, last: int) -> None:
    for column in ("resolves", "corrects"):
        rows: Sequence[Row] = session.rows(
            f"SELECT {NAMES} FROM entries e WHERE e.{column} >= ? AND e.{column} <= ? ORDER BY e.seq",  # noqa: S608 - ours
            (first, last),
        )
        for row in rows:
            line = line_from(row)
            attempt = found.get(line.resolves or line.corrects or 0)
            if attempt is None:
                continue
            if line.kind in ENDS:
                attempt.end = line
            else:
                attempt.changes.append(line)
