"""The attempt loop and budgets, driven by hand: cheaper candidates first, then waiting, then an end that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelrouter.core.attempts import (
    Answered,
    Billing,
    End,
    Failed,
    FailureKind,
    Lapsed,
    NotGranted,
    Reserve,
    Send,
)
from modelrouter.core.failure import Phase
from tests.core.test_attempts import BOUND, COST, USAGE, Script, failure, hop, plan
from tests.core.test_attempts_properties import refusal

if TYPE_CHECKING:
    from modelrouter.core.budget import Refusal

SPENT = refusal(0.0, is_busy=False)


def no(at_s: float, why: Refusal | None = None) -> NotGranted:
    """A refused reservation."""
    return NotGranted("no", at_s, why)


def asked(script: Script) -> list[tuple[str, float]]:
    """Who was asked to reserve, and how long it might wait."""
    return [(step.hop.deployment, step.wait_s) for step in script.steps if isinstance(step, Reserve)]


def test_the_next_candidate_that_fits_is_used_before_anybody_waits() -> None:
    """A budget without room for the first candidate is no reason to wait while the second fits."""
    script = Script(plan(), no(0.5, refusal(5.0)), Answered(USAGE, 1.0))
    result = script.to_the_end()
    assert result.end is End.ANSWERED
    assert asked(script) == [("a", 0.0), ("b", 0.0)]
    assert result.cost_nano_usd == COST


def test_when_nobody_is_left_reserved_money_is_waited_for() -> None:
    """The first candidate with a busy budget waits as long as its budget says, counted from its refusal."""
    script = Script(plan(), no(0.5, refusal(5.0)), no(1.0, refusal(2.0)), Answered(USAGE, 4.0))
    result = script.to_the_end()
    assert asked(script) == [("a", 0.0), ("b", 0.0), ("a", 4.5)]
    assert result.end is End.ANSWERED
    assert result.refusals == (("b", refusal(2.0)),)


def test_after_the_wait_the_others_are_asked_once_more() -> None:
    """Money may have come back that is too little for the first and enough for another."""
    script = Script(plan(), no(0.0, refusal(5.0)), no(0.0, refusal(5.0)), no(5.0, refusal(5.0)), Answered(USAGE, 6.0))
    assert script.to_the_end().end is End.ANSWERED
    assert asked(script) == [("a", 0.0), ("b", 0.0), ("a", 5.0), ("b", 0.0)]


def test_a_wait_ends_with_the_deadline() -> None:
    """Nobody waits for money that would come too late."""
    script = Script(plan(hop("a"), deadline_s=3.0), no(1.0, refusal(60.0)), no(3.0, refusal(60.0)))
    assert script.to_the_end().end is End.BUDGET
    assert asked(script) == [("a", 0.0), ("a", 2.0)]


@pytest.mark.parametrize("said", [refusal(0.0), SPENT])
def test_without_patience_or_hope_nobody_waits(said: Refusal) -> None:
    """A budget that does not wait, and one that is spent, end the run at once."""
    script = Script(plan(), no(0.0, said), no(0.0, said))
    result = script.to_the_end()
    assert (result.end, asked(script)) == (End.BUDGET, [("a", 0.0), ("b", 0.0)])
    assert result.refusals == (("a", said), ("b", said))


def test_a_wait_that_is_answered_early_is_not_begun_again() -> None:
    """A store that says no before the time is over has its reasons, and is not asked in a circle."""
    script = Script(plan(hop("a")), no(0.0, refusal(9.0)), no(0.0, refusal(9.0)))
    assert script.to_the_end().end is End.BUDGET
    assert asked(script) == [("a", 0.0), ("a", 9.0)]


def test_a_wait_for_money_makes_room_for_whoever_may_be_tried_again_sooner() -> None:
    """It ends when a rate-limited candidate asked to be tried again, and is then taken up with what is left of it."""
    limited = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=2.0)
    script = Script(
        plan(),
        Failed(limited, 0.0),
        no(0.0, refusal(5.0)),
        no(2.0, refusal(5.0)),
        Failed(failure(), 2.5),
        Answered(USAGE, 3.0),
    )
    assert script.to_the_end().end is End.ANSWERED
    assert asked(script) == [("a", 0.0), ("b", 0.0), ("b", 2.0), ("a", 0.0), ("b", 2.5)]
    assert "Wait" not in script.kinds


def test_a_budget_that_is_spent_by_now_is_waited_for_no_longer() -> None:
    """What was busy may be exceeded when the wait is interrupted: nothing will come back."""
    limited = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=2.0)
    script = Script(plan(), Failed(limited, 0.0), no(0.0, refusal(5.0)), no(2.0, SPENT), Failed(failure(), 2.5))
    result = script.to_the_end()
    assert result.refusals == (("b", SPENT),)
    assert asked(script) == [("a", 0.0), ("b", 0.0), ("b", 2.0), ("a", 0.0)]


def test_a_budget_s_refusal_is_the_end_that_is_told_even_after_failures() -> None:
    """What is left had no room; the failures before it are kept."""
    script = Script(plan(), Failed(failure(), 1.0), no(1.0, SPENT))
    result = script.to_the_end()
    assert (result.end, len(result.attempts)) == (End.BUDGET, 1)


def test_a_candidate_that_was_granted_in_the_end_is_refused_no_longer() -> None:
    """A failure after the wait is told as the failure that it is."""
    script = Script(plan(hop("a")), no(0.0, refusal(5.0)), Failed(failure(), 2.0))
    result = script.to_the_end()
    assert (result.end, result.refusals, result.not_granted) == (End.EXHAUSTED, (), ())


def test_policy_may_refuse_while_a_budget_is_waited_for() -> None:
    """A reload in between counts, and the budget's refusal stays the reason that is told."""
    script = Script(plan(hop("a")), no(0.0, refusal(5.0)), no(1.0))
    result = script.to_the_end()
    assert (result.end, result.not_granted) == (End.BUDGET, (("a", "no"),))


