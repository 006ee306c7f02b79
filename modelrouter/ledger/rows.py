"""Between the values that cross the port and the columns of the book. Pure; knows no database."""

from __future__ import annotations

import enum
import functools
import json
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.core.attempts import Billing, FailureKind, Phase
from modelrouter.core.bounds import Bound, BoundBasis
from modelrouter.core.pricing import PriceList, Usage
from modelrouter.core.usage import COUNT_MAX
from modelrouter.errors import LedgerError
from modelrouter.ledger.chain import canonical_text
from modelrouter.ledger.records import AttemptRow, AttemptState
from modelrouter.ports import CallRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelrouter.ports import Resolution

__all__ = [
    "ATTEMPT_COLUMNS",
    "BARE_END",
    "BASES",
    "END_COLUMNS",
    "LARGEST",
    "Column",
    "EntryKind",
    "attempt_from",
    "booked_amount",
    "call_from",
    "correction_columns",
    "end_columns",
    "kind_of",
    "microseconds",
    "policies_text",
    "price_from_text",
    "tags_text",
    "usage_columns",
    "usage_from",
]

Column: TypeAlias = "str | int | None"

LARGEST: Final = COUNT_MAX
"""The largest amount and count of one line: 2**53. A thousand of them still add up within a signed 64-bit column."""

END_COLUMNS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "units",
    "reported_nano_usd",
    "failure",
    "phase",
    "status",
    "detail",
    "duration_us",
    "length_reached",
    "saved_nano_usd",
)
"""What an end says beside its kind, its amount and what it resolves."""
BARE_END: Final[tuple[Column, ...]] = (None,) * len(END_COLUMNS)


class EntryKind(enum.Enum):
    """What a line of the book says."""

    OPEN = "open"
    RESERVE = "reserve"
    SETTLE = "settle"
    UNCERTAIN = "uncertain"
    RELEASE = "release"
    EXPIRE = "expire"
    OVERRUN = "overrun"
    CORRECTION = "correction"
    BUDGETS = "budgets"
    CHECKPOINT = "checkpoint"
    ARCHIVE = "archive"
    KEY_DELETED = "key_deleted"
    DOCUMENTS = "documents"
    REFUSED = "refused"


KINDS: Final = {
    Billing.BILLED: EntryKind.SETTLE,
    Billing.UNCERTAIN: EntryKind.UNCERTAIN,
    Billing.UNBILLED: EntryKind.RELEASE,
}
STATES: Final = {
    None: AttemptState.RESERVED,
    EntryKind.SETTLE.value: AttemptState.SETTLED,
    EntryKind.UNCERTAIN.value: AttemptState.UNCERTAIN,
    EntryKind.RELEASE.value: AttemptState.RELEASED,
    EntryKind.EXPIRE.value: AttemptState.EXPIRED,
}
NO_USAGE: Final[tuple[Column, ...]] = (None,) * 7
NO_FAILURE: Final[tuple[Column, ...]] = (None,) * 4
BASES: Final = {basis: basis.name.lower() for basis in BoundBasis}

ATTEMPT_COLUMNS: Final = """r.seq, r.reservation_id, r.call_id, c.route, c.tags, r.number, r.deployment, r.operator,
    r.developer, r.model, e.kind, r.at_us, e.at_us, r.amount_nano_usd, r.bound_input_tokens, r.bound_output_tokens,
    r.basis, d.body, e.amount_nano_usd, e.input_tokens, e.cached_input_tokens, e.cache_write_tokens, e.output_tokens,
    e.reasoning_tokens, e.units, e.reported_nano_usd, e.failure, e.phase, e.status, e.detail, e.duration_us,
    e.length_reached, e.saved_nano_usd"""
"""What `attempt_from` reads: `r` is the reservation's line, `e` its end, `c` the call, `d` the price."""


