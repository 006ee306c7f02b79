"""The attempt loop, pure: it asks for effects and is told what came of them.

``run`` is a generator. It yields a step (`Reserve`, `Send`, `Relay`, `Resolve`, `Wait`), a driver performs it and sends
the outcome back. No step is repeated by the driver, none is left out, and on any exception from outside the driver
calls `flow.throw(exc)` and performs the steps that still follow, so that every reservation is resolved exactly once.
Never call `flow.close()`: a loop that still has to resolve a reservation could not.

The rules of one request:

1. Before every hop the driver asks policy and revocations again, inside `Reserve`; a refusal there is a value.
2. Over all hops, `settled + uncertain + next bound <= ceiling`.
3. Fallback is legal until the first content was handed out; `Relay` marks that moment.
4. What a failure costs is a table: kind x phase, unless the operator's facts say otherwise (`billed_statuses`).
5. A budget or a deployment without room for one candidate means the next candidate. Only when nobody else is left is
   room waited for, as long as budget, deployment and deadline allow.
6. A candidate whose vendor is over a soft share cap is asked once more, without it, when all others have been.
7. A candidate is asked again only when nobody else is left: when it said after how long, or, where its failure may pass
   by itself and cost nothing, after a pause, `retries_max` times.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from modelrouter.core.bounds import Shortfall, bound
from modelrouter.core.failure import Billing, Failure, FailureKind, Phase, Remedy, billing
from modelrouter.core.plan import Attempt, End, Hop, Plan, Result
from modelrouter.core.retries import pause_s
from modelrouter.core.shares import ShareMode
from modelrouter.core.spans import billed_span, bounded_span
from modelrouter.core.steps import (
    Answered,
    Failed,
    Granted,
    Lapsed,
    NotGranted,
    Opened,
    Outcome,
    Overload,
    Relay,
    Reserve,
    Resolve,
    Resolved,
    Send,
    Step,
    Wait,
    Waited,
)

if TYPE_CHECKING:
    from modelrouter.core.bounds import Bound
    from modelrouter.core.budget import Refusal
    from modelrouter.core.shares import ShareRefusal

__all__ = [
    "Answered",
    "Attempt",
    "Billing",
    "End",
    "Failed",
    "Failure",
    "FailureKind",
    "Granted",
    "Hop",
    "Lapsed",
    "NotGranted",
    "Opened",
    "Outcome",
    "Overload",
    "Phase",
    "Plan",
    "Relay",
    "Reserve",
    "Resolve",
    "Resolved",
    "Result",
    "Send",
    "Step",
    "Wait",
    "Waited",
    "billing",
    "run",
]


# --- the loop -------------------------------------------------------------------------------------------------------

Flow: TypeAlias = Generator[Step, Outcome, Result]

_LAPSED: Final = Failure(
    FailureKind.TIMED_OUT, Phase.NOT_SENT, "its lease, or its permission, had lapsed before it was sent"
)


@dataclass(slots=True)
class _Run:
    """What one run has gathered so far."""

    plan: Plan
    now_s: float
    attempts: list[Attempt] = field(default_factory=list)
    not_granted: dict[str, str] = field(default_factory=dict)
    shortfalls: list[tuple[str, Shortfall]] = field(default_factory=list)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    overloads: dict[str, Overload] = field(default_factory=dict)
    revoked: dict[str, None] = field(default_factory=dict)
    shares: dict[str, ShareRefusal] = field(default_factory=dict)
    ready_at_s: dict[str, float] = field(default_factory=dict)  # hops that are to be tried again later
    busy_until_s: dict[str, float] = field(default_factory=dict)  # hops that may have room until then
    retries: dict[str, int] = field(default_factory=dict)  # how often a hop is tried again without having asked for it

    @property
    def spent_nano_usd(self) -> int:
        """Settled and uncertain together: what the ceiling has left is the rest."""
        return sum(attempt.cost_nano_usd for attempt in self.attempts)

    def end(self, end: End) -> Result:
        return Result(
            end,
            tuple(self.attempts),
            tuple(self.not_granted.items()),
            tuple(self.shortfalls),
            tuple(self.refusals.items()),
            tuple(self.overloads.items()),
            tuple(self.revoked),
            tuple(self.shares.items()),
        )

    def was_refused(self, hop: Hop, told: NotGranted) -> None:
        """Keep why; room that others only hold may be waited for, counted from the first refusal."""
        self.not_granted[hop.deployment] = told.reason
        self.overloads.pop(hop.deployment, None)
        self.revoked.pop(hop.deployment, None)
        self.shares.pop(hop.deployment, None)
        if told.revoked:
            self.refusals.pop(hop.deployment, None)
            self.revoked[hop.deployment] = None
        if told.share is not None:
            self.shares[hop.deployment] = told.share
        refusal, overload, wait_s = told.refusal, told.overload, 0.0
        if refusal is not None:
            self.refusals[hop.deployment] = refusal
            wait_s = refusal.wait_s if refusal.is_busy else 0.0
        elif overload is not None:
            self.overloads[hop.deployment] = overload
            wait_s = overload.wait_s
        if wait_s > 0:
            self.busy_until_s.setdefault(hop.deployment, self.now_s + wait_s)
        else:
            self.busy_until_s.pop(hop.deployment, None)

    def was_granted(self, hop: Hop) -> None:
        """What was refused before is so no longer."""
        for refused in (
            self.not_granted, self.refusals, self.overloads, self.revoked, self.shares, self.busy_until_s
        ):  # fmt: skip
            refused.pop(hop.deployment, None)

    def has_failed(self, hop: Hop, failure: Failure) -> None:
        """Keep when it may be tried again: as it said, else after a pause where the rules and its cost allow it."""
        name, retries = hop.deployment, self.retries.get(hop.deployment, 0)
        if failure is _LAPSED:
            self.not_granted[name] = "its lease lapsed"
        elif failure.retry_after_s is not None:
            if math.isfinite(failure.retry_after_s):
                self.ready_at_s[name] = self.now_s + failure.retry_after_s
        elif (
            failure.rule.remedy is Remedy.RETRY_HERE
            and self.attempts[-1].billing is Billing.UNBILLED
            and retries < self.plan.retries_max
        ):
            self.retries[name] = retries + 1
            self.ready_at_s[name] = self.now_s + pause_s(retries + 1)

    def put_off(self) -> tuple[Hop, ...]:
        """Those that a soft share cap has asked after all others."""
        over = {name for name, refusal in self.shares.items() if refusal.demand.cap.mode is ShareMode.SOFT}
        return tuple(hop for hop in self.plan.hops if hop.deployment in over)

    def bound(self, hop: Hop) -> Bound | Shortfall:
        plan = self.plan
        ceilings = [limit for limit in (plan.ceiling_nano_usd, hop.ceiling_nano_usd) if limit is not None]
        return bound(
            hop.price,
            plan.size,
            overhead=hop.overhead,
            basis=hop.basis,
            context_tokens=hop.context_tokens,
            wanted_output_tokens=plan.wanted_output_tokens,
            least_output_tokens=plan.least_output_tokens,
            ceiling_nano_usd=min(ceilings) - self.spent_nano_usd if ceilings else None,
            span=bounded_span(plan, hop.price, self.now_s),
            uses=plan.uses,
        )

    def timeout_s(self) -> float:
        return self.plan.deadline_s - self.now_s

    def turns(self, hop: Hop) -> float:
        """How long the line is at a candidate that had no room; 0 where money is waited for."""
        overload = self.overloads.get(hop.deployment)
        return 0.0 if overload is None else overload.turns

    def exhausted(self) -> Result:
        """Nobody is left: say which of the reasons it was."""
        if self.refusals:
            return self.end(End.BUDGET)
        if self.attempts:
            return self.end(End.EXHAUSTED)
        if self.overloads:
            return self.end(End.OVERLOADED)
        return self.end(End.CEILING if self.shortfalls and not self.not_granted else End.NOT_GRANTED)


def run(plan: Plan) -> Flow:
    """Work through a plan: reserve, send, resolve; fall back until somebody answers or nobody is left.

    Returns:
        the result, through the generator's return value. Failures are in it; nothing is raised but what is thrown in.
    """
    state = _Run(plan, plan.started_s)
    for hop in plan.hops:
        ended = yield from _hop(state, hop)
        if ended is not None:
            return ended
    for hop in state.put_off():
        ended = yield from _hop(state, hop, is_past_soft_caps=True)
        if ended is not None:
            return ended
    while (turn := _next_turn(state)) is not None:
        hop, after_s, wait_s = turn
        state.ready_at_s.pop(hop.deployment, None)
        if after_s > 0:
            waited = yield Wait(after_s, is_stated=_has_stated(state, hop))
            state.now_s = waited.at_s
        over_s = state.now_s + wait_s
        ended = yield from _hop(state, hop, wait_s, is_last=True)
        if ended is not None:
            return ended
        if state.now_s < over_s or state.now_s >= state.busy_until_s.get(hop.deployment, 0.0):
            state.busy_until_s.pop(hop.deployment, None)  # answered before its time was over, or it has had all of it
    return state.exhausted()


def _next_turn(state: _Run) -> tuple[Hop, float, float] | None:
    """Who is asked once more: a hop, after how many seconds, and how long it may wait for reserved money.

    A hop that is to be tried again gets its turn at its moment, if that lies before the deadline. Until then, and
    otherwise, the one that had no room and has the shortest line waits for it.
    """
    plan, now_s = state.plan, state.now_s
    ready = [hop for hop in plan.hops if state.ready_at_s.get(hop.deployment, math.inf) < plan.deadline_s]
    first = min(ready, key=lambda each: state.ready_at_s[each.deployment], default=None)
    ready_at_s = math.inf if first is None else state.ready_at_s[first.deployment]
    waiting = [hop for hop in plan.hops if hop.deployment in state.busy_until_s]
    busy = min(waiting, key=state.turns, default=None)
    if busy is not None and now_s < min(ready_at_s, plan.deadline_s):
        until_s = min(state.busy_until_s[busy.deployment], plan.deadline_s, ready_at_s)
        return busy, 0.0, max(until_s - now_s, 0.0)
    return None if first is None else (first, ready_at_s - now_s, 0.0)


def _has_stated(state: _Run, hop: Hop) -> bool:
    """Whether a candidate that is tried again said itself when."""
    last = next(each.failure for each in reversed(state.attempts) if each.deployment == hop.deployment)
    return last is not None and last.retry_after_s is not None


def _hop(
    state: _Run, hop: Hop, wait_s: float = 0.0, *, is_last: bool = False, is_past_soft_caps: bool = False
) -> Generator[Step, Outcome, Result | None]:
    """Try one candidate; once more where a connection had died, a lease, or a key. None: go on to the next."""
    fresh_connection = has_lapsed = False
    while True:
        if state.now_s >= state.plan.deadline_s:
            return state.end(End.DEADLINE)
        if len(state.attempts) >= state.plan.attempts_max:
            return state.exhausted()
        most = state.bound(hop)
        if isinstance(most, Shortfall):
            state.shortfalls.append((hop.deployment, most))
            return None
        granted = yield Reserve(hop, most, len(state.attempts) + 1, wait_s, is_last, is_past_soft_caps)
        state.now_s, wait_s = granted.at_s, 0.0
        if isinstance(granted, NotGranted):
            state.was_refused(hop, granted)
            return None
        if not isinstance(granted, Granted):
            raise _out_of_turn(granted)
        state.was_granted(hop)
        ended, failure = yield from _attempt(state, hop, most, granted.reservation, fresh_connection=fresh_connection)
        if ended is not None or failure is None:
            return ended
        if failure is _LAPSED and not has_lapsed:
            has_lapsed = True
            continue
        if failure.rule.remedy is Remedy.STOP and not failure.others_may_serve:
            return state.end(End.CANCELLED if failure.kind is FailureKind.CANCELLED else End.EXHAUSTED)
        if failure.fresh_connection_helps and not fresh_connection:
            fresh_connection = True
            continue
        if failure.other_key_helps:
            continue
        state.has_failed(hop, failure)
        return None


def _attempt(
    state: _Run, hop: Hop, most: Bound, reservation: str, *, fresh_connection: bool
) -> Generator[Step, Outcome, tuple[Result | None, Failure | None]]:
    """Send under a granted reservation and resolve it, whatever happens."""
    started_s = state.now_s
    relaying = False
    if state.timeout_s() <= 0:  # the ledger took all the time there was
        late = Failure(FailureKind.TIMED_OUT, Phase.NOT_SENT, "the deadline passed while it was being reserved")
        yield from _resolve(state, hop, reservation, _ended(state, hop, most, started_s, late))
        return state.end(End.DEADLINE), None
    try:
        got = yield Send(hop, most, reservation, state.timeout_s(), fresh_connection)
        if isinstance(got, Lapsed):
            got = Failed(_LAPSED, got.at_s)
        elif isinstance(got, Opened):
            relaying = True
            state.now_s = got.at_s
            got = yield Relay(hop, reservation)
        answered = _in_turn(got)
        state.now_s = answered.at_s
        attempt = _ended(state, hop, most, started_s, answered if isinstance(answered, Answered) else answered.failure)
    except BaseException:  # also of what a lane answered and nobody can make sense of
        phase = Phase.ANSWERING if relaying else Phase.SENT
        interrupted = Failure(FailureKind.CANCELLED, phase, "interrupted before the answer was complete")
        yield from _resolve(state, hop, reservation, _ended(state, hop, most, started_s, interrupted))
        raise
    yield from _resolve(state, hop, reservation, attempt)
    if isinstance(answered, Answered):
        return state.end(End.ANSWERED), None
    failure = answered.failure
    if relaying:
        return state.end(End.CANCELLED if failure.kind is FailureKind.CANCELLED else End.BROKEN), None
    return None, failure


def _in_turn(outcome: Outcome) -> Answered | Failed:
    if not isinstance(outcome, (Answered, Failed)):
        raise _out_of_turn(outcome)
    return outcome


def _ended(state: _Run, hop: Hop, most: Bound, started_s: float, got: Answered | Failure) -> Attempt:
    """The attempt as it went, and what it costs."""
    usage = None if got.usage is None or got.usage.fault is not None else got.usage
    if isinstance(got, Failure):
        kind = billing(got, hop.billed_statuses)
    else:
        kind = Billing.UNCERTAIN if usage is None else Billing.BILLED
    span = billed_span(state.plan, hop.price, started_s, state.now_s)
    cost = most.nano_usd if kind is Billing.UNCERTAIN else 0
    if kind is Billing.BILLED and usage is not None:
        cost = hop.price.settle_nano_usd(usage, span)
        if usage.uses and hop.price.unpriced(usage.uses):  # it used something whose fee nobody knows
            kind, cost = Billing.UNCERTAIN, max(cost, most.nano_usd)
    return Attempt(
        number=len(state.attempts) + 1,
        deployment=hop.deployment,
        bound=most,
        price=hop.price,
        started_s=started_s,
        ended_s=state.now_s,
        failure=got if isinstance(got, Failure) else None,
        usage=usage,
        billing=kind,
        cost_nano_usd=cost,
        span=span,
        length_reached=isinstance(got, Answered) and got.length_reached,
    )


def _resolve(state: _Run, hop: Hop, reservation: str, attempt: Attempt) -> Generator[Step, Outcome, None]:
    """Book the attempt, then ask for its reservation to be resolved."""
    state.attempts.append(attempt)
    resolved = yield Resolve(hop, reservation, attempt.billing, attempt.cost_nano_usd, attempt)
    state.now_s = resolved.at_s


def _out_of_turn(outcome: Outcome) -> TypeError:
    return TypeError(f"the driver answered `{type(outcome).__name__}` where another outcome was due")
