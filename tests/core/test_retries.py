"""The retry budget: an outage multiplies nothing, and a fallback that is well is never held up by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.retries import (
    PAUSE_MOST_S,
    REFILL_S,
    SAVED_MOST,
    UNDECIDED,
    RetryBudget,
    RetryTerms,
    pause_s,
)

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["first", "extra", "ends well", "ends ill", "ends otherwise"]), st.sampled_from([0, 0.5])
    ),
    max_size=300,
)


@given(share=st.sampled_from([0.0, 0.1, 0.2, 1.0]), least=st.integers(0, 10), events=EVENTS)
def test_failed_extra_attempts_never_exceed_what_was_paid_in(
    share: float, least: int, events: list[tuple[str, float]]
) -> None:
    """In any order of events: minimum, refill by time, a share of all traffic, and what was open at once."""
    budget, now_s, paid_in, failed, undecided = RetryBudget(RetryTerms(share, least)), 0.0, float(least), 0, 0
    most_undecided = 0
    for what, pause in events:
        now_s += pause
        paid_in += pause * least / REFILL_S
        if what == "first":
            budget.began(now_s, is_extra=False)
            paid_in += share
        elif what == "extra" and budget.has_room(now_s):
            budget.began(now_s, is_extra=True)
            undecided += 1
        elif what.startswith("ends") and undecided:
            undecided -= 1
            is_success, is_sick = what == "ends well", what == "ends ill"
            budget.ended(now_s, is_extra=True, is_success=is_success, is_sick=is_sick)
            paid_in += share if is_success else 0
            failed += is_sick
        most_undecided = max(most_undecided, undecided)
        assert budget.undecided == undecided
        assert failed <= (paid_in + 1e-6) / UNDECIDED  # a burst may be ten times as large, and then waits for the rest
        most = SAVED_MOST * max(least, 1)
        assert -most <= budget.tokens <= most
        if most_undecided <= most:
            assert failed <= paid_in + most_undecided + 1e-6  # what was open at once is owed, and so counts once


def test_a_thousand_requests_one_after_the_other_cause_a_share_more() -> None:
    """Everything is down: a fifth and the minimum, not a multiple."""
    budget, extra = RetryBudget(), 0
    for _ in range(1000):
        budget.began(0.0, is_extra=False)
        budget.ended(0.0, is_extra=False, is_success=False, is_sick=True)
        for _ in range(5):
            if budget.has_room(0.0):
                extra += 1
                budget.began(0.0, is_extra=True)
                budget.ended(0.0, is_extra=True, is_success=False, is_sick=True)
    assert extra == pytest.approx(1000 * 0.2 + 10, abs=1)


def test_slow_failures_of_many_at_once_cause_a_share_more() -> None:
    """Twenty at a time hang until their time is over: what begins while others are undecided is owed, not given."""
    budget, extra = RetryBudget(), 0
    for _ in range(50):
        for _ in range(20):
            budget.began(0.0, is_extra=False)
        begun = 0
        while begun < 20 and budget.has_room(0.0):
            budget.began(0.0, is_extra=True)
            begun += 1
        for _ in range(begun):
            budget.ended(0.0, is_extra=True, is_success=False, is_sick=True)
        extra += begun
    assert 1000 * 0.2 <= extra <= 1000 * 0.2 + 10 + 20


def test_one_bad_moment_of_very_many_does_not_forbid_retries_for_long() -> None:
    """However many fail at once, time and traffic pay for it as for five times the minimum."""
    budget = RetryBudget(RetryTerms(share=0.0, least=10))
    for _ in range(91):
        budget.began(0.0, is_extra=True)
    for _ in range(91):
        budget.ended(0.0, is_extra=True, is_success=False, is_sick=True)
    assert budget.tokens == -50
    assert not budget.has_room(5 * REFILL_S)
    assert budget.has_room(5.2 * REFILL_S)


def test_a_fallback_that_is_well_takes_everything() -> None:
    """Without traffic of its own before it takes ten times its minimum at once, and then everything."""
    budget = RetryBudget()
    begun = 0
    while budget.has_room(0.0):
        budget.began(0.0, is_extra=True)
        begun += 1
    assert begun == 91
    for _ in range(1000):
        budget.ended(0.0, is_extra=True, is_success=True, is_sick=False)
        assert budget.has_room(0.0)
        budget.began(0.0, is_extra=True)


def test_what_the_request_brought_along_costs_nothing() -> None:
    """A prompt that is too long everywhere says nothing about anybody's outage."""
    budget = RetryBudget()
    for _ in range(100):
        budget.began(0.0, is_extra=True)
        budget.ended(0.0, is_extra=True, is_success=False, is_sick=False)
    assert budget.tokens == 10


def test_time_gives_the_minimum_back_and_no_more() -> None:
    """A program that asks once an hour can retry each time."""
    budget = RetryBudget(RetryTerms(share=0.0, least=3))
    for _ in range(3):
        budget.began(0.0, is_extra=True)
        budget.ended(0.0, is_extra=True, is_success=False, is_sick=True)
    assert not budget.has_room(0.0)
    assert not budget.has_room(REFILL_S / 3 - 1)
    assert budget.has_room(REFILL_S)
    assert budget.has_room(100 * REFILL_S)
    assert budget.tokens == 3


def test_pauses_double_and_end_somewhere() -> None:
    """Half a second, one, two, four, eight, and never more."""
    assert [pause_s(retry) for retry in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert pause_s(10**9) == PAUSE_MOST_S
