"""The attempt loop, driven by hand: one scripted run for each of its rules."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import (
    Answered,
    Billing,
    End,
    Failed,
    Failure,
    FailureKind,
    Granted,
    Hop,
    NotGranted,
    Opened,
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
from modelrouter.core.pricing import PriceList, Usage

if TYPE_CHECKING:
    from modelrouter.core.attempts import (
        Flow,
        Result,
        Step,
    )
    from modelrouter.core.attempts import Outcome as Answer

PRICE = PriceList(Decimal(1), Decimal(2))  # 1,000 and 2,000 nano-dollars a token
USAGE = Usage(10, 5)
COST = 10 * 1000 + 5 * 2000
INPUT_BOUND = 100
OUTPUT = 50
BOUND = INPUT_BOUND * 1000 + OUTPUT * 2000
LATE_S = 100.0


def hop(name: str, *, billed: frozenset[int] = frozenset(), ceiling: int | None = None) -> Hop:
    """A candidate whose bound is easy to reckon: 100 tokens in, 50 out."""
    return Hop(name, PRICE, Overhead(0, 0, 0, 1), BoundBasis.PROVED, None, billed, ceiling)


def plan(*hops: Hop, ceiling: int | None = None, attempts_max: int = 6, deadline_s: float = LATE_S) -> Plan:
    """A plan over these candidates that begins at 0 s."""
    return Plan(
        hops=hops or (hop("a"), hop("b")),
        size=Size(text_bytes=INPUT_BOUND),
        wanted_output_tokens=OUTPUT,
        least_output_tokens=10,
        ceiling_nano_usd=ceiling,
        started_s=0.0,
        deadline_s=deadline_s,
        attempts_max=attempts_max,
        stream=False,
    )


def failure(kind: FailureKind = FailureKind.SERVER_ERROR, phase: Phase = Phase.ANSWERING, **fields: object) -> Failure:
    """A failure; without more it is an HTTP 500."""
    status = 500 if kind is FailureKind.SERVER_ERROR else None
    return replace(Failure(kind, phase, "a test", status), **fields)  # type: ignore[arg-type]  # fields by name


def let_go(flow: Flow) -> None:
    """End a loop that a failing test leaves in the middle: one that is merely forgotten could not resolve any more."""
    with contextlib.suppress(StopIteration, Interruption):
        flow.throw(Interruption())
        flow.send(Resolved(LATE_S))


class Interruption(BaseException):
    """As a cancelled task or Ctrl-C: no ordinary exception."""


class Script:
    """A driver that grants, sends and resolves, and takes what attempts come to from a list."""

    def __init__(self, the_plan: Plan, *answers: Answer | BaseException) -> None:
        self.flow = run(the_plan)
        self.answers = list(answers)
        self.steps: list[Step] = []
        self.now_s = 0.0

    def to_the_end(self) -> Result:
        """Perform every step until the loop returns its result."""
        try:
            step = next(self.flow)
            while True:
                self.steps.append(step)
                answer = self.answer(step)
                step = self.flow.throw(answer) if isinstance(answer, BaseException) else self.flow.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        finally:
            let_go(self.flow)

    def answer(self, step: Step) -> Answer | BaseException:
        """The plain answer to what is only book-keeping; the next of the list to what can turn out either way."""
        if isinstance(step, Resolve):
            return Resolved(self.now_s)
        if isinstance(step, Wait):
            self.now_s += step.seconds
            return Waited(self.now_s)
        if isinstance(step, Reserve) and not (self.answers and isinstance(self.answers[0], NotGranted)):
            return Granted(f"r{step.number}", self.now_s)
        assert self.answers, f"the script has no answer left for {step}"
        answer = self.answers.pop(0)
        self.now_s = self.now_s if isinstance(answer, BaseException) else answer.at_s
        return answer

    @property
    def kinds(self) -> list[str]:
        """The steps by their names."""
        return [type(step).__name__ for step in self.steps]

    def resolutions(self) -> list[tuple[str, Billing, int]]:
        """What was asked of the ledger, in order."""
        asked = [step for step in self.steps if isinstance(step, Resolve)]
        return [(step.reservation, step.billing, step.cost_nano_usd) for step in asked]


# --- the way through --------------------------------------------------------------------------------------------------


def test_an_answer_at_once_is_reserved_sent_and_settled() -> None:
    """The shortest run: one reservation, one request, one settlement at its cost."""
    script = Script(plan(), Answered(USAGE, 1.0))
    result = script.to_the_end()
    assert result.end is End.ANSWERED
    assert script.kinds == ["Reserve", "Send", "Resolve"]
    assert script.resolutions() == [("r1", Billing.BILLED, COST)]
    assert result.cost_nano_usd == COST
    assert [attempt.deployment for attempt in result.attempts] == ["a"]


def test_a_failure_falls_back_and_every_failure_is_kept() -> None:
    """The second candidate answers; the first one's failure stays in the result."""
    broken = failure()
    script = Script(plan(), Failed(broken, 1.0), Answered(USAGE, 2.0, length_reached=True))
    result = script.to_the_end()
    assert result.end is End.ANSWERED
    assert [attempt.failure for attempt in result.attempts] == [broken, None]
    assert [attempt.number for attempt in result.attempts] == [1, 2]
    assert script.resolutions() == [("r1", Billing.UNBILLED, 0), ("r2", Billing.BILLED, COST)]
    assert result.attempts[-1].length_reached


