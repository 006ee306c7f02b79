"""The attempt loop under any driver: random answers, random interruptions, and an account kept beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.attempts import (
    Answered,
    Billing,
    End,
    Failed,
    Failure,
    FailureKind,
    Granted,
    Hop,
    Lapsed,
    NotGranted,
    Opened,
    Overload,
    Phase,
    Plan,
    Relay,
    Reserve,
    Resolve,
    Resolved,
    Send,
    Wait,
    Waited,
    run,
)
from modelrouter.core.bounds import BoundBasis, Overhead, Size
from modelrouter.core.budget import Balance, Budget, Position, Refusal, Window
from modelrouter.core.pricing import Usage
from tests.core.test_attempts import Interruption, let_go
from tests.oracle import oracle_cost_nano_usd
from tests.strategies import everyday
from tests.strategies_facts import PRICES

if TYPE_CHECKING:
    from modelrouter.core.attempts import Outcome as Answer
    from modelrouter.core.attempts import (
        Result,
        Step,
    )

HOPS = st.builds(
    Hop,
    deployment=st.just("set below"),
    price=st.sampled_from(PRICES),
    overhead=st.just(Overhead(5, 1, 1, 1)),
    basis=st.sampled_from(list(BoundBasis)),
    context_tokens=st.sampled_from([None, 200, 500]),
    billed_statuses=st.sampled_from([frozenset(), frozenset({400, 500})]),
    ceiling_nano_usd=st.sampled_from([None, None, 300_000, 10**6]),
)
SECONDS = st.sampled_from([0.0, 0.1, 1.0, 4.0, 10.0])
USAGES = st.none() | st.builds(
    Usage, st.integers(0, 120), st.integers(0, 60), st.sampled_from([0, 3]), st.sampled_from([0, 2])
)
FAILURES = st.builds(
    Failure,
    kind=st.sampled_from(FailureKind),
    phase=st.sampled_from(Phase),
    detail=st.just("a test"),
    status=st.sampled_from([None, 200, 400, 429, 500]),
    retry_after_s=st.sampled_from([None, None, 0.0, 0.5, 3.0, 100.0, float("nan"), -1.0]),
    usage=USAGES,
    fresh_connection_helps=st.booleans(),
    other_key_helps=st.sampled_from([False, False, False, True]),
)


def refusal(wait_s: float, *, is_busy: bool = True) -> Refusal:
    """What a budget says that has no room."""
    return Refusal(Position(Budget("b", 1, Window.TOTAL, wait_s=wait_s), "", Balance(), None), 2, is_busy, wait_s)


SAID: list[str | Refusal | Overload] = [
    *["granted"] * 6,
    "policy",
    refusal(0.0, is_busy=False),
    *(refusal(wait_s) for wait_s in (0.0, 0.5, 5.0, 1e3)),
    *(Overload(wait_s) for wait_s in (0.0, 0.5, 5.0, float("inf"))),
]
REFUSALS = st.sampled_from(SAID)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan over one to four candidates, with or without a ceiling and a near deadline."""
    hops = draw(st.lists(HOPS, min_size=1, max_size=4))
    named = tuple(
        Hop(
            f"d{place}",
            hop.price,
            hop.overhead,
            hop.basis,
            hop.context_tokens,
            hop.billed_statuses,
            hop.ceiling_nano_usd,
        )
        for place, hop in enumerate(hops)
    )
    return Plan(
        hops=named,
        size=Size(text_bytes=draw(st.integers(0, 100)), choices=draw(st.integers(1, 2))),
        wanted_output_tokens=draw(st.integers(1, 40)),
        least_output_tokens=draw(st.integers(1, 20)),
        ceiling_nano_usd=draw(st.sampled_from([None, 0, 100_000, 400_000, 10**6, 10**7])),
        started_s=1000.0,
        deadline_s=1000.0 + draw(st.sampled_from([0.0, 1.0, 10.0, 60.0])),
        attempts_max=draw(st.integers(0, 6)),
        stream=draw(st.booleans()),
        retries_max=draw(st.sampled_from([0, 1, 2])),
    )


