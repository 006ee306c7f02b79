"""Own limits of a deployment, held against an account that adds everything up anew each time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelrouter.core.load import WINDOW_S, Limits, Line, Place, Window

MOMENTS = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0, 20.0, 61.0]), st.integers(0, 6)), max_size=40)


@given(limit=st.integers(1, 12), moments=MOMENTS)
def test_no_minute_exceeds_its_limit_and_nothing_waits_without_need(
    limit: int, moments: list[tuple[float, int]]
) -> None:
    """The earliest free moment is the earliest one at which the sum of the last minute leaves room."""
    window, taken, now_s = Window(limit), list[tuple[float, int]](), 0.0
    for pause_s, wanted in moments:
        now_s += pause_s
        amount = min(wanted, limit)
        free_s = window.free_at_s(now_s, amount)

        def used(at_s: float) -> int:
            return sum(each for begun_s, each in taken if begun_s + WINDOW_S > at_s)

        possible = [now_s, *(begun_s + WINDOW_S for begun_s, _ in taken if begun_s + WINDOW_S > now_s)]
        assert free_s == min(each for each in possible if used(each) + amount <= limit)
        if free_s == now_s:
            window.take(now_s, amount)
            taken.append((now_s, amount))
        assert used(now_s) <= limit


def test_a_correction_frees_what_was_not_needed() -> None:
    """What counted for its most counts for what it was; one that was never sent counts for nothing."""
    line = Line(Limits(requests_per_minute=2, tokens_per_minute=100))
    first = line.enter(0.0, 90)
    assert line.room(0.0, 20).at_s == WINDOW_S
    line.leave(first, tokens=60)
    assert line.room(1.0, 20).is_free
    second = line.enter(1.0, 20)
    assert not line.room(1.0, 1).is_free
    line.leave(second, tokens=None)
    assert line.room(1.0, 40).is_free


def test_a_correction_that_comes_too_late_changes_nothing() -> None:
    """What a minute has forgotten is not taken off again."""
    line = Line(Limits(tokens_per_minute=100))
    early = line.enter(0.0, 90)
    assert line.room(WINDOW_S, 100).is_free
    line.enter(WINDOW_S, 100)
    line.leave(early, tokens=1)
    assert not line.room(WINDOW_S, 1).is_free


def test_a_call_larger_than_the_limit_has_its_minute_alone() -> None:
    """What it may need at most is more than it will; the operator decides, and nobody else goes beside it."""
    line = Line(Limits(tokens_per_minute=100))
    line.enter(0.0, 1)
    assert line.room(0.0, 101).at_s == WINDOW_S
    line.leave(line.enter(WINDOW_S, 101), tokens=150)
    assert "100 of at most 100 tokens" in line.room(WINDOW_S, 1).reason
    assert line.room(2 * WINDOW_S, 101).is_free


def test_the_line_is_bounded_and_served_in_order() -> None:
    """Who came later does not pass by who waits, and one more than the line holds is refused."""
    line = Line(Limits(max_in_flight=1, max_queue=2))
    place = line.enter(0.0, 1)
    first, second = object(), object()
    assert line.join(first)
    assert line.join(second)
    assert not line.join(object())
    assert not line.room(0.0, 1, first).is_free
    line.leave(place, tokens=1)
    assert line.room(0.0, 1, first).is_free
    assert not line.room(0.0, 1, second).is_free
    assert not line.room(0.0, 1).is_free
    line.quit(first)
    line.enter(0.0, 1)
    line.quit(second)
    assert (line.in_flight, line.waiting) == (1, 0)


@given(
    most=st.integers(1, 3),
    queue=st.integers(0, 2),
    steps=st.lists(st.tuples(st.sampled_from(["come", "end", "give up"]), st.integers(0, 9)), max_size=60),
)
def test_whatever_comes_and_goes_no_more_are_under_way_than_may_be(
    most: int, queue: int, steps: list[tuple[str, int]]
) -> None:
    """A line beside a plain list of who runs and who waits: the same, at every step."""
    line = Line(Limits(max_in_flight=most, max_queue=queue))
    running, waiting = list[Place](), list[object]()
    for what, which in steps:
        if what == "come":
            caller = object()
            assert line.room(0.0, 1, caller).is_free == (len(running) < most and not waiting)
            if line.room(0.0, 1, caller).is_free:
                running.append(line.enter(0.0, 1))
            elif line.join(caller):
                waiting.append(caller)
            else:
                assert len(waiting) == queue
        elif what == "end" and running:
            line.leave(running.pop(which % len(running)), tokens=1)
        elif what == "give up" and waiting:
            line.quit(waiting.pop(which % len(waiting)))
        while waiting and line.room(0.0, 1, waiting[0]).is_free:
            line.quit(waiting.pop(0))
            running.append(line.enter(0.0, 1))
        assert (line.in_flight, line.waiting) == (len(running), len(waiting))
        assert len(running) <= most
        assert line.first is (waiting[0] if waiting else None)


def test_other_limits_keep_the_count_of_a_minute_that_stays() -> None:
    """A reload forgets neither calls under way nor a minute whose limit it leaves as it is."""
    line = Line(Limits(requests_per_minute=1))
    line.enter(0.0, 1)
    line.limit(Limits(max_in_flight=5, requests_per_minute=1))
    assert line.in_flight == 1
    assert not line.room(1.0, 1).is_free
    line.limit(Limits(requests_per_minute=2))
    assert line.room(1.0, 1).is_free