def test_when_everybody_fails_the_run_is_exhausted() -> None:
    """Nobody is asked twice without a reason."""
    script = Script(plan(), Failed(failure(), 1.0), Failed(failure(), 2.0))
    assert script.to_the_end().end is End.EXHAUSTED
    assert [step.hop.deployment for step in script.steps if isinstance(step, Send)] == ["a", "b"]


def test_a_refused_reservation_is_not_sent_and_the_loop_moves_on() -> None:
    """A reservation that policy or money refuses is a value."""
    script = Script(plan(), NotGranted("revoked", 0.5), Answered(USAGE, 1.0))
    result = script.to_the_end()
    assert script.kinds == ["Reserve", "Reserve", "Send", "Resolve"]
    assert result.not_granted == (("a", "revoked"),)
    assert [attempt.deployment for attempt in result.attempts] == ["b"]


def test_when_no_reservation_is_granted_nothing_is_sent() -> None:
    """The end says so, with each reason."""
    script = Script(plan(), NotGranted("revoked", 0.5), NotGranted("no money", 0.6))
    result = script.to_the_end()
    assert result.end is End.NOT_GRANTED
    assert result.not_granted == (("a", "revoked"), ("b", "no money"))
    assert script.kinds == ["Reserve", "Reserve"]


@pytest.mark.parametrize("kind", [FailureKind.INVALID_REQUEST, FailureKind.CANCELLED])
def test_what_no_other_candidate_can_mend_ends_the_run(kind: FailureKind) -> None:
    """The same request is wrong everywhere, and nobody waits for a cancelled one."""
    script = Script(plan(), Failed(failure(kind), 1.0))
    result = script.to_the_end()
    assert result.end is (End.CANCELLED if kind is FailureKind.CANCELLED else End.EXHAUSTED)
    assert len(result.attempts) == 1


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_is_relayed_and_settled() -> None:
    """The first content opens the relay, the end of it settles."""
    script = Script(plan(), Opened(0.5), Answered(USAGE, 1.0))
    assert script.to_the_end().end is End.ANSWERED
    assert script.kinds == ["Reserve", "Send", "Relay", "Resolve"]


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.CANCELLED])
def test_after_content_was_handed_out_there_is_no_fallback(kind: FailureKind) -> None:
    """A stream that breaks is broken, whatever broke it, and its cost is uncertain."""
    script = Script(plan(), Opened(0.5), Failed(failure(kind, status=None, retry_after_s=0.1), 1.0))
    assert script.to_the_end().end is End.BROKEN
    assert script.resolutions() == [("r1", Billing.UNCERTAIN, BOUND)]


def test_a_stream_that_its_reader_drops_is_cancelled_and_booked() -> None:
    """Leaving a stream early does not make it free."""
    script = Script(plan(), Opened(0.5), Failed(failure(FailureKind.CANCELLED), 1.0))
    assert script.to_the_end().end is End.CANCELLED
    assert script.resolutions() == [("r1", Billing.UNCERTAIN, BOUND)]


def test_a_stream_that_fails_before_any_content_falls_back() -> None:
    """Until the first content nothing was handed out."""
    script = Script(plan(), Failed(failure(FailureKind.TRUNCATED), 0.5), Opened(1.0), Answered(USAGE, 2.0))
    assert script.to_the_end().end is End.ANSWERED
    assert [type(step) for step in script.steps].count(Relay) == 1


