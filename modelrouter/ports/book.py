"""The port to the ledger: what is booked, and what a store must be able to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.core.assurance.revocations import Revocation
    from modelrouter.core.attempts import Attempt, Billing
    from modelrouter.core.bounds import Bound
    from modelrouter.core.budget import Budget, Position
    from modelrouter.core.pricing import PriceList, Usage
    from modelrouter.core.shares import ShareDemand

__all__ = [
    "CallRecord",
    "Committed",
    "Correction",
    "Document",
    "LedgerStore",
    "RefusedCalls",
    "Reservation",
    "Resolution",
    "SpendRow",
]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What the ledger keeps of one request and its decision, written with the first reservation. Never prompt text.

    Attributes:
        call_id: ours.
        request_id: the caller's idempotency key, in clear.
        tags: declared defaults filled in, personal values as what `LedgerStore.pseudonym` made of them.
        decision: JSON text: the hash of what it rests on, and the values of what was read, see `core.decision_record`.
    """

    call_id: str
    request_id: str | None
    route: str
    tags: Mapping[str, str]
    decision: str
    policies: tuple[str, ...] = ()
    session: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedCalls:
    """Requests that nobody might serve, for the same reasons: the record of one of them, and how many there were.

    Attributes:
        call: without personal tags.
        rules: deployment to the first rule that refused it, as `eu-customers/operator.country`.
        since_us: when the first of them came, microseconds since 1970, UTC.
    """

    call: CallRecord
    rules: Mapping[str, str]
    count: int
    since_us: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one attempt.

    Attributes:
        reservation_id: made before sending, unique.
        call: the record of the request; stores write it once, with the first reservation of the call.
        wait_s: how long the store may keep this reservation waiting where a budget is busy, beside the budget's own
            limit; 0 answers at once.
        marks: by what the deployment can be cut off, see `core.assurance.revocations`.
        shares: caps on what its vendor may have, each to be asked beside the budgets; what a store keeps of it is the
            reservation alone.
    """

    reservation_id: str
    call: CallRecord
    number: int
    deployment: str
    operator: str
    model: str
    bound: Bound
    price: PriceList
    developer: str = ""
    wait_s: float = 0.0
    marks: frozenset[str] = frozenset()
    shares: tuple[ShareDemand, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """The end of a reservation: exactly one for each."""

    reservation_id: str
    billing: Billing
    cost_nano_usd: int
    attempt: Attempt
    saved_nano_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """What an attempt turned out to cost, learned after its end was booked.

    Attributes:
        cost_nano_usd: the true total of the attempt, zero or more; the book writes down the difference.
        why: one sentence for whoever reads the book; never a provider's own text.
        usage: where it is known now.
    """

    reservation_id: str
    cost_nano_usd: int
    why: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A text that decisions refer to by its hash: a policy, a config, the catalog's digest."""

    digest: str
    kind: str
    name: str
    body: str


@dataclass(frozen=True, slots=True)
class SpendRow:
    """One line of a spend report. The five kinds of money are never added up silently.

    Attributes:
        calls: requests whose first reservation lies in this group.
        failed_nano_usd: how much of settled, uncertain and overrun failed attempts cost.
        overrun_nano_usd: what settlements came to beyond their bound.
        correction_nano_usd: what late settlements and reconciliations changed; may be negative.
    """

    group: str
    attempts: int
    failures: int
    input_tokens: int
    output_tokens: int
    settled_nano_usd: int
    uncertain_nano_usd: int
    reserved_nano_usd: int
    saved_nano_usd: int
    calls: int = 0
    failed_nano_usd: int = 0
    overrun_nano_usd: int = 0
    correction_nano_usd: int = 0


Committed: TypeAlias = Callable[[Exception | None], None]
"""What a store calls when an entry is durable, with None, or when it cannot be written, with the error."""


class LedgerStore(Protocol):
    """The book. Append-only; thread-safe; knows nothing of event loops.

    `reserve` and `resolve` return at once; `done` is called from another thread, exactly once, with None after the
    entry is durable, or with the error. A store whose writer has died calls back with `LedgerUnavailableError` at once.
    """

    def configure(self, *, budgets: Sequence[Budget]) -> None:
        """Go by these budgets from now on. Touches nothing: a book that holds others refuses the next reservation."""
        ...

    def reserve(self, reservation: Reservation, done: Committed) -> None:
        """Commit a reservation over every budget that it falls under, or none.

        Only if nobody has cut it off, which is read in the same transaction, and no share cap speaks against it.

        Errors: `BudgetBusyError`, `BudgetExceededError`, `BudgetMismatchError`, `DuplicateRequestError`,
        `LedgerUnavailableError`, `RevokedError`, `ShareCapError`.
        """
        ...

    def holds(self, reservation_id: str) -> bool:
        """Whether a granted reservation may still be acted on: the lease of whoever reserved it has not lapsed.

        To be asked right before the first byte. Cheap; reads no file.
        """
        ...

    def resolve(self, resolution: Resolution, done: Committed | None = None) -> None:
        """Resolve one. What comes after its lease had lapsed becomes a correction.

        Where nobody waits (no `done`), a store may write it a few milliseconds later, together with what comes next.

        Errors: `AlreadyResolvedError`, `LedgerUnavailableError`.
        """
        ...

    def revoked(self) -> Sequence[Revocation]:
        """Everything that is cut off in this book, what begins or has ended by time included. Reads the book.

        Errors: `LedgerUnavailableError`.
        """
        ...

    def watch(self, told: Callable[[Sequence[Revocation]], None]) -> None:
        """Say so whenever a transaction of this store finds that `revoked` has changed; from any thread.

        While something is reserved here, it is looked for every few seconds, traffic or not.
        """
        ...

    def positions(self) -> Sequence[Position]:
        """Where each budget stands now, for every scope that has spent anything in its window.

        Errors: `LedgerUnavailableError`.
        """
        ...

    def pseudonym(self, tag: str, value: str) -> str:
        """What stands for a personal value in the book: a keyed hash, the same until its key is deleted.

        May read the book the first time. Errors: `LedgerUnavailableError`.
        """
        ...

    def spend(self, *, by: str, since_s: float | None = None) -> Sequence[SpendRow]:
        """Totals by `deployment`, `route`, `operator`, `model`, `day` or `tag.NAME`."""
        ...

    def remember(self, documents: Sequence[Document]) -> None:
        """Keep the texts behind the hashes that decisions name, each once. May return before they are written."""
        ...

    def note_refused(self, refused: Sequence[RefusedCalls], done: Committed) -> None:
        """Write down requests that were refused before anything was reserved. Nobody waits for it.

        Errors: `LedgerError`, `LedgerUnavailableError`; then none of them was written.
        """
        ...

    def close(self, timeout_s: float) -> None:
        """Write what is queued, within `timeout_s`, and let go."""
        ...

    def abandon(self) -> None:
        """Forget inherited handles without closing them: the child's half of a `fork`."""
        ...
