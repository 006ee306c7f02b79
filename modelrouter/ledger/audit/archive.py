"""Moving old lines out of a book, so that what stays can still be proved, and what went as well.

First a picture of the book is audited and its old lines are written to a file, while writers go on. Then, in one short
transaction of their kind, a line says what went, with the ends of all chains there, and from then on the book begins
after it. The rows themselves go in lots, so that no writer waits for long; what an interruption leaves of them is below
the beginning of the book, and goes with the next run.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.archive_file import ArchiveWriter, Header
from modelrouter.ledger.audit.cut import cut_before, refers_across
from modelrouter.ledger.audit.derived import rollups_digest
from modelrouter.ledger.audit.findings import Findings
from modelrouter.ledger.audit.lines import COLUMNS, compact, in_parts, line_hash, pages, whole
from modelrouter.ledger.audit.verify import start_of, verify
from modelrouter.ledger.audit.walk import walking

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelrouter.ledger.access import Access
    from modelrouter.ledger.audit.chains import Start
    from modelrouter.ledger.audit.cut import Cut
    from modelrouter.ledger.audit.walk import Walk
    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["Archived", "Written", "begins_at", "clear_archived", "maintain", "remove_archived", "write_archive"]

T = TypeVar("T")

LOCK_WAIT_S: Final = 30.0
"""How long other writers are waited for."""
TABLES: Final = ("entries", "calls")
"""What rows are removed from; documents and writers stay."""
TOGETHER: Final = 5_000
"""Lines removed in one transaction: some tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that holds the first part of a book, which is still in the book as well.

    Attributes:
        content: what the `archive` line will say.
        seen_seq: the last line of the picture that it was made from.
    """

    path: Path
    cut: Cut
    start: Start
    content: dict[str, object]
    seen_seq: int
    lines: int
    calls: int


@dataclass(frozen=True, slots=True)
class Archived:
    """What was moved.

    Attributes:
        entry: the line that says so.
    """

    first_seq: int
    last_seq: int
    entry: int
    lines: int
    calls: int


def write_archive(session: Session, path: Path, before_us: int) -> Written | str:
    """Audit the book and write its lines from before a moment to a file.

    Args:
        session: inside `snapshot`.
        before_us: lines from here on stay.

    Returns:
        what was written; or, where nothing can be moved, why not, and no file.

    Raises:
        LedgerError: the book has faults, which are not to be hidden in an archive.
        RequestError: the file cannot be made.
    """
    report = verify(session)
    if not report.is_good:
        first = report.faults[0]
        raise LedgerError(
            f"the book does not pass its audit, so nothing was archived: {first.text}; see `modelrouter ledger verify`"
        )
    start = start_of(session)
    cut = cut_before(session, before_us, session.now_us())
    if cut.last_seq <= start.seq:
        return cut.reason or "there is no line from before that moment"
    walked = walking(session, start, Findings())
    begun = {
        writer
        for (writer,) in session.rows("SELECT writer FROM entries WHERE kind = 'open' AND seq <= ?", (cut.last_seq,))
    }
    writers = [row for row in session.rows(WRITERS) if row[0] in begun or row[1] in start.ends]
    header = Header(cut.last_seq, start, tuple(writers))
    with ArchiveWriter(path, header) as file:
        for page in pages(session, cut.last_seq, start.after):
            walked.turn(session, page)
            for row, call, _ in page:
                if call is not None and call.decision is not None:
                    file.call(call)
                file.line(row)
        for marks, part in in_parts(sorted({*walked.named, *walked.documents})):
            sql = f"SELECT digest, kind, name, body, at_us FROM documents WHERE digest IN ({marks}) ORDER BY digest"  # noqa: S608 - marks
            for row in session.rows(sql, part):
                file.document(row)
        digest = file.finish()
    return Written(
        path, cut, start, _content(walked, cut, digest), report.head.seq, walked.lines, walked.bookings.calls
    )


WRITERS: Final = "SELECT writer, writer_id, pid, host, version, at_us FROM writers ORDER BY writer"


def remove_archived(session: Session, written: Written, version: str) -> Archived:
    """Let the book begin after the lines that were written to a file, and remove the first lot of them.

    The rest is for `clear_archived`.

    Args:
        session: not inside a transaction; this begins one of a writer's kind and commits it.
        version: of this package, for the line that names who did it.

    Raises:
        LedgerError: the book has changed meanwhile, so that the file no longer fits; nothing was removed.
        LedgerUnavailableError: the book cannot be written; nothing was removed.
    """
    session.begin()
    try:
        archived = _remove(session, written, version)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    return archived


def maintain(access: Access, work: Callable[[Session], T]) -> T:
    """Do something to a book that writers of calls never do, with a session of its own.

    Raises:
        LedgerUnavailableError: the book cannot be written, or others kept it locked for too long.
    """
    give_up_at = time.monotonic() + LOCK_WAIT_S

    def once() -> T:
        session = access.connect()
        try:
            return work(session)
        finally:
            session.close()

    return access.attempt(once, lambda: give_up_at)


def _remove(session: Session, written: Written, version: str) -> Archived:
    cut, first_seq = written.cut, written.start.seq + 1
    [(found, seq, at_us)] = session.rows("SELECT first_seq, seq, at_us FROM state")
    across, why = refers_across(session, cut.last_seq, written.seen_seq)
    if found != first_seq or across:
        raise LedgerError(
            f"the book has changed meanwhile ({why or 'it was archived'}): nothing was removed, try again"
        )
    content = {**written.content, "rollups": rollups_digest(session, cut.before_us)}
    now_us = max(session.now_us(), whole(at_us))
    entry = _sign(session, whole(seq), now_us, version, compact(content))
    finite = 'SELECT budget FROM budgets WHERE shape NOT LIKE \'%"window":"total"%\''
    session.run(f"DELETE FROM accounts WHERE start_us < ? AND budget IN ({finite})", (cut.before_us,))  # noqa: S608 - our own
    session.run("UPDATE state SET seq = ?, at_us = ?, first_seq = ?", (entry, now_us, cut.last_seq + 1))
    _clear(session)
    return Archived(first_seq, cut.last_seq, entry, written.lines, written.calls)


def begins_at(session: Session) -> int:
    """The first line of the book."""
    return whole(session.rows("SELECT first_seq FROM state")[0][0])


def clear_archived(session: Session) -> int:
    """Remove some of the rows below the beginning of the book; how many lines these were, 0 where none is left.

    Args:
        session: not inside a transaction; this begins one of a writer's kind and commits it.

    Raises:
        LedgerUnavailableError: the book cannot be written; nothing of this lot was removed.
    """
    session.begin()
    try:
        removed = _clear(session)
        session.commit()
    except BaseException:
        session.rollback()
        raise
    return removed


def _clear(session: Session) -> int:
    """The last lines go first: whatever refers to a line comes after it."""
    rows = session.rows(
        "SELECT e.seq, e.call_digest, e.call_id FROM entries e JOIN state s ON e.seq < s.first_seq"
        " ORDER BY e.seq DESC LIMIT ?",
        (TOGETHER,),
    )
    if not rows:
        return 0
    session.lift(TABLES)
    session.run("DELETE FROM entries WHERE seq >= ? AND seq <= ?", (rows[-1][0], rows[0][0]))
    for marks, part in in_parts([call_id for _, digest, call_id in rows if digest is not None]):
        session.run(f"DELETE FROM calls WHERE call_id IN ({marks})", part)  # noqa: S608 - question marks
    session.protect(TABLES)
    return len(rows)


def _sign(session: Session, seq: int, at_us: int, version: str, content: str) -> int:
    """Write the line that says what went, as a writer of its own; its number."""
    [(last,)] = session.rows("SELECT MAX(writer) FROM writers")
    writer, writer_id = whole(last) + 1, os.urandom(8).hex()
    who: tuple[Column, ...] = (writer_id, os.getpid(), platform.node(), version, at_us)
    opening = compact(dict(zip(("writer_id", "pid", "host", "version", "at_us"), who, strict=True)))
    rows: list[Row] = []
    head = ""
    for number, (kind, text) in enumerate((("open", opening), ("archive", content)), 1):
        line: dict[str, Column] = dict.fromkeys(COLUMNS)
        line.update(seq=seq + number, writer=writer, writer_seq=number, kind=kind, at_us=at_us, amount_nano_usd=0)
        line["content"] = text
        head = line_hash(head, tuple(line.values()), writer_id)
        line["hash"] = head
        rows.append(tuple(line.values()))
    session.insert("writers", ("writer", "writer_id", "pid", "host", "version", "at_us"), [(writer, *who)])
    session.insert("entries", COLUMNS, rows)
    session.insert(
        "leases", ("writer", "until_us", "head", "written", "checked", "is_open"), [(writer, 0, head, 2, 0, 1)]
    )
    return seq + 2


def _content(walked: Walk, cut: Cut, digest: str) -> dict[str, object]:
    """What the line will say; the sums of archived hours come to it when the lines go."""
    settled, uncertain, reserved, overrun, correction = walked.bookings.totals
    accounts = walked.bookings.accounts
    budgets = f"[{','.join(sorted(each.text for each in accounts.in_force))}]"
    return {
        "first_seq": walked.start.seq + 1,
        "last_seq": cut.last_seq,
        "before_us": cut.before_us,
        "heads": walked.chains.ends,
        "checked": walked.chains.checked,
        "budgets": [budgets, accounts.newest] if accounts.newest else None,
        "documents": [[name, *listed] for name, listed in sorted(walked.documents.items())],
        "revocations": [[entry, *said] for entry, said in sorted(walked.revocations.items())],
        "revoked": walked.revoked,
        "sums": {
            "lines": walked.lines,
            "calls": walked.bookings.calls,
            "settled_nano_usd": settled,
            "uncertain_nano_usd": uncertain,
            "reserved_nano_usd": reserved,
            "overrun_nano_usd": overrun,
            "correction_nano_usd": correction,
        },
        "file": digest,
    }
