"""A PostgreSQL connection as the book sees it.

**One writer at a time.** `begin` locks the one row of `state`, by READ COMMITTED, so that every statement after it sees
what the writer before has committed. Beginning, locking and reading the clock travel with the first statement that is
asked for, and rows to be added travel with the next, so a batch takes a few round trips, whatever its size.

**A writer that stands still** inside a transaction (stopped, swapped out, cut off) holds that lock. The server ends
such a session after `STANDSTILL_S`, long before a lease is over; nothing of the batch is written, and the writer learns
of it when it wakes. The server's clock for this does not run while it waits for the rest of a pipeline, so whoever
waits for the lock sees to that case: `remove_standstill`.

**A lost commit.** Where the connection breaks between a commit and its answer, nobody has said whether it was done. The
session connects anew, takes the lock (which waits for the end of the old session), and looks for the last line it had
added, by number and hash: that line is there, or nothing of the batch ever will be. The transaction's own number would
not do: a server that took over, or recovered, may give it out again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from modelrouter.errors import LedgerError, LedgerUnavailableError
from modelrouter.ledger.postgres_errors import TransientError
from modelrouter.ledger.postgres_values import arrays, insertion
from modelrouter.ledger.postgres_wire import ConnectionLostError, NoAnswerError, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelrouter.ledger.postgres_address import PostgresAddress
    from modelrouter.ledger.postgres_values import Outcome
    from modelrouter.ledger.session import Column, Row

__all__ = ["CommitUnknownError", "PostgresSession"]

STANDSTILL_S: Final = 2.0
"""How long a session that writes may idle inside a transaction. A batch idles for microseconds at a time."""
READER_STANDSTILL_S: Final = 600.0
"""The same for one that reads: it keeps nobody waiting, and its program may think."""
MAINTENANCE_S: Final = 600.0
"""How long a statement of the archive may take."""
RECONNECT_PAUSE_S: Final = 0.05
APPLICATION: Final = "modelrouter"
"""What the server's administrators see us as, unless the address says otherwise."""
ROWS_MAX: Final = 4096
"""Rows of one statement, so that a deadline covers a bounded piece of work."""

BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
LOCK: Final = "SELECT one FROM state WHERE one = 1 FOR UPDATE"
CLOCK: Final = "SELECT pg_backend_pid(), CAST(floor(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000) AS BIGINT)"
"""After the lock was granted: the moment of a batch is not before that of the batch it waited for."""
TO_WRITE: Final = (BEGIN, LOCK, CLOCK)
TO_READ: Final = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",)
SETTINGS: Final = (
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("jit", "off"),
)
DURABLE: Final = """SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') <> 'remote_apply'"""
"""Whatever the server's default: a reservation is durable before its call is sent. `remote_apply` is stronger still."""
STANDING_STILL: Final = """SELECT CAST(pg_terminate_backend(a.pid) AS TEXT)
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND l.relation = CAST('state' AS regclass) AND a.datname = current_database()
    AND a.pid <> pg_backend_pid() AND a.wait_event = 'ClientRead'
    AND GREATEST(a.query_start, a.state_change) < clock_timestamp() - CAST(? AS interval)"""
"""Sessions that hold the lock, or have asked for it, and have let the server wait for their next word."""
LAST_LINE: Final = "SELECT hash FROM entries WHERE seq = ?"


class CommitUnknownError(LedgerUnavailableError):
    """The answer to a commit was lost, and the server could not be asked again: the batch may be in the book or not."""


