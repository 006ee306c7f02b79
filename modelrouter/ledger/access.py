"""How a book is got at: what differs between a file and a server, and is not said in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from modelrouter.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from modelrouter.ledger.session import Session

__all__ = ["Access", "BusyError", "NoBookError"]

T = TypeVar("T")


class BusyError(LedgerUnavailableError):
    """Another writer holds the lock and will let it go. Nothing was done, and the session is as good as before."""


class NoBookError(LedgerUnavailableError):
    """There is room for a book, and none yet: whoever writes first makes it."""


class Access(Protocol):
    """Where one book is kept. Used by several threads at once; each session by one of them."""

    @property
    def shown(self) -> str:
        """What messages call the book; no password."""
        ...

    @property
    def spool(self) -> Sequence[Path]:
        """Where resolutions wait that cannot be written: beginnings of file names, the best place first.

        A writer appends its id. The same book has the same beginnings in every process of a machine, and no other has.
        """
        ...

    def connect(self) -> Session:
        """A session to write with; to be called inside `attempt`.

        Raises:
            LedgerUnavailableError: it cannot be reached, or is not the book that was opened.
        """
        ...

    def check(self) -> None:
        """Whether the book is still the one that was opened; asked before each batch, so it is cheap.

        Raises:
            LedgerUnavailableError: it was moved, replaced or deleted.
        """
        ...

    def attempt(self, work: Callable[[], T], give_up_at: Callable[[], float]) -> T:
        """Do all of `work`, a whole transaction, with nothing half open around it; again while others hold the lock.

        Args:
            give_up_at: when to stop waiting for others, by `time.monotonic`.

        Raises:
            LedgerUnavailableError: it could not be done.
        """
        ...

    def reading(self) -> AbstractContextManager[Session]:
        """One picture of what is durable, for reading only.

        Raises:
            LedgerUnavailableError: it cannot be read.
        """
        ...

    def drop(self, session: Session) -> None:
        """In the child of a fork: forget a session that belongs to the parent, without a word to the store."""
        ...
