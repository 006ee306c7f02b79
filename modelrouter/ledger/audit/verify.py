"""The auditor: reads a whole book and says whether it is what its writers wrote, and whether its sums are right."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.chains import Start
from modelrouter.ledger.audit.derived import check_derived, rollups_digest
from modelrouter.ledger.audit.findings import Findings
from modelrouter.ledger.audit.heads import head_of
from modelrouter.ledger.audit.lines import whole
from modelrouter.ledger.audit.texts import check_texts
from modelrouter.ledger.audit.walk import walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.ledger.audit.findings import Fault
    from modelrouter.ledger.audit.heads import Head
    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.audit.walk import Walk

__all__ = ["Report", "current_head", "start_of", "verify"]


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit came to.

    Attributes:
        first_seq: of the lines that are in the book; earlier ones were archived.
        kinds: how many lines of each kind.
        settled_nano_usd: with the next four, over all lines read.
        repriced: settlements whose usage times price was worked out again.
        unpriced: settlements for which that could not be done: no usage was reported.
        unlisted: documents that no line lists.
        left: archived lines that are still in the tables, below the beginning of the book.
        faults: the first of them in full.
        counts: how many of each kind there are.
        seconds: how long it took.
    """

    head: Head
    first_seq: int
    lines: int
    writers: int
    calls: int
    kinds: Mapping[str, int]
    settled_nano_usd: int
    uncertain_nano_usd: int
    reserved_nano_usd: int
    overrun_nano_usd: int
    correction_nano_usd: int
    repriced: int
    unpriced: int
    unlisted: int
    left: int
    faults: Sequence[Fault]
    counts: Mapping[str, int]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.counts


def verify(session: Reader, *, against: Head | None = None, findings: Findings | None = None) -> Report:
    """Audit a book, from its first line or from the newest archive's end.

    What it holds in memory grows with the derived tables, not with the lines.

    Args:
        session: inside `snapshot`, so that all of it is one picture and no writer is kept waiting.
        against: a head that somebody kept.
        findings: where faults are put; None is a fresh one.

    Raises:
        LedgerUnavailableError: the book cannot be read.
        LedgerError: it has no state, or does not say what its archive took.
    """
    began = time.perf_counter()
    start = start_of(session)
    walked = walk(session, start, findings or Findings(), against)
    unlisted, left = check_texts(session, walked)
    check_derived(session, walked, start.before_us)
    _check_archive(session, walked, start)
    return _report(walked, unlisted, left, time.perf_counter() - began)


def current_head(session: Reader) -> Head:
    """The head of a book now, without an audit; `session` as for `verify`.

    Raises:
        LedgerUnavailableError: the book cannot be read.
        LedgerError: see `start_of`.
    """
    start = start_of(session)
    ends = dict(start.ends)
    rows = session.rows(
        """SELECT w.writer_id, e.writer_seq, e.hash FROM entries e JOIN writers w ON w.writer = e.writer
            WHERE e.seq IN (SELECT MAX(seq) FROM entries WHERE seq > ? GROUP BY writer)""",
        (start.seq,),
    )
    ends.update((str(writer_id), (whole(number), str(digest))) for writer_id, number, digest in rows)
    [(seq,)] = session.rows("SELECT MAX(seq) FROM entries")
    return head_of(whole(seq), ends)


def start_of(session: Reader) -> Start:
    """What came before the first line: nothing, or what the newest archive took.

    Raises:
        LedgerError: the book has no state, or its archive line cannot be read.
    """
    rows = session.rows("SELECT first_seq FROM state")
    if not rows:
        raise LedgerError("the book has no state: it is damaged, restore it from a copy")
    first_seq = whole(rows[0][0])
    if first_seq == 1:
        return Start()
    archives = session.rows("SELECT content FROM entries WHERE kind = 'archive' ORDER BY seq DESC LIMIT 1")
    try:
        content = json.loads(str(archives[0][0]))
        return Start(
            seq=int(content["last_seq"]),
            before_us=int(content["before_us"]),
            ends={name: (int(number), str(digest)) for name, (number, digest) in content["heads"].items()},
            checked={name: int(number) for name, number in content["checked"].items()},
            budgets=None if content["budgets"] is None else (str(content["budgets"][0]), int(content["budgets"][1])),
            documents={digest: (str(kind), str(name), int(at)) for digest, kind, name, at in content["documents"]},
            revocations={int(entry): (int(at), str(text)) for entry, at, text in content["revocations"]},
            revoked=int(content["revoked"]),
        )
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        raise LedgerError(
            f"the book begins with line {first_seq}, and no line of it says what was archived before: it is damaged, "
            "restore it from a copy"
        ) from None


def _check_archive(session: Reader, walked: Walk, start: Start) -> None:
    first_seq = session.rows("SELECT first_seq FROM state")[0][0]
    if first_seq != start.seq + 1:
        walked.findings.add("state", None, f"`state` says that the book begins at {first_seq}, not at {start.seq + 1}")
    if start.before_us and walked.archived_rollups != rollups_digest(session, start.before_us):
        walked.findings.add("rollups", None, "the sums of archived hours are not those that the archive left")


def _report(walked: Walk, unlisted: int, left: int, seconds: float) -> Report:
    bookings, chains = walked.bookings, walked.chains
    settled, uncertain, reserved, overrun, correction = bookings.totals
    return Report(
        head=head_of(chains.seq, chains.ends),
        first_seq=walked.start.seq + 1,
        lines=walked.lines,
        writers=len(chains.ends),
        calls=bookings.calls,
        kinds=dict(sorted(bookings.kinds.items())),
        settled_nano_usd=settled,
        uncertain_nano_usd=uncertain,
        reserved_nano_usd=reserved,
        overrun_nano_usd=overrun,
        correction_nano_usd=correction,
        repriced=bookings.repriced,
        unpriced=bookings.unpriced,
        unlisted=unlisted,
        left=left,
        faults=tuple(walked.findings.shown),
        counts=dict(walked.findings.counts),
        seconds=seconds,
    )
