"""What goes to each deployment now, and how that went: limits and their line, health, keys, retry budgets, estimates.

The models are pure and in `core`; here they get a clock, a lock and whoever waits. Everything is thread-safe and
belongs to no event loop: a call that waits leaves an event of its own loop behind, which any thread may set.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from modelrouter.core.attempts import Overload
from modelrouter.core.failure import Blame, FailureKind, Phase
from modelrouter.core.health import Breaker, Mean, State, Verdict, outliers, verdict_of
from modelrouter.core.keys import Keys
from modelrouter.core.load import Limits, Line
from modelrouter.core.retries import RetryBudget
from modelrouter.router.pauses import JITTER_MOST, with_jitter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelrouter.config.setup import Setup
    from modelrouter.core.attempts import Attempt
    from modelrouter.core.bounds import Bound, Size
    from modelrouter.core.failure import Failure
    from modelrouter.core.load import Place
    from modelrouter.ports import Clock, Endpoint

__all__ = ["Full", "Need", "Pass", "Readings", "Traffic"]

NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Need:
    """What an attempt may need at most of a minute's tokens."""

    input_tokens: int
    output_tokens: int

    @classmethod
    def of(cls, most: Bound, size: Size) -> Need:
        """A text has no more tokens than bytes; what has no bytes that count is taken as the bound takes it."""
        tokens = most.input_tokens
        if not (size.opaque_count or size.pictures or size.audio_s):
            tokens = min(tokens, size.text_bytes + size.tool_bytes)
        return cls(tokens, most.max_output_tokens * size.choices)

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


@dataclass(slots=True)
class Pass:
    """An attempt that was let in. It is handed back with `Traffic.leave`, exactly once.

    Attributes:
        endpoint: how to call the deployment, with the key whose turn it is.
        breaker: and the two after it: what it reports to, those of the configuration that it began under.
        sent_s: when it was sent; None: it was not.
        is_cut_short: the caller's deadline left it less time than an attempt should have.
        first_token_s: how long its first content took, where that was seen.
    """

    deployment: str
    endpoint: Endpoint
    key: int
    breaker: Breaker
    keys: Keys
    budget: RetryBudget
    need: Need
    place: Place
    age: int
    is_extra: bool
    sent_s: float | None = None
    is_cut_short: bool = False
    first_token_s: float | None = None


@dataclass(frozen=True, slots=True)
class Full:
    """Why an attempt may not begin now.

    Attributes:
        overload: where waiting, or asking again when nobody is left, may help.
        line: in which to wait; None: nowhere.
    """

    reason: str
    overload: Overload | None = None
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """What a decision reads: everything by deployment, only where there is something."""

    in_flight: dict[str, int] = field(default_factory=dict)
    tried_last: dict[str, str] = field(default_factory=dict)
    latency_s: dict[str, float] = field(default_factory=dict)
    first_token_s: dict[str, float] = field(default_factory=dict)
    output_tokens: dict[str, float] = field(default_factory=dict)


class _Caller:
    """One who waits in a line."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    def wake(self) -> bool:
        """False: its loop was closed, and it with it."""
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:
            return False
        return True

    @property
    def is_gone(self) -> bool:
        """Whether it will never come for its turn."""
        return self._loop.is_closed()

    async def rest(self, timeout_s: float) -> bool:
        """Wait until woken, or for so long; whether it was woken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        was_woken = self._woken.is_set()
        self._woken.clear()
        return was_woken


class _Post:
    """One deployment: its models, and its endpoint once for each key."""

    def __init__(self) -> None:
        self.line = Line(NO_LIMITS)
        self.undecided = Line(NO_LIMITS)  # retries and fallbacks that wait for how others turn out
        self.latency, self.first_token, self.output_tokens = Mean(), Mean(), Mean()

    def adopt(self, endpoint: Endpoint, setup: Setup) -> None:
        """Begin anew by a configuration, but for calls under way: what was ill may have been mended."""
        keys = (endpoint.key, *endpoint.more_keys)
        self.endpoints = tuple(replace(endpoint, key=key, more_keys=()) if len(keys) > 1 else endpoint for key in keys)
        self.line.limit(setup.limits.get(endpoint.deployment, NO_LIMITS))
        self.breaker, self.keys, self.budget = Breaker(setup.health), Keys(len(keys)), RetryBudget(setup.retries)

    def trouble(self, now_s: float) -> str:
        return self.breaker.trouble(now_s) or self.keys.trouble(now_s)


