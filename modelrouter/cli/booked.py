"""The book as commands read it; and what became of an interrupted call: found by its events, read back afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelrouter.cli.faults import InterruptedCallError
from modelrouter.core.money import format_usd, usd_from_nano

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.ledger import AttemptRow, Ledger

__all__ = ["CallWatch", "interruption", "opened"]


class CallWatch:
    """An event sink that remembers which call the last attempt belonged to."""

    def __init__(self) -> None:
        self.call_id: str | None = None

    def emit(self, event: str, fields: Mapping[str, object]) -> None:
        """Note the call; nothing else of an event is kept."""
        del event
        call_id = fields.get("call_id")
        if isinstance(call_id, str):
            self.call_id = call_id


@contextmanager
def opened(ledger: str) -> Iterator[Ledger]:
    """The book at an address, which must be there already.

    Raises:
        LedgerUnavailableError: it is not there, or cannot be read.
    """
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    book = open_ledger(ledger, SystemClock(), create=False)
    try:
        yield book
    finally:
        book.close(5.0)


def interruption(ledger: str, call_id: str | None, text: str) -> InterruptedCallError:
    """One sentence about a call that Ctrl-C ended: the text that stays, and what the book holds of it.

    Args:
        ledger: address of the book, which has been closed: everything is on the disk.
        call_id: None where no attempt had begun.
        text: what had come.
    """
    rows = _rows(ledger, call_id) if call_id else ()
    if not rows:
        return _error("interrupted before anything was sent: nothing is booked", text)
    nano_usd = sum(row.cost_nano_usd for row in rows)
    uncertain = any(row.state.value in {"uncertain", "expired", "reserved"} for row in rows)
    nano_usd += sum(row.bound.nano_usd for row in rows if row.state.value == "reserved")
    names = ", ".join(dict.fromkeys(row.deployment for row in rows))
    why = " (the most it can have cost, because an interrupted answer comes without usage)" if uncertain else ""
    kept = f"the {len(text)} characters so far are kept above" if text else "no text had come"
    error = _error(f"interrupted: {kept}; {format_usd(nano_usd)} booked for {names}{why}", text)
    error.call_id = call_id
    error.cost_usd = usd_from_nano(nano_usd)
    return error


def _error(sentence: str, text: str) -> InterruptedCallError:
    error = InterruptedCallError(sentence)
    error.text = text
    return error


def _rows(ledger: str, call_id: str) -> Sequence[AttemptRow]:
    with opened(ledger) as book:
        return book.attempts(call_id, limit=100)
