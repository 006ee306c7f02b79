"""Requests that nobody might serve, as the book has them: a line of kind `refused` for one or many that are alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.errors import LedgerError
from modelrouter.ledger.chain import canonical_text
from modelrouter.ledger.derive import first_seq_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.ledger.session import Column, Session
    from modelrouter.ports import RefusedCalls

__all__ = ["REFUSED", "RefusedLine", "refused_content", "refused_from", "refused_since"]

REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """One line.

    Attributes:
        at_us: when it was written.
        since_us: when the first of them came, by the clock of the process that refused it.
        count: how many requests it stands for.
        rules: deployment to the first rule that refused it, as `eu-customers/operator.country`.
        decision: the record of the decision of the one whose ids these are.
    """

    at_us: int
    since_us: int
    count: int
    call_id: str
    request_id: str | None
    route: str
    session: str | None
    tags: Mapping[str, str]
    policies: tuple[str, ...]
    rules: Mapping[str, str]
    decision: str


def refused_content(refused: RefusedCalls) -> str:
    """What a line says.

    Raises:
        TypeError: a value that no column holds.
    """
    call = refused.call
    return canonical_text(
        {
            "call_id": call.call_id,
            "count": refused.count,
            "decision": call.decision,
            "policies": list(call.policies),
            "request_id": call.request_id,
            "route": call.route,
            "rules": dict(refused.rules),
            "session": call.session,
            "since_us": refused.since_us,
            "tags": canonical_text(dict(call.tags)),
        }
    )


def refused_since(session: Session, since_us: int = 0) -> Iterator[RefusedLine]:
    """The lines that were written from a moment on, in their order.

    Raises:
        LedgerError: one of them does not hold what such a line says.
    """
    sql = "SELECT seq, at_us, content FROM entries WHERE kind = ? AND seq >= ? ORDER BY seq"
    for row in session.rows(sql, (REFUSED, first_seq_at(session, since_us))):
        yield refused_from(*row)


def refused_from(seq: Column, at_us: Column, content: Column) -> RefusedLine:
    """The line of this number and moment.

    Raises:
        LedgerError: it does not hold what such a line says.
    """
    try:
        said = json.loads(str(content))
        return RefusedLine(
            int(at_us or 0),
            int(said["since_us"]),
            int(said["count"]),
            str(said["call_id"]),
            said["request_id"],
            str(said["route"]),
            said["session"],
            dict(json.loads(said["tags"])),
            tuple(said["policies"]),
            dict(said["rules"]),
            str(said["decision"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(
            f"line {seq} does not say what was refused: it was altered, see `modelrouter ledger verify`"
        ) from error
