"""A book in which nothing can be written, for commands that must never send anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelrouter.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.core.budget import Budget, Position
    from modelrouter.ports import Committed, Document, RefusedCalls, Reservation, Resolution, SpendRow

__all__ = ["UnwrittenLedger"]


class UnwrittenLedger:
    """A `LedgerStore` that grants nothing. Nothing is sent without a reservation, so a Router with it cannot send.

    It also keeps `check` and `explain` from making a ledger's file where there is none.
    """

    def configure(self, *, budgets: Sequence[Budget]) -> None:
        """Nothing to limit."""

    def reserve(self, reservation: Reservation, done: Committed) -> None:
        """Refuse."""
        done(LedgerUnavailableError(f"`{reservation.deployment}` is only asked about: nothing is sent"))

    def holds(self, reservation_id: str) -> bool:
        """Nothing was granted."""
        del reservation_id
        return False

    def resolve(self, resolution: Resolution, done: Committed | None = None) -> None:
        """Refuse: there can be no reservation to resolve."""
        if done is not None:
            done(LedgerUnavailableError(f"there is no reservation `{resolution.reservation_id}` here"))

    def positions(self) -> Sequence[Position]:
        """Nothing."""
        return ()

    def pseudonym(self, tag: str, value: str) -> str:
        """Refuse: there is no key, and none is made."""
        del value
        raise LedgerUnavailableError(f"the key of the personal tag `{tag}` is in the book, which is not read here")

    def spend(self, *, by: str, since_s: float | None = None) -> Sequence[SpendRow]:
        """Nothing."""
        del by, since_s
        return ()

    def remember(self, documents: Sequence[Document]) -> None:
        """Nothing is kept."""

    def note_refused(self, refused: Sequence[RefusedCalls], done: Committed) -> None:
        """Nothing is kept."""
        del refused
        done(None)

    def close(self, timeout_s: float) -> None:
        """Nothing to write."""

    def abandon(self) -> None:
        """Nothing to forget."""