@dataclass
class Account:
    """What a driver and a ledger would see, and every rule of the loop checked as each step comes."""

    plan: Plan
    now_s: float
    granted: dict[str, Reserve] = field(default_factory=dict)
    resolved: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    reserved: int = 0
    relayed: bool = False
    stopped: bool = False
    lapsed: bool = False
    second_turns: bool = False
    asked: set[str] = field(default_factory=set)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    overloads: dict[str, Overload] = field(default_factory=dict)
    patience_ends_s: dict[str, float] = field(default_factory=dict)

    @property
    def open(self) -> set[str]:
        """Reservations that nobody has resolved yet."""
        return set(self.granted) - set(self.resolved)

    def take(self, step: Step) -> None:
        """Check a step that the loop asks for."""
        match step:
            case Reserve():
                self.may_begin(step)
            case Send():
                assert self.open == {step.reservation}
                assert self.granted[step.reservation].hop == step.hop
                assert self.granted[step.reservation].bound == step.bound
                assert 0 < step.timeout_s <= self.plan.deadline_s - self.now_s
                self.sent += 1
            case Relay():
                assert self.open == {step.reservation}
                self.relayed = True
            case Resolve():
                self.is_booked_right(step)
                self.resolved[step.reservation] = step.cost_nano_usd
            case Wait():
                self.second_turns = True
                assert step.is_stated or self.plan.retries_max
                assert not self.open
                assert not self.relayed
                assert step.seconds > 0
                assert self.now_s + step.seconds < self.plan.deadline_s

    def may_begin(self, step: Reserve) -> None:
        """Nothing is open, time and attempts are left, nothing was handed out, and the money is there."""
        assert not self.open
        assert not self.relayed
        assert not self.stopped
        assert self.now_s < self.plan.deadline_s
        assert len(self.granted) < self.plan.attempts_max
        assert step.hop in self.plan.hops
        assert step.number == len(self.granted) + 1
        self.waits_right(step)
        for ceiling in (self.plan.ceiling_nano_usd, step.hop.ceiling_nano_usd):
            assert ceiling is None or sum(self.resolved.values()) + step.bound.nano_usd <= ceiling
        least = min(self.plan.least_output_tokens, self.plan.wanted_output_tokens)
        assert least <= step.bound.max_output_tokens <= self.plan.wanted_output_tokens
        self.reserved += 1

    def waits_right(self, step: Reserve) -> None:
        """Reserved money is waited for only when nobody else is left, and no longer than budget and deadline say."""
        name = step.hop.deployment
        assert step.wait_s >= 0
        self.second_turns = self.second_turns or step.is_last
        assert step.is_last == self.second_turns
        if step.wait_s:
            assert step.is_last
            assert name in self.overloads or self.refusals[name].is_busy
            assert self.now_s + step.wait_s <= min(self.patience_ends_s[name], self.plan.deadline_s) + 1e-9
        assert not self.second_turns or name in self.asked
        self.asked.add(name)

    def grant(self, step: Reserve) -> Granted:
        """What was refused before is so no longer."""
        self.granted[f"r{self.reserved}"] = step
        self.refusals.pop(step.hop.deployment, None)
        self.overloads.pop(step.hop.deployment, None)
        self.patience_ends_s.pop(step.hop.deployment, None)
        return Granted(f"r{self.reserved}", self.now_s)

    def refuse(self, step: Reserve, said: Refusal | Overload | None) -> NotGranted:
        """Keep what a budget or a deployment said; the first time says how long there is patience."""
        name = step.hop.deployment
        self.overloads.pop(name, None)
        wait_s = 0.0
        if isinstance(said, Refusal):
            self.refusals[name] = said
            wait_s = said.wait_s if said.is_busy else 0.0
        elif said is not None:
            self.overloads[name] = said
            wait_s = said.wait_s
        if wait_s:
            self.patience_ends_s.setdefault(name, self.now_s + wait_s)
        else:
            self.patience_ends_s.pop(name, None)
        if isinstance(said, Refusal):
            return NotGranted("no", self.now_s, said)
        return NotGranted("no", self.now_s, overload=said)

    def is_booked_right(self, step: Resolve) -> None:
        """Released at nothing, uncertain at the bound, settled at its usage, and never twice."""
        assert not self.lapsed or step.billing is Billing.UNBILLED
        self.lapsed = False
        assert self.open == {step.reservation}
        usage, attempt = step.attempt.usage, step.attempt
        assert (attempt.billing, attempt.cost_nano_usd) == (step.billing, step.cost_nano_usd)
        if step.billing is Billing.UNBILLED:
            assert step.cost_nano_usd == 0
            assert attempt.failure is not None
        elif step.billing is Billing.UNCERTAIN:
            assert step.cost_nano_usd == self.granted[step.reservation].bound.nano_usd
        else:
            assert usage is not None
            assert usage.fault is None
            assert step.cost_nano_usd == oracle_cost_nano_usd(
                step.hop.price,
                fresh=usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens,
                cached=usage.cached_input_tokens,
                written=usage.cache_write_tokens,
                output=usage.output_tokens - usage.reasoning_tokens,
                reasoning=usage.reasoning_tokens,
            )


