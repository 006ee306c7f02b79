"""modelrouter: name a route, let policies decide, know what it cost and why.

The flow goes one way: ``Request → Facts → Decision → Attempts → Ledger → Reply``.

The rooms, lowest first; a room imports only from rooms below it:

- `errors` and `core`: pure. What a request is, what may serve it, in which order, what it may cost, how attempts follow
  one another. No clock, no network, no files.
- `ports`: what is needed from outside, as Protocols. `testing` has a fake for each.
- `catalog` (shipped facts with sources), `transports` (the wire: a direct lane and a litellm lane), `ledger` (the
  book).
- `config`: what people write, turned into values of `core`, or refused with file and line.
- `router`: the door. The only place that drives attempts and raises errors to the caller.
- `openai` and `cli`: faces above it.

Four promises: no call leaves that the policy refuses; nothing is sent before its most possible cost is in the book and
fits into every budget; every call can be explained; no vendor is indispensable.
"""

from typing import TYPE_CHECKING

from modelrouter.errors import (
    AlreadyResolvedError,
    AttemptsExhaustedError,
    BudgetBusyError,
    BudgetError,
    BudgetExceededError,
    BudgetMismatchError,
    CatalogError,
    CeilingError,
    ClosedError,
    ConfigError,
    DeadlineExceededError,
    DuplicateRequestError,
    LedgerError,
    LedgerUnavailableError,
    MissingDependencyError,
    ModelRouterError,
    NoRouteError,
    OverloadedError,
    PolicyError,
    RequestError,
    RevokedError,
    ShareCapError,
    StreamBrokenError,
)

if TYPE_CHECKING:
    from modelrouter.core.attempts import Attempt
    from modelrouter.core.budget import Position, Refusal
    from modelrouter.core.decision import Decision
    from modelrouter.router.door import Router
    from modelrouter.router.options import Options
    from modelrouter.router.reply import Reply
    from modelrouter.router.streams import AsyncReplyStream, ReplyStream

__all__ = [
    "AlreadyResolvedError",
    "AsyncReplyStream",
    "Attempt",
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
    "Decision",
    "DuplicateRequestError",
    "LedgerError",
    "LedgerUnavailableError",
    "MissingDependencyError",
    "ModelRouterError",
    "NoRouteError",
    "Options",
    "OverloadedError",
    "PolicyError",
    "Position",
    "Refusal",
    "Reply",
    "ReplyStream",
    "RequestError",
    "RevokedError",
    "Router",
    "ShareCapError",
    "StreamBrokenError",
]

__version__ = "0.1.0"

_ROOMS = {
    "AsyncReplyStream": "modelrouter.router.streams",
    "Attempt": "modelrouter.core.attempts",
    "Decision": "modelrouter.core.decision",
    "Options": "modelrouter.router.options",
    "Position": "modelrouter.core.budget",
    "Refusal": "modelrouter.core.budget",
    "Reply": "modelrouter.router.reply",
    "ReplyStream": "modelrouter.router.streams",
    "Router": "modelrouter.router.door",
}
"""Where the names live that load when they are asked for: so importing one room does not open all the others."""


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module `modelrouter` has no `{name}`")
    import importlib

    found: object = getattr(importlib.import_module(_ROOMS[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
