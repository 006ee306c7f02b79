"""How much one deployment is asked at once and in a minute: own limits that hold, so that no 429 is needed.

Windows slide and are exact: in no minute more is begun than the limit says. A request counts as the large operators
count it when it arrives: its input and all the output that it may have. What waits stands in a line and gets its turn
in order.

Pure: a clock reading comes with every call. Not thread-safe.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

__all__ = ["WINDOW_S", "Limits", "Line", "Place", "Room", "Window"]

WINDOW_S: Final = 61.0
"""A minute, and a second for requests that took longer on their way than the ones behind them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a deployment is asked at most by this process; None is no limit.

    Attributes:
        max_in_flight: calls at once.
        max_queue: calls that may wait for room; one more is refused at once.
        requests_per_minute: calls begun.
        tokens_per_minute: input tokens and output limits of calls begun.
    """

    max_in_flight: int | None = None
    max_queue: int = 1000
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(slots=True)
class Taken:
    """A part of a minute's limit that somebody has."""

    window: Window
    at_s: float
    amount: int
    is_counted: bool = True

    def correct(self, amount: int) -> None:
        """It turned out to count for something else; no longer of interest once the minute is over."""
        if self.is_counted:
            self.window.total += amount - self.amount
            self.amount = amount


@dataclass(slots=True)
class Window:
    """What was begun lately, by a limit that no stretch of `WINDOW_S` may exceed."""

    limit: int
    total: int = 0
    _taken: deque[Taken] = field(default_factory=deque)

    def free_at_s(self, now_s: float, amount: int) -> float:
        """From when on `amount` more fits, if nobody else comes; it is no more than the limit."""
        self._forget(now_s)
        over, at_s = self.total + amount - self.limit, now_s
        for taken in self._taken:
            if over <= 0:
                break
            over -= taken.amount
            at_s = taken.at_s + WINDOW_S
        return max(at_s, now_s)

    def take(self, now_s: float, amount: int) -> Taken:
        """Count something."""
        self._forget(now_s)
        taken = Taken(self, max(now_s, self._taken[-1].at_s) if self._taken else now_s, amount)
        self._taken.append(taken)
        self.total += amount
        return taken

    def _forget(self, now_s: float) -> None:
        while self._taken and self._taken[0].at_s + WINDOW_S <= now_s:
            taken = self._taken.popleft()
            taken.is_counted = False
            self.total -= taken.amount


@dataclass(frozen=True, slots=True)
class Room:
    """Whether a call may begin.

    Attributes:
        is_free: it may, now.
        at_s: when a minute's limit will have room; None: that depends on calls that end, or on the line before it.
        reason: which limit it is; empty when free.
    """

    is_free: bool
    at_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A call that was let in: what it counts for in each limited minute."""

    request: Taken | None
    tokens: Taken | None


FREE: Final = Room(is_free=True)


class Line:
    """The calls of one deployment: those under way, and those that wait for it.

    Attributes:
        in_flight: calls under way.
    """

    def __init__(self, limits: Limits) -> None:
        self.in_flight = 0
        self._waiting: deque[object] = deque()
        self.limit(limits)

    def limit(self, limits: Limits) -> None:
        """Go by other limits from now on; what a minute has seen stays counted where its limit stays the same."""
        before = getattr(self, "limits", None)
        self.limits = limits
        if before is None or before.requests_per_minute != limits.requests_per_minute:
            self._requests = None if limits.requests_per_minute is None else Window(limits.requests_per_minute)
        if before is None or before.tokens_per_minute != limits.tokens_per_minute:
            self._tokens = None if limits.tokens_per_minute is None else Window(limits.tokens_per_minute)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def turns(self) -> float:
        """How many calls wait for each that may be under way: about how often somebody has to end before the last."""
        return len(self._waiting) / (self.limits.max_in_flight or 1)

    @property
    def first(self) -> object | None:
        """Who is next among those that wait."""
        return self._waiting[0] if self._waiting else None

    def join(self, caller: object) -> bool:
        """Stand at the end of the line; False: it is full."""
        if len(self._waiting) >= self.limits.max_queue:
            return False
        self._waiting.append(caller)
        return True

    def quit(self, caller: object) -> None:
        """Leave the line, served or not."""
        if caller in self._waiting:
            self._waiting.remove(caller)

    def room(self, now_s: float, tokens: int, caller: object | None = None) -> Room:
        """Whether a call may begin: one that waits when it is the first of the line, another when nobody waits."""
        if self._waiting and self._waiting[0] is not caller:
            return Room(is_free=False, reason=f"{len(self._waiting)} calls wait for it already")
        limit = self.limits.max_in_flight
        if limit is not None and self.in_flight >= limit:
            return Room(is_free=False, reason=f"{self.in_flight} calls are under way, of at most {limit}")
        return self._rated(now_s, tokens)

    def _rated(self, now_s: float, tokens: int) -> Room:
        latest = FREE
        for window, amount, unit in ((self._requests, 1, "requests"), (self._tokens, tokens, "tokens")):
            if window is None:
                continue
            at_s = window.free_at_s(now_s, min(amount, window.limit))
            if at_s > now_s and at_s > (latest.at_s or now_s):
                reason = f"{window.total} of at most {window.limit} {unit} a minute are taken"
                latest = Room(is_free=False, at_s=at_s, reason=reason)
        return latest

    def enter(self, now_s: float, tokens: int) -> Place:
        """Begin a call for which there is room. One that may be larger than a minute's limit has the minute alone."""
        self.in_flight += 1
        request = None if self._requests is None else self._requests.take(now_s, 1)
        counted = None if self._tokens is None else self._tokens.take(now_s, min(tokens, self._tokens.limit))
        return Place(request, counted)

    def leave(self, place: Place, *, tokens: int | None) -> None:
        """A call is over.

        Args:
            tokens: what it counts for now that more is known; None: it was never sent, and counts for nothing.
        """
        self.in_flight -= 1
        if place.request is not None and tokens is None:
            place.request.correct(0)
        if place.tokens is not None:
            place.tokens.correct(min(tokens or 0, place.tokens.window.limit))
