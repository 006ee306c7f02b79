"""Decisions derived again from what the book holds of them, and nothing else.

Each stored input is compared with what vouches for it before it is used: a document with the hash that names it, the
record of a call with the line of its first reservation, and that line with the line before it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.decision_record import derived, outcome_digest, recorded_from
from modelrouter.core.grounds_text import grounds_from
from modelrouter.ledger.audit.lines import CallRow, body_digest, call_digest, line_from, line_hash, misfit
from modelrouter.ledger.refused import REFUSED, refused_from
from modelrouter.ledger.tables import ENTRY_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.decision import Decision
    from modelrouter.core.decision_record import Recorded
    from modelrouter.core.grounds import Grounds
    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.refused import RefusedLine
    from modelrouter.ledger.session import Column, Row

__all__ = ["GroundsKept", "Rederived", "rederive"]

LINE: Final = ", ".join(name for name, _ in ENTRY_COLUMNS)
WILD: Final = re.compile("[%_!]")
"""What a pattern must escape; the sign is ours, because one store would take a backslash for it, and another not."""
CALL: Final = "call_id, request_id, at_us, writer, route, session, tags, policies, decision"


@dataclass(frozen=True, slots=True)
class Rederived:
    """What became of deriving a decision again.

    Attributes:
        at_us: when it was written.
        count: how many requests the record stands for; above 1 only where nobody was permitted.
        decision: None where what it rests on is missing, altered or not kept.
        version: of the package that decided; empty where that is not known.
        faults: what of the stored inputs is not as it was written, or that the outcome is another; empty is well.
    """

    call_id: str
    request_id: str | None
    route: str
    session: str | None
    tags: str
    at_us: int
    decision: Decision | None
    version: str = ""
    was_refused: bool = False
    count: int = 1
    faults: tuple[str, ...] = ()


class GroundsKept:
    """The grounds of decisions by their hashes, read from a book when they are first asked for, and kept."""

    def __init__(self, session: Reader) -> None:
        self._session = session
        self._found: dict[str, Grounds | str] = {}

    def get(self, digest: str) -> Grounds | str:
        """The grounds behind a hash, or why there are none, in words."""
        found = self._found.get(digest)
        if found is None:
            found = self._found[digest] = self._read(digest)
        return found

    def _read(self, digest: str) -> Grounds | str:
        rows = self._session.rows("SELECT name, body FROM documents WHERE digest = ?", (digest,))
        if not rows:
            return f"the document `{digest}` that it rests on is missing"
        name, body = map(str, rows[0])
        if body_digest(body) != digest:
            return f"the text of document `{name}` is not the one that `{digest}` names: it was altered"
        try:
            return grounds_from(body)
        except ValueError as error:
            return f"document `{name}` (`{digest}`) cannot be read: {error}"


def rederive(session: Reader, known_as: str, kept: GroundsKept | None = None) -> Rederived | None:
    """Derive the decision of a call anew: of one that was attempted, else of one that was refused.

    Args:
        session: in one picture.
        known_as: its `call_id` or, failing that, its `request_id`.
        kept: grounds of the same picture, for whoever asks about many calls; None reads them.

    Returns:
        None where the book knows no such call.
    """
    grounds = GroundsKept(session) if kept is None else kept
    rows = session.rows(f"SELECT {CALL} FROM calls WHERE call_id = ?", (known_as,))  # noqa: S608 - our own names
    rows = rows or session.rows(f"SELECT {CALL} FROM calls WHERE request_id = ?", (known_as,))  # noqa: S608 - our own names
    if rows:
        return _attempted(session, rows[0], grounds)
    return _refused(session, known_as, grounds)


def _attempted(session: Reader, row: Row, grounds: GroundsKept) -> Rederived:
    call = CallRow(*row)  # type: ignore[arg-type]  # columns of the book; `call_digest` finds what is no text
    faults = _faults_of_call(session, call)
    texts = (str(call.decision), call.call_id, call.request_id, call.route, call.session, call.tags)
    return _derive(grounds, texts, call.at_us, faults)


def _refused(session: Reader, known_as: str, grounds: GroundsKept) -> Rederived | None:
    pattern = WILD.sub(r"!\g<0>", json.dumps(known_as, ensure_ascii=False))
    rows = session.rows(
        f"SELECT {LINE} FROM entries WHERE kind = ? AND content LIKE ? ESCAPE '!' ORDER BY seq",  # noqa: S608 - our own names
        (REFUSED, f"%{pattern}%"),
    )
    first: tuple[Row, RefusedLine] | None = None
    count = 0
    for row in rows:
        line = line_from(row)
        said = refused_from(line.seq, line.at_us, line.content)
        if known_as in {said.call_id, said.request_id}:
            count += said.count
            first = first or (row, said)
    if first is None:
        return None
    row, said = first
    tags = json.dumps(dict(said.tags), ensure_ascii=False)
    texts = (said.decision, said.call_id, said.request_id, said.route, said.session, tags)
    return _derive(grounds, texts, said.at_us, _faults_of_line(session, row), was_refused=True, count=count)


def _derive(
    grounds: GroundsKept,
    texts: Sequence[Column],
    at_us: int,
    faults: list[str],
    *,
    was_refused: bool = False,
    count: int = 1,
) -> Rederived:
    text, call_id, request_id, route, of_session, tags = (None if each is None else str(each) for each in texts)
    decision, version = None, ""
    try:
        tag_values = json.loads(tags or "{}")
        recorded = recorded_from(text or "", call_id or "", request_id, route or "", of_session, tag_values)
        kept = grounds.get(recorded.grounds)
        if isinstance(kept, str):
            faults.append(kept)
        else:
            version = kept.version
            decision = derived(recorded, kept)
            faults += _faults_of_outcome(recorded, decision, version)
    except ValueError as error:
        faults.append(str(error))
    return Rederived(
        call_id or "", request_id, route or "", of_session, tags or "{}", at_us, decision, version, was_refused, count,
        tuple(faults),
    )  # fmt: skip


def _faults_of_outcome(recorded: Recorded, decision: Decision, version: str) -> list[str]:
    if outcome_digest(decision) == recorded.outcome:
        return []
    from modelrouter import __version__

    told = (
        f"version {__version__} of this package decides otherwise on the same inputs than version {version} did: what "
        "is derived here is not what happened"
    )
    return [told]


# --- what vouches for a record ----------------------------------------------------------------------------------------


def _faults_of_call(session: Reader, call: CallRow) -> list[str]:
    """Whether the record is the one that the line of its first reservation names."""
    sql = f"SELECT {LINE} FROM entries WHERE call_id = ? AND call_digest IS NOT NULL"  # noqa: S608 - our own names
    rows = session.rows(sql, (call.call_id,))
    if not rows:
        return [f"no line of the book vouches for the record of call `{call.call_id}`"]
    faults = _faults_of_line(session, rows[0])
    line = line_from(rows[0])
    if call_digest(call, _writer_of(session, call.writer)) != line.call_digest:
        faults.append(f"the record of call `{call.call_id}` is not the one that line {line.seq} names: it was altered")
    return faults


def _faults_of_line(session: Reader, row: Row) -> list[str]:
    """Whether a line follows from its writer's line before it; one that was moved to an archive is not asked for."""
    if misfit(row) is not None:
        return [f"line {row[0]} holds a value of the wrong type: it was altered"]
    line = line_from(row)
    before = session.rows(
        "SELECT hash FROM entries WHERE writer = ? AND seq < ? ORDER BY seq DESC LIMIT 1", (line.writer, line.seq)
    )
    if not before:
        return []
    if line_hash(str(before[0][0]), row, _writer_of(session, line.writer)) != line.hash:
        return [f"line {line.seq}, which vouches for it, was altered, or the line before it: see `ledger verify`"]
    return []


def _writer_of(session: Reader, writer: int) -> str:
    rows = session.rows("SELECT writer_id FROM writers WHERE writer = ?", (writer,))
    return str(rows[0][0]) if rows else ""
