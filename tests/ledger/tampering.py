# ruff: noqa: S608 - statements are put together from our own names
"""Everything that somebody with the file in hands may do to a book, one thing at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.findings import Findings
from modelrouter.ledger.audit.verify import verify
from modelrouter.ledger.sqlite_session import SqliteSession
from tests.ledger.audit_book import NAMES, START_US, sha256

if TYPE_CHECKING:
    import random
    import sqlite3
    from collections.abc import Iterator, Sequence

    from modelrouter.ledger.audit.heads import Head
    from tests.ledger.audit_book import HonestBook

__all__ = ["MEANINGLESS", "Tampering", "is_found", "sample", "tamperings"]

TABLES: Final = (
    "entries", "calls", "documents", "writers", "pending", "budgets", "accounts", "rollups", "leases", "revocations",
    "state", "meta"
)  # fmt: skip
MEANINGLESS: Final = frozenset(
    {
        ("accounts", "account"),
        ("leases", "checked"),
        ("leases", "until_us"),
        ("rollups", "rollup"),
        ("state", "at_us"),
        ("state", "tag_keys"),
    }
)
"""Cells that say nothing about the past, so that not every change of them is one of the book: numbers of derived rows
that nothing refers to, how long a lease still runs, whether the next checkpoint names a chain once more, how far the
clock has come, how many keys there have been."""
Step: TypeAlias = "tuple[str, Sequence[object]]"


@dataclass(frozen=True, slots=True)
class Tampering:
    """One thing done to a book.

    Attributes:
        kind: what to count it under.
        steps: statements with their values.
    """

    kind: str
    place: str
    steps: tuple[Step, ...]


class StopAtFirst(Findings):
    """Ends an audit with its first fault: here it only matters whether there is one."""

    def add(self, kind: str, seq: int | None, text: str) -> None:
        """End it."""
        raise FoundError(f"{kind} {seq}: {text}")


class FoundError(Exception):
    """The first fault."""


def is_found(
    connection: sqlite3.Connection,
    done: Tampering | None = None,
    against: Head | None = None,
    *,
    to_the_end: bool = False,
) -> str:
    """What the audit says after something was done; empty: nothing. The book is left as it was.

    Args:
        to_the_end: look for all faults, as a user would; else for the first, which is faster.
    """
    session = SqliteSession(connection, Path("memory"), lambda: START_US)
    connection.execute("BEGIN")
    try:
        for sql, values in done.steps if done is not None else ():
            connection.execute(sql, values)
        report = verify(session, against=against, findings=Findings() if to_the_end else StopAtFirst())
        return str(report.counts or "")
    except (FoundError, LedgerError) as found:
        return str(found)
    finally:
        connection.execute("ROLLBACK")


def tamperings(book: HonestBook, connection: sqlite3.Connection, chance: random.Random) -> Iterator[Tampering]:
    """Every single edit, deletion and duplication of every row, and every cut and swap of lines."""
    for table in TABLES:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        rows = connection.execute(f"SELECT rowid, {', '.join(columns)} FROM {table}").fetchall()
        for rowid, *values in rows:
            place = f"{table} {values[0]}"
            for column, value in zip(columns, values, strict=True):
                if (table, column) not in MEANINGLESS:
                    others = [row[columns.index(column) + 1] for row in rows]
                    yield _edit(table, column, rowid, value, chance, others, place)
            yield Tampering(f"delete {table}", place, ((f"DELETE FROM {table} WHERE rowid = ?", (rowid,)),))
            yield Tampering(
                f"duplicate {table}",
                place,
                ((f"INSERT INTO {table} SELECT * FROM {table} WHERE rowid = ?", (rowid,)),),
            )
    yield from _of_lines(book, chance)
    for writer, (writer_id, *_) in book.writers.items():
        steps = tuple(
            (f"DELETE FROM {table} WHERE writer = ?", (writer,))
            for table in ("entries", "writers", "leases", "pending")
        )
        yield Tampering("remove a writer", writer_id, steps)


def _edit(
    table: str, column: str, rowid: int, value: object, chance: random.Random, others: list[object], place: str
) -> Tampering:
    """Another value for one cell: a likely one, one of another row, or none."""
    choices: list[object] = [chance.choice(others), None]
    if isinstance(value, int):
        choices += [value + 1, value - 1, 0, -value, str(value) + "x"]
    elif isinstance(value, str):
        choices += [value + "x", value[:-1], value.upper(), "", value.replace("1", "7"), 7]
    else:
        choices += [0, 1, "", "x"]
    new = chance.choice([each for each in choices if each != value or type(each) is not type(value)])
    return Tampering(
        f"edit {table}", f"{place} {column}", ((f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, rowid)),)
    )


def _of_lines(book: HonestBook, chance: random.Random) -> Iterator[Tampering]:
    last = len(book.lines)
    for seq in range(1, last + 1):
        place = f"entries {seq}"
        yield Tampering("cut the tail", place, (("DELETE FROM entries WHERE seq >= ?", (seq,)),))
        yield Tampering(
            "cut the tail and its state",
            place,
            (
                ("DELETE FROM entries WHERE seq >= ?", (seq,)),
                ("UPDATE state SET seq = ?", (seq - 1,)),
            ),
        )
        yield Tampering(
            "delete a line and close the gap",
            place,
            (
                ("DELETE FROM entries WHERE seq = ?", (seq,)),
                ("UPDATE entries SET seq = seq - 1 WHERE seq > ?", (seq,)),
                ("UPDATE state SET seq = seq - 1", ()),
            ),
        )
        yield Tampering(
            "put a copy at the end",
            place,
            (
                (
                    f"INSERT INTO entries SELECT {last + 1}, {', '.join(NAMES[1:])} FROM entries WHERE seq = ?",
                    (seq,),
                ),
                ("UPDATE state SET seq = seq + 1", ()),
            ),
        )
        if seq < last:
            yield _swap("swap neighbours", seq, seq + 1)
            yield _swap("swap two lines", seq, chance.choice([each for each in range(1, last + 1) if each != seq]))
        yield _rehashed(book, seq, chance)


def _swap(kind: str, one: int, other: int) -> Tampering:
    return Tampering(
        kind,
        f"entries {one} and {other}",
        (
            ("UPDATE entries SET seq = -1 WHERE seq = ?", (one,)),
            ("UPDATE entries SET seq = ? WHERE seq = ?", (one, other)),
            ("UPDATE entries SET seq = ? WHERE seq = -1", (other,)),
        ),
    )


def _rehashed(book: HonestBook, seq: int, chance: random.Random) -> Tampering:
    """Change a line and make its own hash anew, but none after it, nor what its writer's lease says."""
    line = dict(book.lines[seq - 1])
    column = chance.choice([name for name in NAMES[3:-1] if name != "content"])
    line[column] = (line[column] + 1) if isinstance(line[column], int) else f"{line[column] or ''}x"
    previous = next((each["hash"] for each in reversed(book.lines[: seq - 1]) if each["writer"] == line["writer"]), "")
    values = [book.writers[line["writer"]][0] if name == "writer" else line[name] for name in NAMES[:-1]]
    digest = sha256(previous + "\n" + json.dumps(values, separators=(",", ":"), ensure_ascii=False))
    return Tampering(
        "edit a line and its own hash",
        f"entries {seq} {column}",
        ((f"UPDATE entries SET {column} = ?, hash = ? WHERE seq = ?", (line[column], digest, seq)),),
    )


def sample(all_of_them: Sequence[Tampering], count: int, chance: random.Random) -> list[Tampering]:
    """So many of them by chance, and at least two of each kind."""
    by_kind: dict[str, list[Tampering]] = {}
    for each in all_of_them:
        by_kind.setdefault(each.kind, []).append(each)
    chosen = [each for kind in by_kind.values() for each in chance.sample(kind, min(2, len(kind)))]
    return chosen + chance.sample(all_of_them, min(count, len(all_of_them)))
