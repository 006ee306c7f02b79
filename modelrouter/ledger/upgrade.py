"""From version 1 of a SQLite ledger to version 2: the same book, with chains, and with what is derived from it.

Version 1 knew writers, calls, reservations and ends. Each of its writers gets an opening line, so that every chain
begins in the same way; lines keep their order and are numbered anew. A settlement above its bound was one line there
and is two here: the bound, and an overrun. Prices become documents of their own. Nobody who wrote version 1 can still
be at work on the file, so what they left without an end expires with the next batch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.chain import call_digest, canonical, line_hash, open_content, text_digest
from modelrouter.ledger.ddl import begin_state, make_tables
from modelrouter.ledger.derive import fill
from modelrouter.ledger.rows import policies_text, tags_text
from modelrouter.ledger.sqlite_session import SqliteSession
from modelrouter.ledger.tables import APPEND_ONLY, ENTRY_COLUMNS

if TYPE_CHECKING:
    import sqlite3

    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["upgrade"]

OLD: Final = ("entries", "calls", "writers", "documents", "meta")
"""Tables of version 1, each before those it refers to."""
INDEXES: Final = ("calls_of_request", "entries_reservation", "entries_resolves", "entries_of_call")
COLUMNS: Final = tuple(name for name, _ in ENTRY_COLUMNS)
TOGETHER: Final = 1_000
AT_ONCE_US: Final = 1
"""A lease that has lapsed, of a writer who may have left reservations behind; 0 would say that there are none."""
LINES: Final = """SELECT seq, writer, kind, at_us, amount_nano_usd, reservation_id, call_id, number, deployment,
    operator, model, bound_input_tokens, bound_output_tokens, basis, price, resolves, input_tokens, cached_input_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens, failure, phase, status, detail, duration_us, length_reached,
    saved_nano_usd FROM v1_entries ORDER BY seq"""


@dataclass(slots=True)
class _Chain:
    """One writer: what its first line says, and how far it has come."""

    writer: int
    writer_id: str
    content: str
    written: int = 0
    head: str = ""


@dataclass(slots=True)
class _Taken:
    """What was taken over so far."""

    chains: dict[int, _Chain]
    digests: dict[str, str]
    """Of calls whose first reservation is still to come."""
    seq: int = 0
    at_us: int = 0
    numbers: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By the old number of a reservation without an end: the new one, and its bound."""
    lines: list[Row] = field(default_factory=list)

    def add(self, chain: _Chain, kind: Column, amount: int, **more: Column) -> int:
        """One line."""
        self.seq += 1
        chain.written += 1
        said: dict[str, Column] = {
            "seq": self.seq,
            "writer": chain.writer_id,
            "writer_seq": chain.written,
            "kind": kind,
            "at_us": self.at_us,
            "amount_nano_usd": amount,
            **more,
        }
        values = [said.get(name) for name in COLUMNS[:-1]]
        chain.head = line_hash(chain.head, canonical(values))
        values[1] = chain.writer
        self.lines.append((*values, chain.head))
        return self.seq


def upgrade(connection: sqlite3.Connection) -> None:
    """Take the file over, inside the caller's transaction."""
    for table in APPEND_ONLY:
        for verb in ("update", "delete"):
            connection.execute(f"DROP TRIGGER {table}_keep_{verb}")
    for index in INDEXES:
        connection.execute(f"DROP INDEX {index}")
    for table in OLD:
        connection.execute(f"ALTER TABLE {table} RENAME TO v1_{table}")
    from modelrouter.ledger.schema import guard

    for statement in (*make_tables("INTEGER"), *begin_state(), *guard(APPEND_ONLY, "UPDATE", "DELETE")):
        connection.execute(statement)
    session = SqliteSession.unnamed(connection)
    _take(connection, session)
    for table in OLD:
        connection.execute(f"DROP TABLE v1_{table}")


