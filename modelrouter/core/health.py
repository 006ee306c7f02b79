"""How a deployment has fared lately: what decides who is tried last. It never decides who may be.

Three things are kept apart:

1. A **breaker** for the deployment: it opens after failures in a row, a share of failures, or a share of slow calls;
   stays open for a while that doubles; then lets a few calls prove it (half-open), and closes after as many successes.
2. Its **credentials**, see `core.keys`: a refused key is taken out alone, and a full one is held back.
3. **Outliers** of a pool: whoever fails clearly more often than the others do at this moment.

All of it only moves deployments to the end of the order, so no pool is ever emptied: when everybody is ill, the order
is what it would have been.

Pure: a clock reading comes with every call. Not thread-safe.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from modelrouter.core.failure import Blame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelrouter.core.failure import Failure

__all__ = ["Breaker", "BreakerTerms", "Mean", "State", "Verdict", "outliers", "verdict_of"]

CALLS_KEPT: Final = 100
"""Calls that a breaker looks back at, within its window: enough for a share, few enough to notice a change."""

OUTLIER_CALLS: Final = 20
OUTLIER_MARGIN: Final = 0.2
"""An outlier has this many calls in the window and fails by so much more than the median of the others."""

SMOOTHING: Final = 0.2
STALE_S: Final = 600.0
"""A mean that nobody renewed for so long is forgotten: who was slow ten minutes ago gets another look."""


class Verdict(enum.Enum):
    """What the end of an attempt says about its deployment."""

    GOOD = "good"
    SLOW = "slow"
    BAD = "bad"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """When a breaker opens, and for how long.

    Attributes:
        window_s: how far back shares look. A minute: LLM calls take seconds, and outages minutes.
        least_calls: shares count from so many calls on, so that one failure of two is no outage.
        failed_share: opens at this share of failures. A half: below, every second call still answers.
        slow_share: opens at this share of calls that were slower than `slow_s`.
        slow_s: a first token later than this is slow. 20 s: far beyond a busy server's queue. Calls whose first token
            nobody saw are not judged.
        in_a_row: opens after so many failures without a success between them, however few calls there were.
        open_s: the first stay; doubles each time it opens again. 5 s: a restart of a server, not a coffee break.
        open_most_s: the longest stay.
        permits: calls at once that may prove a half-open one, and successes that close it.
    """

    window_s: float = 60.0
    least_calls: int = 10
    failed_share: float = 0.5
    slow_share: float = 0.8
    slow_s: float = 20.0
    in_a_row: int = 5
    open_s: float = 5.0
    open_most_s: float = 300.0
    permits: int = 2


class State(enum.Enum):
    """Of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class Breaker:
    """The breaker of one deployment."""

    terms: BreakerTerms = field(default_factory=BreakerTerms)
    _calls: deque[tuple[float, Verdict]] = field(default_factory=deque)
    _failed: int = 0  # of the calls that are kept
    _slow: int = 0
    _row: int = 0
    _until_s: float | None = None
    _why: str = ""
    _stays: int = 0
    _closed_s: float = 0.0
    _age: int = 0
    _open_calls: int = 0
    _proofs: int = 0

    def state(self, now_s: float) -> State:
        """What it is at this moment."""
        if self._until_s is None:
            return State.CLOSED
        return State.OPEN if now_s < self._until_s else State.HALF_OPEN

    def has_permit(self, now_s: float) -> bool:
        """Whether a call may take its usual place in the order."""
        state = self.state(now_s)
        return state is State.CLOSED or (state is State.HALF_OPEN and self._open_calls < self.terms.permits)

    def trouble(self, now_s: float) -> str:
        """Why it is to be tried last, or empty."""
        if self._until_s is None or self.has_permit(now_s):
            return ""
        if now_s < self._until_s:
            return f"{self._why}; left alone for {max(1, round(self._until_s - now_s))} s more"
        return f"{self._why}; {self._open_calls} calls under way will tell whether that is over"

    @property
    def has_failed(self) -> bool:
        """Whether a failure is among the calls that it looks back at."""
        return self._failed > 0

    def record(self, now_s: float) -> tuple[int, int]:
        """Calls of the window, and how many of them failed."""
        self._forget(now_s)
        return len(self._calls), self._failed

    def began(self) -> int:
        """A call begins; what comes back is for `ended`."""
        self._open_calls += 1
        return self._age

    def ended(self, now_s: float, age: int, verdict: Verdict) -> None:
        """A call is over. What began before the breaker last turned says nothing about what is the case since."""
        if age != self._age:
            return
        self._open_calls -= 1
        if verdict is Verdict.NOTHING:
            return
        if self._until_s is not None:
            self._proved(now_s, verdict)
            return
        self._calls.append((now_s, verdict))
        self._failed += verdict is Verdict.BAD
        self._slow += verdict is Verdict.SLOW
        self._row = self._row + 1 if verdict is Verdict.BAD else 0
        why = self._too_bad(now_s)
        if why:
            self._open(now_s, why)

    def _proved(self, now_s: float, verdict: Verdict) -> None:
        """A call since it opened: a probe, or one that had nobody else to go to."""
        if verdict is Verdict.BAD:
            self._open(now_s, self._why)
            return
        self._proofs += 1
        if self._proofs >= self.terms.permits:
            self._until_s, self._closed_s = None, now_s
            self._turn()

    def _open(self, now_s: float, why: str) -> None:
        terms = self.terms
        if self._until_s is None and now_s - self._closed_s > terms.window_s:
            self._stays = 0  # it was well for a whole window
        stay_s = min(terms.open_most_s, terms.open_s * 2.0 ** min(self._stays, 30))
        self._stays += 1
        self._until_s, self._why = now_s + stay_s, why
        self._turn()

    def _turn(self) -> None:
        self._age += 1
        self._calls.clear()
        self._row = self._open_calls = self._proofs = self._failed = self._slow = 0

    def _too_bad(self, now_s: float) -> str:
        terms = self.terms
        if self._row >= terms.in_a_row:
            return f"{self._row} failures in a row"
        count, failed = self.record(now_s)
        slow = self._slow
        if count >= terms.least_calls and failed >= terms.failed_share * count:
            return f"{failed} of {count} calls failed"
        if count >= terms.least_calls and slow >= terms.slow_share * count:
            return f"{slow} of {count} calls took longer than {terms.slow_s:g} s to their first token"
        return ""

    def _forget(self, now_s: float) -> None:
        calls = self._calls
        while calls and (len(calls) > CALLS_KEPT or calls[0][0] + self.terms.window_s <= now_s):
            _, verdict = calls.popleft()
            self._failed -= verdict is Verdict.BAD
            self._slow -= verdict is Verdict.SLOW


