"""Health: the breaker beside one that replays its whole history, outliers and means."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.failure import RULES, Blame, Failure, FailureKind, Phase
from modelrouter.core.health import (
    CALLS_KEPT,
    STALE_S,
    Breaker,
    BreakerTerms,
    Mean,
    State,
    Verdict,
    outliers,
    verdict_of,
)

TERMS = BreakerTerms(least_calls=4, in_a_row=3, permits=2, open_s=4.0, open_most_s=16.0, window_s=16.0)
GOOD, SLOW, BAD, NOTHING = Verdict.GOOD, Verdict.SLOW, Verdict.BAD, Verdict.NOTHING


def failure(kind: FailureKind, retry_after_s: float | None = None) -> Failure:
    """A failure of this kind."""
    return Failure(kind, Phase.ANSWERING, "a test", retry_after_s=retry_after_s)


@dataclass
class Replayed:
    """A breaker that keeps everything and works out its state anew from all that ever ended."""

    ended: list[tuple[float, float, int, Verdict]] = field(default_factory=list)

    def turns(self) -> list[tuple[str, float, float]]:
        """Each time that it opened or closed: what, when, and for how long."""
        turns: list[tuple[str, float, float]] = []
        calls: list[tuple[float, Verdict]] = []
        stays, closed_s = 0, 0.0
        for now_s, _, age, verdict in self.ended:
            if age != len(turns) or verdict is NOTHING:
                continue
            calls.append((now_s, verdict))
            is_open = bool(turns) and turns[-1][0] == "open"
            if is_open and verdict is not BAD:
                if len(calls) == TERMS.permits:
                    turns.append(("close", now_s, 0))
                    closed_s, calls = now_s, []
                continue
            lately = [each for at_s, each in calls[-CALLS_KEPT:] if at_s + TERMS.window_s > now_s]
            row = 0
            for _, each in reversed(calls):
                if each is not BAD:
                    break
                row += 1
            share = len(lately) >= TERMS.least_calls and (
                lately.count(BAD) * 2 >= len(lately) or lately.count(SLOW) * 10 >= len(lately) * 8
            )
            if is_open or row >= TERMS.in_a_row or share:
                if not is_open and now_s - closed_s > TERMS.window_s:
                    stays = 0
                turns.append(("open", now_s, min(TERMS.open_most_s, TERMS.open_s * 2**stays)))
                stays, calls = stays + 1, []
        return turns

    def state(self, now_s: float) -> State:
        """Its state now."""
        turns = self.turns()
        if not turns or turns[-1][0] == "close":
            return State.CLOSED
        return State.OPEN if now_s < turns[-1][1] + turns[-1][2] else State.HALF_OPEN


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["begin", "end", "end"]),
            st.integers(0, 9),
            st.sampled_from([GOOD, SLOW, BAD, BAD, NOTHING]),
            st.sampled_from([0.0, 0.0, 0.5, 2.0, 8.0, 32.0]),
        ),
        max_size=120,
    )
)
def test_the_breaker_is_what_its_history_makes_it(steps: list[tuple[str, int, Verdict, float]]) -> None:
    """Calls that overlap, end late or say nothing, in any order: the same state as when all is replayed."""
    breaker, oracle, now_s = Breaker(TERMS), Replayed(), 0.0
    under_way: list[int] = []
    for what, which, verdict, pause_s in steps:
        now_s += pause_s
        if what == "begin":
            under_way.append(breaker.began())
            assert under_way[-1] == len(oracle.turns())
        elif under_way:
            age = under_way.pop(which % len(under_way))
            breaker.ended(now_s, age, verdict)
            oracle.ended.append((now_s, 0.0, age, verdict))
        state = oracle.state(now_s)
        assert breaker.state(now_s) is state
        probing = under_way.count(len(oracle.turns()))
        may = state is State.CLOSED or (state is State.HALF_OPEN and probing < TERMS.permits)
        assert breaker.has_permit(now_s) is may
        assert bool(breaker.trouble(now_s)) is not may


def drive(breaker: Breaker, now_s: float, *verdicts: Verdict) -> None:
    """One call after the other."""
    for verdict in verdicts:
        breaker.ended(now_s, breaker.began(), verdict)


def test_it_opens_half_opens_and_closes_again() -> None:
    """Three failures; left alone for a while; two at once may prove it; two successes close it."""
    breaker = Breaker(TERMS)
    drive(breaker, 0.0, BAD, BAD, BAD)
    assert breaker.state(0.0) is State.OPEN
    assert breaker.trouble(0.0) == "3 failures in a row; left alone for 4 s more"
    assert breaker.state(4.0) is State.HALF_OPEN
    first, second = breaker.began(), breaker.began()
    assert "2 calls under way" in breaker.trouble(4.0)
    breaker.ended(5.0, first, GOOD)
    assert breaker.state(5.0) is State.HALF_OPEN
    breaker.ended(5.0, second, SLOW)
    assert breaker.state(5.0) is State.CLOSED
    assert breaker.record(5.0) == (0, 0)


def test_each_failed_proof_doubles_the_stay_up_to_a_limit() -> None:
    """Four, eight, sixteen seconds, and never more; after a while in good health it is four again."""
    breaker, now_s = Breaker(TERMS), 0.0
    drive(breaker, now_s, BAD, BAD, BAD)
    for stay_s in (4.0, 8.0, 16.0, 16.0):
        assert breaker.state(now_s + stay_s - 0.1) is State.OPEN
        now_s += stay_s
        assert breaker.state(now_s) is State.HALF_OPEN
        drive(breaker, now_s, BAD)
    now_s += 16.0
    drive(breaker, now_s, GOOD, GOOD)
    now_s += TERMS.window_s + 1
    drive(breaker, now_s, BAD, BAD, BAD)
    assert breaker.state(now_s + 4.0) is State.HALF_OPEN


def test_slowness_opens_it_and_what_says_nothing_does_not() -> None:
    """Four of four were slow; a hundred refusals of prompts are nobody's illness."""
    breaker = Breaker(TERMS)
    drive(breaker, 0.0, *[NOTHING] * 100)
    drive(breaker, 0.0, SLOW, SLOW, SLOW)
    assert breaker.state(0.0) is State.CLOSED
    drive(breaker, 0.0, SLOW)
    assert breaker.state(0.0) is State.OPEN
    assert "to their first token" in breaker.trouble(0.0)