def microseconds(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return round(seconds * 1_000_000)


@functools.lru_cache(maxsize=1024)
def price_from_text(text: str) -> PriceList:
    """The price that was written as `text`, by this version or an earlier one.

    Raises:
        LedgerError: it is no price list, or one of a later version.
    """
    try:
        return PriceList.from_text(text)
    except ValueError as error:
        raise LedgerError(f"the book holds a price that cannot be read: {error}") from None


@functools.lru_cache(maxsize=1024)
def policies_text(policies: tuple[str, ...]) -> str:
    """Names of policies as the book has them."""
    return json.dumps(policies, ensure_ascii=False)


def tags_text(tags: Mapping[str, str]) -> str:
    """Tags as the book has them: the same tags are the same text.

    Raises:
        TypeError: a name or value that is no text, or a lone surrogate.
    """
    return canonical_text(dict(tags))


def call_from(columns: Sequence[Column]) -> CallRecord:
    """The record of call_id, request_id, route, session, tags, policies, decision."""
    call_id, request_id, route, session, tags, policies, decision = columns
    return CallRecord(
        str(call_id),
        None if request_id is None else str(request_id),
        str(route),
        json.loads(str(tags)),
        str(decision),
        tuple(json.loads(str(policies))),
        None if session is None else str(session),
    )


def kind_of(resolution: Resolution) -> EntryKind:
    """The line that a resolution becomes.

    Raises:
        LedgerError: a release that costs something.
    """
    if resolution.billing is Billing.UNBILLED and resolution.cost_nano_usd:
        raise LedgerError(
            f"reservation `{resolution.reservation_id}` is released and costs {resolution.cost_nano_usd} nano-dollars: "
            "a release costs nothing"
        )
    return KINDS[resolution.billing]


def end_columns(resolution: Resolution) -> tuple[Column, ...]:
    """`END_COLUMNS` of a resolution.

    Raises:
        LedgerError: a count that no book can hold.
    """
    attempt = resolution.attempt
    failure = attempt.failure
    if abs(resolution.saved_nano_usd or 0) > LARGEST:
        raise LedgerError(f"{resolution.saved_nano_usd} nano-dollars saved is no amount that the ledger can hold")
    return (
        *(NO_USAGE if attempt.usage is None else usage_columns(attempt.usage)),
        *(NO_FAILURE if failure is None else (failure.kind.value, failure.phase.value, failure.status, failure.detail)),
        microseconds(attempt.ended_s - attempt.started_s),
        int(attempt.length_reached),
        resolution.saved_nano_usd,
    )


def correction_columns(usage: Usage | None) -> tuple[Column, ...]:
    """`END_COLUMNS` of what was learned later."""
    return BARE_END if usage is None else (*usage_columns(usage), *BARE_END[7:])


def usage_columns(usage: Usage) -> tuple[Column, ...]:
    """The first seven of `END_COLUMNS`.

    Raises:
        LedgerError: a count that no book can hold.
    """
    counts = (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
    if min(counts) < 0 or max(counts) > LARGEST:
        raise LedgerError(f"a usage of {max(counts)} tokens is none that the ledger can hold: at most {LARGEST}")
    return (*counts, usage.units_text() if _has_units(usage) else None, usage.reported_nano_usd)


def _has_units(usage: Usage) -> bool:
    """Whether anything was counted that has no column of its own; most usages are spared the text."""
    return bool(
        usage.uses
        or usage.audio_input_tokens
        or usage.cache_write_1h_tokens
        or usage.cached_audio_tokens
        or usage.image_input_tokens
        or usage.audio_output_tokens
        or usage.image_output_tokens
    )


def attempt_from(columns: Sequence[Column], overrun: int, correction: int, late: Sequence[Column] | None) -> AttemptRow:
    """The attempt behind one row of `ATTEMPT_COLUMNS`.

    Args:
        overrun: what was booked above its bound.
        correction: sum of all corrections.
        late: `END_COLUMNS` of the corrections, of each the first that is known; None where there is none.
    """
    (
        _, reservation_id, call_id, route, tags, number, deployment, operator, developer, model,
        kind, reserved_us, resolved_us, bound_nano_usd, bound_input, bound_output, basis, price, booked, *end,
    ) = columns  # fmt: skip
    if late is not None:
        end = [first if first is not None else second for first, second in zip(end, late, strict=True)]
    failure, phase, status, detail, duration_us, length_reached, saved = end[7:]
    return AttemptRow(
        reservation_id=str(reservation_id),
        call_id=str(call_id),
        route=str(route),
        tags=json.loads(str(tags)),
        number=int(number or 0),
        deployment=str(deployment),
        operator=str(operator),
        model=str(model),
        state=STATES[None if kind is None else str(kind)],
        reserved_us=int(reserved_us or 0),
        resolved_us=None if resolved_us is None else int(resolved_us),
        bound=Bound(
            int(bound_nano_usd or 0), int(bound_input or 0), int(bound_output or 0), BoundBasis[str(basis).upper()]
        ),
        price=price_from_text(str(price)),
        cost_nano_usd=int(booked or 0) + overrun + correction,
        usage=usage_from(end),
        failure=None if failure is None else FailureKind(failure),
        phase=None if phase is None else Phase(phase),
        status=None if status is None else int(status),
        detail=str(detail or ""),
        duration_us=None if duration_us is None else int(duration_us),
        length_reached=bool(length_reached),
        saved_nano_usd=None if saved is None else int(saved),
        developer=str(developer or ""),
        overrun_nano_usd=overrun,
        correction_nano_usd=correction,
    )


def booked_amount(nano_usd: int, reservation_id: str) -> int:
    """An amount, checked.

    Raises:
        LedgerError: an amount that no book can hold.
    """
    if not 0 <= nano_usd <= LARGEST:
        raise LedgerError(
            f"reservation `{reservation_id}`: {nano_usd} nano-dollars is no amount the ledger can hold: "
            f"it must lie between 0 and {LARGEST}"
        )
    return nano_usd


def usage_from(end: Sequence[Column]) -> Usage | None:
    """The usage in the first seven of `END_COLUMNS`; None where none is known."""
    input_tokens, cached, written, output, reasoning, units, reported = end[:7]
    if input_tokens is None:
        return None
    return Usage.from_columns(
        input_tokens=int(input_tokens),
        output_tokens=int(output or 0),
        cached_input_tokens=int(cached or 0),
        cache_write_tokens=int(written or 0),
        reasoning_tokens=int(reasoning or 0),
        units=None if units is None else str(units),
        reported_nano_usd=None if reported is None else int(reported),
    )
