"""How often and after how long a deployment is asked again, so that an outage never multiplies its load.

Every attempt after the first of its request, retry and fallback alike, is an extra one. A deployment pays for extra
attempts that fail out of a budget of its own: a token bucket that first attempts and successes fill by a share of a
token each, and that time fills to a small minimum. So a healthy fallback takes any number of calls, a sick one takes
its minimum and a share of its own recent traffic, and the outage of one deployment spends nothing of another's.

Pure: a clock reading comes with every call. Not thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["PAUSE_FIRST_S", "PAUSE_MOST_S", "RetryBudget", "RetryTerms", "pause_s"]

PAUSE_FIRST_S: Final = 0.5
"""Before the first retry at the same deployment: long enough for a restarted worker, short beside an LLM's answer."""

PAUSE_MOST_S: Final = 8.0
"""The longest pause of our own choice; a provider may ask for more."""

REFILL_S: Final = 60.0
"""In so long time alone fills an empty bucket to its minimum: a client with little traffic can retry every minute."""

SAVED_MOST: Final = 5
"""A bucket holds so many times its minimum: credit of good times must not pay for a storm later. What begins while
others are undecided and then fails is owed, or slow failures would have an extra attempt each; but no more than this,
so that one bad moment of very many calls at once does not forbid retries for an hour."""

UNDECIDED: Final = 0.1
"""What an extra attempt under way counts: ten may be open for a token, or a sudden fallback of everybody onto a
deployment that is well would be refused before the first of them could succeed."""


@dataclass(frozen=True, slots=True)
class RetryTerms:
    """What a deployment's budget is made of.

    Attributes:
        share: tokens that a first attempt or a success adds. 0.2, as Finagle's and Envoy's defaults: a sick deployment
            gets at most a fifth more than its own traffic.
        least: tokens that time alone gives, per minute; 0 leaves the share alone. 10 keeps small programs able to
            retry.
    """

    share: float = 0.2
    least: int = 10


@dataclass(slots=True)
class RetryBudget:
    """The bucket of one deployment.

    Attributes:
        tokens: failed extra attempts that it can still pay for; below 0 it owes them.
        undecided: extra attempts under way.
    """

    terms: RetryTerms = field(default_factory=RetryTerms)
    tokens: float = -1.0
    undecided: int = 0
    _at_s: float = 0.0

    def __post_init__(self) -> None:
        if self.tokens < 0:
            self.tokens = float(self.terms.least)

    def has_room(self, now_s: float) -> bool:
        """Whether one more extra attempt may begin."""
        self._refill(now_s)
        return self.tokens - self.undecided * UNDECIDED >= 1

    def is_spent(self, now_s: float) -> bool:
        """Whether there is none because others failed, and not only because others are not decided yet."""
        self._refill(now_s)
        return self.tokens < 1

    def began(self, now_s: float, *, is_extra: bool) -> None:
        """An attempt begins."""
        self._refill(now_s)
        if is_extra:
            self.undecided += 1
        else:
            self._add(self.terms.share)

    def ended(self, now_s: float, *, is_extra: bool, is_success: bool, is_sick: bool) -> None:
        """An attempt is over.

        Args:
            is_success: it answered.
            is_sick: it failed in a way that speaks against the deployment, or for its being full. A failure that the
                request brought along costs nothing here.
        """
        self._refill(now_s)
        if is_extra:
            self.undecided -= 1
            if is_sick:
                self.tokens = max(-self._most, self.tokens - 1)
        if is_extra and is_success:
            self._add(self.terms.share)

    def _add(self, tokens: float) -> None:
        self.tokens = max(self.tokens, min(self._most, self.tokens + tokens))

    @property
    def _most(self) -> float:
        """The most credit, and the most debt."""
        return float(SAVED_MOST * max(self.terms.least, 1))

    def _refill(self, now_s: float) -> None:
        passed_s, self._at_s = max(0.0, now_s - self._at_s), max(now_s, self._at_s)
        least = float(self.terms.least)
        if self.tokens < least:
            self.tokens = min(least, self.tokens + passed_s * least / REFILL_S)


def pause_s(retry: int) -> float:
    """The longest pause before the n-th retry at one deployment, counted from 1; a driver shortens it by chance."""
    return float(min(PAUSE_MOST_S, PAUSE_FIRST_S * 2.0 ** min(retry - 1, 16)))
