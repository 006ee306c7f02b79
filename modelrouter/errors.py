"""Every error that a caller can meet, in one tree.

::

    ModelRouterError
    ├─ ConfigError                something we were given to read is wrong; names file, line and key
    │  ├─ PolicyError             … in a policy
    │  └─ CatalogError            … in the catalog, or an id that the catalog does not know
    ├─ RequestError               the caller's request cannot be served as written
    │  └─ DuplicateRequestError   a `request_id` that the ledger already knows
    ├─ NoRouteError               no candidate is permitted; counts the refusals by reason
    │  └─ RevokedError            … and who else could have served was cut off; says who, as what, why, until when
    │  └─ ShareCapError           … because each one's vendor has its share already (`vendors.share`)
    ├─ CeilingError               candidates are permitted, none fits under the request's cost ceiling
    ├─ BudgetError                a budget has no room for any candidate; names budget, scope and amounts
    │  ├─ BudgetExceededError     … it is spent; do not retry before it resets
    │  └─ BudgetBusyError         … it is reserved by calls under way; retry later
    ├─ OverloadedError            every candidate is as busy as its limits allow, and nothing was sent; retry later
    ├─ AttemptsExhaustedError     every candidate was tried and failed; all failures are kept
    ├─ DeadlineExceededError      the caller's deadline, not one attempt's timeout
    ├─ StreamBrokenError          a stream failed after content had been handed out; holds the text so far
    ├─ LedgerError                the book cannot be trusted
    │  ├─ LedgerUnavailableError  … cannot be written, so nothing is sent
    │  ├─ AlreadyResolvedError    … a reservation was resolved twice
    │  └─ BudgetMismatchError     … it was written under other budget definitions
    ├─ ClosedError                the Router was closed
    └─ MissingDependencyError     an optional package is needed for this

A failure of one attempt is a value (`core.attempts.Failure`), not an error: only the Router raises.
Money that was already spent is on the error (`cost_usd`), so that it is never lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from modelrouter.core.attempts import Attempt
    from modelrouter.core.budget import Refusal
    from modelrouter.core.decision import Decision
    from modelrouter.core.shares import ShareRefusal

__all__ = [
    "AlreadyResolvedError",
    "AttemptsExhaustedError",
    "BudgetBusyError",
    "BudgetError",
    "BudgetExceededError",
    "BudgetMismatchError",
    "CatalogError",
    "CeilingError",
    "ClosedError",
    "ConfigError",
    "DeadlineExceededError",
    "DuplicateRequestError",
    "LedgerError",
    "LedgerUnavailableError",
    "MissingDependencyError",
    "ModelRouterError",
    "NoRouteError",
    "OverloadedError",
    "PolicyError",
    "RequestError",
    "RevokedError",
    "ShareCapError",
    "StreamBrokenError",
]


class ModelRouterError(Exception):
    """The base of all errors of this package.

    Attributes:
        message: what is wrong and what to change, one sentence.
        call_id: the call in the ledger, where one was begun.
        decision: why candidates were permitted or refused, where one was made.
        attempts: what was tried, in order.
        cost_usd: what this call has cost so far, uncertain amounts at their bound.
    """

    def __init__(
        self,
        message: str,
        *,
        call_id: str | None = None,
        decision: Decision | None = None,
        attempts: tuple[Attempt, ...] = (),
        cost_usd: Decimal | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.call_id = call_id
        self.decision = decision
        self.attempts = attempts
        self.cost_usd = cost_usd

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders with all their fields."""
        return (_rebuild, (type(self), self.message, dict(self.__dict__)))


def _rebuild(kind: type[ModelRouterError], message: str, fields: dict[str, object]) -> ModelRouterError:
    error = kind.__new__(kind, message)
    Exception.__init__(error, message)
    error.__dict__.update(fields)
    return error


