"""One pass over all lines, a page at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.audit.bookings import ENDS, RECONCILED, Bookings, held_of, why_of
from modelrouter.ledger.audit.chains import Chains, writers_of
from modelrouter.ledger.audit.history import ended_before
from modelrouter.ledger.audit.lines import COLUMNS, line_from, misfit, pages
from modelrouter.ledger.audit.repricing import Prices
from modelrouter.ledger.audit.windows import definitions_of

if TYPE_CHECKING:
    from modelrouter.ledger.audit.chains import Start
    from modelrouter.ledger.audit.findings import Findings
    from modelrouter.ledger.audit.heads import Head
    from modelrouter.ledger.audit.lines import CallRow, Line, Page, Reader
    from modelrouter.ledger.session import Row

__all__ = ["Walk", "walk", "walking"]

GROUNDS: Final = '{"grounds":"'
"""How the record of a decision begins; the hash of a document follows. Version 1 of the book named policies instead."""
POLICIES: Final = '"policies":['


@dataclass(slots=True)
class Walk:
    """All that one pass over the lines gives.

    Attributes:
        documents: what lines of kind `documents` list: kind, name and moment by digest.
        named: the line at which each document was first referred to.
        keys_deleted: how often the key of a tag was.
        archived_rollups: the hash that the newest line of kind `archive` left of the sums of what it took.
    """

    chains: Chains
    bookings: Bookings
    findings: Findings
    start: Start
    lines: int = 0
    documents: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)
    keys_deleted: int = 0
    archived_rollups: str = ""
    _policies: set[str] = field(default_factory=set)

    def turn(self, session: Reader, page: Page) -> None:
        """Follow the lines of one page."""
        _prepare(session, page, self.bookings)
        for row, call, first_seq in page:
            self.take(row, call, first_seq)

    def take(self, row: Row, call: CallRow | None, first_seq: int | None) -> None:
        """Follow one line."""
        self.lines += 1
        fault = misfit(row)
        if fault is not None:
            seq = row[0] if isinstance(row[0], int) else None
            self.findings.add("column", seq, fault)
            self.chains.skip(row)
            return
        line = line_from(row)
        writer_id = self.chains.take(row, line)
        self.bookings.take(line, call, first_seq, writer_id)
        if line.kind == "reserve":
            self._name(line, call)
        elif line.kind == "documents":
            self._list(line)
        elif line.kind == "key_deleted":
            self.keys_deleted += 1
        elif line.kind == "archive":
            self._archive(line)

    def _name(self, line: Line, call: CallRow | None) -> None:
        """Note which documents a reservation and its decision refer to."""
        if line.price is not None:
            self.named.setdefault(line.price, line.seq)
        text = call.decision if call is not None and isinstance(call.decision, str) else ""
        if text.startswith(GROUNDS):
            self.named.setdefault(text[len(GROUNDS) : len(GROUNDS) + 64], line.seq)
            return
        first = text.find(POLICIES) + len(POLICIES) - 1
        part = text[first : text.find("]]", first) + 2] if first >= len(POLICIES) else ""
        if not part or part in self._policies:
            return
        self._policies.add(part)
        try:
            digests = [str(digest) for _, digest, *_ in json.loads(part)]
        except (ValueError, TypeError):
            return
        for digest in digests:
            self.named.setdefault(digest, line.seq)

    def _archive(self, line: Line) -> None:
        try:
            content = json.loads(line.content or "")
            last_seq, self.archived_rollups = int(content["last_seq"]), str(content["rollups"])
        except (ValueError, KeyError, TypeError):
            self.findings.add("archive", line.seq, "it does not say what was archived")
            return
        if last_seq > self.start.seq:
            self.findings.add("archive", line.seq, f"it took the lines up to {last_seq}, and some of them are here")

    def _list(self, line: Line) -> None:
        try:
            listed = [
                (str(digest), str(kind), str(name), int(at_us[0]) if at_us else line.at_us)
                for digest, kind, name, *at_us in json.loads(line.content or "")
            ]
        except (ValueError, TypeError):
            self.findings.add("documents", line.seq, "it does not list documents")
            return
        for digest, kind, name, at_us in listed:
            if digest in self.documents:
                self.findings.add("documents", line.seq, f"document `{digest}` was listed before")
            self.documents[digest] = (kind, name, at_us)


def walk(session: Reader, start: Start, findings: Findings, against: Head | None = None) -> Walk:
    """Follow all lines.

    Args:
        session: in a transaction that sees one picture.
        start: what came before the first line.
        against: a head that somebody kept.
    """
    walked = walking(session, start, findings, against)
    for page in pages(session, after=start.after):
        walked.turn(session, page)
    walked.chains.finish()
    walked.bookings.finish()
    return walked


def walking(session: Reader, start: Start, findings: Findings, against: Head | None = None) -> Walk:
    """A walk that has not begun."""
    chains = Chains(writers_of(session), start, findings, against)
    bookings = Bookings(findings, Prices(session))
    walked = Walk(chains, bookings, findings, start, documents=dict(start.documents))
    _know_budgets(session, bookings)
    if start.budgets is not None:
        bookings.accounts.apply(*start.budgets, start.before_us)
    _begin_with_rollups(session, bookings, start.before_us)
    return walked


def _know_budgets(session: Reader, bookings: Bookings) -> None:
    """Accounts are kept from the first line on, so all budgets that will come are looked up before."""
    for (content,) in session.rows("SELECT content FROM entries WHERE kind = 'budgets' ORDER BY seq"):
        try:
            bookings.accounts.know(definitions_of(None if content is None else str(content)))
        except ValueError:
            continue  # said when its line comes


def _begin_with_rollups(session: Reader, bookings: Bookings, before_us: int) -> None:
    """What archived lines had spent still counts for budgets without an end; rollups stand in for the lines."""
    if not before_us:
        return
    from modelrouter.ledger.audit.derived import archived_rollups

    for key, sums in archived_rollups(session, before_us):
        bookings.carry(key, sums)


def _prepare(session: Reader, page: Page, bookings: Bookings) -> None:
    """Fetch what the lines of a page correct, as it stood before them."""
    place = COLUMNS.index("corrects")
    wanted = {row[place] for row, _, _ in page if isinstance(row[place], int)}
    bookings.watched = frozenset(int(seq) for seq in wanted if seq is not None)
    bookings.ended = {}
    first = page[0][0][0]
    if not bookings.watched or not isinstance(first, int):
        return
    before = sorted(seq for seq in bookings.watched if seq < first and seq not in bookings.pending)
    for line, call, later in ended_before(session, before, first):
        try:
            held = held_of(line, call, bookings.accounts, bookings.rollups)
        except ValueError:
            continue  # said when its own line came
        for kind, amount, failed, content in later:
            held.booked += amount
            held.failed = held.failed or (failed and kind in ENDS)
            held.reconciled = held.reconciled or (kind == "correction" and why_of(content) == RECONCILED)
        bookings.ended[held.seq] = held
