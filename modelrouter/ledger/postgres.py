"""The ledger on a PostgreSQL server: for any number of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.ledger.postgres_access import PostgresAccess
from modelrouter.ledger.postgres_address import postgres_address
from modelrouter.ledger.store import LEASE_S, LOCK_WAIT_S, StoredLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from modelrouter.core.budget import Budget
    from modelrouter.ports import Clock

__all__ = ["PostgresLedger"]


class PostgresLedger(StoredLedger):
    """A `Ledger` in a schema of its own. Opening makes it, or brings one of an older version forward.

    Args:
        url: see `postgres_address`.
        clock: what counts the seconds of leases. The times of entries are the server's.
        create: whether to make a book that is not there; readers say no, and leave to others what is still to be
            written.
        lock_wait_s: how long a batch waits for other writers, and one statement for the server.
        lease_s: after how long without a sign of life our reservations expire.
        budgets: what this process goes by, until `configure` says otherwise.
        spool: the folder for what cannot be written; None takes the state folder of the user.
        now_us: microseconds since 1970 in place of the server's clock, for tests.

    Raises:
        ConfigError: the address cannot be understood.
        LedgerUnavailableError: the book cannot be used; says what to do, and never the address as it was written.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        create: bool = True,
        lock_wait_s: float = LOCK_WAIT_S,
        lease_s: float = LEASE_S,
        budgets: Sequence[Budget] = (),
        spool: Path | None = None,
        now_us: Callable[[], int] | None = None,
    ) -> None:
        access = PostgresAccess(postgres_address(url), lock_wait_s=lock_wait_s, spool=spool, clock=now_us)
        access.prepare(create=create)
        super().__init__(access, clock, lock_wait_s=lock_wait_s, lease_s=lease_s, budgets=budgets, adopt=create)

    def let_go(self) -> None:
        """Nothing: the connection of a writer at work may cross a fork, because the child never uses it."""