# --- limits -----------------------------------------------------------------------------------------------------------


def test_attempts_are_capped_over_all_hops() -> None:
    """Two attempts are two, although a third candidate waits."""
    script = Script(plan(hop("a"), hop("b"), hop("c"), attempts_max=2), Failed(failure(), 1.0), Failed(failure(), 2.0))
    result = script.to_the_end()
    assert result.end is End.EXHAUSTED
    assert len(result.attempts) == 2


def test_after_the_deadline_nothing_is_begun() -> None:
    """The deadline is over the whole request, not over an attempt."""
    script = Script(plan(deadline_s=5.0), Failed(failure(), 5.0))
    assert script.to_the_end().end is End.DEADLINE
    assert script.kinds == ["Reserve", "Send", "Resolve"]


def test_an_attempt_gets_no_more_time_than_the_deadline_leaves() -> None:
    """All that is left, and no more."""
    script = Script(plan(deadline_s=5.0), Failed(failure(), 4.0), Answered(USAGE, 4.5))
    script.to_the_end()
    assert [step.timeout_s for step in script.steps if isinstance(step, Send)] == [5.0, 1.0]


def test_a_ceiling_counts_what_is_uncertain() -> None:
    """A time-out may have cost the whole bound, so the next attempt has only the rest."""
    timed_out = failure(FailureKind.TIMED_OUT, Phase.SENT)
    script = Script(plan(ceiling=BOUND + INPUT_BOUND * 1000 + 30 * 2000), Failed(timed_out, 1.0), Answered(USAGE, 2.0))
    script.to_the_end()
    bounds = [step.bound for step in script.steps if isinstance(step, Reserve)]
    assert [each.max_output_tokens for each in bounds] == [OUTPUT, 30]


def test_a_ceiling_that_leaves_too_little_ends_the_run_by_how_much() -> None:
    """Ten output tokens are the least; what they would have needed is in the result."""
    script = Script(plan(hop("a"), ceiling=INPUT_BOUND * 1000 + 9 * 2000))
    result = script.to_the_end()
    assert result.end is End.CEILING
    assert script.steps == []
    assert [each.needed_nano_usd for _, each in result.shortfalls] == [INPUT_BOUND * 1000 + 10 * 2000]


def test_the_ceiling_of_a_policy_holds_for_its_candidate_beside_the_call_s_own() -> None:
    """The lower of both clamps."""
    low = INPUT_BOUND * 1000 + 20 * 2000
    script = Script(plan(hop("a", ceiling=low), ceiling=10 * BOUND), Answered(USAGE, 1.0))
    script.to_the_end()
    first = script.steps[0]
    assert isinstance(first, Reserve)
    assert (first.bound.max_output_tokens, first.bound.nano_usd) == (20, low)


# --- waiting and retrying ---------------------------------------------------------------------------------------------


def test_with_nobody_else_left_a_stated_wait_is_waited() -> None:
    """Retry-After is honoured only after everybody else was asked, and by the earliest to be ready."""
    slow = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=7.0)
    quick = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=2.0)
    script = Script(plan(), Failed(slow, 0.0), Failed(quick, 0.0), Answered(USAGE, 3.0))
    assert script.to_the_end().end is End.ANSWERED
    assert [step.seconds for step in script.steps if isinstance(step, Wait)] == [2.0]
    assert [step.hop.deployment for step in script.steps if isinstance(step, Send)] == ["a", "b", "b"]


@pytest.mark.parametrize("retry_after_s", [LATE_S, 10 * LATE_S, None, float("nan"), float("inf")])
def test_a_wait_beyond_the_deadline_or_unreadable_is_not_waited(retry_after_s: float | None) -> None:
    """Failing at once is better than failing later."""
    limited = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=retry_after_s)
    script = Script(plan(hop("a")), Failed(limited, 0.0))
    assert script.to_the_end().end is End.EXHAUSTED
    assert "Wait" not in script.kinds


def test_an_unreadable_wait_of_one_candidate_hides_no_readable_one_of_another() -> None:
    """Whoever states a sensible wait is waited for, in whatever order they stand."""
    unreadable = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=float("nan"))
    readable = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=2.0)
    script = Script(plan(), Failed(unreadable, 0.0), Failed(readable, 0.0), Answered(USAGE, 3.0))
    assert script.to_the_end().end is End.ANSWERED


