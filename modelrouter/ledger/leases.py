"""Who is alive: signing in, sign of life, whose lease has lapsed, and what a checkpoint names."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.chain import checkpoint_content, open_content
from modelrouter.ledger.in_force import next_number

if TYPE_CHECKING:
    from modelrouter.ledger.memory import Memory
    from modelrouter.ledger.page import Page
    from modelrouter.ledger.session import Column, Session

__all__ = [
    "CHECKPOINT_LINES",
    "LEASES",
    "WRITERS",
    "Identity",
    "checkpoint",
    "ended_writers",
    "heads",
    "lapsed_writers",
    "recall",
    "renew",
]

CHECKPOINT_LINES: Final = 1_000
"""Lines of our own after which a checkpoint is due."""
NEVER_US: Final = 2**62
ALIVE: Final = "CASE WHEN until_us > 0 THEN 1 ELSE 0 END"
UNCHECKED: Final = "CASE WHEN written > checked THEN 1 ELSE 0 END"
"""What `is_open` is once the other of its two reasons is gone."""
WRITERS: Final = ("writer", "writer_id", "pid", "host", "version", "at_us")
LEASES: Final = ("writer", "until_us", "head", "written", "checked", "is_open")
"""Columns of a writer's rows, as its first transaction adds them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a writer is: an id of its own for each store that is opened, never used again."""

    writer_id: str
    version: str

    @classmethod
    def new(cls, version: str) -> Identity:
        """One more."""
        return cls(os.urandom(8).hex(), version)

    def sign_in(self, session: Session, memory: Memory) -> int:
        """The number that our row in `writers` will have; `memory.writer` says it from now on."""
        memory.writer = next_number(session, "writers", "writer")
        return memory.writer

    def open(self, page: Page) -> tuple[Column, ...]:
        """The first line of our chain; our row, to be added before it."""
        row = (self.writer_id, os.getpid(), platform.node(), self.version, page.at_us)
        page.line("open", content=open_content(*row))
        return row


def recall(session: Session, memory: Memory, writer_id: str) -> None:
    """What the book knows of us: where our chain stands. Nothing, before we have signed in."""
    for writer, until_us, head, written, checked in session.rows(
        """SELECT l.writer, l.until_us, l.head, l.written, l.checked FROM leases l JOIN writers w ON w.writer = l.writer
            WHERE w.writer_id = ?""",
        (writer_id,),
    ):
        memory.writer, memory.until_us, memory.head = int(writer or 0), int(until_us or 0), str(head)
        memory.written, memory.checked = int(written or 0), int(checked or 0)


def lapsed_writers(session: Session, memory: Memory, at_us: int) -> list[int]:
    """Others whose lease is over; `memory.lapse_us` says afterwards when this is worth asking again."""
    found: list[int] = []
    next_us = NEVER_US
    for number, until in session.rows("SELECT writer, until_us FROM leases WHERE is_open = 1 AND until_us > 0"):
        writer, until_us = int(number or 0), int(until or 0)
        if writer == memory.writer:
            continue
        if until_us < at_us:
            found.append(writer)
        else:
            next_us = min(next_us, until_us)
    memory.lapse_us = next_us
    return found


def ended_writers(session: Session, writers: list[int]) -> None:
    """Nothing of these is pending any more."""
    for writer in writers:
        session.send(f"UPDATE leases SET until_us = 0, is_open = {UNCHECKED} WHERE writer = ?", (writer,))  # noqa: S608 - ours


def checkpoint(session: Session, memory: Memory, page: Page, writer_id: str) -> None:
    """A line that names every head that no checkpoint has named, ours as it was before that line."""
    found = {
        str(name): (int(written or 0), str(head))
        for name, written, head in session.rows(
            """SELECT w.writer_id, l.written, l.head FROM leases l JOIN writers w ON w.writer = l.writer
                WHERE l.is_open = 1 AND l.written > l.checked AND l.writer <> ?""",
            (memory.writer,),
        )
    }
    session.send(
        f"""UPDATE leases SET checked = written, is_open = {ALIVE}
            WHERE is_open = 1 AND written > checked AND writer <> ?""",  # noqa: S608 - ours
        (memory.writer,),
    )
    if page.written:
        found[writer_id] = (page.written, page.head)
    memory.checked = page.written
    page.line("checkpoint", content=checkpoint_content(found))


def renew(session: Session, memory: Memory, page: Page, until_us: int) -> None:
    """Write down where our chain stands, and until when we are taken to be alive."""
    if memory.until_us < page.at_us <= until_us:  # somebody may have taken us for gone
        session.send("UPDATE leases SET is_open = 1 WHERE writer = ?", (memory.writer,))
    # without `is_open`, which is 1 while we live, so that its index is not written each time
    sql = "UPDATE leases SET until_us = ?, head = ?, written = ?, checked = ? WHERE writer = ?"
    session.send(sql, (until_us, page.head, page.written, memory.checked, memory.writer))
    if not until_us:
        ended_writers(session, [memory.writer])
    memory.until_us = until_us


def heads(session: Session) -> dict[str, tuple[int, str]]:
    """How far each chain has come."""
    return {
        str(writer_id): (int(written or 0), str(head))
        for writer_id, written, head in session.rows(
            """SELECT w.writer_id, l.written, l.head FROM leases l JOIN writers w ON w.writer = l.writer
                ORDER BY w.writer"""
        )
    }
