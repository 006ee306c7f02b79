"""How a book on a PostgreSQL server is got at, see `access`."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.postgres_errors import LockedError, TransientError
from modelrouter.ledger.postgres_schema import prepare
from modelrouter.ledger.postgres_session import CommitUnknownError, PostgresSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelrouter.ledger.postgres_address import PostgresAddress
    from modelrouter.ledger.session import Session

__all__ = ["PostgresAccess"]

T = TypeVar("T")

PAUSE_S: Final = 0.02
"""Between two tries to reach a server that was there a moment ago."""
READ_WAIT_S: Final = 60.0
"""How long one statement of a report may take."""


class PostgresAccess:
    """An `Access`.

    Args:
        address: the server, and the schema.
        lock_wait_s: how long a batch may take, waiting for other writers included.
        spool: the folder for what cannot be written; None takes the state folder of the user.
        clock: microseconds since 1970 in place of the server's clock, for tests.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        lock_wait_s: float,
        spool: Path | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._address = address
        self._lock_wait_s = lock_wait_s
        self._clock = clock
        self._spool = spool
        self._attempt = _Attempt()

    @property
    def shown(self) -> str:
        """The address, with neither user nor password nor options."""
        return self._address.shown

    @property
    def spool(self) -> Sequence[Path]:
        """Beginnings of file names that hold this book's address as a hash; the last place outlives no reboot."""
        book = hashlib.sha256(self._address.shown.encode()).hexdigest()[:16]
        folders = (self._spool or _state_folder(), Path(tempfile.gettempdir()))
        return [folder / f"modelrouter-{book}.late-" for folder in folders]

    def prepare(self, *, create: bool) -> None:
        """Make sure that a book of this version is there.

        Raises:
            LedgerUnavailableError: it cannot be; says what to do.
        """
        prepare(self._session(), self._address, create=create)

    def connect(self) -> Session:
        """A session to write with; it reaches the server with its first statement."""
        return self._session()

    def check(self) -> None:
        """Nothing: a book that was taken away or replaced shows with the first statement of a batch."""

    def attempt(self, work: Callable[[], T], give_up_at: Callable[[], float]) -> T:
        """Do all of `work`, again where the connection was lost or the server gave up on it before it was written.

        Raises:
            LedgerUnavailableError: it could not be done.
        """
        self._attempt.give_up_at = give_up_at
        first: LedgerUnavailableError | None = None
        try:
            while True:
                try:
                    return work()
                except LedgerUnavailableError as error:
                    if not isinstance(first or error, TransientError) or isinstance(error, CommitUnknownError):
                        raise  # nothing that passes; or, after a commit, something that must not be done twice
                    if time.monotonic() + PAUSE_S >= give_up_at():
                        raise first or error from error
                    first = first or error
                    if isinstance(error, LockedError):
                        self._remove_standstill()
                        continue
                time.sleep(PAUSE_S)
        finally:
            self._attempt.give_up_at = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One picture of what is durable, over a connection of its own.

        Raises:
            LedgerUnavailableError: it cannot be read.
        """
        session = PostgresSession(self._address, wait_s=READ_WAIT_S, reads_only=True, clock=self._clock)
        try:
            session.snapshot()
            yield session
        finally:
            session.close()

    def drop(self, session: Session) -> None:
        """In the child of a fork: forget a session that belongs to the parent."""
        if isinstance(session, PostgresSession):
            session.abandon()

    def _remove_standstill(self) -> None:
        """See to a writer that holds the lock and stands still, where the server does not."""
        session = self._session()
        try:
            session.remove_standstill()
        except LedgerUnavailableError:
            pass  # the next try tells
        finally:
            session.close()

    def _session(self) -> PostgresSession:
        return PostgresSession(self._address, wait_s=self._lock_wait_s, give_up_at=self._deadline, clock=self._clock)

    def _deadline(self) -> float:
        give_up_at = self._attempt.give_up_at
        return time.monotonic() + self._lock_wait_s if give_up_at is None else give_up_at()


class _Attempt(threading.local):
    """What this thread is trying."""

    give_up_at: Callable[[], float] | None = None


def _state_folder() -> Path:
    """Where programs of this user keep what must outlive them (the XDG base directories, and their like elsewhere)."""
    named = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA")
    if named and Path(named).is_absolute():
        return Path(named) / "modelrouter"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "modelrouter"
    return Path.home() / ".local" / "state" / "modelrouter"
