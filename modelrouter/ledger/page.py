"""The rows that one transaction adds to the book and to what is derived from it, written all at once at its end."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.chain import canonical, canonical_text, line_hash
from modelrouter.ledger.tables import ENTRY_COLUMNS
from modelrouter.ledger.tallies import ACCOUNT_SUMS, ROLLUP_KEY, ROLLUP_SUMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from modelrouter.ledger.derive import RollupKey
    from modelrouter.ledger.memory import Charge, Memory
    from modelrouter.ledger.session import Column, Row, Session

__all__ = ["Page", "add_up"]

COLUMNS: Final = tuple(name for name, _ in ENTRY_COLUMNS)
RESERVATION: Final = (*COLUMNS[: COLUMNS.index("price") + 1], "hash")
BEHIND_RESERVATION: Final = b",null" * (len(COLUMNS) - len(RESERVATION)) + b"]"
"""The rest of a reservation's canonical form: none of its later columns holds anything."""
END_FROM, END_TO = COLUMNS.index("input_tokens"), COLUMNS.index("content")
END: Final = (*COLUMNS[:6], "resolves", *COLUMNS[END_FROM:END_TO], "hash")
NOTHING: Final[tuple[Column, ...]] = (None,) * 12
"""What an end leaves empty, from `reservation_id` to `price`."""
CHUNKS: Final = (64, 16, 4, 3, 2, 1)
CALLS: Final = ("call_id", "request_id", "at_us", "writer", "route", "session", "tags", "policies", "decision")
PENDING: Final = ("seq", "reservation_id", "writer", "at_us", "amount_nano_usd", "accounts", "rollup")


class Page:
    """One transaction's additions.

    Attributes:
        at_us: the moment of all its lines.
        seq: of its last line; `written` and `head` are those of our chain.
        calls: by call id.
        gone: lines of reservations that are no longer pending.
        is_renewed: there is something to commit beside lines.
    """

    def __init__(self, memory: Memory, writer_id: str, at_us: int) -> None:
        self.at_us = at_us
        self.seq = memory.seq
        self.written = memory.written
        self.head = memory.head
        self.calls: dict[str, Row] = {}
        self.documents: dict[str, Row] = {}
        self.pending: dict[int, Row] = {}
        self.gone: list[int] = []
        self.is_renewed = False
        self._writer = memory.writer
        self._writer_id = writer_id
        self._reservations: list[Row] = []
        self._ends: list[Row] = []
        self._others: list[Row] = []
        self._new_accounts: list[tuple[int, int, str, int]] = []
        self._new_rollups: list[tuple[int, RollupKey]] = []
        self._charges: list[Charge] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self._reservations or self._ends or self._others or self.documents or self.is_renewed)

    @property
    def has_only_lines(self) -> bool:
        """Whether lines are all there is."""
        return not (self.documents or self.is_renewed)

    @property
    def has_lines(self) -> bool:
        """Whether there are lines."""
        return bool(self._reservations or self._ends or self._others)

    @property
    def rows(self) -> tuple[tuple[tuple[str, ...], Sequence[Row]], ...]:
        """Its lines so far: reservations, ends and others, each after the names of their columns."""
        return (RESERVATION, self._reservations), (END, self._ends), (COLUMNS, self._others)

    # --- lines ----------------------------------------------------------------------------------------------------

    def reservation(self, amount: int, columns: tuple[Column, ...]) -> int:
        """A reservation: reservation_id to price; its number.

        Raises:
            TypeError: a value that no column holds; nothing was added.
        """
        seq, written = self.seq + 1, self.written + 1
        text = canonical((seq, self._writer_id, written, "reserve", self.at_us, amount, *columns))
        self.head = line_hash(self.head, text[:-1] + BEHIND_RESERVATION)
        self._reservations.append(
            (seq, self._writer, written, "reserve", self.at_us, amount, *columns, self.head)
        )  # fmt: skip
        self.seq, self.written = seq, written
        return seq

    def end(self, kind: str, amount: int, resolves: int, columns: tuple[Column, ...]) -> int:
        """An end, with `rows.END_COLUMNS`; its number.

        Raises:
            TypeError: a value that no column holds; nothing was added.
        """
        seq, written = self.seq + 1, self.written + 1
        text = canonical(
            (seq, self._writer_id, written, kind, self.at_us, amount, *NOTHING, resolves, None, *columns, None)
        )
        self.head = line_hash(self.head, text)
        self._ends.append((seq, self._writer, written, kind, self.at_us, amount, resolves, *columns, self.head))
        self.seq, self.written = seq, written
        return seq

    def line(self, kind: str, amount: int = 0, **more: Column) -> int:
        """Any other line; its number.

        Raises:
            TypeError: a value that no column holds; nothing was added.
        """
        seq, written = self.seq + 1, self.written + 1
        values = [seq, self._writer_id, written, kind, self.at_us, amount, *(more.get(name) for name in COLUMNS[6:-1])]
        self.head = line_hash(self.head, canonical(values))
        values[1] = self._writer
        self._others.append((*values, self.head))
        self.seq, self.written = seq, written
        return seq

    def want_document(self, digest: str, kind: str, name: str, body: str) -> None:
        """A text to keep, unless it is there."""
        self.documents.setdefault(digest, (digest, kind, name, body, self.at_us))

    # --- sums -----------------------------------------------------------------------------------------------------

    def open_account(self, account: int, row: int, scope: str, start_us: int) -> None:
        """A new account, with nothing in it."""
        self._new_accounts.append((account, row, scope, start_us))

    def open_rollup(self, rollup: int, key: RollupKey) -> None:
        """A new rollup, with nothing in it."""
        self._new_rollups.append((rollup, key))

    def open_charge(self, charge: Charge) -> Charge:
        """One that adds up here, and is written with the rest."""
        if not charge.is_open:
            charge.is_open = True
            self._charges.append(charge)
        return charge

    # --- writing --------------------------------------------------------------------------------------------------

    def write(self, session: Session) -> None:
        """Write all of it, what is referred to first. `documents` is left with those that were not there."""
        for (digest,) in _found(session, list(self.documents)):
            del self.documents[str(digest)]
        if self.documents:
            listed = [[digest, row[1], row[2]] for digest, row in sorted(self.documents.items())]
            self.line("documents", content=canonical_text(listed))
            session.insert("documents", ("digest", "kind", "name", "body", "at_us"), list(self.documents.values()))
        if self.calls:
            session.insert("calls", CALLS, list(self.calls.values()))
        if self._reservations:
            session.insert("entries", RESERVATION, self._reservations)
        if self._ends:
            session.insert("entries", END, self._ends)
        if self._others:
            session.insert("entries", COLUMNS, self._others)
        if self.pending:
            session.insert("pending", PENDING, list(self.pending.values()))
        for chunk in _chunks(self.gone):
            session.send(f"DELETE FROM pending WHERE seq IN ({', '.join('?' * len(chunk))})", chunk)  # noqa: S608 - ours
        self._write_sums(session)

    def _write_sums(self, session: Session) -> None:
        accounts: dict[int, list[int]] = {}
        rollups: dict[int, list[int]] = {}
        for charge in self._charges:
            for account in charge.accounts:
                _add(accounts, account, charge.money)
            _add(rollups, charge.rollup, charge.sums)
            charge.clear()
        if self._new_rollups:
            rows = [(number, *key, *rollups.pop(number, NO_ROLLUP)) for number, key in self._new_rollups]
            session.insert("rollups", ("rollup", *ROLLUP_KEY, *ROLLUP_SUMS), rows)
        if self._new_accounts:
            found = [(*account, *accounts.pop(account[0], NO_ACCOUNT)) for account in self._new_accounts]
            session.insert("accounts", ("account", "budget", "scope", "start_us", *ACCOUNT_SUMS), found)
        add_up(session, "rollups", "rollup", ROLLUP_SUMS, rollups)
        add_up(session, "accounts", "account", ACCOUNT_SUMS, accounts)