def answer_to(step: Step, account: Account, data: st.DataObject) -> Answer | BaseException:
    """Some answer that a driver may give to a step, or an interruption while one is under way."""
    account.now_s += step.seconds if isinstance(step, Wait) else data.draw(SECONDS)
    if not isinstance(step, Resolve) and data.draw(st.sampled_from([False] * 9 + [True])):
        return Interruption()
    match step:
        case Reserve():
            account.now_s += step.wait_s * data.draw(st.sampled_from([0, 0.5, 1]))
            said = data.draw(REFUSALS)
            if said == "granted":
                return account.grant(step)
            return account.refuse(step, None if isinstance(said, str) else said)
        case Send():
            return end_of_sending(account, data)
        case Relay():
            return end_of_attempt(account, data)
        case Resolve():
            return Resolved(account.now_s)
        case Wait():
            return Waited(account.now_s)


def end_of_sending(account: Account, data: st.DataObject) -> Answer:
    """Now and then a lease has lapsed; a stream begins, or the attempt is over."""
    account.lapsed = data.draw(st.sampled_from([False] * 7 + [True]))
    if account.lapsed:
        return Lapsed(account.now_s)
    if account.plan.stream and data.draw(st.booleans()):
        return Opened(account.now_s)
    return end_of_attempt(account, data)


def end_of_attempt(account: Account, data: st.DataObject) -> Answer:
    """An answer or, more often, a failure."""
    if data.draw(st.sampled_from([False, False, True])):
        return Answered(data.draw(USAGES), account.now_s)
    found = data.draw(FAILURES)
    account.stopped = found.kind in {FailureKind.INVALID_REQUEST, FailureKind.CANCELLED}
    return Failed(found, account.now_s)


def drive(plan: Plan, data: st.DataObject) -> tuple[Account, Result | None]:
    """Run a plan to its end; None as the result of one that was interrupted."""
    account = Account(plan, plan.started_s)
    flow = run(plan)
    interrupted = False
    try:
        step = next(flow)
        while True:
            account.take(step)
            assert not interrupted or isinstance(step, Resolve)
            answer = answer_to(step, account, data)
            if isinstance(answer, BaseException):
                interrupted = True
                step = flow.throw(answer)
            else:
                step = flow.send(answer)
    except Interruption:
        assert interrupted
        result = None
    except StopIteration as stop:
        assert not interrupted
        result = stop.value
    finally:
        let_go(flow)
    with pytest.raises(StopIteration):
        next(flow)
    return account, result


def holds_for(plan: Plan, data: st.DataObject) -> None:
    """Drive a plan and compare the loop's result with the account."""
    account, result = drive(plan, data)
    assert not account.open
    assert len(account.resolved) == len(account.granted)
    if result is None:
        return
    assert result.cost_nano_usd == sum(account.resolved.values())
    assert account.sent <= len(result.attempts) == len(account.granted) <= plan.attempts_max
    assert [attempt.number for attempt in result.attempts] == list(range(1, len(account.granted) + 1))
    answered = [attempt for attempt in result.attempts if attempt.failure is None]
    assert (result.end is End.ANSWERED) == bool(answered)
    assert not answered or answered == [result.attempts[-1]]
    assert result.end is not End.BROKEN or account.relayed
    assert result.end not in {End.NOT_GRANTED, End.CEILING} or not result.attempts
    assert dict(result.refusals) == account.refusals
    assert result.end is not End.BUDGET or result.refusals
    assert dict(result.overloads) == account.overloads
    assert result.end is not End.OVERLOADED or (result.overloads and not result.attempts)
    assert not result.refusals or result.end not in {End.EXHAUSTED, End.NOT_GRANTED, End.CEILING} or account.stopped


@everyday(1000)
@given(plans(), st.data())
def test_any_driver_gets_a_loop_that_keeps_its_rules(plan: Plan, data: st.DataObject) -> None:
    """Reserved before sent, resolved exactly once, within ceiling, deadline and attempts, no fallback after content."""
    holds_for(plan, data)


@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
@everyday(4000)
@given(plan=plans(), data=st.data())
def test_the_loop_keeps_its_rules_over_many_plans(part: int, plan: Plan, data: st.DataObject) -> None:
    """The same over eight thousand runs, half of them at a time."""
    holds_for(plan, data)