# --- leases -----------------------------------------------------------------------------------------------------------


def test_a_lapsed_lease_is_released_and_reserved_anew() -> None:
    """Nothing was sent under it, so it costs nothing; the second reservation is sent."""
    script = Script(plan(), Lapsed(1.0), Answered(USAGE, 2.0))
    result = script.to_the_end()
    assert script.kinds == ["Reserve", "Send", "Resolve", "Reserve", "Send", "Resolve"]
    assert script.resolutions() == [("r1", Billing.UNBILLED, 0), ("r2", Billing.BILLED, COST)]
    assert [attempt.deployment for attempt in result.attempts] == ["a", "a"]
    lapsed = result.attempts[0].failure
    assert lapsed is not None
    assert (lapsed.kind, lapsed.phase) == (FailureKind.TIMED_OUT, Phase.NOT_SENT)


def test_a_lease_that_lapses_twice_moves_on() -> None:
    """Whoever cannot keep a lease does not go on reserving."""
    script = Script(plan(), Lapsed(1.0), Lapsed(2.0), Answered(USAGE, 3.0))
    result = script.to_the_end()
    assert [step.hop.deployment for step in script.steps if isinstance(step, Send)] == ["a", "a", "b"]
    assert result.not_granted == (("a", "its lease lapsed"),)
    assert result.cost_nano_usd == COST < BOUND


def test_a_dead_connection_after_a_lapsed_lease_is_still_tried_again() -> None:
    """The two have nothing to do with each other."""
    died = failure(FailureKind.UNREACHABLE, Phase.SENT, fresh_connection_helps=True)
    script = Script(plan(hop("a")), Lapsed(1.0), Failed(died, 2.0), Answered(USAGE, 3.0))
    assert script.to_the_end().end is End.ANSWERED
    assert [step.fresh_connection for step in script.steps if isinstance(step, Send)] == [False, False, True]