def _add(sums: dict[int, list[int]], number: int, more: list[int]) -> None:
    before = sums.get(number)
    sums[number] = more if before is None else list(map(int.__add__, before, more))


NO_ROLLUP: Final = (0,) * len(ROLLUP_SUMS)
NO_ACCOUNT: Final = (0,) * len(ACCOUNT_SUMS)


def add_up(session: Session, table: str, key: str, columns: tuple[str, ...], sums: Mapping[int, Iterable[int]]) -> None:
    """Add to rows that are there, many in one statement."""
    for chunk in _chunks(list(sums)):
        if len(chunk) == 1:  # without the join that several need
            session.send(_addition_to_one(table, key, columns), (*sums[chunk[0]], chunk[0]))
        else:
            values = [value for number in chunk for value in (number, *sums[number])]
            session.send(_addition(table, key, columns, len(chunk)), values)


def _found(session: Session, digests: Sequence[str]) -> list[Row]:
    if not digests:
        return []
    marks = ", ".join("?" * len(digests))
    return session.rows(f"SELECT digest FROM documents WHERE digest IN ({marks})", digests)  # noqa: S608 - question marks


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    begin = 0
    for size in CHUNKS:
        while len(numbers) - begin >= size:
            yield numbers[begin : begin + size]
            begin += size


@functools.lru_cache(maxsize=16)
def _addition_to_one(table: str, key: str, columns: tuple[str, ...]) -> str:
    sets = ", ".join(f"{name} = {name} + ?" for name in columns)
    return f"UPDATE {table} SET {sets} WHERE {key} = ?"  # noqa: S608 - ours


@functools.lru_cache(maxsize=64)
def _addition(table: str, key: str, columns: tuple[str, ...], count: int) -> str:
    sets = ", ".join(f"{name} = {table}.{name} + v.column{place}" for place, name in enumerate(columns, 2))
    row = f"({', '.join('?' * (len(columns) + 1))})"
    values = ", ".join([row] * count)
    return f"UPDATE {table} SET {sets} FROM (VALUES {values}) AS v WHERE {table}.{key} = v.column1"  # noqa: S608 - ours
