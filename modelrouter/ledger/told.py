"""What decisions of booked and refused calls tell of policies, derived again, a page of the book at a time."""

from __future__ import annotations

import heapq
import json
import operator
from typing import TYPE_CHECKING, Final

from modelrouter.core.assurance.told import ToldCall, told_of
from modelrouter.core.decision_record import recorded_from
from modelrouter.core.replay import Regime
from modelrouter.errors import LedgerError
from modelrouter.ledger.audit.lines import LARGEST, in_parts, whole
from modelrouter.ledger.decisions import GroundsKept
from modelrouter.ledger.derive import first_seq_at
from modelrouter.ledger.refused import refused_since

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelrouter.core.assurance.told import Told
    from modelrouter.ledger.session import Column, Session

__all__ = ["told_calls"]

PAGE: Final = 1_000
FIRSTS: Final = f"""SELECT e.seq, e.at_us, c.decision, c.call_id, c.request_id, c.route, c.session, c.tags
    FROM entries e JOIN calls c ON c.call_id = e.call_id
    WHERE e.kind = 'reserve' AND e.call_digest IS NOT NULL AND e.seq > ? ORDER BY e.seq LIMIT {PAGE}"""  # noqa: S608 - our own names
MOMENT: Final = operator.attrgetter("at_us")


def told_calls(session: Session, since_us: int, until_us: int = LARGEST) -> Iterator[ToldCall]:
    """Calls that were first reserved, or were refused, from one moment until another, in their order.

    Args:
        session: in one picture.

    Raises:
        LedgerError: a decision cannot be derived again from what the book holds.
    """
    regimes = _Regimes(session)
    told = heapq.merge(_attempted(session, regimes, since_us), _refused(session, regimes, since_us), key=MOMENT)
    for call in told:
        if call.at_us >= until_us:
            return
        yield call


class _Regimes:
    """Decides again what was decided, on the grounds of its day."""

    def __init__(self, session: Session) -> None:
        self._kept = GroundsKept(session)
        self._found: dict[str, Regime] = {}

    def told(self, columns: Sequence[Column]) -> Told:
        """What a decision tells.

        Args:
            columns: record, call id, request id, route, session and tags.
        """
        text, call_id, request_id, route, of_session, tags = (None if each is None else str(each) for each in columns)
        try:
            recorded = recorded_from(
                text or "", call_id or "", request_id, route or "", of_session, json.loads(tags or "{}")
            )
            return told_of(self._regime(recorded.grounds).as_bound(recorded))
        except ValueError as error:
            raise LedgerError(
                f"the decision of call `{call_id}` cannot be derived again ({error}): see `modelrouter ledger verify`"
            ) from None

    def _regime(self, digest: str) -> Regime:
        found = self._found.get(digest)
        if found is None:
            grounds = self._kept.get(digest)
            if isinstance(grounds, str):
                raise ValueError(grounds)
            found = self._found[digest] = Regime(grounds)
        return found


def _attempted(session: Session, regimes: _Regimes, since_us: int) -> Iterator[ToldCall]:
    after = first_seq_at(session, since_us) - 1
    while rows := session.rows(FIRSTS, (after,)):
        attempted = _deployments(session, [row[3] for row in rows])
        for _, at_us, *columns in rows:
            call_id = columns[1]
            told = regimes.told(columns)
            yield ToldCall(str(call_id), whole(at_us), str(columns[3]), attempted.get(call_id, ()), told)
        after = whole(rows[-1][0])


def _refused(session: Session, regimes: _Regimes, since_us: int) -> Iterator[ToldCall]:
    for line in refused_since(session, since_us):
        tags = json.dumps(dict(line.tags))
        columns = (line.decision, line.call_id, line.request_id, line.route, line.session, tags)
        yield ToldCall(line.call_id, line.at_us, line.route, (), regimes.told(columns), line.count)


def _deployments(session: Session, calls: Sequence[Column]) -> dict[Column, tuple[str, ...]]:
    """The deployments of each call, in the order of its attempts."""
    found: dict[Column, tuple[str, ...]] = {}
    for marks, part in in_parts(calls):
        sql = f"SELECT call_id, deployment FROM entries WHERE kind = 'reserve' AND call_id IN ({marks}) ORDER BY seq"  # noqa: S608 - ours
        for call_id, deployment in session.rows(sql, part):
            found[call_id] = (*found.get(call_id, ()), str(deployment))
    return found