def verdict_of(failure: Failure | None, first_token_s: float | None, terms: BreakerTerms) -> Verdict:
    """What the end of an attempt says about its deployment, by the table of failure kinds."""
    if failure is not None:
        return Verdict.BAD if failure.rule.blame is Blame.DEPLOYMENT else Verdict.NOTHING
    return Verdict.SLOW if first_token_s is not None and first_token_s > terms.slow_s else Verdict.GOOD


# --- pools and estimates ----------------------------------------------------------------------------------------------


def outliers(records: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """Those of a pool that fail clearly more often than its others: never more than half of it, the worst first.

    Args:
        records: deployment to its calls of the window, and how many of them failed.
    """
    shares = {name: failed / count for name, (count, failed) in records.items() if count >= OUTLIER_CALLS}
    found: dict[str, str] = {}
    if not any(shares.values()):
        return found
    for name in sorted(shares, key=lambda each: (-shares[each], each)):
        others = [share for other, share in shares.items() if other != name and other not in found]
        if not others or len(found) >= len(records) // 2:
            break
        if shares[name] - _median(others) < OUTLIER_MARGIN:
            break
        count, failed = records[name]
        found[name] = f"{failed} of {count} calls failed, far more than elsewhere"
    return found


def _median(shares: list[float]) -> float:
    ordered, middle = sorted(shares), len(shares) // 2
    return ordered[middle] if len(shares) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(slots=True)
class Mean:
    """A moving mean in which the newest observation weighs a fifth; forgotten when nobody renews it."""

    value: float | None = None
    _at_s: float = 0.0

    def at(self, now_s: float) -> float | None:
        """The mean, or None where there is none that is recent."""
        return None if now_s - self._at_s > STALE_S else self.value

    def add(self, now_s: float, observed: float) -> None:
        """One more observation."""
        before = self.at(now_s)
        self.value = observed if before is None else before + SMOOTHING * (observed - before)
        self._at_s = now_s