class PostgresSession:
    """A `Session`. It connects when it is first used.

    Args:
        address: the server, and the schema.
        wait_s: how long one statement may take. A lost commit may be looked into for as long again.
        give_up_at: until when to wait for other writers, by `time.monotonic`, if that is sooner.
        reads_only: it never writes, and may take its time between two statements.
        clock: microseconds since 1970 in place of the server's clock, for tests.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        wait_s: float,
        give_up_at: Callable[[], float] | None = None,
        reads_only: bool = False,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._address = address
        self._wait_s = wait_s
        self._give_up_at = give_up_at
        self._reads_only = reads_only
        self._clock = clock
        self._wire: Wire | None = None
        self._backend: Column = 0  # the server's process that knows our settings
        self._opening: tuple[str, ...] = ()  # what the transaction begins with, until that was sent
        self._is_writing = False
        self._deadline = 0.0
        self._statement_s = wait_s
        self._server_us: int | None = None
        self._last_line: tuple[int, str] | None = None  # of this transaction: its number and hash

    # --- transactions -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to write. What it takes is sent with the first statement, and so is its failing."""
        self._start(TO_WRITE)
        self._is_writing = True

    def snapshot(self) -> None:
        """Begin to read one picture of the book, that of the first statement."""
        self._start(TO_READ)

    def begin_building(self) -> None:
        """Begin to write where there may be no `state` to lock yet."""
        self._start((BEGIN,))
        self._is_writing = True

    def commit(self) -> None:
        """Make it durable before returning.

        Raises:
            LedgerError: a row that was added breaks a constraint; nothing was written.
            CommitUnknownError: see there.
            LedgerUnavailableError: nothing was written.
        """
        if self._opening:  # nothing was asked for
            self._end()
            return
        last = self._last_line
        try:
            outcome = self._exchange("COMMIT")
        except ConnectionLostError as error:
            self.close()
            if last is None:  # no line was added: doing it again changes nothing
                raise
            if not self._was_written(*last):
                raise TransientError(f"{error.message}; nothing of the batch was written") from error
            return
        self._end()
        if outcome.tag != "COMMIT":
            raise LedgerUnavailableError(f"the ledger `{self._address.shown}` did not take the batch: try again")

    def rollback(self) -> None:
        """Leave nothing of it; harmless outside a transaction, and where the connection is gone."""
        self._end()
        if self._wire is None:
            return
        if not self._wire.is_open:
            self._wire = None
            return
        self._wire.drop_queued()
        if self._wire.is_in_transaction:
            try:
                self._wire.exchange("ROLLBACK", give_up_at=time.monotonic() + self._wait_s)
            except LedgerError:
                self.close()

    def now_us(self) -> int:
        """The server's clock; inside `begin`, when its lock was granted."""
        if self._clock is not None:
            return self._clock()
        if CLOCK in self._opening:
            self._exchange("SELECT 1")
        if self._server_us is not None:
            return self._server_us
        return self._read_clock(self._exchange(CLOCK))

    # --- statements ---------------------------------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[Column] = ()) -> list[Row]:
        """Run a statement and return all its rows."""
        return self._exchange(sql, values).rows

    def run(self, sql: str, values: Sequence[Column] = ()) -> int:
        """Run a statement; how many rows it changed."""
        return self._exchange(sql, values).touched

    def send(self, sql: str, values: Sequence[Column] = ()) -> None:
        """Have a statement sent with the next one that is asked for, and what is wrong with it told then."""
        self._sending().queue(sql, values)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows, many in one statement, sent with the next one that is asked for."""
        wire, names = self._sending(), tuple(columns)
        for first in range(0, len(rows), ROWS_MAX):
            wire.queue(insertion(table, names), arrays(rows[first : first + ROWS_MAX]))
        if table == "entries" and rows:
            last = dict(zip(names, rows[-1], strict=True))
            self._last_line = int(last["seq"] or 0), str(last["hash"])

    def member(self, column: str, name: str) -> str:
        """The text under a plain name in a column of JSON (postgresql.org/docs/current/functions-json.html)."""
        return f"(CAST({column} AS json) ->> '{name}')"

    def lift(self, tables: Sequence[str]) -> None:
        """Let rows of these tables be removed, until `protect` or a rollback. Only the owner of the tables may.

        Statements of this transaction may take long from here on: they remove many rows.
        """
        self._statement_s = max(MAINTENANCE_S, self._wait_s)
        self._exchange("SELECT set_config('statement_timeout', ?, true)", (str(int(self._statement_s * 1000)),))
        for table in tables:
            self._exchange(f"ALTER TABLE {table} DISABLE TRIGGER {table}_keep_delete")

    def protect(self, tables: Sequence[str]) -> None:
        """Refuse again what `lift` allowed."""
        for table in tables:
            self._exchange(f"ALTER TABLE {table} ENABLE TRIGGER {table}_keep_delete")

    def remove_standstill(self) -> int:
        """End the sessions of writers that stand still amid a batch; how many there were.

        A role sees and ends its own sessions; those of another role need `pg_signal_backend` and `pg_read_all_stats`.
        """
        return len(self.rows(STANDING_STILL, (f"{STANDSTILL_S} seconds",)))

    # --- the connection -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the connection; what was not committed is gone."""
        wire, self._wire = self._wire, None
        self._end()
        if wire is not None:
            wire.close()

    def abandon(self) -> None:
        """In the child of a fork: forget the connection, which is the parent's."""
        wire, self._wire = self._wire, None
        self._end()
        if wire is not None:
            wire.abandon()

    def _start(self, opening: tuple[str, ...]) -> None:
        self.rollback()
        self._opening = opening

    def _end(self) -> None:
        self._opening = ()
        self._is_writing = False
        self._statement_s = self._wait_s
        self._server_us = None
        self._last_line = None

    def _exchange(self, sql: str, values: Sequence[Column] = ()) -> Outcome:
        """Run a statement after what is queued; a transaction that was not sent yet begins with it."""
        self._deadline = time.monotonic() + self._statement_s
        if self._opening and self._give_up_at is not None:
            self._deadline = min(self._deadline, self._give_up_at())
        if not self._opening:
            return self._connected().exchange(sql, values, give_up_at=self._deadline)[-1]
        was_idle = self._wire is not None
        try:
            outcomes = self._exchange_opening(sql, values)
        except ConnectionLostError as error:
            if not was_idle or isinstance(error, NoAnswerError):
                raise
            self._drop()  # it had ended while nobody used it, and nothing was written over it since
            outcomes = self._exchange_opening(sql, values)
        if CLOCK in self._opening:
            self._server_us = self._read_clock(outcomes[-2])
        self._opening = ()
        return outcomes[-1]

    def _exchange_opening(self, sql: str, values: Sequence[Column]) -> list[Outcome]:
        wire = self._connected()
        wire.drop_queued()
        for statement in self._opening:
            wire.queue(statement)
        return wire.exchange(sql, values, give_up_at=self._deadline)

    def _sending(self) -> Wire:
        """The connection, with the transaction begun."""
        if self._opening:
            self._exchange("SELECT 1")
        return self._connected()

    def _connected(self) -> Wire:
        if self._wire is None:
            self._wire = self._connect(self._deadline)
        return self._wire

    def _connect(self, give_up_at: float) -> Wire:
        """A connection that knows our schema, and keeps nobody waiting for ever."""
        wire = Wire.connect(self._address, give_up_at)
        try:
            self._check_encoding(wire)
            settings = [*SETTINGS, *self._limits(), ("search_path", self._address.schema)]
            if self._reads_only:
                settings.append(("default_transaction_read_only", "on"))
            if not wire.reported("application_name"):
                settings.append(("application_name", APPLICATION))
            for setting in settings:
                wire.queue("SELECT set_config(?, ?, false)", setting)
            wire.queue(DURABLE)
            ((self._backend,),) = wire.exchange("SELECT pg_backend_pid()", give_up_at=give_up_at)[-1].rows
        except BaseException:
            wire.close()
            raise
        return wire

    def _check_encoding(self, wire: Wire) -> None:
        encoding = wire.reported("server_encoding")
        if encoding != "UTF8":
            raise LedgerUnavailableError(
                f"the ledger `{self._address.shown}` cannot be used: its database has the encoding `{encoding}`: name "
                "one with UTF8"
            )

    def _limits(self) -> list[tuple[str, str]]:
        """What the server holds us to, in milliseconds.

        A lock is given up a little before its statement, and soon after its holder must have moved (`access` sees to
        one that has not).
        """
        wait_ms = max(int(self._wait_s * 1000), 10)
        standstill_ms = int((READER_STANDSTILL_S if self._reads_only else STANDSTILL_S) * 1000)
        limits = {
            "lock_timeout": min(wait_ms * 9 // 10, standstill_ms * 5 // 4),
            "statement_timeout": wait_ms,
            "idle_in_transaction_session_timeout": standstill_ms,
        }
        return [(name, str(limit)) for name, limit in limits.items()]

    def _drop(self) -> None:
        """Close the connection alone; the transaction is still to be begun."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _read_clock(self, outcome: Outcome) -> int:
        backend, now_us = outcome.rows[0]
        if backend != self._backend:
            raise LedgerUnavailableError(
                f"the ledger `{self._address.shown}` cannot be used: a connection pooler hands each transaction to "
                "another session: connect to the server itself, or set the pooler to keep sessions"
            )
        return int(now_us or 0)

    def _was_written(self, seq: int, line_hash: str) -> bool:
        """Whether a line is in the book, once nobody can add it any more.

        Raises:
            CommitUnknownError: the server did not say in time.
        """
        give_up_at = time.monotonic() + self._wait_s
        while True:
            try:
                wire = self._wire = self._connect(give_up_at)
                wire.queue(BEGIN)
                wire.queue(LOCK)
                found = wire.exchange(LAST_LINE, (seq,), give_up_at=give_up_at)[-1].rows
                wire.exchange("ROLLBACK", give_up_at=give_up_at)
            except LedgerUnavailableError as error:
                self.close()
                if time.monotonic() + RECONNECT_PAUSE_S > give_up_at:
                    raise CommitUnknownError(
                        f"{error.message}; whether the last batch was written is not known"
                    ) from error
            else:
                return found == [(line_hash,)]
            time.sleep(RECONNECT_PAUSE_S)
