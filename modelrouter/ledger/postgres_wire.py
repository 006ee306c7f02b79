"""One connection to a PostgreSQL server, spoken to through libpq's pipeline, and never waited for beyond a deadline.

psycopg's own connection waits for a server as long as TCP does. Calls wait for this room, so a server that hangs must
fail them in seconds: every exchange here polls its socket up to a deadline. A pipeline carries several statements in
one round trip. That matters beyond the network: each trip lets go of Python's interpreter lock, and a busy event loop
is slow to give it back.

A connection made before a `fork` belongs to the parent. psycopg never ends it from another process, and `abandon` drops
the child's half of the socket without a word to the server.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.errors import LedgerError, MissingDependencyError
from modelrouter.ledger.postgres_errors import IS_OF_A_ROW, TransientError, connecting_failed, unavailable
from modelrouter.ledger.postgres_values import encoded, numbered, outcome_of

try:
    from psycopg import Error as PsycopgError
    from psycopg import pq
except ImportError as missing:
    raise MissingDependencyError(
        'a ledger on PostgreSQL needs the package `psycopg`: install it with `pip install "modelrouter[postgres]"`'
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.pq.abc import PGconn, PGresult

    from modelrouter.ledger.postgres_address import PostgresAddress
    from modelrouter.ledger.postgres_values import Outcome
    from modelrouter.ledger.session import Column

__all__ = ["ConnectionLostError", "NoAnswerError", "Wire"]

PREPARED_MAX: Final = 200
"""Statements that one connection has the server prepare; any further ones are sent whole each time."""
LATE: Final = "the server did not answer in time: see whether it hangs"

_Command: TypeAlias = "tuple[bytes, list[bytes | None], tuple[int, ...]]"
_Shape: TypeAlias = "tuple[bytes, tuple[int, ...]]"


class ConnectionLostError(TransientError):
    """The connection ended under way: nothing was written, unless a commit had been sent already."""


class NoAnswerError(ConnectionLostError):
    """The server said nothing in time, and the connection was given up."""


class Wire:
    """An open connection. Used by one thread at a time; after an error of the server's it is good for closing only."""

    def __init__(self, connection: PGconn, shown: str) -> None:
        self._connection = connection
        self._shown = shown
        self._queued: list[_Command] = []
        self._prepared: dict[_Shape, bytes] = {}
        self._names = 0
        self._is_open = True

    @classmethod
    def connect(cls, address: PostgresAddress, give_up_at: float) -> Wire:
        """Connect.

        Args:
            address: where to.
            give_up_at: by `time.monotonic`.

        Raises:
            LedgerUnavailableError: it cannot be reached, or lets us not in.
        """
        connection = pq.PGconn.connect_start(address.conninfo.encode())
        wire = cls(connection, address.shown)
        try:
            wire._await_greeting(give_up_at)
            connection.nonblocking = 1
            connection.enter_pipeline_mode()
        except PsycopgError as error:
            wire.close()
            raise wire._lost() from error
        except BaseException:
            wire.close()
            raise
        return wire

    @property
    def server_version(self) -> int:
        """As 180006 for 18.6."""
        return self._connection.server_version

    @property
    def is_open(self) -> bool:
        """Whether it may still be used."""
        return self._is_open

    @property
    def is_in_transaction(self) -> bool:
        """Whether one is open, or failed and not yet ended."""
        return self._connection.transaction_status != pq.TransactionStatus.IDLE

    def reported(self, name: str) -> str:
        """A setting that the server reports by itself, as `server_encoding`."""
        return (self._connection.parameter_status(name.encode()) or b"").decode()

    def queue(self, sql: str, values: Sequence[Column] = ()) -> None:
        """Have a statement sent with the next `exchange`, before it, in the same trip.

        Raises:
            LedgerError: a value that PostgreSQL cannot store.
        """
        self._queued.append((numbered(sql), *encoded(values)))

    def drop_queued(self) -> None:
        """Send nothing of what is queued."""
        self._queued.clear()

    def exchange(self, sql: str, values: Sequence[Column] = (), *, give_up_at: float) -> list[Outcome]:
        """Send what is queued and this statement, in one trip; what came of each of them.

        Raises:
            LedgerError: a value that PostgreSQL cannot store, or a row that breaks a constraint.
            ConnectionLostError: no answer came, or not in time.
            LedgerUnavailableError: the server refuses.
        """
        self.queue(sql, values)
        commands, self._queued = self._queued, []
        try:
            fresh = self._send(commands)
            self._flush(give_up_at)
            results = self._receive(give_up_at)
        except PsycopgError as error:
            self.close()
            raise self._lost() from error
        except ConnectionLostError:
            self.close()
            raise
        if fresh:
            self._prepared.update(fresh)
            results = self._without_preparing(commands, set(fresh), results)
        return [outcome_of(result) for result in results]

    def close(self) -> None:
        """End the session. Harmless when it has ended already."""
        if self._is_open:
            self._is_open = False
            self._connection.finish()

    def abandon(self) -> None:
        """In the child of a fork: drop our half of the socket. The server and the parent do not notice."""
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(OSError, PsycopgError):
                os.close(self._connection.socket)

    def _await_greeting(self, give_up_at: float) -> None:
        connection = self._connection
        state = pq.PollingStatus.WRITING  # what libpq says to begin with
        while connection.status != pq.ConnStatus.BAD and state != pq.PollingStatus.FAILED:
            mask = select.POLLIN if state == pq.PollingStatus.READING else select.POLLOUT
            if not self._ready(mask, give_up_at):
                raise connecting_failed(self._shown, "timeout expired")
            state = pq.PollingStatus(connection.connect_poll())
            if state == pq.PollingStatus.OK:
                return
        raise connecting_failed(self._shown, connection.get_error_message())

    def _send(self, commands: Sequence[_Command]) -> dict[_Shape, bytes]:
        """Hand commands to libpq, which sends what its buffer does not hold; gives what is being prepared."""
        connection = self._connection
        fresh: dict[_Shape, bytes] = {}
        for sql, values, types in commands:
            shape = sql, types
            name = self._prepared.get(shape) or fresh.get(shape)
            if name is None and len(self._prepared) + len(fresh) < PREPARED_MAX:
                self._names += 1
                name = fresh[shape] = b"s%d" % self._names
                connection.send_prepare(name, sql, types)
            if name is None:
                connection.send_query_params(sql, values, types)
            else:
                connection.send_query_prepared(name, values)
        connection.pipeline_sync()
        return fresh

    def _flush(self, give_up_at: float) -> None:
        while self._connection.flush():
            mask = self._ready(select.POLLIN | select.POLLOUT, give_up_at)
            if not mask:
                raise self._late()
            if mask & select.POLLIN:  # else both sides might wait for the other to read
                self._connection.consume_input()

    def _receive(self, give_up_at: float) -> list[PGresult]:
        """The result of each command, those of preparing among them; what went wrong first is raised at the end."""
        connection = self._connection
        results: list[PGresult] = []
        failed: Exception | None = None
        try:
            while True:
                while connection.is_busy():
                    if not self._ready(select.POLLIN, give_up_at):
                        raise failed or self._late()
                    connection.consume_input()
                result = connection.get_result()
                if result is None:
                    if connection.status == pq.ConnStatus.BAD:
                        raise failed or self._lost()
                    continue
                if result.status == pq.ExecStatus.PIPELINE_SYNC:
                    break
                if result.status == pq.ExecStatus.FATAL_ERROR and failed is None:
                    failed = self._refusal(result)
                results.append(result)
        except PsycopgError:
            raise failed or self._lost() from None
        if failed is not None:
            raise failed
        return results

    def _without_preparing(
        self, commands: Sequence[_Command], fresh: set[_Shape], results: Sequence[PGresult]
    ) -> list[PGresult]:
        """The results of the commands alone: each fresh one was prepared right before its first use."""
        own: list[PGresult] = []
        rest = iter(results)
        for sql, _, types in commands:
            if (sql, types) in fresh:
                fresh.discard((sql, types))
                next(rest)
            own.append(next(rest))
        return own

    def _refusal(self, result: PGresult) -> Exception:
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        words = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
        if state[:2] in IS_OF_A_ROW:
            return LedgerError(f"the ledger cannot hold this entry ({state}: {words})")
        error = unavailable(self._shown, state, words)
        if state[:2] in {"", "08", "57"} and state != "57014":
            return ConnectionLostError(error.message)
        return error

    def _late(self) -> NoAnswerError:
        return NoAnswerError(f"the ledger `{self._shown}` cannot be used: {LATE}")

    def _lost(self) -> ConnectionLostError:
        return ConnectionLostError(unavailable(self._shown, "").message)

    def _ready(self, mask: int, give_up_at: float) -> int:
        """Wait until the socket can be read or written; 0: the time is over."""
        poll = select.poll()
        poll.register(self._connection.socket, mask)
        found = poll.poll(max((give_up_at - time.monotonic()) * 1000, 0.0))
        return found[0][1] if found else 0