class Traffic:
    """The traffic of every deployment of a Router, in this process."""

    def __init__(self, setup: Setup, clock: Clock) -> None:
        self._clock = clock
        # Re-entrant: a stream that the garbage collector finds is handed back in whichever thread it comes to.
        self._guard = threading.RLock()
        self._posts: dict[str, _Post] = {}
        self.adopt(setup)

    def adopt(self, setup: Setup) -> None:
        """Go by another configuration from now on."""
        with self._guard:
            for name, endpoint in setup.endpoints.items():
                self._posts.setdefault(name, _Post()).adopt(endpoint, setup)
            for post in self._posts.values():
                self._wake(post)

    # --- what decisions read ------------------------------------------------------------------------------------

    def readings(self, candidates: Sequence[str]) -> Readings:
        """The dynamic values of these deployments at this moment."""
        now_s, found = self._clock.monotonic_s(), Readings()
        with self._guard:
            posts = {name: self._posts[name] for name in candidates}
            for name, post in posts.items():
                if post.line.in_flight:
                    found.in_flight[name] = post.line.in_flight
                if trouble := post.trouble(now_s):
                    found.tried_last[name] = trouble
                if (latency_s := post.latency.at(now_s)) is not None:
                    found.latency_s[name] = latency_s
                if (first_token_s := post.first_token.at(now_s)) is not None:
                    found.first_token_s[name] = first_token_s
                if (output_tokens := post.output_tokens.at(now_s)) is not None:
                    found.output_tokens[name] = output_tokens
            if any(post.breaker.has_failed for post in posts.values()):
                well = {name: post for name, post in posts.items() if name not in found.tried_last}
                found.tried_last.update(outliers({name: post.breaker.record(now_s) for name, post in well.items()}))
        return found

    # --- in and out ---------------------------------------------------------------------------------------------

    async def enter(
        self, deployment: str, need: Need, *, is_extra: bool, is_last: bool = False, wait_s: float = 0.0
    ) -> Pass | Full:
        """Let an attempt in, waiting for room where it may.

        Args:
            need: what counts against limits of tokens.
            is_extra: a retry or a fallback, which the retry budget must allow.
            is_last: nobody else is left: a deployment that is held back or on probation is asked all the same.
            wait_s: how long it may stand in the line.
        """
        post, until_s = self._posts[deployment], self._clock.monotonic_s() + wait_s
        if is_last:
            await self._until_released(post, until_s)
        caller: _Caller | None = None
        joined: list[Line] = []
        try:
            while True:
                now_s = self._clock.monotonic_s()
                with self._guard:
                    self._let_past_gone(post)
                    got = self._try(post, deployment, need, now_s, caller, is_extra=is_extra, is_last=is_last)
                    if isinstance(got, Pass) or now_s >= until_s or got.line is None:
                        return got
                    caller = _Caller() if caller is None else caller
                    if got.line not in joined:
                        if not got.line.join(caller):
                            return _full(f"{got.line.waiting} calls wait for it, as many as may", got)
                        joined.append(got.line)
                        continue  # whoever is first in the line may have room already
                if not await self._rest(caller, got, until_s - now_s):
                    until_s = now_s  # its time is over, whatever a clock that stands still says
        finally:
            if joined:
                with self._guard:
                    for line in joined:
                        line.quit(caller)
                    self._wake(post)

    async def _rest(self, caller: _Caller, full: Full, left_s: float) -> bool:
        """Until a call ends, or a minute's limit has room; False: neither, in all the time that there was."""
        retry_after_s = None if full.overload is None else full.overload.retry_after_s
        if retry_after_s is None:
            return await caller.rest(left_s)
        both = [
            asyncio.ensure_future(self._clock.sleep(min(retry_after_s, left_s))),
            asyncio.ensure_future(caller.rest(left_s)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except GeneratorExit:
            raise  # dropped with its loop, and both with it
        except BaseException:
            await _given_up(both)
            raise
        await _given_up(both)
        return True

    async def _until_released(self, post: _Post, until_s: float) -> None:
        """Leave a deployment alone as long as it asked for, where there is the time."""
        now_s = self._clock.monotonic_s()
        with self._guard:
            held_until_s = post.keys.held_until_s(now_s)
        if held_until_s is not None and held_until_s <= until_s:
            await self._clock.sleep(min(with_jitter(held_until_s - now_s), until_s - now_s))

    def _try(
        self,
        post: _Post,
        deployment: str,
        need: Need,
        now_s: float,
        caller: _Caller | None,
        *,
        is_extra: bool,
        is_last: bool,
    ) -> Pass | Full:
        if is_extra and not post.budget.has_room(now_s):
            if post.budget.is_spent(now_s):
                return Full("its retry budget is used up: it has failed too often lately to be asked on top of that")
            reason = f"{post.budget.undecided} retries and fallbacks under way will tell whether it is well"
            return Full(reason, Overload(math.inf, turns=post.undecided.turns), post.undecided)
        room = post.line.room(now_s, need.tokens, caller)
        if not room.is_free:
            retry_after_s = None if room.at_s is None else room.at_s - now_s
            return Full(room.reason, Overload(math.inf, retry_after_s, post.line.turns), post.line)
        if not is_last:
            held_until_s = post.keys.held_until_s(now_s)
            if held_until_s is not None:
                left_s = held_until_s - now_s
                return Full(post.keys.trouble(now_s), Overload(left_s * (1 + JITTER_MOST), left_s))
            if post.breaker.state(now_s) is State.HALF_OPEN and not post.breaker.has_permit(now_s):
                return Full(post.breaker.trouble(now_s), Overload(math.inf))
        key = post.keys.pick(now_s)
        post.keys.began(key)
        post.budget.began(now_s, is_extra=is_extra)
        return Pass(
            deployment,
            post.endpoints[key],
            key,
            post.breaker,
            post.keys,
            post.budget,
            need,
            post.line.enter(now_s, need.tokens),
            post.breaker.began(),
            is_extra,
        )

    def other_key_helps(self, entry: Pass, failure: Failure) -> bool:
        """Whether a failure speaks against the key alone, and another one of the deployment is well."""
        if failure.rule.blame not in {Blame.CREDENTIAL, Blame.CAPACITY}:
            return False
        with self._guard:
            return entry.keys.has_well(self._clock.monotonic_s(), but=entry.key)

    def leave(self, entry: Pass, attempt: Attempt | None) -> None:
        """An attempt is over, and teaches what it can.

        Args:
            attempt: None: it was not granted any money, and nothing was sent.
        """
        now_s, post = self._clock.monotonic_s(), self._posts[entry.deployment]
        if entry.sent_s is None:
            attempt = None  # whatever ended it did so before anything was asked of the deployment
        is_sent = attempt is not None
        failure = None if attempt is None else attempt.failure
        with self._guard:
            verdict, blamed = Verdict.NOTHING, None
            if is_sent:
                verdict = verdict_of(failure, entry.first_token_s, entry.breaker.terms)
                blamed = failure
            is_sick = verdict is Verdict.BAD or (blamed is not None and blamed.rule.blame is Blame.CAPACITY)
            if entry.is_cut_short and verdict is Verdict.BAD and _is_late(failure):
                verdict = Verdict.NOTHING  # a deadline's doing says nothing of health; the attempt was extra load
            entry.breaker.ended(now_s, entry.age, verdict)
            entry.keys.ended(now_s, entry.key, blamed, is_told=is_sent)
            entry.budget.ended(now_s, is_extra=entry.is_extra, is_success=is_sent and failure is None, is_sick=is_sick)
            post.line.leave(entry.place, tokens=None if attempt is None else _counted(entry, attempt))
            if attempt is not None and failure is None:
                self._learn(post, entry, attempt, now_s)
            self._wake(post)

    @staticmethod
    def _learn(post: _Post, entry: Pass, attempt: Attempt, now_s: float) -> None:
        post.latency.add(now_s, attempt.ended_s - attempt.started_s)
        if entry.first_token_s is not None:
            post.first_token.add(now_s, entry.first_token_s)
        if attempt.usage is not None:
            post.output_tokens.add(now_s, attempt.usage.output_tokens)

    @classmethod
    def _let_past_gone(cls, post: _Post) -> None:
        """Let nobody stand in the way who will never come for its turn."""
        if any(isinstance(line.first, _Caller) and line.first.is_gone for line in (post.line, post.undecided)):
            cls._wake(post)

    @staticmethod
    def _wake(post: _Post) -> None:
        for line in (post.line, post.undecided):
            while isinstance(line.first, _Caller) and not line.first.wake():
                line.quit(line.first)


async def _given_up(tasks: Sequence[asyncio.Task[bool | None]]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _full(reason: str, because: Full) -> Full:
    overload = because.overload
    return Full(reason, Overload(0.0, None if overload is None else overload.retry_after_s))


def _is_late(failure: Failure | None) -> bool:
    return failure is not None and failure.kind is FailureKind.TIMED_OUT


def _counted(entry: Pass, attempt: Attempt) -> int | None:
    """What it counts for in a minute's tokens, as operators count: its input and all the output it might have had."""
    if attempt.failure is not None and attempt.failure.phase is Phase.NOT_SENT:
        return None
    if attempt.usage is None:
        return entry.need.tokens
    return attempt.usage.input_tokens + entry.need.output_tokens
