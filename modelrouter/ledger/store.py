"""A ledger, whatever it is kept in: the writer, the readers and the keys over one way to get at a book."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Final

from modelrouter.ledger import reads, reports
from modelrouter.ledger.book import Book
from modelrouter.ledger.forking import watch
from modelrouter.ledger.in_force import in_force
from modelrouter.ledger.leases import heads
from modelrouter.ledger.moments import elapsed_of
from modelrouter.ledger.operations import ApplyBudgets, Corrections, DeleteKey, Refusals
from modelrouter.ledger.spool import Countdown, Spool, orphans
from modelrouter.ledger.tag_keys import TagKeys, done_in_time
from modelrouter.ledger.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.core.budget import Budget, Position
    from modelrouter.ledger.access import Access
    from modelrouter.ledger.records import AttemptRow, BookedCall, Totals
    from modelrouter.ledger.session import Session
    from modelrouter.ledger.spool import Orphan
    from modelrouter.ports import (
        Clock,
        Committed,
        Correction,
        Document,
        RefusedCalls,
        Reservation,
        Resolution,
        SpendRow,
    )

__all__ = ["LEASE_S", "LOCK_WAIT_S", "StoredLedger"]

LOCK_WAIT_S: Final = 5.0
LEASE_S: Final = 30.0
APPLY_WAIT_S: Final = 600.0
"""How long putting budgets in force may take: it may have to read all that was written."""


class StoredLedger:
    """A `Ledger`.

    Opening writes nothing, and no thread runs before the first entry, unless writers that are gone have left something.

    Args:
        access: how the book is got at; it is there, and of this version.
        clock: what counts the seconds of leases; the times of entries come from the store.
        lock_wait_s: how long a batch waits for other writers.
        lease_s: after how long without a sign of life our reservations expire.
        budgets: what this process goes by, until `configure` says otherwise.
        adopt: whether to write what writers that are gone have left behind.
    """

    def __init__(
        self,
        access: Access,
        clock: Clock,
        *,
        lock_wait_s: float = LOCK_WAIT_S,
        lease_s: float = LEASE_S,
        budgets: Sequence[Budget] = (),
        adopt: bool = True,
    ) -> None:
        self._access = access
        self._lock_wait_s = lock_wait_s
        self._book = Book(access, elapsed_of(clock), version=_package_version(), lease_s=lease_s, budgets=budgets)
        spool = Spool(access.spool, self._book.writer_id)
        self._writer = Writer(self._book, lock_wait_s=lock_wait_s, spool=spool)
        self._keys = TagKeys(
            access, self._writer.submit, lambda: self._book.tag_keys, wait_s=3 * lock_wait_s
        )  # fmt: skip
        self._adopted: list[Orphan] = []
        watch(self)
        if adopt:
            self._adopt()

    @property
    def writer_id(self) -> str:
        """Who writes here: one id for each opened store, never used again."""
        return self._book.writer_id

    @property
    def access(self) -> Access:
        """How the book is got at: for what writers of calls never do, as archiving."""
        return self._access

    @property
    def commits(self) -> int:
        """How many batches this store has committed."""
        return self._writer.commits

    @property
    def kept(self) -> int:
        """How many resolutions and documents wait for the book to be writable again."""
        return self._writer.kept

    # --- writing --------------------------------------------------------------------------------------------------

    def configure(self, *, budgets: Sequence[Budget]) -> None:
        """Go by these budgets from now on. Touches nothing: a book that holds others refuses the next reservation."""
        self._book.configure(budgets)

    def reserve(self, reservation: Reservation, done: Committed) -> None:
        """Commit a reservation over every budget that it falls under, or none; `done` is told by its thread."""
        self._writer.submit(reservation, done)

    def holds(self, reservation_id: str) -> bool:
        """Whether a granted reservation may still be acted on: our lease has not lapsed."""
        return self._book.holds(reservation_id)

    def resolve(self, resolution: Resolution, done: Committed | None = None) -> None:
        """Resolve one. Where the book cannot be written, `done` is told so; the resolution is kept and tried again."""
        self._writer.submit(resolution, done)

    def remember(self, documents: Sequence[Document], done: Committed | None = None) -> None:
        """Keep documents, each once; kept and tried again where the book cannot be written."""
        self._writer.submit(tuple(documents), done)

    def note_refused(self, refused: Sequence[RefusedCalls], done: Committed) -> None:
        """Write down requests that were refused before anything was reserved; nothing is kept where that fails."""
        self._writer.submit(Refusals(tuple(refused)), done)

    def correct(self, corrections: Sequence[Correction], done: Committed) -> None:
        """Book what attempts turned out to have cost; all of them or none."""
        self._writer.submit(Corrections(tuple(corrections)), done)

    def apply(self, budgets: Sequence[Budget]) -> None:
        """Put these budgets in force, in the book and here. What their windows have spent before counts.

        Raises:
            LedgerUnavailableError: it could not be written, or not in time.
        """
        done_in_time(lambda done: self._writer.submit(ApplyBudgets(tuple(budgets)), done), APPLY_WAIT_S)

    # --- personal tags --------------------------------------------------------------------------------------------

    def pseudonym(self, tag: str, value: str) -> str:
        """What stands for a personal value in the book: a keyed hash, the same until its key is deleted.

        Raises:
            LedgerUnavailableError: the key can neither be read nor made.
        """
        return self._keys.pseudonym(tag, value)

    def forget(self, tag: str) -> bool:
        """Delete the key of a personal tag; whether there was one. Other processes follow with their next batch.

        Raises:
            LedgerUnavailableError: it could not be written.
        """
        operation = DeleteKey(tag)
        done_in_time(lambda done: self._writer.submit(operation, done), 3 * self._lock_wait_s)
        self._keys.forget()
        return operation.found

    # --- reading --------------------------------------------------------------------------------------------------

    def positions(self) -> Sequence[Position]:
        """Where each budget stands now, for every scope that has spent anything in its window."""
        with self.reading() as session:
            return reads.positions(session, self._book.budgets, session.now_us())

    def budgets(self) -> Sequence[Budget]:
        """The budgets in force in the book, by name."""
        with self.reading() as session:
            return tuple(in_force(session, self._book.budgets).values())

    def spend(self, *, by: str, since_s: float | None = None) -> Sequence[SpendRow]:
        """Totals by one group, see `reports.spend`.

        Raises:
            RequestError: `by` is no group.
            LedgerUnavailableError: the book cannot be read.
        """
        with self.reading() as session:
            return reports.spend(session, by=by, since_s=since_s)

    def attempts(self, call_id: str | None = None, *, limit: int = 20) -> Sequence[AttemptRow]:
        """The newest attempts, of one call or of all, oldest of them first."""
        with self.reading() as session:
            return reads.attempts(session, call_id, limit)

    def call(self, known_as: str) -> BookedCall | None:
        """The call with this `call_id` or, failing that, this `request_id`."""
        with self.reading() as session:
            return reads.call(session, known_as)

    def document(self, digest: str) -> Document | None:
        """A static input of old decisions."""
        with self.reading() as session:
            return reads.document(session, digest)

    def totals(self) -> Totals:
        """The sums over the whole book."""
        with self.reading() as session:
            return reads.totals(session)

    def heads(self) -> Mapping[str, tuple[int, str]]:
        """How far the chain of each writer has come: number and hash of its newest line."""
        with self.reading() as session:
            return heads(session)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One picture of the book that holds what this store was given before; for reading only."""
        self._writer.catch_up(self._lock_wait_s)
        with self._access.reading() as session:
            yield session

    # --- the end --------------------------------------------------------------------------------------------------

    def close(self, timeout_s: float) -> None:
        """Write what is queued, within `timeout_s`, and let go. Reading goes on working. Again: no effect.

        Raises:
            LedgerUnavailableError: ends of attempts could not be written; their reservations stand.
        """
        try:
            self._writer.close(timeout_s)
        finally:
            adopted, self._adopted = self._adopted, []
            for orphan in adopted:
                orphan.let_go()

    def let_go(self) -> None:
        """Close the session for the moment of a fork; the next batch opens another."""
        self._book.let_go()

    def abandon(self) -> None:
        """In the child of a fork: forget everything without touching it. All later entries are refused at once."""
        session = self._book.take_session()
        if session is not None:
            self._access.drop(session)
        self._writer.abandon()
        adopted, self._adopted = self._adopted, []
        for orphan in adopted:
            orphan.let_go()

    # --- what others have left behind -----------------------------------------------------------------------------

    def _adopt(self) -> None:
        """Write the ends that writers who are gone could not write."""
        for orphan in orphans(self._access.spool):
            if not orphan.resolutions:
                orphan.remove()
                continue
            self._adopted.append(orphan)
            left = Countdown(len(orphan.resolutions), functools.partial(self._adopted_all, orphan))
            for each in orphan.resolutions:
                self.resolve(each, left.take)

    def _adopted_all(self, orphan: Orphan) -> None:
        if orphan in self._adopted:
            self._adopted.remove(orphan)
            orphan.remove()


def _package_version() -> str:
    try:
        return metadata.version("modelrouter")
    except metadata.PackageNotFoundError:
        return "source"
