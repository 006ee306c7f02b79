# ruff: noqa: S608 - statements are put together from our own names
"""The texts and records beside the lines: each is the one that a line vouches for, and none is missing or added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from modelrouter.ledger.audit.lines import body_digest, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.audit.walk import Walk
    from modelrouter.ledger.session import Column, Row

__all__ = ["check_texts"]

PAGE: Final = 200
"""Documents read at once: a catalog or a config may be long."""

META: Final = [("format", "modelrouter-ledger"), ("schema_version", "2")]
"""All that `meta` says, for the tables that are read here."""

TWICE: Final = (
    ("entries", "reservation_id", "ends", "reservation"),
    ("entries", "resolves", "ends", "end of line"),
    ("calls", "request_id", "calls", "request_id"),
    ("documents", "digest", "documents", "document"),
)


def check_texts(session: Reader, walked: Walk) -> tuple[int, int]:
    """Compare documents and calls with what the lines say of them, and look for what stands twice.

    Returns:
        how many documents no line lists: their text is proved by their name, the rest of their row by nothing; and how
        many lines below the beginning of the book are still to be removed.
    """
    unlisted = _documents(session, walked)
    left = _left(session, walked.start.seq)
    _calls(session, walked)
    _meta(session, walked)
    counted = _count(session, "entries")
    if counted != walked.lines + left:
        walked.findings.add("order", None, f"the book counts {counted} lines, and {walked.lines} can be read in order")
    for table, column, kind, name in TWICE:
        rows = session.rows(
            f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1"
        )
        for (value,) in rows:
            walked.findings.add(kind, None, f"{name} `{value}` stands twice")
    return unlisted, left


def _documents(session: Reader, walked: Walk) -> int:
    findings, unlisted = walked.findings, 0
    listed, named = dict(walked.documents), dict(walked.named)
    for digest, kind, name, body, at_us in _pages(session):
        if body_digest(str(body)) != digest:
            findings.add("documents", None, f"the text of document `{name}` is not the one that `{digest}` names")
        named.pop(str(digest), None)
        wanted = listed.pop(str(digest), None)
        if wanted is None:
            unlisted += 1
        elif wanted != (kind, name, at_us):
            findings.add("documents", None, f"document `{digest}` has another kind, name or moment than its line says")
    for digest, (_, name, _) in listed.items():
        named.pop(digest, None)
        findings.add("documents", None, f"document `{name}` (`{digest}`) is missing")
    for digest, seq in named.items():
        findings.add("documents", seq, f"the document `{digest}` that it refers to is missing")
    return unlisted


def _calls(session: Reader, walked: Walk) -> None:
    counted = _count(session, "calls")
    sql = "SELECT count(*) FROM entries WHERE seq <= ? AND call_digest IS NOT NULL"
    if counted == walked.bookings.calls + whole(session.rows(sql, (walked.start.seq,))[0][0]):
        return
    rows = session.rows(
        "SELECT call_id FROM calls c WHERE NOT EXISTS (SELECT 1 FROM entries e WHERE e.call_id = c.call_id) LIMIT 20"
    )
    for (call_id,) in rows:
        walked.findings.add("calls", None, f"no line belongs to call `{call_id}`")
    if not rows:
        walked.findings.add("calls", None, f"there are {counted} calls, and lines begin {walked.bookings.calls}")


def _meta(session: Reader, walked: Walk) -> None:
    if sorted(map(tuple, session.rows("SELECT name, value FROM meta")), key=str) != META:
        walked.findings.add("meta", None, "`meta` does not say that this is a ledger of the version that is read here")


def _pages(session: Reader) -> Iterator[Row]:
    after: Column = ""
    text = f"SELECT digest, kind, name, body, at_us FROM documents WHERE digest > ? ORDER BY digest LIMIT {PAGE}"
    while rows := session.rows(text, (after,)):
        yield from rows
        after = rows[-1][0]


def _left(session: Reader, last_archived: int) -> int:
    """Lines that an archive took, and that its removing has not reached."""
    if not last_archived:
        return 0
    return whole(session.rows("SELECT count(*) FROM entries WHERE seq <= ?", (last_archived,))[0][0])


def _count(session: Reader, table: str) -> int:
    [(count,)] = session.rows(f"SELECT count(*) FROM {table}")
    return whole(count)
