"""What one writer asks of one deployment, beside what its limits, its retry budget and its breaker allow.

A second, plain count of what `core.load`, `core.retries` and `core.health` keep.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from modelrouter.core.failure import Blame, Phase
from modelrouter.core.health import State
from tests.simulation.broken import BrokenInvariantError
from tests.simulation.world import terms

if TYPE_CHECKING:
    from modelrouter.core.attempts import Attempt
    from modelrouter.core.load import Limits
    from modelrouter.router.traffic import Need

__all__ = ["Watch", "proves"]

TERMS: Final = terms()
SHARE, LEAST, SAVED = TERMS.retries.share, float(TERMS.retries.least), 5.0 * TERMS.retries.least
MINUTE_S: Final = 60.0


class Watch:
    """What one writer asked of one deployment, and what that allows it to ask."""

    __slots__ = (
        "_at_s",
        "_checks",
        "_entries",
        "_let_in",
        "_renewals",
        "age",
        "in_flight",
        "limits",
        "probes",
        "tokens",
        "undecided",
    )

    def __init__(self, limits: Limits, checks: dict[str, int]) -> None:
        self._checks, self._renewals = checks, 0
        self.limits, self.in_flight, self.age, self.probes = limits, 0, 0, 0
        self.tokens, self.undecided, self._at_s = LEAST, 0, 0.0
        self._entries: deque[list[float]] = deque()
        self._let_in = [0.0, 0.0]

    def renew(self) -> None:
        """Its configuration was read again: health and retry budget begin anew, but for calls under way."""
        self._renewals += 1
        self.tokens, self.undecided, self.age, self.probes = LEAST, 0, -1, 0

    def enter(self, now_s: float, need: Need, *, is_extra: bool, probes: bool, age: int) -> list[float]:
        """A call was let in; what comes back is for `leave`."""
        self._refill(now_s)
        if is_extra:
            self._checks["retry budget"] += 1
            if self.tokens - 0.1 * self.undecided < 1 - 1e-6:
                raise BrokenInvariantError("retry budget", f"{self.tokens:.2f} are left, {self.undecided} under way")
            self.undecided += 1
        else:
            self._pay()
        if age != self.age:
            self.age, self.probes = age, 0
        self._checks["half-open"] += probes
        if probes and self.probes >= TERMS.health.permits:
            raise BrokenInvariantError("half-open", f"{self.probes} calls are proving it already")
        self.probes += 1
        self.in_flight += 1
        limits = self.limits
        self._checks["in flight"] += limits.max_in_flight is not None
        if limits.max_in_flight is not None and self.in_flight > limits.max_in_flight:
            raise BrokenInvariantError("in flight", f"{self.in_flight} are under way of {limits.max_in_flight}")
        return self._count(now_s, need)

    def leave(self, now_s: float, entry: list[float], age: int, *, is_extra: bool, attempt: Attempt | None) -> None:
        """A call is over; without an attempt it was never sent."""
        self._refill(now_s)
        self.in_flight -= 1
        is_new = entry[4] == self._renewals
        self.probes -= is_new and age == self.age
        self.undecided -= is_new and is_extra
        if attempt is None:
            self._forget(entry)
            return
        failure = attempt.failure
        if failure is not None and failure.phase is Phase.NOT_SENT:
            self._forget(entry)
        elif attempt.usage is not None and entry[1]:  # counted as operators do: what came in, what might have gone out
            fewer = entry[3] - attempt.usage.input_tokens
            self._let_in[1] -= fewer
            entry[2] -= fewer
        if not is_extra or not is_new:
            return
        if failure is None:
            self._pay()
        elif failure.rule.blame in {Blame.DEPLOYMENT, Blame.CAPACITY}:
            self.tokens = max(-SAVED, self.tokens - 1)

    def refused_extra(self, now_s: float) -> None:
        """An extra attempt was refused for want of a retry budget."""
        self._checks["own failures"] += 1
        self._refill(now_s)
        if self.tokens - 0.1 * self.undecided >= 1 + 1e-6:
            raise BrokenInvariantError("own failures", f"{self.tokens:.2f} are left, {self.undecided} under way")

    def _count(self, now_s: float, need: Need) -> list[float]:
        entries, let_in, limits = self._entries, self._let_in, self.limits
        if limits.requests_per_minute is None and limits.tokens_per_minute is None:
            return [now_s, 0, 0, 0, self._renewals]
        while entries and entries[0][0] <= now_s - MINUTE_S:
            self._forget(entries.popleft())
        self._checks["per minute"] += 1
        tokens = need.tokens
        entry = [now_s, 1, tokens, need.input_tokens, self._renewals]
        entries.append(entry)
        let_in[0] += 1
        let_in[1] += tokens
        for limit, count in ((limits.requests_per_minute, let_in[0]), (limits.tokens_per_minute, let_in[1])):
            if limit is not None and count > limit:
                raise BrokenInvariantError("per minute", f"{count:g} were let in of {limit}")
        return entry

    def _forget(self, entry: list[float]) -> None:
        self._let_in[0] -= entry[1]
        self._let_in[1] -= entry[2]
        entry[1] = entry[2] = 0

    def _pay(self) -> None:
        self.tokens = max(self.tokens, min(SAVED, self.tokens + SHARE))

    def _refill(self, now_s: float) -> None:
        passed_s, self._at_s = now_s - self._at_s, now_s
        if self.tokens < LEAST:
            self.tokens = min(LEAST, self.tokens + passed_s * LEAST / MINUTE_S)


def proves(state: State, *, is_last: bool) -> bool:
    """Whether a call that is let in takes a permit of a half-open breaker."""
    return state is State.HALF_OPEN and not is_last
