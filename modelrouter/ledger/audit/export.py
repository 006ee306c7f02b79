"""The book as a table: one row for each attempt, or for each revocation, with everything that is written about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from modelrouter.core.money import usd_from_nano
from modelrouter.ledger.audit.attempts import attempts_between
from modelrouter.ledger.audit.chains import writers_of
from modelrouter.ledger.audit.lines import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelrouter.ledger.audit.attempts import BookedAttempt
    from modelrouter.ledger.audit.chains import Writer
    from modelrouter.ledger.audit.lines import Reader
    from modelrouter.ledger.session import Column, Row

__all__ = ["EXPORT_COLUMNS", "REVOCATION_COLUMNS", "export_rows", "moment", "revocation_rows"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EXPORT_COLUMNS: Final = (
    "seq",
    "reservation_id",
    "call_id",
    "request_id",
    "number",
    "state",
    "reserved_at",
    "ended_at",
    "writer_id",
    "route",
    "session",
    "policies",
    "tags",
    "deployment",
    "operator",
    "developer",
    "model",
    "bound_usd",
    "bound_input_tokens",
    "bound_output_tokens",
    "basis",
    "reserved_usd",
    "settled_usd",
    "uncertain_usd",
    "overrun_usd",
    "correction_usd",
    "booked_usd",
    "saved_usd",
    "reported_usd",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "units",
    "failure",
    "phase",
    "status",
    "detail",
    "duration_s",
    "length_reached",
    "why_corrected",
    "price_digest",
    "price",
)
"""Amounts are text with every digit, moments are UTC, `policies`, `tags`, `units` and `price` are JSON."""

REVOCATION_COLUMNS: Final = (
    "seq",
    "at",
    "kind",
    "name",
    "roles",
    "reason",
    "until",
    "abort_in_flight",
    "restored_by",
    "restored_at",
    "why_restored",
    "in_force",
)
"""`in_force` says that nobody restored it; one with an `until` may have ended by itself. `roles` is JSON."""
REVOCATIONS: Final = """SELECT seq, at_us, content FROM entries WHERE kind = 'revoke'
    UNION SELECT entry, at_us, content FROM revocations ORDER BY 1"""
"""The second is for those whose lines were archived."""


def revocation_rows(session: Reader, since_us: int = 0) -> Iterator[Row]:
    """The values of `REVOCATION_COLUMNS` of each revocation that was written from a moment on or is still in force.

    Args:
        session: in one picture.
    """
    restored: dict[int, tuple[int, int, str]] = {}
    for seq, at_us, content in session.rows("SELECT seq, at_us, content FROM entries WHERE kind = 'restore'"):
        said = json.loads(str(content))
        restored[int(said["entry"])] = whole(seq), whole(at_us), str(said["reason"])
    for seq, at_us, content in session.rows(REVOCATIONS):
        said, end = json.loads(str(content)), restored.get(whole(seq))
        if end is not None and whole(at_us) < since_us:
            continue
        yield (
            seq,
            moment(whole(at_us)),
            said["kind"],
            said["name"],
            json.dumps(said["roles"]),
            said["reason"],
            None if said["until_us"] is None else moment(said["until_us"]),
            int(said["abort_in_flight"]),
            *((None, None, None) if end is None else (end[0], moment(end[1]), end[2])),
            int(end is None),
        )


def export_rows(session: Reader, since_us: int = 0) -> Iterator[Row]:
    """The values of `EXPORT_COLUMNS` of each attempt reserved from a moment on, in their order.

    Args:
        session: in one picture.
    """
    writers = writers_of(session)
    prices: dict[str, str | None] = {}
    for attempt in attempts_between(session, since_us):
        digest = attempt.reservation.price or ""
        if digest not in prices:
            rows = session.rows("SELECT body FROM documents WHERE digest = ?", (digest,))
            prices[digest] = str(rows[0][0]) if rows else None
        yield _row(attempt, writers, prices[digest])


def moment(at_us: int) -> str:
    """A moment as ISO text, UTC, with every microsecond."""
    return (EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _row(attempt: BookedAttempt, writers: dict[int, Writer], price: str | None) -> Row:
    line, call, end, counted = attempt.reservation, attempt.call, attempt.end, attempt.counted
    writer = writers.get(line.writer)
    ended = end if end is not None and end.kind != "expire" else next(iter(attempt.changes), None)
    corrections = [each.content for each in attempt.changes if each.kind == "correction" and each.content]
    duration_us = None if ended is None else ended.duration_us
    return (
        line.seq,
        line.reservation_id,
        call.call_id,
        call.request_id,
        line.number,
        attempt.state,
        moment(line.at_us),
        None if end is None else moment(end.at_us),
        None if writer is None else writer.writer_id,
        call.route,
        call.session,
        call.policies,
        call.tags,
        line.deployment,
        line.operator,
        line.developer,
        line.model,
        _usd(line.amount_nano_usd),
        line.bound_input_tokens,
        line.bound_output_tokens,
        line.basis,
        _usd(line.amount_nano_usd if end is None else 0),
        _usd(attempt.sum_of("settle")),
        _usd(attempt.sum_of("uncertain") + attempt.sum_of("expire")),
        _usd(attempt.sum_of("overrun")),
        _usd(attempt.sum_of("correction")),
        _usd(attempt.booked),
        _usd(_saved(attempt)),
        _usd(None if counted is None else counted.reported_nano_usd),
        *(() if counted is not None else (None,) * 6),
        *(
            (
                counted.input_tokens,
                counted.cached_input_tokens,
                counted.cache_write_tokens,
                counted.output_tokens,
                counted.reasoning_tokens,
                counted.units,
            )
            if counted is not None
            else ()
        ),
        None if ended is None else ended.failure,
        None if ended is None else ended.phase,
        None if ended is None else ended.status,
        None if ended is None else ended.detail,
        None if duration_us is None else f"{duration_us // 1_000_000}.{duration_us % 1_000_000:06d}",
        None if ended is None else ended.length_reached,
        " ".join(corrections) or None,
        line.price,
        price,
    )


def _saved(attempt: BookedAttempt) -> int | None:
    lines = ([] if attempt.end is None else [attempt.end]) + attempt.changes
    known = [each.saved_nano_usd for each in lines if each.saved_nano_usd is not None]
    return sum(known) if known else None


def _usd(nano_usd: int | None) -> Column:
    return None if nano_usd is None else f"{usd_from_nano(nano_usd):f}"
