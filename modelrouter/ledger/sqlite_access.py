"""How a book in a SQLite file is got at, see `access`."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from modelrouter.errors import LedgerUnavailableError
from modelrouter.ledger.access import BusyError
from modelrouter.ledger.forking import GATE
from modelrouter.ledger.sqlite_file import connect, connect_to_read, is_busy, pause, unavailable
from modelrouter.ledger.sqlite_session import SqliteSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelrouter.ledger.session import Session

__all__ = ["SqliteAccess"]

T = TypeVar("T")


class SqliteAccess:
    """An `Access`.

    Args:
        path: absolute; the file is there.
        now_us: the clock, microseconds since 1970.
        spool: the folder for what cannot be written; None takes the file's own.
    """

    def __init__(self, path: Path, now_us: Callable[[], int], *, spool: Path | None = None) -> None:
        self.path = path
        self._named = str(path)
        self._now_us = now_us
        self._spool = spool
        self._identity = _identity(path)

    @property
    def shown(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def spool(self) -> Sequence[Path]:
        """Beside the file, or in the folder that was named; else where the machine keeps what lasts until it restarts.

        A disk that is full takes no such file either.
        """
        name = f"modelrouter-{hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]}.late-"
        beside = self.path.with_name(f"{self.path.name}.late-") if self._spool is None else self._spool / name
        return beside, Path(tempfile.gettempdir()) / name

    def connect(self) -> Session:
        """A connection to write with.

        Raises:
            LedgerUnavailableError: the file cannot be used.
        """
        try:
            return SqliteSession(connect(self.path), self.path, self._now_us)
        except sqlite3.Error as error:
            kind = BusyError if is_busy(error) else LedgerUnavailableError
            raise kind(unavailable(error, self.path).message) from error

    def check(self) -> None:
        """Whether the file is still the one that was opened."""
        if _identity(self._named) != self._identity:
            raise LedgerUnavailableError(
                f"the ledger `{self.path}` was moved, replaced or deleted: put it back, or restart to begin a new one"
            )

    def attempt(self, work: Callable[[], T], give_up_at: Callable[[], float]) -> T:
        """Do all of `work` inside the gate; again, after short jittered pauses, while others hold the write lock."""
        tries = 0
        while True:
            try:
                with GATE.inside():
                    return work()
            except BusyError:
                if time.monotonic() >= give_up_at():
                    raise
            pause(tries)
            tries += 1

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One picture of what is durable."""
        with GATE.inside():
            try:
                session = SqliteSession(connect_to_read(self.path), self.path, self._now_us)
            except sqlite3.Error as error:
                raise unavailable(error, self.path) from error
            try:
                session.snapshot()
                yield session
            finally:
                session.close()

    def drop(self, session: Session) -> None:
        """In the child of a fork: forget a connection that was made behind Python's back.

        Closing it would tamper with the parent's files, and so would the garbage collector: with one reference more
        than there are holders, it never comes.
        """
        if isinstance(session, SqliteSession):
            session.disown()


def _identity(path: Path | str) -> tuple[int, int] | None:
    """Which file is at a path; None: there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked before each commit, and a third of the time
    except OSError:
        return None
    return found.st_dev, found.st_ino