@pytest.mark.parametrize("kind", FailureKind)
def test_only_what_is_the_deployment_s_fault_counts_against_it(kind: FailureKind) -> None:
    """By the table: a 429, a refused key and a prompt that is too long are no illness."""
    verdict = verdict_of(failure(kind), None, TERMS)
    assert (verdict is BAD) is (RULES[kind].blame is Blame.DEPLOYMENT)
    assert verdict_of(failure(FailureKind.RATE_LIMITED), None, TERMS) is NOTHING


def test_slow_is_a_late_first_token_and_an_unseen_one_is_not_judged() -> None:
    """A long answer of a plain call is no slow call."""
    assert verdict_of(None, TERMS.slow_s + 1, TERMS) is SLOW
    assert verdict_of(None, TERMS.slow_s, TERMS) is GOOD
    assert verdict_of(None, None, TERMS) is GOOD


# --- pools and means --------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.sampled_from("abcdefg"), st.integers(0, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
    )
)
def test_outliers_never_empty_a_pool(records: dict[str, tuple[int, int]]) -> None:
    """At most the half, only those with enough calls, and nobody who does better than one who stays."""
    found = outliers(records)
    assert len(found) <= len(records) // 2
    assert all(records[name][0] >= 20 for name in found)
    staying = [failed / count for name, (count, failed) in records.items() if count >= 20 and name not in found]
    gone = [records[name][1] / records[name][0] for name in found]
    if gone:
        assert staying
        assert min(gone) >= min(staying)


def test_who_fails_more_often_than_the_others_is_an_outlier() -> None:
    """Three of ten among two that never fail; where all fail alike nobody is one."""
    assert set(outliers({"a": (30, 9), "b": (30, 0), "c": (30, 1)})) == {"a"}
    assert outliers({"a": (30, 9), "b": (30, 8), "c": (30, 10)}) == {}
    assert outliers({"a": (30, 30)}) == {}
    assert outliers({"a": (19, 19), "b": (30, 0)}) == {}


def test_a_mean_that_nobody_renews_is_forgotten() -> None:
    """A fifth of the newest; and after ten minutes nothing."""
    mean = Mean()
    assert mean.at(0.0) is None
    mean.add(0.0, 10.0)
    mean.add(1.0, 20.0)
    assert mean.at(1.0) == 12.0
    assert mean.at(1.0 + STALE_S) == 12.0
    assert mean.at(1.1 + STALE_S) is None
    mean.add(2.0 + STALE_S, 5.0)
    assert mean.at(2.0 + STALE_S) == 5.0
