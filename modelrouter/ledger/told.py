"""The decisions of past calls, as far as what they tell of policies goes, a page of the book in memory at a time.

This is the one place that knows in which form the book tells them: each is derived anew from what it rests on.
"""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelrouter.core.assurance.told import ToldCall, told_of
from modelrouter.core.decision_record import recorded_from
from modelrouter.core.replay import Regime
from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.attempts import first_seq_at
from modelrouter.ledger.audit.lines import LARGEST, in_parts, whole
from modelrouter.ledger.decisions import GroundsKept
from modelrouter.ledger.refused import refused_since

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.core.assurance.told import Told
    from modelrouter.ledger.session import Column, Session

__all__ = ["told_calls"]

PAGE: Final = 1_000
FIRSTS: Final = f"""SELECT e.seq, e.at_us, c.call_id, c.request_id, c.route, c.session, c.tags, c.decision
    FROM entries e JOIN calls c ON c.call_id = e.call_id
    WHERE e.kind = 'reserve' AND e.call_digest IS NOT NULL AND e.seq > ? ORDER BY e.seq LIMIT {PAGE}"""  # noqa: S608 - our own names


@dataclass(frozen=True, slots=True)
class _Call:
    """The record of a call, as it stands in the book."""

    call_id: str
    request_id: str | None
    route: str
    session: str | None
    tags: Mapping[str, str]
    decision: str


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a call stands in the book, and how many it stands for."""

    call: _Call
    at_us: int
    attempted: tuple[str, ...]
    count: int = 1


def told_calls(
    session: Session, since_us: int, until_us: int = LARGEST, untold: Counter[str] | None = None
) -> Iterator[ToldCall]:
    """Calls from one moment until another, in their order; those that nobody might serve are among them.

    A call belongs to the moment when its first attempt was reserved, or its refusal was written.

    Args:
        session: in one picture.
        untold: counts those whose decision cannot be derived, by the reason, and leaves them out; None raises.

    Raises:
        LedgerError: a record cannot be read, or what it rests on is missing.
    """
    kept = _Derived(session)
    both = _attempted(session, since_us), _refused(session, since_us)
    for line in heapq.merge(*both, key=lambda each: each.at_us):
        if line.at_us >= until_us:
            return
        call = line.call
        try:
            told = kept.told(call)
        except ValueError as error:
            if untold is None:
                raise LedgerError(f"the decision of call `{call.call_id}` cannot be derived: {error}") from None
            untold[str(error)] += line.count
            continue
        yield ToldCall(call.call_id, line.at_us, call.route, line.attempted, told, line.count)


def _attempted(session: Session, since_us: int) -> Iterator[_Line]:
    after = first_seq_at(session, since_us) - 1
    while rows := session.rows(FIRSTS, (after,)):
        attempted = _deployments(session, [row[2] for row in rows])
        for _, at_us, *columns in rows:
            call_id, request_id, route, of_session, tags, decision = (
                None if each is None else str(each) for each in columns
            )
            call = _Call(call_id or "", request_id, route or "", of_session, json.loads(tags or "{}"), decision or "")
            yield _Line(call, whole(at_us), attempted.get(call_id, ()))
        after = whole(rows[-1][0])


def _refused(session: Session, since_us: int) -> Iterator[_Line]:
    for line in refused_since(session, since_us):
        call = _Call(line.call_id, line.request_id, line.route, line.session, line.tags, line.decision)
        yield _Line(call, line.at_us, (), line.count)


def _deployments(session: Session, calls: Sequence[Column]) -> dict[Column, tuple[str, ...]]:
    """The deployments of each call, in the order of its attempts."""
    found: dict[Column, tuple[str, ...]] = {}
    for marks, part in in_parts(calls):
        sql = f"SELECT call_id, deployment FROM entries WHERE kind = 'reserve' AND call_id IN ({marks}) ORDER BY seq"  # noqa: S608 - ours
        for call_id, deployment in session.rows(sql, part):
            found[call_id] = (*found.get(call_id, ()), str(deployment))
    return found


class _Derived:
    """Derives decisions; what is alike in many of them is judged once."""

    def __init__(self, session: Session) -> None:
        self._kept = GroundsKept(session)
        self._regimes: dict[str, Regime] = {}

    def told(self, call: _Call) -> Told:
        """What the decision of a call tells.

        Raises:
            ValueError: it cannot be derived.
        """
        recorded = recorded_from(call.decision, call.call_id, call.request_id, call.route, call.session, call.tags)
        return told_of(self._regime(recorded.grounds).as_bound(recorded))

    def _regime(self, digest: str) -> Regime:
        found = self._regimes.get(digest)
        if found is None:
            grounds = self._kept.get(digest)
            if isinstance(grounds, str):
                raise ValueError(grounds)
            found = self._regimes[digest] = Regime(grounds)
        return found