def _take(connection: sqlite3.Connection, session: Session) -> None:
    connection.execute("INSERT INTO documents SELECT * FROM v1_documents")
    connection.execute("INSERT INTO writers SELECT * FROM v1_writers")
    chains = {
        int(writer): _Chain(writer, writer_id, open_content(writer_id, pid, host, version, at_us))
        for writer, writer_id, pid, host, version, at_us in connection.execute(
            "SELECT writer, writer_id, pid, host, version, at_us FROM v1_writers ORDER BY writer"
        )
    }
    taken = _Taken(chains, _take_calls(connection, session, chains))
    prices: set[str] = set()
    for row in connection.execute(LINES):
        _take_line(session, taken, row, prices)
        if len(taken.lines) >= TOGETHER:
            _write(session, taken)
    for chain in chains.values():
        if not chain.written:  # it kept documents only
            taken.add(chain, "open", 0, content=chain.content)
    _write(session, taken)
    leases = [(each.writer, AT_ONCE_US, each.head, each.written, 0, 1) for each in chains.values()]
    session.insert("leases", ("writer", "until_us", "head", "written", "checked", "is_open"), leases)
    session.run("UPDATE state SET seq = ?, at_us = ?", (taken.seq, taken.at_us))
    fill(session)


def _take_calls(connection: sqlite3.Connection, session: Session, chains: dict[int, _Chain]) -> dict[str, str]:
    """Copy the calls; give the digest of each."""
    digests: dict[str, str] = {}
    names = ("call_id", "request_id", "at_us", "writer", "route", "session", "tags", "policies", "decision")
    cursor = connection.execute(f"SELECT {', '.join(names)} FROM v1_calls ORDER BY rowid")  # noqa: S608 - our own names
    while rows := cursor.fetchmany(TOGETHER):
        taken: list[Row] = []
        for call_id, request_id, at_us, writer, route, talk, tags, policies, decision in rows:
            texts = (tags_text(json.loads(tags)), policies_text(tuple(json.loads(policies))), decision)
            taken.append((call_id, request_id, at_us, writer, route, talk, *texts))
            of = (call_id, request_id, at_us, chains[writer].writer_id, route, talk, *texts)
            digests[call_id] = call_digest(of)
        session.insert("calls", names, taken)
    return digests


def _take_line(session: Session, taken: _Taken, row: Row, prices: set[str]) -> None:
    old_seq, writer, kind, at_us, amount, reservation_id, call_id = row[:7]
    number, deployment, operator, model, bound_input, bound_output, basis, price, resolves, *end = row[7:]
    chain = taken.chains[int(writer or 0)]
    taken.at_us = max(taken.at_us, int(at_us or 0))
    if not chain.written:
        taken.add(chain, "open", 0, content=chain.content)
    booked = int(amount or 0)
    if kind == "reserve":
        digest = text_digest(str(price))
        if digest not in prices:
            prices.add(digest)
            document = (digest, "price", str(deployment), price, taken.at_us)
            session.insert("documents", ("digest", "kind", "name", "body", "at_us"), [document])
        seq = taken.add(
            chain, kind, booked, reservation_id=reservation_id, call_id=call_id,
            call_digest=taken.digests.pop(str(call_id), None), number=number, deployment=deployment, operator=operator,
            developer="", model=model, bound_input_tokens=bound_input, bound_output_tokens=bound_output, basis=basis,
            price=digest,
        )  # fmt: skip
        taken.numbers[int(old_seq or 0)] = (seq, booked)
        return
    seq, bound = taken.numbers.pop(int(resolves or 0))
    names = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
             "failure", "phase", "status", "detail", "duration_us", "length_reached", "saved_nano_usd")  # fmt: skip
    taken.add(chain, kind, min(booked, bound), resolves=seq, **dict(zip(names, end, strict=True)))
    if booked > bound:
        taken.add(chain, "overrun", booked - bound, corrects=seq)


def _write(session: Session, taken: _Taken) -> None:
    session.insert("entries", COLUMNS, taken.lines)
    taken.lines.clear()