def test_an_attempt_that_we_interrupt_falls_back_and_one_that_its_caller_gives_up_does_not() -> None:
    """A revocation interrupts: somebody else may still answer. It is no illness, so nobody is asked twice for it."""
    interrupted = failure(FailureKind.CANCELLED, Phase.SENT, others_may_serve=True)
    result = Script(plan(), Failed(interrupted, 1.0), Answered(USAGE, 2.0)).to_the_end()
    assert result.end is End.ANSWERED
    assert [(each.deployment, each.billing) for each in result.attempts] == [
        ("a", Billing.UNCERTAIN),
        ("b", Billing.BILLED),
    ]
    given_up = Script(plan(), Failed(failure(FailureKind.CANCELLED, Phase.SENT), 1.0)).to_the_end()
    assert given_up.end is End.CANCELLED


def test_the_quiet_retry_is_an_attempt_on_a_fresh_connection_and_happens_once() -> None:
    """A reused connection that had died is tried once more, counted, reserved and booked like every attempt."""
    died = failure(FailureKind.UNREACHABLE, Phase.SENT, fresh_connection_helps=True)
    script = Script(plan(), Failed(died, 1.0), Failed(died, 2.0), Answered(USAGE, 3.0))
    result = script.to_the_end()
    sent = [(step.hop.deployment, step.fresh_connection) for step in script.steps if isinstance(step, Send)]
    assert sent == [("a", False), ("a", True), ("b", False)]
    assert [attempt.billing for attempt in result.attempts] == [Billing.UNCERTAIN, Billing.UNCERTAIN, Billing.BILLED]


# --- interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", [False, True])
def test_an_interruption_resolves_the_reservation_and_goes_on_out(opened: bool) -> None:
    """What was sent is uncertain, and the exception is not swallowed."""
    answers: tuple[Answer | BaseException, ...] = (Opened(0.5), Interruption()) if opened else (Interruption(),)
    script = Script(plan(), *answers)
    with pytest.raises(Interruption):
        script.to_the_end()
    assert script.resolutions() == [("r1", Billing.UNCERTAIN, BOUND)]
    assert script.kinds[-1] == "Resolve"


def test_an_interruption_while_nothing_is_reserved_leaves_nothing_to_resolve() -> None:
    """While waiting no reservation is held."""
    limited = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=2.0)
    script = Script(plan(hop("a")), Failed(limited, 0.0))
    plain = script.answer
    script.answer = lambda step: Interruption() if isinstance(step, Wait) else plain(step)  # type: ignore[method-assign]
    with pytest.raises(Interruption):
        script.to_the_end()
    assert script.kinds == ["Reserve", "Send", "Resolve", "Wait"]


@pytest.mark.parametrize("wrong", [Granted("r9", 1.0), Waited(1.0), Resolved(1.0)])
@pytest.mark.parametrize("opened", [False, True])
def test_a_driver_that_answers_out_of_turn_is_told_and_leaves_no_reservation_open(wrong: Answer, opened: bool) -> None:
    """A fault of a driver must not tie up money."""
    script = Script(plan(), *((Opened(0.5), wrong) if opened else (wrong,)))
    with pytest.raises(TypeError, match="where another outcome was due"):
        script.to_the_end()
    assert script.resolutions() == [("r1", Billing.UNCERTAIN, BOUND)]


# --- what an attempt costs --------------------------------------------------------------------------------------------

FAULTY = Usage(5, 5, cached_input_tokens=6)


@pytest.mark.parametrize("usage", [None, FAULTY])
def test_an_answer_without_a_usable_report_is_booked_at_the_bound(usage: Usage | None) -> None:
    """The bound is reserved already, and nothing better is known."""
    script = Script(plan(), Answered(usage, 1.0))
    assert script.to_the_end().cost_nano_usd == BOUND
    assert script.resolutions() == [("r1", Billing.UNCERTAIN, BOUND)]


def test_an_overrun_is_booked_as_it_is() -> None:
    """A provider that ignores the output limit is not booked at less than it reports."""
    script = Script(plan(), Answered(Usage(10, 1000), 1.0))
    assert script.to_the_end().cost_nano_usd == 10 * 1000 + 1000 * 2000 > BOUND
