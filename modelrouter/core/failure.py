"""Why an attempt failed, how far it had come, what is done about it, whom it speaks against, and what it costs.

Two tables say all of it: `RULES` by kind, `BILLING` by phase and evidence. Nothing else in the package branches on a
kind to decide any of this.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.pricing import Usage

__all__ = [
    "BILLING",
    "RULES",
    "Billing",
    "Blame",
    "Evidence",
    "Failure",
    "FailureKind",
    "Phase",
    "Remedy",
    "Rule",
    "billing",
    "evidence_of",
]


class FailureKind(enum.Enum):
    """Why an attempt failed. Closed: every status and every exception of a transport maps to one of these."""

    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    UNAUTHORIZED = "unauthorized"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTERED = "content_filtered"
    REFUSED = "refused"
    REJECTED = "rejected"
    MALFORMED_REPLY = "malformed_reply"
    TRUNCATED = "truncated"
    OUT_OF_TOKENS_EMPTY = "out_of_tokens_empty"
    EMPTY = "empty"  # a proper end with nothing said
    MODEL_MISSING = "model_missing"
    WRONG_MODEL = "wrong_model"
    PORTABILITY = "portability"
    CANCELLED = "cancelled"


class Phase(enum.Enum):
    """How far an attempt had come: nothing sent, sent without a byte of answer, or bytes of the answer seen."""

    NOT_SENT = "not_sent"
    SENT = "sent"
    ANSWERING = "answering"


class Billing(enum.Enum):
    """What a failed attempt costs: nothing, perhaps everything (booked at the bound), or its reported usage."""

    UNBILLED = "unbilled"
    UNCERTAIN = "uncertain"
    BILLED = "billed"


class Remedy(enum.Enum):
    """What is done after a failure, as far as attempts, deadline, ceiling, budgets and policy allow.

    `RETRY_HERE` falls back first, too: another candidate answers now, the same one perhaps in a while. The same
    deployment is asked again only when nobody else is left, after a pause, and only if the failed attempt cost nothing.
    """

    STOP = "stop"
    FALL_BACK = "fall back"
    RETRY_HERE = "retry here"


class Blame(enum.Enum):
    """Whom a failure speaks against. Health changes the order among the permitted, never who is permitted.

    `CAPACITY` is not illness: the deployment works and is full, so it is only held back for a moment. `IDENTITY` keeps
    the deployment out until the config is read again: whoever answers as somebody else has broken the facts.
    """

    NOBODY = "nobody"
    DEPLOYMENT = "deployment"
    CREDENTIAL = "credential"
    CAPACITY = "capacity"
    IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a kind of failure."""

    remedy: Remedy
    blame: Blame


def _rules() -> dict[FailureKind, Rule]:
    kind, remedy, blame = FailureKind, Remedy, Blame
    return {
        kind.RATE_LIMITED: Rule(remedy.RETRY_HERE, blame.CAPACITY),
        kind.QUOTA_EXHAUSTED: Rule(remedy.FALL_BACK, blame.CREDENTIAL),  # the account behind the key is empty
        kind.TIMED_OUT: Rule(remedy.FALL_BACK, blame.DEPLOYMENT),  # again would be as slow, and may be billed twice
        kind.UNREACHABLE: Rule(remedy.RETRY_HERE, blame.DEPLOYMENT),
        kind.SERVER_ERROR: Rule(remedy.RETRY_HERE, blame.DEPLOYMENT),
        kind.UNAUTHORIZED: Rule(remedy.FALL_BACK, blame.CREDENTIAL),
        kind.INVALID_REQUEST: Rule(remedy.STOP, blame.NOBODY),  # wrong everywhere
        kind.CONTEXT_TOO_LONG: Rule(remedy.FALL_BACK, blame.NOBODY),
        kind.CONTENT_FILTERED: Rule(remedy.FALL_BACK, blame.NOBODY),
        kind.REFUSED: Rule(remedy.FALL_BACK, blame.NOBODY),
        kind.REJECTED: Rule(remedy.FALL_BACK, blame.NOBODY),
        kind.MALFORMED_REPLY: Rule(remedy.FALL_BACK, blame.DEPLOYMENT),
        kind.TRUNCATED: Rule(remedy.FALL_BACK, blame.DEPLOYMENT),
        kind.EMPTY: Rule(remedy.FALL_BACK, blame.NOBODY),
        kind.OUT_OF_TOKENS_EMPTY: Rule(remedy.FALL_BACK, blame.NOBODY),
        kind.MODEL_MISSING: Rule(remedy.FALL_BACK, blame.DEPLOYMENT),
        kind.WRONG_MODEL: Rule(remedy.FALL_BACK, blame.IDENTITY),
        kind.PORTABILITY: Rule(remedy.FALL_BACK, blame.NOBODY),
        kind.CANCELLED: Rule(remedy.STOP, blame.NOBODY),  # nobody waits for it any more
    }


