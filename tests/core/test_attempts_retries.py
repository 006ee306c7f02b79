"""The attempt loop, driven by hand: who is asked again, when, with what, and what becomes of one that is full."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrouter.core.attempts import (
    Answered,
    Billing,
    End,
    Failed,
    FailureKind,
    NotGranted,
    Overload,
    Phase,
    Reserve,
    Send,
    Wait,
)
from modelrouter.core.failure import RULES, Remedy
from tests.core.test_attempts import LATE_S, USAGE, Script, failure, hop, plan

RETRIED = replace(plan(), retries_max=2)
ALONE = replace(plan(hop("a")), retries_max=2)


def asked(script: Script) -> list[str]:
    """Who was sent to, in order."""
    return [step.hop.deployment for step in script.steps if isinstance(step, Send)]


def test_everybody_is_asked_before_anybody_is_asked_again() -> None:
    """Another candidate answers now; the same one perhaps in half a second."""
    script = Script(RETRIED, Failed(failure(), 1.0), Failed(failure(), 1.0), Failed(failure(), 2.0), Answered(USAGE, 3))
    assert script.to_the_end().end is End.ANSWERED
    assert asked(script) == ["a", "b", "a", "b"]
    assert [(step.seconds, step.is_stated) for step in script.steps if isinstance(step, Wait)] == [(0.5, False)]


def test_pauses_grow_and_retries_end() -> None:
    """Half a second, then one, and then it is over, although attempts are left."""
    script = Script(ALONE, *[Failed(failure(), 0.0)] * 3)
    script.answers = [Failed(failure(), at_s) for at_s in (0.0, 0.5, 1.5)]
    result = script.to_the_end()
    assert result.end is End.EXHAUSTED
    assert [step.seconds for step in script.steps if isinstance(step, Wait)] == [0.5, 1.0]
    assert len(result.attempts) == 3


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if RULES[kind].remedy is not Remedy.STOP])
def test_only_kinds_that_may_pass_by_themselves_are_tried_again(kind: FailureKind) -> None:
    """By the table, and here where the failure cost nothing."""
    again = RULES[kind].remedy is Remedy.RETRY_HERE
    script = Script(ALONE, Failed(failure(kind, status=500), 0.0), Answered(USAGE, 1.0))
    assert script.to_the_end().end is (End.ANSWERED if again else End.EXHAUSTED)


def test_what_may_have_been_billed_is_not_tried_again() -> None:
    """A connection that broke after sending may have cost the whole bound: once is enough."""
    broke = failure(FailureKind.UNREACHABLE, Phase.SENT, status=None)
    result = Script(ALONE, Failed(broke, 0.0)).to_the_end()
    assert [attempt.billing for attempt in result.attempts] == [Billing.UNCERTAIN]
    refused = failure(FailureKind.UNREACHABLE, Phase.NOT_SENT, status=None)
    assert Script(ALONE, Failed(refused, 0.0), Answered(USAGE, 1.0)).to_the_end().end is End.ANSWERED


def test_a_stated_time_is_no_retry_of_our_own_choice() -> None:
    """It is waited for as often as attempts and deadline allow, as it was asked."""
    later = failure(FailureKind.RATE_LIMITED, status=429, retry_after_s=3.0)
    script = Script(replace(ALONE, retries_max=0), Failed(later, 0.0), Failed(later, 3.0), Answered(USAGE, 7.0))
    assert script.to_the_end().end is End.ANSWERED
    assert [step.is_stated for step in script.steps if isinstance(step, Wait)] == [True, True]


def test_no_retry_begins_after_the_deadline_or_beyond_the_cap() -> None:
    """A pause that would end at the deadline is not begun, and all attempts count."""
    near = replace(ALONE, deadline_s=0.5)
    assert len(Script(near, Failed(failure(), 0.0)).to_the_end().attempts) == 1
    capped = replace(ALONE, attempts_max=2)
    assert len(Script(capped, *[Failed(failure(), 0.0)] * 2).to_the_end().attempts) == 2


def test_another_key_of_the_same_deployment_is_tried_at_once() -> None:
    """It is an attempt like every other; where none is left the next candidate comes."""
    refused = failure(FailureKind.UNAUTHORIZED, status=401, other_key_helps=True)
    last = failure(FailureKind.UNAUTHORIZED, status=401)
    script = Script(plan(), Failed(refused, 0.0), Failed(refused, 0.0), Failed(last, 0.0), Answered(USAGE, 1.0))
    result = script.to_the_end()
    assert asked(script) == ["a", "a", "a", "b"]
    assert len(result.attempts) == 4


# --- room -------------------------------------------------------------------------------------------------------------


def test_who_is_full_is_passed_by() -> None:
    """The next candidate answers, and nobody waited."""
    script = Script(plan(), NotGranted("full", 0.0, overload=Overload(5.0)), Answered(USAGE, 1.0))
    result = script.to_the_end()
    assert (result.end, asked(script)) == (End.ANSWERED, ["b"])
    assert dict(result.overloads) == {"a": Overload(5.0)}


def test_room_is_waited_for_when_nobody_else_is_left() -> None:
    """The second time it may wait, no longer than it said, and is told that it is the last."""
    full = NotGranted("full", 0.0, overload=Overload(5.0))
    script = Script(plan(hop("a")), full, Answered(USAGE, 4.0))
    assert script.to_the_end().end is End.ANSWERED
    turns = [(step.wait_s, step.is_last) for step in script.steps if isinstance(step, Reserve)]
    assert turns == [(0.0, False), (5.0, True)]


def test_patience_without_end_ends_at_the_deadline() -> None:
    """Waiting respects it, and what is left is said: nothing was sent, and it was full."""
    full = Overload(float("inf"), 30.0)
    script = Script(plan(hop("a")), NotGranted("full", 0.0, overload=full), NotGranted("full", LATE_S, overload=full))
    result = script.to_the_end()
    assert result.end is End.OVERLOADED
    assert [step.wait_s for step in script.steps if isinstance(step, Reserve)] == [0.0, LATE_S]
    assert result.attempts == ()


def test_a_failure_says_more_than_a_full_house() -> None:
    """Somebody was tried and failed: that is what the caller hears of first."""
    script = Script(plan(), NotGranted("full", 0.0, overload=Overload(0.0)), Failed(failure(), 1.0))
    result = script.to_the_end()
    assert result.end is End.EXHAUSTED
    assert result.not_granted == (("a", "full"),)


def test_of_two_that_are_full_the_shorter_line_is_waited_in() -> None:
    """Whichever stands first in the order, so that nobody stands idle beside a long line."""
    first = NotGranted("full", 0.0, overload=Overload(float("inf"), turns=3.0))
    second = NotGranted("full", 0.0, overload=Overload(float("inf"), turns=0.5))
    script = Script(plan(), first, second, Answered(USAGE, 1.0))
    assert script.to_the_end().end is End.ANSWERED
    assert asked(script) == ["b"]
