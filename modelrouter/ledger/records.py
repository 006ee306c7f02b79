"""What a ledger gives back to whoever reads it, and the whole of what a ledger can do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from modelrouter.ports import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.core.attempts import FailureKind, Phase
    from modelrouter.core.bounds import Bound
    from modelrouter.core.budget import Budget
    from modelrouter.core.pricing import PriceList, Usage
    from modelrouter.ledger.access import Access
    from modelrouter.ledger.session import Session
    from modelrouter.ports import CallRecord, Committed, Correction, Document

__all__ = ["AttemptRow", "AttemptState", "BookedCall", "Ledger", "Totals"]


class AttemptState(enum.Enum):
    """What has become of a reservation. `RESERVED` has no end yet; the others are final.

    `EXPIRED`: whoever reserved it gave no sign of life for as long as its lease lasts; it counts at its bound, as
    uncertain, until a late settlement corrects it.
    """

    RESERVED = "reserved"
    SETTLED = "settled"
    UNCERTAIN = "uncertain"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt as the book has it: its reservation and, once there is one, its resolution.

    Attributes:
        reserved_us: when the reservation was written, microseconds since 1970, UTC.
        resolved_us: when its end was written; None while it is reserved.
        price: the price it was bounded and settled with, exact.
        tags: declared defaults filled in, personal values as keyed hashes.
        cost_nano_usd: what it has come to so far: settled, or the bound where it is uncertain or expired, with overrun
            and corrections; 0 while it is reserved.
        failure: None for an answer, and while it is reserved.
        detail: our own words about the failure.
        duration_us: of the attempt, as the driver measured it.
        developer: of the model; empty where it was not written down.
        overrun_nano_usd: how much of the cost lies above the bound.
        correction_nano_usd: how much of it was added, or taken off, after its end had been booked.
    """

    reservation_id: str
    call_id: str
    route: str
    tags: Mapping[str, str]
    number: int
    deployment: str
    operator: str
    model: str
    state: AttemptState
    reserved_us: int
    resolved_us: int | None
    bound: Bound
    price: PriceList
    cost_nano_usd: int
    usage: Usage | None
    failure: FailureKind | None
    phase: Phase | None
    status: int | None
    detail: str
    duration_us: int | None
    length_reached: bool
    saved_nano_usd: int | None
    developer: str = ""
    overrun_nano_usd: int = 0
    correction_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class BookedCall:
    """One request as the book has it; `at_us` is when its first reservation was written."""

    record: CallRecord
    at_us: int
    attempts: tuple[AttemptRow, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """The whole book. Settled, uncertain, reserved, overrun and correction are five sums, never one."""

    calls: int
    attempts: int
    failures: int
    settled_nano_usd: int
    uncertain_nano_usd: int
    reserved_nano_usd: int
    saved_nano_usd: int
    overrun_nano_usd: int = 0
    correction_nano_usd: int = 0


class Ledger(LedgerStore, Protocol):
    """A store that can also be read row by row.

    All reading methods take a consistent picture of what is durable, may be called from any thread, block while they
    read, and raise `LedgerUnavailableError` where the book cannot be read.
    """

    @property
    def writer_id(self) -> str:
        """Who writes here: one id for each opened store, never used again."""
        ...

    @property
    def access(self) -> Access:
        """How the book is got at: for what writers of calls never do, as archiving."""
        ...

    def attempts(self, call_id: str | None = None, *, limit: int = 20) -> Sequence[AttemptRow]:
        """The newest attempts, of one call or of all, oldest of them first."""
        ...

    def call(self, known_as: str) -> BookedCall | None:
        """The call with this `call_id` or, failing that, this `request_id`."""
        ...

    def document(self, digest: str) -> Document | None:
        """A static input of old decisions."""
        ...

    def totals(self) -> Totals:
        """The sums over the whole book."""
        ...

    def budgets(self) -> Sequence[Budget]:
        """The budgets in force in the book, by name; how long requests may wait is not written there."""
        ...

    def apply(self, budgets: Sequence[Budget]) -> None:
        """Put these budgets in force, in the book and here. What their windows have spent before counts.

        Blocks until it is durable.
        """
        ...

    def correct(self, corrections: Sequence[Correction], done: Committed) -> None:
        """Book what attempts turned out to have cost; all of them or none.

        Errors: `LedgerError` (no such attempt, or it has no end yet), `LedgerUnavailableError`.
        """
        ...

    def revoke(self, revocation: Revocation) -> int:
        """Cut something off; blocks until it is durable.

        Returns:
            the number of the line that says so; from then on nothing is reserved for it.
        """
        ...

    def restore(self, entries: Sequence[int], reason: str = "") -> None:
        """Undo the revocations of these lines, all of them or none; blocks until that is durable.

        Errors: `LedgerError` (one of them is not in force), `LedgerUnavailableError`.
        """
        ...

    def forget(self, tag: str) -> bool:
        """Delete the key of a personal tag, so that its hashes are nobody's any more; blocks until that is durable.

        Returns:
            whether there was one.
        """
        ...

    def heads(self) -> Mapping[str, tuple[int, str]]:
        """How far the chain of each writer has come: number and hash of its newest line, by writer id."""
        ...

    def reading(self) -> AbstractContextManager[Session]:
        """One picture of the book that holds what this store was given before; for reading only."""
        ...