RULES: Final[Mapping[FailureKind, Rule]] = _rules()
"""The closed list: what is done about each kind, and whom it speaks against."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The outcome of an attempt that gave no usable answer. A value, never raised.

    Attributes:
        detail: our own words. Never a provider's error text, which quotes prompts and keys.
        status: HTTP status, where one came.
        retry_after_s: what the provider asked for, where it could be read.
        usage: what was reported before the failure, if anything.
        fresh_connection_helps: a reused connection closed before any byte: one quiet retry on a fresh one is due.
        other_key_helps: it speaks against the key alone, and the deployment has another that is in use: one more
            attempt with that is due.
        others_may_serve: we interrupted it, and not whoever waits: another candidate may still answer.
        text: content received before the failure.
    """

    kind: FailureKind
    phase: Phase
    detail: str
    status: int | None = None
    retry_after_s: float | None = None
    usage: Usage | None = None
    fresh_connection_helps: bool = False
    other_key_helps: bool = False
    others_may_serve: bool = False
    text: str = ""

    @property
    def rule(self) -> Rule:
        """What follows from its kind."""
        return RULES[self.kind]


FIRST_ERROR_STATUS: Final = 300  # a redirect is not followed, so it is an answer without service, like 4xx and 5xx


class Evidence(enum.Enum):
    """What there is to go by when a failed attempt is booked."""

    NOTHING = "nothing"
    ERROR_STATUS = "an error status that this operator does not bill"
    USAGE = "a report of usage that can be true"


BILLING: Final[Mapping[tuple[Phase, Evidence], Billing]] = {
    (Phase.NOT_SENT, Evidence.NOTHING): Billing.UNBILLED,
    (Phase.NOT_SENT, Evidence.ERROR_STATUS): Billing.UNBILLED,
    (Phase.NOT_SENT, Evidence.USAGE): Billing.UNBILLED,
    (Phase.SENT, Evidence.NOTHING): Billing.UNCERTAIN,
    (Phase.SENT, Evidence.ERROR_STATUS): Billing.UNBILLED,
    (Phase.SENT, Evidence.USAGE): Billing.BILLED,
    (Phase.ANSWERING, Evidence.NOTHING): Billing.UNCERTAIN,
    (Phase.ANSWERING, Evidence.ERROR_STATUS): Billing.UNBILLED,
    (Phase.ANSWERING, Evidence.USAGE): Billing.BILLED,
}
"""What a failed attempt costs. It holds for every kind: a provider bills work that was done, whatever we call its end.

The operator's facts override it through `Evidence`: a status that the operator bills is no evidence that nothing is
due, so what is left counts, a usage report or nothing.
"""


def evidence_of(failure: Failure, billed_statuses: frozenset[int]) -> Evidence:
    """What there is to go by. An unbilled error status counts more than a usage report that came with it."""
    is_error_status = failure.status is not None and failure.status >= FIRST_ERROR_STATUS
    if is_error_status and failure.status not in billed_statuses:
        return Evidence.ERROR_STATUS
    return Evidence.USAGE if failure.usage is not None and failure.usage.fault is None else Evidence.NOTHING


def billing(failure: Failure, billed_statuses: frozenset[int]) -> Billing:
    """What a failed attempt costs, from the table.

    Args:
        billed_statuses: HTTP error statuses that this operator bills, from its facts.
    """
    return BILLING[failure.phase, evidence_of(failure, billed_statuses)]
