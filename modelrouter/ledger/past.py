"""The requests of a book as they can be decided again, one after the other, a page in memory at a time."""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.core.decision_record import outcome_digest, recorded_from
from modelrouter.core.pricing import Span
from modelrouter.core.replay import Past, Regime
from modelrouter.ledger.decisions import GroundsKept
from modelrouter.ledger.derive import first_seq_at
from modelrouter.ledger.endings import in_parts
from modelrouter.ledger.refused import refused_since
from modelrouter.ledger.rows import END_COLUMNS, usage_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from modelrouter.core.decision_record import Recorded
    from modelrouter.ledger.session import Column, Session

__all__ = ["PastCalls"]

PAGE: Final = 1_000
USAGE: Final = END_COLUMNS[:7]
CALLS: Final = f"""SELECT e.seq, c.decision, c.call_id, c.request_id, c.route, c.session, c.tags
    FROM entries e JOIN calls c ON c.call_id = e.call_id
    WHERE e.kind = 'reserve' AND e.call_digest IS NOT NULL AND e.seq >= ? ORDER BY e.seq LIMIT {PAGE}"""  # noqa: S608 - ours
ATTEMPTS: Final = f"""SELECT r.call_id, r.seq, r.deployment, r.operator, r.developer, r.price, r.at_us,
    e.kind, e.amount_nano_usd, e.failure, e.duration_us, {", ".join(f"e.{name}" for name in USAGE)}
    FROM entries r LEFT JOIN entries e ON e.resolves = r.seq WHERE r.kind = 'reserve' AND r.call_id IN"""  # noqa: S608 - ours
CORRECTIONS: Final = f"""SELECT corrects, amount_nano_usd, {", ".join(USAGE)} FROM entries
    WHERE corrects >= ? AND corrects <= ? ORDER BY seq"""  # noqa: S608 - our own names


@dataclass(slots=True)
class _Booked:
    """One attempt as the book has it; `kind` is that of its end, empty while there is none."""

    deployment: str
    operator: str
    developer: str
    price: str
    at_us: int
    kind: str
    cost_nano_usd: int
    has_failed: bool
    duration_us: int
    usage: Sequence[Column]


@dataclass(slots=True)
class PastCalls:
    """Requests from a moment on, attempted ones first and then refused ones.

    Args:
        session: in one picture.
        route: only those of one route; None takes all.

    Attributes:
        left_out: how many could not be decided again, by the reason.
        unlike: how many this version of the package decides otherwise on the inputs of their day.
    """

    session: Session
    since_us: int = 0
    route: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    unlike: int = 0
    _regimes: dict[str, Regime | str] = field(default_factory=dict)
    _kept: GroundsKept = field(init=False)

    def __post_init__(self) -> None:
        """Grounds are read once each."""
        self._kept = GroundsKept(self.session)

    def __iter__(self) -> Iterator[Past]:
        """Each with what came of it."""
        yield from self._attempted()
        yield from self._refused()

    def _attempted(self) -> Iterator[Past]:
        seq = first_seq_at(self.session, self.since_us)
        while rows := self.session.rows(CALLS, (seq,)):
            seq = int(rows[-1][0] or 0) + 1
            wanted = [row for row in rows if self.route in {None, row[4]}]
            attempts = self._attempts([row[2] for row in wanted])
            for row in wanted:
                past = self._past(row[1:], attempts.get(str(row[2]), []))
                if past is not None:
                    yield past
            if len(rows) < PAGE:
                return

    def _refused(self) -> Iterator[Past]:
        for line in refused_since(self.session, self.since_us):
            if self.route in {None, line.route}:
                tags = json.dumps(dict(line.tags))
                columns = (line.decision, line.call_id, line.request_id, line.route, line.session, tags)
                past = self._past(columns, [], line.count)
                if past is not None:
                    yield past

    def _past(self, columns: Sequence[Column], attempts: Sequence[_Booked], count: int = 1) -> Past | None:
        """A request with what came of it; None where it cannot be decided again."""
        decision, call_id, request_id, route, session, tags = (None if each is None else str(each) for each in columns)
        try:
            recorded = recorded_from(
                decision or "", call_id or "", request_id, route or "", session, _tags(tags or "{}")
            )
            regime = self._regime(recorded.grounds)
            then = regime if isinstance(regime, str) else regime.as_bound(recorded)
        except ValueError as error:
            self.left_out[str(error)] += count
            return None
        if isinstance(then, str):
            self.left_out[then] += count
            return None
        if outcome_digest(then) != recorded.outcome:
            self.unlike += count
        return _with_attempts(recorded, tuple(each.deployment for each in then.permitted), attempts, count)

    def _regime(self, digest: str) -> Regime | str:
        found = self._regimes.get(digest)
        if found is None:
            grounds = self._kept.get(digest)
            found = self._regimes[digest] = grounds if isinstance(grounds, str) else Regime(grounds)
        return found

    def _attempts(self, calls: Sequence[Column]) -> dict[str, list[_Booked]]:
        found: dict[str, list[_Booked]] = {}
        by_seq: dict[int, _Booked] = {}
        for marks, part in in_parts(calls):
            for call_id, seq, *columns in self.session.rows(f"{ATTEMPTS} ({marks}) ORDER BY r.seq", part):
                booked = by_seq[int(seq or 0)] = _booked(columns)
                found.setdefault(str(call_id), []).append(booked)
        self._correct(by_seq)
        return found

    def _correct(self, attempts: Mapping[int, _Booked]) -> None:
        """Add what was booked on them later, and the usage that was learned with it."""
        if not attempts:
            return
        for corrects, amount, *usage in self.session.rows(CORRECTIONS, (min(attempts), max(attempts))):
            booked = attempts.get(int(corrects or 0))
            if booked is not None:
                booked.cost_nano_usd += int(amount or 0)
                if booked.usage[0] is None:
                    booked.usage = usage


def _booked(columns: Sequence[Column]) -> _Booked:
    deployment, operator, developer, price, at_us, kind, amount, failure, lasted_us, *usage = columns
    return _Booked(
        deployment=str(deployment),
        operator=str(operator),
        developer=str(developer or ""),
        price=str(price),
        at_us=int(at_us or 0),
        kind=str(kind or ""),
        cost_nano_usd=int(amount or 0),
        has_failed=failure is not None,
        duration_us=int(lasted_us or 0),
        usage=usage,
    )


def _with_attempts(recorded: Recorded, order: tuple[str, ...], attempts: Sequence[_Booked], count: int) -> Past:
    cost = sum(each.cost_nano_usd for each in attempts)
    last = attempts[-1] if attempts else None
    if last is None or last.has_failed or last.kind not in {"settle", "uncertain"}:
        return Past(recorded, order, cost_nano_usd=cost, count=count)
    return Past(
        recorded,
        order,
        answered=last.deployment,
        operator=last.operator,
        developer=last.developer,
        cost_nano_usd=cost,
        answer_nano_usd=last.cost_nano_usd,
        usage=usage_from(last.usage),
        span=Span(last.at_us, last.at_us + last.duration_us),
        price=last.price,
        count=count,
    )


@functools.lru_cache(maxsize=4096)
def _tags(text: str) -> Mapping[str, str]:
    """Tags from their column; nobody changes them."""
    found: dict[str, str] = json.loads(text)
    return found
