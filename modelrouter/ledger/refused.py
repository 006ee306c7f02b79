"""Requests that nobody might serve, as the book has them: a line of kind `refused` for one or many that are alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.ledger.chain import canonical_text
from modelrouter.ledger.derive import first_seq_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelrouter.ledger.session import Session
    from modelrouter.ports import RefusedCalls

__all__ = ["REFUSED", "RefusedLine", "refused_content", "refused_since"]

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
    """The lines that were written from a moment on, in their order."""
    first = first_seq_at(session, since_us)
    rows = session.rows("SELECT at_us, content FROM entries WHERE kind = ? AND seq >= ? ORDER BY seq", (REFUSED, first))
    for at_us, content in rows:
        said = json.loads(str(content))
        yield RefusedLine(
            int(at_us or 0),
            said["since_us"],
            said["count"],
            said["call_id"],
            said["request_id"],
            said["route"],
            said["session"],
            json.loads(said["tags"]),
            tuple(said["policies"]),
            said["rules"],
            said["decision"],
        )
