"""The ledger in a SQLite file: for one machine, any number of processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from modelrouter.ledger.forking import GATE
from modelrouter.ledger.rows import microseconds
from modelrouter.ledger.sqlite_access import SqliteAccess
from modelrouter.ledger.sqlite_file import empty_log, prepare
from modelrouter.ledger.store import LEASE_S, LOCK_WAIT_S, StoredLedger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelrouter.core.budget import Budget
    from modelrouter.ports import Clock

__all__ = ["SqliteLedger"]


class SqliteLedger(StoredLedger):
    """A `Ledger` in one file. Opening checks the file, and brings one of an older version forward.

    Args:
        path: absolute.
        clock: times of entries, and what counts the seconds of leases. Waiting for locks goes by the machine's own.
        create: whether to make a file that is not there; readers say no, and leave to others what is still to be
            written.
        lock_wait_s: how long a batch waits for other processes.
        lease_s: after how long without a sign of life our reservations expire.
        budgets: what this process goes by, until `configure` says otherwise.
        spool: the folder for what cannot be written; None is the file's own.

    Raises:
        LedgerUnavailableError: the file cannot be used; says what to do.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        create: bool = True,
        lock_wait_s: float = LOCK_WAIT_S,
        lease_s: float = LEASE_S,
        budgets: Sequence[Budget] = (),
        spool: Path | None = None,
    ) -> None:
        give_up_at = time.monotonic() + lock_wait_s
        with GATE.inside():
            prepare(path, create=create, give_up_at=lambda: give_up_at)
        self._path = path
        access = SqliteAccess(path, lambda: microseconds(clock.now_s()), spool=spool)
        super().__init__(access, clock, lock_wait_s=lock_wait_s, lease_s=lease_s, budgets=budgets, adopt=create)

    @property
    def path(self) -> Path:
        """Where the book is."""
        return self._path

    def forget(self, tag: str) -> bool:
        """Delete the key of a personal tag, see `StoredLedger.forget`; the file and its log hold nothing of it then.

        Unless somebody reads just now: then the log is emptied later, by the next to write a lot.
        """
        found = super().forget(tag)
        with GATE.inside():
            empty_log(self._path)
        return found