class ConfigError(ModelRouterError):
    """Something we were given to read is wrong. Raised at load, never during a call.

    Attributes:
        file: the file, where there is one.
        line: counted from 1, where known.
        key: the path of the key, as `routes.support.try`.
    """

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, key: str | None = None
    ) -> None:
        place = ":".join(str(part) for part in (file, line) if part is not None)
        text = ": ".join(part for part in (place, key, message) if part)
        super().__init__(text)
        self.reason = message
        self.file = file
        self.line = line
        self.key = key


class PolicyError(ConfigError):
    """A policy is wrong: an unknown rule, a verb without meaning, an empty allow-list."""


class CatalogError(ConfigError):
    """A catalog entry is wrong, or an id is not in the catalog."""


class RequestError(ModelRouterError):
    """The caller's request cannot be served as written."""


class DuplicateRequestError(RequestError):
    """The ledger already knows this `request_id`; nothing was reserved or sent.

    Attributes:
        first_call_id: the call that used it first.
    """

    def __init__(self, message: str, *, first_call_id: str) -> None:
        super().__init__(message)
        self.first_call_id = first_call_id


class NoRouteError(ModelRouterError):
    """No candidate is permitted. The message counts refusals by reason; `decision.explain()` has each of them."""


class RevokedError(NoRouteError):
    """A candidate is kept out by nothing but a revocation. Nothing was sent to it; `modelrouter restore` undoes it."""


class ShareCapError(NoRouteError):
    """Every candidate that is left belongs to a vendor that has its share of all that is bought, by a hard cap.

    Attributes:
        refusal: rule, vendor, what it has and what was needed: of the first candidate that was refused so.
    """

    def __init__(
        self,
        message: str,
        *,
        refusal: ShareRefusal,
        call_id: str | None = None,
        decision: Decision | None = None,
        attempts: tuple[Attempt, ...] = (),
        cost_usd: Decimal | None = None,
    ) -> None:
        super().__init__(message, call_id=call_id, decision=decision, attempts=attempts, cost_usd=cost_usd)
        self.refusal = refusal


class CeilingError(ModelRouterError):
    """A candidate is kept out by nothing but the cost ceiling; the message says what it needs. Do not retry."""


class BudgetError(ModelRouterError):
    """A budget has no room for the bound of any candidate that is left.

    Attributes:
        refusal: budget, scope, its balance, what was needed, and when it resets.
    """

    def __init__(
        self,
        message: str,
        *,
        refusal: Refusal,
        call_id: str | None = None,
        decision: Decision | None = None,
        attempts: tuple[Attempt, ...] = (),
        cost_usd: Decimal | None = None,
    ) -> None:
        super().__init__(message, call_id=call_id, decision=decision, attempts=attempts, cost_usd=cost_usd)
        self.refusal = refusal


class BudgetExceededError(BudgetError):
    """The budget is spent: the bound would not fit even if nothing were reserved. Do not retry before it resets."""


class BudgetBusyError(BudgetError):
    """The bound does not fit while other calls hold their reservations: try again later, or set `wait_s`."""


class OverloadedError(ModelRouterError):
    """Every candidate is as busy as its own limits allow, for longer than could be waited: nothing was sent.

    Attributes:
        retry_after_s: when there will probably be room, where that is known.
    """

    retry_after_s: float | None = None


class AttemptsExhaustedError(ModelRouterError):
    """Every candidate was tried and failed, or a failure was one that no other candidate can mend."""


class DeadlineExceededError(ModelRouterError):
    """The request's own deadline has passed."""


class StreamBrokenError(ModelRouterError):
    """A stream failed after content had been handed out, so no fallback was possible.

    Attributes:
        text: everything that was handed out.
    """

    text: str = ""


class LedgerError(ModelRouterError):
    """The book cannot be trusted."""


class LedgerUnavailableError(LedgerError):
    """The book cannot be written, so nothing is sent."""


class AlreadyResolvedError(LedgerError):
    """A reservation was resolved a second time. A fault of this package: please report it."""


class BudgetMismatchError(LedgerError):
    """The book holds other budget definitions than this process: run `modelrouter budget apply`."""


class ClosedError(ModelRouterError):
    """The Router was closed."""


class MissingDependencyError(ModelRouterError):
    """An optional package is needed for this; the message says which, and how to install it."""
