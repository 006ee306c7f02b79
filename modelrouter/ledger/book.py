"""Writing to a book: one transaction for one batch, in which each operation stands or falls alone.

What an operation may be refused for is found out in Python, before anything is written, so a batch needs no savepoints.
A batch goes in at first as if its reservations were new, which the database itself would refuse otherwise; only then
it is done again with a look at what is there. Whatever fails beyond that is written one operation at a time.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from modelrouter.errors import LedgerError, LedgerUnavailableError
from modelrouter.ledger.access import BusyError
from modelrouter.ledger.batch import Batch
from modelrouter.ledger.definitions import definitions_digest
from modelrouter.ledger.leases import Identity, recall
from modelrouter.ledger.memory import Memory
from modelrouter.ledger.moments import Moments
from modelrouter.ledger.operations import ApplyBudgets
from modelrouter.ledger.transaction import Transaction, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.core.budget import Budget
    from modelrouter.ledger.access import Access
    from modelrouter.ledger.operations import Operation
    from modelrouter.ledger.session import Session

__all__ = ["Book"]

log: Final = logging.getLogger(__name__)

MARGIN: Final = 0.1
"""The part of a lease that is kept back: for the time between the question and the first byte."""
LOOK_S: Final = 2.0
"""How long, while something of ours is pending, it may take to see who was cut off."""


class Book:
    """One book, one session, one writer. Used by one thread at a time, but for `configure` and `holds`.

    Args:
        elapsed: seconds that only count.
        lease_s: after how long without a sign of life our reservations expire.
    """

    def __init__(
        self,
        access: Access,
        elapsed: Callable[[], float],
        *,
        version: str,
        lease_s: float,
        budgets: Sequence[Budget] = (),
    ) -> None:
        self._access = access
        self._elapsed = elapsed
        self._identity = Identity.new(version)
        self._lease_s = lease_s
        self._moments = Moments(elapsed)
        self._session: Session | None = None
        self._memory: Memory | None = None
        self._budgets: tuple[Budget, ...] = tuple(budgets)
        self._digest = definitions_digest(self._budgets)
        self._is_configured = False
        self._granted: set[str] = set()
        self._doubtful: set[str] = set()
        self._renewed_s = self._looked_s = float("-inf")
        self._watchers: list[Callable[[Sequence[Revocation]], None]] = []
        self._told = 0
        self.tag_keys = 0
        """How often keys of personal tags had been made or deleted, as of our last batch."""

    @property
    def writer_id(self) -> str:
        """Who writes here."""
        return self._identity.writer_id

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What this process goes by."""
        return self._budgets

    def configure(self, budgets: Sequence[Budget]) -> None:
        """Go by these budgets from the next batch on."""
        self._budgets, self._digest = tuple(budgets), definitions_digest(budgets)
        self._is_configured = True

    def holds(self, reservation_id: str) -> bool:
        """Whether a reservation of ours stands, and will for a while: our lease has not lapsed."""
        is_alive = self._elapsed() - self._renewed_s < self._lease_s * (1 - MARGIN)
        return is_alive and reservation_id in self._granted

    def renew_in_s(self) -> float | None:
        """In how many seconds a sign of life is due; None: nothing of ours is pending."""
        if not self._granted:
            return None
        return max(self._renewed_s + self._lease_s / 3 - self._elapsed(), 0.0)

    def tend_in_s(self) -> float | None:
        """In how many seconds an empty batch is due: as a sign of life, or to see who was cut off."""
        renew_in_s = self.renew_in_s()
        return None if renew_in_s is None else min(renew_in_s, max(self._looked_s + LOOK_S - self._elapsed(), 0.0))

    def watch(self, told: Callable[[Sequence[Revocation]], None]) -> None:
        """Say so whenever a batch finds that others are cut off than before; by the thread that writes."""
        self._watchers.append(told)

    # --- a batch --------------------------------------------------------------------------------------------------

    def write(
        self, operations: Sequence[Operation], *, repeats: int, give_up_at: Callable[[], float]
    ) -> list[Exception | None]:
        """Write a batch, see `writer.Book`."""
        if not any(operations) and self.tend_in_s() != 0.0:
            return [None] * len(operations)
        outcomes = self._access.attempt(lambda: self._batch(operations, repeats), give_up_at)
        self._tell()
        return outcomes

    def _tell(self) -> None:
        """Tell who is cut off, if that has changed since it was told."""
        memory = self._memory
        if memory is None or memory.revoked == self._told:
            return
        self._told = memory.revoked
        for told in tuple(self._watchers):
            try:
                told(memory.revocations)
            except Exception:
                log.exception("whoever watches the ledger raised")

    def _batch(self, operations: Sequence[Operation], repeats: int) -> list[Exception | None]:
        batch = Batch(operations, repeats)
        for careful in (False, True):
            try:
                return self._transaction(batch, careful=careful)
            except LedgerUnavailableError:
                raise
            except LedgerError:
                continue  # the database refuses a row: look at what is there
        outcomes: list[Exception | None] = []
        for place, operation in enumerate(operations):
            try:
                outcomes += self._transaction(Batch([operation], int(place < repeats)), careful=True)
            except LedgerUnavailableError as error:
                if not outcomes:
                    raise
                return [*outcomes, *([error] * (len(operations) - place))]  # those before are durable, and stay so
            except LedgerError as error:
                outcomes.append(error)
        return outcomes

    def _transaction(self, batch: Batch, *, careful: bool) -> list[Exception | None]:
        session = self._connected()
        begun_s = self._elapsed()
        try:
            session.begin()
        except BusyError:
            raise
        except BaseException:
            self._give_up(session)
            raise
        try:
            transaction = self._opened(session)
            outcomes = self._fill(transaction, batch, careful=careful)
            self._finish(session, transaction, begun_s)
        except BaseException as error:
            is_of_a_row = isinstance(error, LedgerError) and not isinstance(error, LedgerUnavailableError)
            if not is_of_a_row:  # a refused row has certainly taken its whole batch with it
                self._doubt(batch)
            self._give_up(session, keep_open=is_of_a_row)
            raise
        self._looked_s = begun_s
        self._conclude(batch)
        return outcomes

    def _connected(self) -> Session:
        self._access.check()
        if self._session is None:
            self._session = self._access.connect()
        return self._session

    def _opened(self, session: Session) -> Transaction:
        """Begin a transaction with what is remembered, as far as it is still right."""
        state = read_state(session)
        memory = self._memory
        if memory is None or memory.first_seq != state.first_seq:
            memory = self._memory = Memory()
            recall(session, memory, self.writer_id)
        if memory.seq != state.seq:
            memory.begin_generation()
            memory.seq, memory.first_seq = state.seq, state.first_seq
        if self._is_configured:
            self._is_configured, memory.digest = False, None
        moment = self._moments.next(session.now_us(), state.at_us)
        if moment.at_us >= memory.changes_us:
            memory.begin_generation()
        self._look_at_lease(session, memory)
        transaction = Transaction(session, memory, state, self._identity, moment.at_us, moment.fault)
        transaction.look()
        return transaction

    def _look_at_lease(self, session: Session, memory: Memory) -> None:
        """After our lease may have lapsed, see which of our reservations still stand."""
        if not self._granted or self._elapsed() - self._renewed_s < self._lease_s * (1 - MARGIN):
            return
        rows = session.rows("SELECT reservation_id FROM pending WHERE writer = ?", (memory.writer,))
        self._granted.intersection_update([str(name) for (name,) in rows])

    def _fill(self, transaction: Transaction, batch: Batch, *, careful: bool) -> list[Exception | None]:
        budgets, digest = self._budgets, self._digest
        for _, operation in batch.others:
            if isinstance(operation, ApplyBudgets):
                transaction.apply(operation)
                budgets, digest = operation.budgets, definitions_digest(operation.budgets)
        transaction.agree(budgets, digest, reserving=bool(batch.reservations))
        outcomes = transaction.enter(batch, self._doubtful, careful=careful)
        transaction.check()
        return outcomes

    def _finish(self, session: Session, transaction: Transaction, begun_s: float) -> None:
        """Commit what is worth it."""
        is_due = self.renew_in_s() == 0.0
        memory = self._remembered()
        if transaction.is_empty and not (is_due and memory.writer and not transaction.is_opening):
            if transaction.is_opening:
                memory.writer = 0
            session.rollback()
            return
        until_us = transaction.page.at_us + round(self._lease_s * 1_000_000)
        transaction.write(until_us)
        session.commit()
        transaction.keep()
        self._renewed_s = begun_s
        self._doubtful.clear()
        self._granted.update(name for name in transaction.granted if name in memory.held)
        self.tag_keys = transaction.state.tag_keys

    def _remembered(self) -> Memory:
        if self._memory is None:
            self._memory = Memory()
        return self._memory

    def _doubt(self, batch: Batch) -> None:
        """A commit may have been durable although it failed; what it granted is nobody's."""
        names = {each.reservation_id for _, each in batch.reservations}
        self._doubtful |= names - self._granted

    def _give_up(self, session: Session, *, keep_open: bool = False) -> None:
        """Forget what was remembered; the next batch begins with a new look."""
        self._memory = None
        try:
            session.rollback()
        except LedgerError:
            keep_open = False
        if not keep_open:
            self.let_go()

    def _conclude(self, batch: Batch) -> None:
        """What has ended is no longer ours to act on, whatever the book thinks of its end."""
        self._granted.difference_update([each.reservation_id for _, each in batch.ends])
        for _, operation in batch.others:
            if isinstance(operation, ApplyBudgets):
                self.configure(operation.budgets)

    # --- the end --------------------------------------------------------------------------------------------------

    def close(self, give_up_at: float) -> None:
        """End our lease, with a checkpoint, and let go of the session. Where it cannot be written, the lease lapses.

        Args:
            give_up_at: by `time.monotonic`; there is one try in any case.
        """
        if self._memory is not None and self._memory.writer:
            with contextlib.suppress(LedgerError):
                self._access.attempt(self._sign_out, lambda: give_up_at)
        self.let_go()

    def _sign_out(self) -> None:
        session = self._connected()
        session.begin()
        try:
            transaction = self._opened(session)
            if transaction.is_opening:
                session.rollback()
                return
            transaction.check(is_last=True)
            pending = session.rows("SELECT 1 FROM pending WHERE writer = ? LIMIT 1", (self._remembered().writer,))
            transaction.write(self._remembered().until_us if pending else 0)
            session.commit()
            transaction.keep()
        except BaseException:
            self._give_up(session)
            raise

    def let_go(self) -> None:
        """Close the session for now; the next batch opens another. The caller is the only one to use the book."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(LedgerError):
                session.close()

    def take_session(self) -> Session | None:
        """Give the session away, unclosed."""
        session, self._session = self._session, None
        return session
